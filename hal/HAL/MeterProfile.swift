import Charging

/// A kind of meter as its file in `hal/profiles/meters` describes it: all that a driver must know to
/// read one, and where each fact comes from.
package struct MeterProfile: Hashable, Sendable {
    /// One value: where it lies, how it is spelt, what is possible.
    package struct Value: Hashable, Sendable {
        /// 3 (holding registers) or 4 (input registers).
        package var function: Int
        /// Zero-based, as on the wire.
        package var address: Int
        /// Registers of the value; from its type, for text from the file.
        package var count: Int
        package var type: RegisterType
        package var words: WordOrder
        package var bytes: ByteOrder
        /// Raw value × scale = value in `unit`.
        package var scale: Decimal
        package var unit: MeterUnit
        /// Bit patterns, high word first, that mean "not available"; NaN always does.
        package var notAvailable: [UInt64]
        /// Register with a decimal exponent (i16) that multiplies the value, where the meter has one.
        package var exponentAddress: Int?
        /// Inclusive bounds in `unit`; outside, the reading is refused as implausible.
        package var minimum: Decimal?
        package var maximum: Decimal?

        package init(
            function: Int, address: Int, count: Int, type: RegisterType,
            words: WordOrder = .highFirst, bytes: ByteOrder = .highFirst,
            scale: Decimal = Decimal(1), unit: MeterUnit, notAvailable: [UInt64] = [],
            exponentAddress: Int? = nil, minimum: Decimal? = nil, maximum: Decimal? = nil
        ) {
            self.function = function
            self.address = address
            self.count = count
            self.type = type
            self.words = words
            self.bytes = bytes
            self.scale = scale
            self.unit = unit
            self.notAvailable = notAvailable
            self.exponentAddress = exponentAddress
            self.minimum = minimum
            self.maximum = maximum
        }
    }

    /// How `probe` knows the meter: the value is one of `equals`, or lies in the value's bounds.
    package struct Probe: Hashable, Sendable {
        package var value: Value
        package var equals: [UInt64]

        package init(value: Value, equals: [UInt64] = []) {
            self.value = value
            self.equals = equals
        }
    }

    /// Serial line as the meter leaves the factory.
    package struct Line: Hashable, Sendable {
        package var baud: Int
        package var parity: Parity
        package var stopBits: Int
        package var unit: Int

        package init(baud: Int, parity: Parity, stopBits: Int, unit: Int) {
            self.baud = baud
            self.parity = parity
            self.stopBits = stopBits
            self.unit = unit
        }
    }

    package enum Parity: String, Hashable, Sendable, CaseIterable, Codable { case none, even, odd }

    /// The file's name without its ending; what `profile:` in `edge.yaml` says.
    package var name: String
    package var title: String
    /// Where the register map comes from.
    package var source: String
    package var line: Line
    package var values: [MeterQuantity: Value]
    package var model: Value?
    package var serial: Value?
    package var firmware: Value?
    package var probe: Probe
    package var maxRegistersPerRead: Int
    /// The size to fall back to when the meter refuses the size above.
    package var fallbackRegistersPerRead: Int
    /// Registers without meaning that a read may run across to save a request.
    package var bridgedRegisters: Int
    /// Silence the meter wants between two requests.
    package var gapMilliseconds: Int
    package var timeoutMilliseconds: Int
    /// Silence on the bus after an error; must outlast the meter's slowest answer.
    package var quarantineMilliseconds: Int

    package init(
        name: String, title: String, source: String, line: Line,
        values: [MeterQuantity: Value], model: Value? = nil, serial: Value? = nil,
        firmware: Value? = nil, probe: Probe, maxRegistersPerRead: Int,
        fallbackRegistersPerRead: Int, bridgedRegisters: Int, gapMilliseconds: Int,
        timeoutMilliseconds: Int, quarantineMilliseconds: Int
    ) {
        self.name = name
        self.title = title
        self.source = source
        self.line = line
        self.values = values
        self.model = model
        self.serial = serial
        self.firmware = firmware
        self.probe = probe
        self.maxRegistersPerRead = maxRegistersPerRead
        self.fallbackRegistersPerRead = fallbackRegistersPerRead
        self.bridgedRegisters = bridgedRegisters
        self.gapMilliseconds = gapMilliseconds
        self.timeoutMilliseconds = timeoutMilliseconds
        self.quarantineMilliseconds = quarantineMilliseconds
    }
}

/// The units that profiles may name, and what they are in the house's own.
package enum MeterUnit: String, Hashable, Sendable, CaseIterable, Codable {
    case wattHours = "Wh"
    case kilowattHours = "kWh"
    case watts = "W"
    case kilowatts = "kW"
    case volts = "V"
    case amperes = "A"
    case hertz = "Hz"
    case none = ""

    /// How many of the house's smallest steps are in one: Wh, W, mV, mA, mHz, thousandths.
    package var steps: Int64 {
        switch self {
        case .wattHours, .watts: 1
        case .kilowattHours, .kilowatts, .volts, .amperes, .hertz, .none: 1000
        }
    }
}

extension MeterQuantity {
    /// The units in which a profile may give this quantity.
    package var units: [MeterUnit] {
        switch self {
        case .energyImport, .energyExport: [.wattHours, .kilowattHours]
        case .power, .powerL1, .powerL2, .powerL3: [.watts, .kilowatts]
        case .voltageL1, .voltageL2, .voltageL3: [.volts]
        case .currentL1, .currentL2, .currentL3: [.amperes]
        case .frequency: [.hertz]
        case .powerFactor: [.none]
        }
    }

    package var isEnergy: Bool { self == .energyImport || self == .energyExport }
}
