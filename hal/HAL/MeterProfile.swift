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
        /// Further scales of meters that differ in this alone; the first whose value lies within the
        /// bounds holds. The bounds are so narrow that no two can.
        package var otherScales: [Decimal]
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
            scale: Decimal = Decimal(1), otherScales: [Decimal] = [], unit: MeterUnit,
            notAvailable: [UInt64] = [],
            exponentAddress: Int? = nil, minimum: Decimal? = nil, maximum: Decimal? = nil
        ) {
            self.function = function
            self.address = address
            self.count = count
            self.type = type
            self.words = words
            self.bytes = bytes
            self.scale = scale
            self.otherScales = otherScales
            self.unit = unit
            self.notAvailable = notAvailable
            self.exponentAddress = exponentAddress
            self.minimum = minimum
            self.maximum = maximum
        }
    }

    /// One thing by which `probe` knows the meter: the value is one of `equals`, or begins with one
    /// of `startsWith`, or lies in the value's bounds.
    package struct ProbeRule: Hashable, Sendable {
        package var value: Value
        package var equals: [UInt64]
        package var startsWith: [String]

        package init(value: Value, equals: [UInt64] = [], startsWith: [String] = []) {
            self.value = value
            self.equals = equals
            self.startsWith = startsWith
        }

        /// Whether it names the meter, and not only something that many meters have.
        package var isName: Bool { !equals.isEmpty || !startsWith.isEmpty }
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
    /// How many independent sources agree on it; with one, look at the meter's display first.
    package var sources: Int
    package var line: Line
    package var values: [MeterQuantity: Value]
    package var model: Value?
    package var serial: Value?
    package var firmware: Value?
    /// All of them must hold.
    package var probe: [ProbeRule]
    /// None of them may hold: the marks of another kind that has the above too.
    package var probeUnless: [ProbeRule]
    /// What `model` reads on these meters; empty where nobody has written them down. A meter of
    /// another number may still be one: it makes a finding certain, never impossible.
    package var modelCodes: [UInt64]
    /// Where the import register begins anew; nil where it never does in a meter's life.
    package var rollsOverAt: WattHours?
    /// How the meter signs; nil where it does not.
    package var signing: SigningProfile?
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
        name: String, title: String, source: String, sources: Int = 1, line: Line,
        values: [MeterQuantity: Value], model: Value? = nil, serial: Value? = nil,
        firmware: Value? = nil, probe: [ProbeRule], probeUnless: [ProbeRule] = [],
        modelCodes: [UInt64] = [], rollsOverAt: WattHours? = nil, signing: SigningProfile? = nil,
        maxRegistersPerRead: Int,
        fallbackRegistersPerRead: Int, bridgedRegisters: Int, gapMilliseconds: Int,
        timeoutMilliseconds: Int, quarantineMilliseconds: Int
    ) {
        self.name = name
        self.title = title
        self.source = source
        self.sources = sources
        self.line = line
        self.values = values
        self.model = model
        self.serial = serial
        self.firmware = firmware
        self.probe = probe
        self.probeUnless = probeUnless
        self.modelCodes = modelCodes
        self.rollsOverAt = rollsOverAt
        self.signing = signing
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

extension MeterProfile {
    /// It sees one phase: it tells the voltage of L1 and of no other. A meter that tells totals alone
    /// may have three.
    package var isSinglePhase: Bool {
        values[.voltageL1] != nil && values[.voltageL2] == nil && values[.voltageL3] == nil
    }
}
