import Charging
import HAL
import LinuxHAL
import Simulation
import TestSupport
import Testing

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

    @Test(arguments: [SlaveFault.Kind.silence, .checkSum, .wrongUnit, .truncated])
    func `tells its last answer again for lost ones, for a second and no longer`(
        fault: SlaveFault.Kind
    ) async throws {
        let cabinet = try Cabinet()
        defer { cabinet.stop() }
        let pilot = cabinet.pilot
        cabinet.bench.now { $0.plugIn(.init()) }
        let good = try await pilot.reading()
        cabinet.slave.units.suffer(SlaveFault(fault, requests: nil), unit: 20)
        cabinet.clock.advance(milliseconds: ModbusEVSE.staleMilliseconds)
        let again = try await pilot.reading()
        #expect(again.value.repeatedFor != nil && again.value.state == good.value.state)
        #expect(again.askedAt == good.askedAt)
        cabinet.clock.advance(milliseconds: 1)
        await #expect(throws: DeviceError.self) { try await pilot.reading() }
    }

    @Test func `tells nothing again for an answer that cannot be`() async throws {
        let cabinet = try Cabinet(firmware: 16)
        defer { cabinet.stop() }
        // A map that is wrong on purpose: the state is looked for where the current stands.
        let pilot = ModbusEVSE(
            name: "P1", bus: cabinet.bus, unit: 20,
            profile: .init(stateRegister: 1000, gapMilliseconds: 0))
        cabinet.bench.now { $0.offer(milliamperes: 2_000) }
        #expect(try await pilot.reading().value.state == .b)
        cabinet.bench.now { $0.offer(milliamperes: 0) }
        await #expect(throws: DeviceError.wrongAnswer("pilot state 0")) {
            try await pilot.reading()
        }
    }

    @Test func `shows a car with a broken diode as a fault`() async throws {
        let cabinet = try Cabinet()
        defer { cabinet.stop() }
        cabinet.bench.now { $0.plugIn(.init(hasBrokenDiode: true)) }
        #expect(try await cabinet.pilot.reading().value.state == .e)
    }
}
