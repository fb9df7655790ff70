import Charging
import Service
import Testing

@testable import HAL

@Suite struct `A temperature` {
    @Test(arguments: [
        (-40_000, -400), (-1, 0), (0, 0), (1, 1), (25_300, 253), (25_301, 254), (79_999, 800),
        (150_000, 1_500),
    ])
    func `is told in tenths, rounded up`(thousandths: Int, tenths: Int) throws {
        var sanity = TemperatureSanity(stuckMinutes: 0)
        #expect(try sanity.tenths(thousandths: thousandths, at: 0) == tenths)
    }

    @Test(arguments: [-40_001, -127_000, -273_150, 150_001, 850_000, Int.max])
    func `that no cabinet can have is an error`(thousandths: Int) {
        var sanity = TemperatureSanity(stuckMinutes: 0)
        #expect(throws: DeviceError.self) { try sanity.tenths(thousandths: thousandths, at: 0) }
    }

    @Test func `that stands still to the last digit for too long is stuck, until it moves`() throws
    {
        var sanity = TemperatureSanity(stuckMinutes: 60)
        let hour: Int64 = 3_600_000
        #expect(try sanity.tenths(thousandths: 25_062, at: 0) == 251)
        #expect(try sanity.tenths(thousandths: 25_062, at: hour - 1) == 251)
        for at in [hour, hour + 5_000] {
            #expect(throws: DeviceError.wrongAnswer("the sensor is stuck at 25 °C for 60 min")) {
                try sanity.tenths(thousandths: 25_062, at: at)
            }
        }
        #expect(try sanity.tenths(thousandths: 25_125, at: hour + 10_000) == 252)
    }

    @Test(arguments: [
        ([0x00FD], RegisterType.i16, "0.1", 25_300), ([0xFF9C], .i16, "0.1", -10_000),
        ([0x0019], .u16, "1", 25_000), ([0x09C4], .i16, "0.01", 25_000),
        ([0x41C9, 0x999A], .f32, "1", 25_200), ([0x0000, 0x62D4], .i32, "0.001", 25_300),
    ])
    func `in registers is what its bytes say`(
        registers: [UInt16], type: RegisterType, scale: String, thousandths: Int
    ) throws {
        let profile = ModbusTemperatureProfile(
            register: 0, type: type, scale: try #require(Decimal(scale)))
        #expect(try profile.thousandths(registers) == thousandths)
    }

    @Test(arguments: [
        ([0x8000], RegisterType.i16), ([0x7FC0, 0x0000], .f32), ([0x7F7F, 0xFFFF], .f32),
    ])
    func `of a sensor that is absent is none`(registers: [UInt16], type: RegisterType) {
        let profile = ModbusTemperatureProfile(
            register: 0, type: type, scale: Decimal(1), notAvailable: [0x8000])
        #expect(throws: DeviceError.self) {
            var sanity = TemperatureSanity(stuckMinutes: 0)
            _ = try sanity.tenths(thousandths: try profile.thousandths(registers), at: 0)
        }
    }

    @Test func `of several connectors lies in files and registers beside each other, or in one`() {
        var profile = SysfsTemperatureProfile(
            kind: .hwmon, device: "lm75", channel: 1, channelStep: 1)
        #expect(profile.file(connector: 1) == "temp1_input")
        #expect(profile.file(connector: 3) == "temp3_input")
        profile = SysfsTemperatureProfile(kind: .iio, device: "ads", channel: 4)
        #expect(profile.file(connector: 3) == "in_temp4_input")
        profile = SysfsTemperatureProfile(kind: .iio, device: "tmp117")
        #expect(profile.file(connector: 1) == "in_temp_input")
        profile = SysfsTemperatureProfile(kind: .thermalZone, device: "cpu-thermal")
        #expect(profile.file(connector: 2) == "temp")
    }
}

@Suite struct `A Modbus cabinet's profile` {
    static let good = """
        title: T
        contactor: {driver: modbus-relay, pulseAddressOffset: 0x0200, feedback: input}
        pilot: {driver: modbus-evse}
        temperature: {driver: modbus, register: 0x0000, function: 4, scale: 0.1}
        protectiveEarth: {function: 2}
        deadMan: {kind: modbus-pulse, opensWithinMilliseconds: 1000, renewMilliseconds: 300}
        capabilities:
          maximumAmperes: 32
          phases: 3
          feedback: normallyClosed
          hasProtectiveEarth: true
          hasTemperature: true
          maximumDegrees: 70

        """

    private func problems(_ text: String) -> String {
        do throws(ConfigProblems) {
            _ = try Configuration.parse(Array(text.utf8), file: "b.yaml") {
                BoardProfile(name: "b", $0)
            }
            return "none"
        } catch {
            return error.description
        }
    }

    @Test(arguments: [
        (
            "temperature: {driver: modbus, register: 0x0000, function: 4, scale: 0.1}\n", "",
            "goes with the section `temperature`"
        ),
        ("  hasTemperature: true\n", "", "nothing derates by a temperature that nobody reads"),
        ("scale: 0.1", "scale: -1", "above zero"),
        ("scale: 0.1", "type: text, scale: 0.1", "a text is no temperature"),
        ("driver: modbus, register: 0x0000, function: 4, scale: 0.1", "driver: hwmon", "device"),
        (
            "driver: modbus, register: 0x0000, function: 4, scale: 0.1",
            "driver: hwmon, device: lm75, channelStep: 1", "`channel` that it starts from"
        ),
        (
            "driver: modbus, register: 0x0000, function: 4, scale: 0.1",
            "driver: thermal-zone, device: cpu-thermal, channel: 1", "channel"
        ),
        ("protectiveEarth: {function: 2}\n", "", "needs the line `gpio.lines.protectiveEarth`"),
        (
            "  hasProtectiveEarth: true\n", "",
            "one of the two"
        ),
        (
            "  hasProtectiveEarth: true\n", "  hasProtectiveEarth: true\n  hasDoor: true\n",
            "needs the line `gpio.lines.door`"
        ),
        (
            "  hasProtectiveEarth: true\n",
            "  hasProtectiveEarth: true\n  hasEmergencyStop: true\n",
            "needs the line `gpio.lines.emergencyStop`"
        ),
        ("feedback: input}", "feedback: coil}", "coil with coilOnly"),
        ("feedback: normallyClosed", "feedback: none", "does not fit `contactor.feedback`"),
        ("kind: modbus-pulse", "kind: simulated", "a relay card has no simulated"),
        ("kind: modbus-pulse", "kind: safety-mcu", "a relay card has no safety-mcu"),
        ("pulseAddressOffset: 0x0200, ", "", "needs `pulseAddressOffset: 0x0200`"),
        ("opensWithinMilliseconds: 1000", "opensWithinMilliseconds: 1500", "within 1000 ms"),
        (
            "feedback: input}", "pulseMilliseconds: 2000, feedback: input}",
            "the pulse is the dead-man"
        ),
        ("renewMilliseconds: 300", "renewMilliseconds: 600", "one lost renewal"),
    ])
    func `that promises what its devices do not keep is refused with the mend`(
        part: String, replacement: String, mend: String
    ) {
        #expect(problems(Self.good) == "none")
        let wrong = Self.good.replacing(part, with: replacement)
        #expect(wrong != Self.good)
        #expect(problems(wrong).contains(mend), "\(problems(wrong))")
    }

    @Test func `says in words that its relay's bus carries no meters, and what opens within 1 s`()
        throws
    {
        for name in try profiles.names(.boards) {
            guard case .modbusRelay = try profiles.board(name).contactor else { continue }
            let bytes = try FileSystem.read("\(profiles.folder)/boards/\(name).yaml")
            let text = String(decoding: bytes, as: UTF8.self)
            #expect(text.contains("relay card's bus carries no meters"), "\(name)")
            let hasPulse = try profiles.board(name).deadMan.kind == .modbusPulse
            #expect(
                text.contains(hasPulse ? "opens within 1 s" : "Nothing opens the contactor"),
                "\(name)")
        }
    }
}
