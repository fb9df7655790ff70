import Charging
import Glibc
import HAL
import LinuxHAL
import Service
import Simulation
import TestSupport
import Testing

/// A cabinet: relay card, pilot controller and meter on one TCP bus, moved by hand.
struct Cabinet {
    let clock = ManualClock()
    let bench: EVSEBench
    let slave: TCPSlave
    let bus: ModbusBus

    init(firmware: UInt16 = 17, meter: EastronMeter.Model = .sdm630) throws {
        bench = EVSEBench(name: "1", phases: 3, startWattHours: 812_345, clock: clock)
        slave = try TCPSlave(
            port: 0,
            units: SlaveUnits([
                1: EastronMeter(meter, measuring: bench), 10: RelayCard([0: bench]),
                20: PilotController(bench, firmware: firmware),
            ]))
        bus = ModbusBus(
            name: "cabinet", address: .tcp(host: "127.0.0.1", port: slave.port), clock: clock)
    }

    var contactor: ModbusContactor {
        ModbusContactor(
            name: "K1",
            deadMan: DeadMan(.modbusPulse, opensWithinMilliseconds: 1000, renewMilliseconds: 300),
            bus: bus, unit: 10, coil: 0, profile: RelayProfile(feedback: .input(offset: 0)))
    }

    var pilot: ModbusEVSE {
        ModbusEVSE(name: "P1", bus: bus, unit: 20, profile: .init(gapMilliseconds: 0))
    }

    func stop() {
        bus.close()
        slave.stop()
    }
}

@Suite struct `A contactor on a relay card` {
    @Test func `closes by a pulse, stays while it is renewed, and falls by itself`() async throws {
        let cabinet = try Cabinet()
        defer { cabinet.stop() }
        let contactor = cabinet.contactor
        #expect(try await contactor.state().value == .open)
        contactor.set(closed: true)
        #expect(try await contactor.state().value == .open)
        cabinet.clock.advance(milliseconds: 20)
        #expect(try await contactor.state().value == .closed)
        cabinet.clock.advance(milliseconds: 900)
        contactor.set(closed: true)
        _ = try await contactor.state()
        cabinet.clock.advance(milliseconds: 990)
        #expect(try await contactor.state().value == .closed)
        // Nobody renews: the card drops the coil 1 s after the last pulse, the contacts 15 ms later.
        cabinet.clock.advance(milliseconds: 30)
        #expect(try await contactor.state().value == .open)
    }

    @Test func `sends the vendor's own frame for a pulse`() async throws {
        let cabinet = try Cabinet()
        defer { cabinet.stop() }
        cabinet.contactor.set(closed: true)
        await until { !cabinet.slave.units.log.isEmpty }
        #expect(cabinet.slave.units.log.first == [10, 5, 0x02, 0x00, 0x00, 0x0A])
        // Waveshare's example, relay 0 on for 700 ms: 01 05 02 00 00 07 8D B0.
        #expect(SlaveAnswering.checkSum([1, 5, 2, 0, 0, 7]) == [0x8D, 0xB0])
    }

    @Test func `opens before everything that waits for the bus`() async throws {
        let cabinet = try Cabinet()
        defer { cabinet.stop() }
        let contactor = cabinet.contactor
        contactor.set(closed: true)
        _ = try await contactor.state()
        let answered = Lock(0)
        // One slow answer holds the line while forty requests and a renewal pile up behind it.
        cabinet.slave.units.suffer(SlaveFault(.late, milliseconds: 60), unit: 1)
        for number in 0..<40 {
            // The first is on the line before the others come.
            if number == 1 { await until { cabinet.slave.units.log.count == 3 } }
            cabinet.bus.post(
                unit: 1, rules: DeviceRules(timeoutMilliseconds: 500, gapMilliseconds: 0),
                priority: .energy,
                prepare: { .readRegisters(function: 4, address: 0x48, count: 2) }
            ) { _ in answered.withLock { $0 += 1 } }
        }
        contactor.set(closed: true)
        contactor.set(closed: false)
        await until { answered.withLock { $0 } == 40 }
        let log = cabinet.slave.units.log
        let opening = log.firstIndex(of: [10, 5, 0, 0, 0, 0]) ?? -1
        #expect(opening == 3, "pulse, state, the slow read, then the opening")
        #expect(!log[2...].contains([10, 5, 2, 0, 0, 10]), "the overtaken closing is never sent")
    }

    @Test func `never closes by an order that nobody renewed while it waited`() async throws {
        let cabinet = try Cabinet()
        defer { cabinet.stop() }
        let contactor = ModbusContactor(
            name: "K1",
            deadMan: DeadMan(.modbusPulse, opensWithinMilliseconds: 1000, renewMilliseconds: 1),
            bus: cabinet.bus, unit: 10, coil: 0, profile: RelayProfile(feedback: .input(offset: 0)))
        // The bus's thread is held up for longer than a living controller takes to renew.
        let isHeld = Lock(false)
        let gate = BlockingQueue<Bool>(limit: 1)
        cabinet.bus.post(
            unit: 1, rules: DeviceRules(timeoutMilliseconds: 500, gapMilliseconds: 0),
            priority: .control,
            prepare: {
                isHeld.withLock { $0 = true }
                _ = gate.take(most: 1)
                return nil
            }
        ) { _ in }
        await until { isHeld.withLock { $0 } }
        contactor.set(closed: true)
        let ordered = SystemClock().monotonicMilliseconds
        await until { SystemClock().monotonicMilliseconds > ordered + 3 }
        try gate.put(true)
        _ = try await contactor.state()
        #expect(cabinet.slave.units.log == [[10, 2, 0, 0, 0, 1]])
    }

    @Test func `says that an opening did not arrive, and goes on trying`() async throws {
        let cabinet = try Cabinet()
        defer { cabinet.stop() }
        let contactor = cabinet.contactor
        contactor.set(closed: true)
        _ = try await contactor.state()
        cabinet.slave.units.suffer(SlaveFault(.exception, requests: 3), unit: 10)
        contactor.set(closed: false)
        await until { !cabinet.bench.now { $0.isCoilOn } }
        #expect(!cabinet.bench.now { $0.isCoilOn })
        var state: Measured<MirrorState>?
        await until {
            // The last failure is told until a success has come back.
            state = try? await contactor.state()
            return state != nil
        }
        cabinet.clock.advance(milliseconds: 20)
        #expect(try await contactor.state().value == .open)
    }

    @Test func `shows a weld`() async throws {
        let cabinet = try Cabinet()
        defer { cabinet.stop() }
        let contactor = cabinet.contactor
        contactor.set(closed: true)
        _ = try await contactor.state()
        cabinet.clock.advance(milliseconds: 20)
        cabinet.bench.now { $0.contactor.isWelded = true }
        contactor.set(closed: false)
        _ = try await contactor.state()
        cabinet.clock.advance(milliseconds: 500)
        #expect(try await contactor.state().value == .closed)
    }
}

@Suite struct `A pilot controller` {
    @Test func `tells the car's state and offers currents to the hundredth`() async throws {
        let cabinet = try Cabinet()
        defer { cabinet.stop() }
        let pilot = cabinet.pilot
        #expect(try await pilot.reading().value == PilotReading(state: .a, offered: .zero))
        cabinet.bench.now { $0.plugIn(.init()) }
        #expect(try await pilot.reading().value.state == .b)
        pilot.set(.pwm(Amperes(milliamperes: 13_257)))
        _ = try await pilot.reading()
        cabinet.clock.advance(milliseconds: 1000)
        let reading = try await pilot.reading()
        #expect(reading.value == PilotReading(state: .c, offered: Amperes(milliamperes: 13_250)))
        #expect(reading.askedAt == 1000)
        pilot.set(.x1)
        _ = try await pilot.reading()
        #expect(cabinet.bench.now { $0.offered } == 0)
    }

    @Test func `is given whole amperes, rounded down, by an old firmware`() async throws {
        let cabinet = try Cabinet(firmware: 16)
        defer { cabinet.stop() }
        _ = try await cabinet.pilot.reading()
        let pilot = cabinet.pilot
        pilot.set(.pwm(Amperes(milliamperes: 15_999)))
        _ = try await pilot.reading()
        #expect(cabinet.bench.now { $0.offered } == 15_000)
    }

    @Test(arguments: [PilotSignal.x1, .f, .pwm(Amperes(5)), .pwm(.zero)])
    func `stops the offer for every signal below six amperes`(signal: PilotSignal) async throws {
        let cabinet = try Cabinet()
        defer { cabinet.stop() }
        let pilot = cabinet.pilot
        pilot.set(.pwm(Amperes(16)))
        _ = try await pilot.reading()
        _ = try await pilot.reading()
        #expect(cabinet.bench.now { $0.offered } == 16_000)
        pilot.set(signal)
        _ = try await pilot.reading()
        #expect(cabinet.bench.now { $0.offered } == 0)
    }

    @Test func `that forgot its current is told again`() async throws {
        let cabinet = try Cabinet()
        defer { cabinet.stop() }
        let pilot = cabinet.pilot
        pilot.set(.pwm(Amperes(16)))
        _ = try await pilot.reading()
        _ = try await pilot.reading()
        cabinet.bench.now { $0.offer(milliamperes: 0) }
        #expect(try await pilot.reading().value.offered == .zero)
        _ = try await pilot.reading()
        #expect(try await pilot.reading().value.offered == Amperes(16))
    }

    @Test func `shows a car with a broken diode as a fault`() async throws {
        let cabinet = try Cabinet()
        defer { cabinet.stop() }
        cabinet.bench.now { $0.plugIn(.init(hasBrokenDiode: true)) }
        #expect(try await cabinet.pilot.reading().value.state == .e)
    }
}

/// A place on the rail where one meter can be taken out and another put in.
private struct Exchangeable: SlaveDevice {
    let meters: Lock<EastronMeter>

    func registers(
        function: Int, address: Int, count: Int
    ) throws(SlaveException) -> [UInt16] {
        let meter = meters.withLock { $0 }
        return try meter.registers(function: function, address: address, count: count)
    }
}

@Suite struct `A meter on Modbus` {
    private func meter(_ cabinet: Cabinet, _ name: String) throws -> ModbusMeter {
        var profile = try ProfileLibrary(folder: Cases.packageRoot + "/hal/profiles").meter(name)
        profile.gapMilliseconds = 0
        // An answer that must come is waited for, however slow the machine.
        profile.timeoutMilliseconds = 2000
        return ModbusMeter(
            name: "M1", profile: profile, bus: cabinet.bus, unit: 1, maximumWatts: 23_000)
    }

    @Test(arguments: [EastronMeter.Model.sdm630, .sdm120])
    func `is read to the watt-hour`(model: EastronMeter.Model) async throws {
        let cabinet = try Cabinet(meter: model)
        defer { cabinet.stop() }
        let readings = try await meter(cabinet, model.rawValue).readings()
        #expect(readings.energy == WattHours(812_345))
        #expect(readings.voltages.first == Volts(millivolts: 230_000))
        #expect(readings.frequency == Decimal(50))
        #expect(readings.quality == .good)
    }

    @Test func `that takes only small reads is read in small pieces from then on`() async throws {
        let cabinet = try Cabinet()
        defer { cabinet.stop() }
        cabinet.slave.units.suffer(SlaveFault(.exception, requests: 1, code: 3), unit: 1)
        let meter = try meter(cabinet, "sdm630")
        #expect(try await meter.readings().energy == WattHours(812_345))
        let sizes = cabinet.slave.units.log.dropFirst().map { $0[5] }
        #expect(sizes.allSatisfy { $0 <= 10 })
    }

    @Test func `fails typed and never reads as zero`() async throws {
        let cabinet = try Cabinet()
        defer { cabinet.stop() }
        let meter = try meter(cabinet, "sdm630")
        _ = try await meter.readings()
        cabinet.slave.units.suffer(SlaveFault(.silence, requests: 1), unit: 1)
        await #expect(throws: MeterError.noAnswer) { try await meter.readings() }
        cabinet.slave.units.suffer(SlaveFault(.exception, requests: 1, code: 4), unit: 1)
        await #expect(throws: MeterError.refused(code: 4)) { try await meter.readings() }
        cabinet.slave.units.suffer(SlaveFault(.wrongUnit, requests: 3), unit: 1)
        await #expect(throws: MeterError.wrongAnswer("from unit 2")) { try await meter.readings() }
        cabinet.slave.units.suffer(SlaveFault(.checkSum, requests: 2), unit: 1)
        #expect(try await meter.readings().energy == WattHours(812_345))
    }

    @Test func `whose register fell is refused`() async throws {
        let cabinet = try Cabinet()
        defer { cabinet.stop() }
        let meter = try meter(cabinet, "sdm630")
        _ = try await meter.readings()
        cabinet.bench.now { $0.frozenRegister = 5 }
        await #expect(
            throws: MeterError.ranBackwards(was: WattHours(812_345), now: WattHours(5))
        ) { try await meter.readings() }
    }

    @Test func `that was changed for another is refused at the next comparison`() async throws {
        let clock = ManualClock()
        let bench = EVSEBench(name: "1", phases: 3, startWattHours: 5, clock: clock)
        let meters = Lock(EastronMeter(.sdm630, measuring: bench, serial: 1))
        let slave = try TCPSlave(port: 0, units: SlaveUnits([1: Exchangeable(meters: meters)]))
        let bus = ModbusBus(
            name: "lan", address: .tcp(host: "127.0.0.1", port: slave.port), clock: clock)
        defer {
            bus.close()
            slave.stop()
        }
        let profile = try ProfileLibrary(folder: Cases.packageRoot + "/hal/profiles")
            .meter("sdm630")
        let meter = ModbusMeter(
            name: "M1", profile: profile, bus: bus, unit: 1, maximumWatts: 23_000)
        #expect(try await meter.readings().energy == WattHours(5))
        meters.withLock { $0 = EastronMeter(.sdm630, measuring: bench, serial: 2) }
        clock.advance(milliseconds: ModbusMeter.identityMilliseconds)
        for _ in 0..<2 {
            await #expect(
                throws: MeterError.wrongDevice(expected: "serial 1", found: "serial 2")
            ) { try await meter.readings() }
        }
    }

    @Test func `tells its serial number`() async throws {
        let cabinet = try Cabinet()
        defer { cabinet.stop() }
        #expect(try await meter(cabinet, "sdm630").identity().serial == "12345678")
    }

    @Test func `that was changed while it was silent is refused at once`() async throws {
        let clock = ManualClock()
        let bench = EVSEBench(name: "1", phases: 3, startWattHours: 5, clock: clock)
        let meters = Lock(EastronMeter(.sdm630, measuring: bench, serial: 1))
        let slave = try TCPSlave(port: 0, units: SlaveUnits([1: Exchangeable(meters: meters)]))
        let bus = ModbusBus(
            name: "lan", address: .tcp(host: "127.0.0.1", port: slave.port), clock: clock)
        defer {
            bus.close()
            slave.stop()
        }
        var profile = try ProfileLibrary(folder: Cases.packageRoot + "/hal/profiles")
            .meter("sdm630")
        profile.timeoutMilliseconds = 200
        let meter = ModbusMeter(
            name: "M1", profile: profile, bus: bus, unit: 1, maximumWatts: 23_000)
        var first: MeterReadings?
        await until {
            // Only the silence below is meant to fail.
            first = try? await meter.readings()
            return first != nil
        }
        slave.units.suffer(SlaveFault(.silence), unit: 1)
        await #expect(throws: MeterError.noAnswer) { try await meter.readings() }
        meters.withLock { $0 = EastronMeter(.sdm630, measuring: bench, serial: 2) }
        var found: MeterError?
        await until {
            do throws(MeterError) {
                _ = try await meter.readings()
                return true
            } catch {
                found = error
                return error != .noAnswer
            }
        }
        #expect(found == .wrongDevice(expected: "serial 1", found: "serial 2"))
    }

    @Test func `of a model without some registers is read by those it has`() async throws {
        let device = Choosy()
        let slave = try TCPSlave(port: 0, units: SlaveUnits([1: device]))
        let bus = ModbusBus(name: "lan", address: .tcp(host: "127.0.0.1", port: slave.port))
        defer {
            bus.close()
            slave.stop()
        }
        var profile = try ProfileLibrary(folder: Cases.packageRoot + "/hal/profiles")
            .meter("sdm630")
        profile.gapMilliseconds = 0
        profile.timeoutMilliseconds = 2000
        let meter = ModbusMeter(
            name: "M1", profile: profile, bus: bus, unit: 1, maximumWatts: 23_000)
        for _ in 0..<2 {
            let readings = try await meter.readings()
            #expect(readings.energy == WattHours(1000))
            #expect(readings.voltages == [Volts(millivolts: 230_000)])
            #expect(readings.quality(of: .energyImport, at: readings.askedAt) == .good)
            #expect(readings.doubts[.powerFactor] == .missing)
        }
        // What it refused once for good is not asked for in the second cycle.
        #expect(slave.units.log.filter { $0[1...] == [4, 0, 0x3E, 0, 2] }.count == 1)
    }

    @Test func `is found by probing, and the relay beside it is not taken for one`() async throws {
        let cabinet = try Cabinet()
        defer { cabinet.stop() }
        let library = ProfileLibrary(folder: Cases.packageRoot + "/hal/profiles")
        let profiles = try library.names(.meters).map { try library.meter($0) }
        let found = try await ModbusProbe(bus: cabinet.bus, profiles: profiles)
            .findings(units: [1, 10])
        #expect(
            found.first
                == .init(
                    unit: 1, profiles: ["sdm630"], isCertain: true,
                    identity: MeterIdentity(model: "112", serial: "12345678")))
        #expect(found.last == .init(unit: 10, profiles: []))
    }
}

/// A meter of few registers that reads two at a time only.
private struct Choosy: SlaveDevice {
    func registers(
        function: Int, address: Int, count: Int
    ) throws(SlaveException) -> [UInt16] {
        guard function == 4, count == 2 else { throw .illegalAddress }
        switch address {
        case 0x0000: return [0x4366, 0x0000]
        case 0x0048: return [0x3F80, 0x0000]
        case 0x0046: return [0x4248, 0x0000]
        default: throw .illegalAddress
        }
    }
}

@Suite struct `A frame on the line` {
    @Test func `is the vendor's own for an SDM120's voltage`() throws {
        let value = try #require(
            try ProfileLibrary(folder: Cases.packageRoot + "/hal/profiles").meter("sdm120")
                .values[.voltageL1])
        let request = ModbusRequest.readRegisters(
            function: value.function, address: value.address, count: value.count)
        let question = [1] + request.bytes
        #expect(
            question + SlaveAnswering.checkSum(question)
                == [0x01, 0x04, 0x00, 0x00, 0x00, 0x02, 0x71, 0xCB])
        let answer: [UInt8] = [0x01, 0x04, 0x04, 0x43, 0x66, 0x33, 0x34, 0x1B, 0x38]
        #expect(SlaveAnswering.checkSum(answer.dropLast(2)) == Array(answer.suffix(2)))
        var image = RegisterImage()
        image.store(
            try request.values(of: answer[1..<answer.count - 2]), function: 4, address: 0)
        #expect(value.outcome(in: image, rounding: .nearest) == .steps(230_200))
    }
}
