import Charging
import Glibc
import HAL
import LinuxHAL
import Service
import Simulation
import TestSupport
import Testing

@Suite struct `A temperature sensor of the kernel` {
    private let clock = ManualClock()
    private let fake = FakeSysfs()

    init() throws {
        try fake.device(
            "class/hwmon/hwmon2", "name", "lm75", at: "devices/i2c-1/1-0048/hwmon/hwmon2")
        fake.write("class/hwmon/hwmon2/temp1_input", "41250\n")
        try fake.device("class/thermal/thermal_zone0", "type", "cpu-thermal")
        fake.write("class/thermal/thermal_zone0/temp", "52616\n")
        try fake.device("bus/iio/devices/iio:device0", "name", "tmp117")
        fake.write("bus/iio/devices/iio:device0/in_temp_input", "-7812\n")
    }

    private func sensor(
        _ kind: SysfsTemperatureProfile.Kind = .hwmon, _ device: String = "lm75",
        channel: Int? = 1
    ) -> SysfsTemperatureSensor {
        SysfsTemperatureSensor(
            sysfs: fake.sysfs,
            profile: SysfsTemperatureProfile(kind: kind, device: device, channel: channel),
            stuckMinutes: 60, connector: 1, clock: clock)
    }

    @Test(arguments: [
        (SysfsTemperatureProfile.Kind.hwmon, "lm75", 1 as Int?, 413), (.hwmon, "1-0048", 1, 413),
        (.thermalZone, "cpu-thermal", nil, 527), (.iio, "tmp117", nil, -78),
    ])
    func `is found by its name or its path and told with its age`(
        kind: SysfsTemperatureProfile.Kind, device: String, channel: Int?, tenths: Int
    ) async throws {
        let sensor = sensor(kind, device, channel: channel)
        await #expect(throws: DeviceError.noAnswer) { try await sensor.tenthsOfDegree() }
        sensor.sample()
        clock.advance(milliseconds: 3_000)
        let reading = try await sensor.tenthsOfDegree()
        #expect(reading.value == tenths)
        #expect(reading.age(at: clock.monotonicMilliseconds) == 3_000)
    }

    @Test(arguments: ["-127000", "850000", "nonsense", ""])
    func `that says what cannot be is an error at once`(text: String) async throws {
        let sensor = sensor()
        sensor.sample()
        fake.write("class/hwmon/hwmon2/temp1_input", text)
        sensor.sample()
        await #expect(throws: DeviceError.self) { try await sensor.tenthsOfDegree() }
    }

    @Test func `that reports its own fault is an error`() async throws {
        let sensor = sensor()
        fake.write("class/hwmon/hwmon2/temp1_fault", "1\n")
        sensor.sample()
        await #expect(throws: DeviceError.wrongAnswer("the sensor is absent or broken")) {
            try await sensor.tenthsOfDegree()
        }
    }

    @Test func `that is gone for a moment is told by its last reading, then no more`() async throws
    {
        let sensor = sensor()
        sensor.sample()
        fake.remove("class/hwmon/hwmon2/temp1_input")
        clock.advance(milliseconds: SysfsTemperatureSensor.staleMilliseconds)
        sensor.sample()
        #expect(try await sensor.tenthsOfDegree().askedAt == 0)
        clock.advance(milliseconds: 1)
        await #expect(throws: DeviceError.self) { try await sensor.tenthsOfDegree() }
    }

    @Test func `that is stuck is an error`() async throws {
        let sensor = sensor()
        sensor.sample()
        clock.advance(milliseconds: 3_600_000)
        sensor.sample()
        await #expect(throws: DeviceError.self) { try await sensor.tenthsOfDegree() }
    }

    @Test func `that hangs has no reading, at once`() async throws {
        let sensor = sensor()
        fake.hang("class/hwmon/hwmon2/temp1_input")
        sensor.start()
        await #expect(throws: DeviceError.noAnswer) { try await sensor.tenthsOfDegree() }
        sensor.stop()
        close(fake.release("class/hwmon/hwmon2/temp1_input"))
    }

    @Test func `is not guessed where two have its name, and the others are named where it is not`()
        throws
    {
        try fake.device(
            "class/hwmon/hwmon3", "name", "lm75", at: "devices/i2c-1/1-0049/hwmon/hwmon3")
        do throws(DeviceError) {
            _ = try fake.sysfs.temperatureDevice(.hwmon, "lm75")
            Issue.record("one of two was taken")
        } catch {
            #expect("\(error)".contains("2 devices of one name"))
        }
        #expect(try fake.sysfs.temperatureDevice(.hwmon, "1-0049").hasSuffix("hwmon3"))
        do throws(DeviceError) {
            _ = try fake.sysfs.temperatureDevice(.thermalZone, "gpu-thermal")
            Issue.record("another zone was taken")
        } catch {
            #expect("\(error)".contains("there are cpu-thermal"))
        }
    }
}

/// Four registers and four inputs that a test sets.
private final class SensorModule: SlaveDevice {
    let registers = Lock<[UInt16]>([0x00FD, 0xFF9C, 0x8000, 0])
    let inputs = Lock<[Bool]>([true, false, true, true])

    func registers(function: Int, address: Int, count: Int) throws(SlaveException) -> [UInt16] {
        guard function == 4, address + count <= 4 else { throw .illegalAddress }
        return registers.withLock { Array($0[address..<address + count]) }
    }

    func bits(function: Int, address: Int, count: Int) throws(SlaveException) -> [Bool] {
        guard function == 2, address + count <= 4 else { throw .illegalAddress }
        return inputs.withLock { Array($0[address..<address + count]) }
    }
}

@Suite struct `A sensor on Modbus` {
    private let clock = ManualClock()
    private let module = SensorModule()
    private let slave: TCPSlave
    private let bus: ModbusBus

    init() throws {
        slave = try TCPSlave(port: 0, units: SlaveUnits([1: module]))
        bus = ModbusBus(
            name: "lan", address: .tcp(host: "127.0.0.1", port: slave.port), clock: clock)
    }

    private func stop() {
        bus.close()
        slave.stop()
    }

    private func temperature(connector: Int = 1) -> ModbusTemperatureSensor {
        ModbusTemperatureSensor(
            bus: bus, unit: 1,
            profile: ModbusTemperatureProfile(
                register: 0, registerStep: 1, scale: Decimal(significand: 1, scale: 1),
                notAvailable: [0x8000], gapMilliseconds: 0, timeoutMilliseconds: 5_000),
            stuckMinutes: 60, connector: connector)
    }

    @Test func `of temperature asks and understands the bytes of the paper`() async throws {
        defer { stop() }
        #expect(try await temperature().tenthsOfDegree().value == 253)
        #expect(try await temperature(connector: 2).tenthsOfDegree().value == -100)
        #expect(slave.units.log == [[1, 4, 0, 0, 0, 1], [1, 4, 0, 1, 0, 1]])
        // The same on a serial line, from the protocol's own example of one input register.
        #expect(SlaveAnswering.checkSum([1, 4, 0, 0, 0, 1]) == [0x31, 0xCA])
        await #expect(throws: DeviceError.wrongAnswer("the sensor is absent or broken")) {
            try await temperature(connector: 3).tenthsOfDegree()
        }
    }

    @Test func `of temperature bridges a lost answer with its last reading, not a long silence`()
        async throws
    {
        defer { stop() }
        let sensor = temperature()
        await #expect(throws: DeviceError.self) {
            slave.units.suffer(SlaveFault(.exception, requests: 1, code: 4), unit: 1)
            _ = try await sensor.tenthsOfDegree()
        }
        #expect(try await sensor.tenthsOfDegree().value == 253)
        slave.units.suffer(SlaveFault(.exception, requests: 2, code: 4), unit: 1)
        clock.advance(milliseconds: ModbusTemperatureSensor.staleMilliseconds)
        #expect(try await sensor.tenthsOfDegree().askedAt == 0)
        clock.advance(milliseconds: 1)
        await #expect(throws: DeviceError.refused(code: 4)) { try await sensor.tenthsOfDegree() }
    }

    @Test func `of the earth says lost for an open contact, and for a long silence nothing`()
        async throws
    {
        defer { stop() }
        func earth(_ input: Int, isClosedGood: Bool = true) -> ModbusProtectiveEarth {
            ModbusProtectiveEarth(
                bus: bus, unit: 1, input: input,
                profile: ModbusInputProfile(
                    isClosedGood: isClosedGood, gapMilliseconds: 0, timeoutMilliseconds: 5_000))
        }
        #expect(try await !earth(0).isLost().value)
        #expect(try await earth(1).isLost().value)
        #expect(try await earth(0, isClosedGood: false).isLost().value)
        #expect(slave.units.log.first == [1, 2, 0, 0, 0, 1])
        let monitor = earth(0)
        _ = try await monitor.isLost()
        slave.units.suffer(SlaveFault(.exception, requests: 2, code: 4), unit: 1)
        clock.advance(milliseconds: ModbusProtectiveEarth.staleMilliseconds)
        #expect(try await !monitor.isLost().value)
        clock.advance(milliseconds: 1)
        await #expect(throws: DeviceError.refused(code: 4)) { try await monitor.isLost() }
    }
}
