import Charging
import HAL
import LinuxHAL
import Service
import Simulation
import TestSupport
import Testing

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
