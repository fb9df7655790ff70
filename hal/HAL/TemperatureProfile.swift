import Charging
import Service

/// Where and how a board's temperature is read.
package struct TemperatureProfile: Hashable, Sendable {
    package enum Driver: Hashable, Sendable {
        /// A file of the kernel, in thousandths of a degree.
        case sysfs(SysfsTemperatureProfile)
        case modbus(ModbusTemperatureProfile)
    }

    package var driver: Driver
    /// A sensor that tells the same to its last digit for so long is stuck; 0 where its digits are
    /// too coarse to tell.
    package var stuckMinutes: Int

    package init(_ driver: Driver, stuckMinutes: Int = 1440) {
        self.driver = driver
        self.stuckMinutes = stuckMinutes
    }
}

package struct SysfsTemperatureProfile: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        case hwmon
        case thermalZone = "thermal-zone"
        case iio
    }

    package var kind: Kind
    /// What its `name` (a thermal zone's `type`) says, or a part of the device's path in sysfs:
    /// `1-0048` tells two of a kind apart. Numbers of devices move between boots.
    package var device: String
    /// hwmon: of `temp1_input`; iio: of `in_temp0_input`, nil for `in_temp_input`. Of connector 1;
    /// those of connector n are `(n − 1) × channelStep` further.
    package var channel: Int?
    /// 0: one sensor for all connectors.
    package var channelStep: Int

    package init(kind: Kind, device: String, channel: Int? = nil, channelStep: Int = 0) {
        self.kind = kind
        self.device = device
        self.channel = channel
        self.channelStep = channelStep
    }

    /// The file below the device's folder.
    package func file(connector: Int) -> String {
        let channel = channel.map { $0 + (connector - 1) * channelStep }
        switch kind {
        case .hwmon: return "temp\(channel ?? 1)_input"
        case .thermalZone: return "temp"
        case .iio: return channel.map { "in_temp\($0)_input" } ?? "in_temp_input"
        }
    }
}

package struct ModbusTemperatureProfile: Hashable, Sendable {
    package var function: Int
    /// Of connector 1; that of connector n is `(n − 1) × registerStep` further.
    package var register: Int
    package var registerStep: Int
    package var type: RegisterType
    package var words: WordOrder
    /// Degrees of one count.
    package var scale: Decimal
    /// Bit patterns of a sensor that is broken or absent.
    package var notAvailable: [UInt64]
    package var gapMilliseconds: Int
    package var timeoutMilliseconds: Int

    package init(
        function: Int = 4, register: Int, registerStep: Int = 0, type: RegisterType = .i16,
        words: WordOrder = .highFirst, scale: Decimal, notAvailable: [UInt64] = [],
        gapMilliseconds: Int = 10, timeoutMilliseconds: Int = 300
    ) {
        self.function = function
        self.register = register
        self.registerStep = registerStep
        self.type = type
        self.words = words
        self.scale = scale
        self.notAvailable = notAvailable
        self.gapMilliseconds = gapMilliseconds
        self.timeoutMilliseconds = timeoutMilliseconds
    }

    /// Thousandths of a degree.
    package func thousandths(_ registers: [UInt16]) throws(DeviceError) -> Int {
        let bits = RegisterType.bits(registers, words: words, bytes: .highFirst)
        guard !notAvailable.contains(bits), let number = type.number(registers, words: words)
        else { throw .wrongAnswer("the sensor is absent or broken") }
        guard let found = number.times(scale, 1000, .nearest) else {
            throw .wrongAnswer("a temperature beyond all bounds")
        }
        return Int(found)
    }
}

/// What may be believed of a temperature sensor. An absent one often reads as the end of its scale, a
/// dead one as the last thing it saw.
package struct TemperatureSanity: Hashable, Sendable {
    /// Thousandths of a degree that a cabinet can have: −40 °C to 150 °C.
    package static let plausible = -40_000...150_000

    private let stuckMilliseconds: Int64
    private var last: Int?
    private var since: Int64 = 0

    package init(stuckMinutes: Int) { stuckMilliseconds = Int64(stuckMinutes) * 60_000 }

    /// The temperature in tenths of a degree, rounded up: a limit is never passed unseen.
    ///
    /// - Throws: `.wrongAnswer` where it cannot be believed.
    package mutating func tenths(
        thousandths: Int, at monotonicMilliseconds: Int64
    ) throws(DeviceError) -> Int {
        guard Self.plausible.contains(thousandths) else {
            last = nil
            throw .wrongAnswer("\(thousandths / 1000) °C is none that a cabinet can have")
        }
        if thousandths != last {
            last = thousandths
            since = monotonicMilliseconds
        }
        if stuckMilliseconds > 0, monotonicMilliseconds - since >= stuckMilliseconds {
            throw .wrongAnswer(
                "the sensor is stuck at \(thousandths / 1000) °C for \(stuckMilliseconds / 60_000) min"
            )
        }
        let isWhole = thousandths % 100 == 0
        return thousandths / 100 + (thousandths > 0 && !isWhole ? 1 : 0)
    }
}

/// A monitor of the protective earth at a digital input on Modbus.
package struct ModbusInputProfile: Hashable, Sendable {
    /// 1 reads coils, 2 digital inputs.
    package var function: Int
    /// True where the monitor's contact is closed while all is well: a broken wire then reads as the
    /// dangerous side.
    package var isClosedGood: Bool
    package var gapMilliseconds: Int
    package var timeoutMilliseconds: Int

    package init(
        function: Int = 2, isClosedGood: Bool = true, gapMilliseconds: Int = 5,
        timeoutMilliseconds: Int = 200
    ) {
        self.function = function
        self.isClosedGood = isClosedGood
        self.gapMilliseconds = gapMilliseconds
        self.timeoutMilliseconds = timeoutMilliseconds
    }
}

// MARK: From a board's file

extension TemperatureProfile {
    private enum Name: String, CaseIterable, Sendable {
        case hwmon
        case thermalZone = "thermal-zone"
        case iio, modbus
    }

    init(_ section: ConfigSection) {
        let name: Name = section.choice("driver", default: nil)
        let driver: Driver
        if name != .modbus || section.isSchema {
            driver = .sysfs(SysfsTemperatureProfile(section, .init(rawValue: name.rawValue)))
        } else {
            driver = .modbus(ModbusTemperatureProfile(section))
        }
        if section.isSchema { _ = ModbusTemperatureProfile(section) }
        self.init(
            driver, stuckMinutes: section.int("stuckMinutes", default: 1440, in: 0...100_000))
    }
}

extension SysfsTemperatureProfile {
    fileprivate init(_ section: ConfigSection, _ kind: Kind?) {
        let kind = kind ?? .hwmon
        // A thermal zone has one temperature only.
        let hasChannels = kind != .thermalZone || section.isSchema
        self.init(
            kind: kind, device: section.text("device"),
            channel: hasChannels ? section.intOrNil("channel", in: 0...63) : nil,
            channelStep: hasChannels ? section.int("channelStep", default: 0, in: 0...16) : 0)
        if channel == nil, channelStep != 0, !section.isSchema {
            section.problem("channelStep", "needs the `channel` that it starts from")
        }
    }
}

extension ModbusTemperatureProfile {
    fileprivate init(_ section: ConfigSection) {
        let type: RegisterType = section.choice("type", default: .i16)
        self.init(
            function: section.int("function", default: 4, in: 3...4),
            register: section.register("register") ?? 0,
            registerStep: section.int("registerStep", default: 0, in: 0...10_000),
            type: type, words: section.choice("wordOrder", default: .highFirst),
            scale: section.decimal("scale"), notAvailable: section.patterns("notAvailable"),
            gapMilliseconds: section.int("gapMilliseconds", default: 10, in: 0...5_000),
            timeoutMilliseconds: section.int("timeoutMilliseconds", default: 300, in: 50...2_000))
        if type == .text { section.problem("type", "a text is no temperature") }
        if !section.isSchema, scale <= Decimal(0) {
            section.problem("scale", "degrees of one count, 0.1 for tenths; above zero")
        }
    }
}

extension ModbusInputProfile {
    init(_ section: ConfigSection) {
        self.init(
            function: section.int("function", default: 2, in: 1...2),
            isClosedGood: section.bool("closedIsGood", default: true),
            gapMilliseconds: section.int("gapMilliseconds", default: 5, in: 0...1_000),
            timeoutMilliseconds: section.int("timeoutMilliseconds", default: 200, in: 50...2_000))
    }
}
