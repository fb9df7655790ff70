import HAL
import LinuxHAL
import Service
import Simulation
import TestSupport
import Testing

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
            bus: cabinet.bus, unit: 10, coil: 0, profile: RelayProfile(feedback: .input(offset: 0)),
            feedback: .normallyClosed)
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

    @Test func `survives one renewal that did not arrive`() async throws {
        let cabinet = try Cabinet()
        defer { cabinet.stop() }
        let contactor = cabinet.contactor
        contactor.set(closed: true)
        _ = try await contactor.state()
        cabinet.clock.advance(milliseconds: 20)
        cabinet.slave.units.suffer(SlaveFault(.exception, requests: 1), unit: 10)
        contactor.set(closed: true)
        #expect(try await contactor.state().value == .closed)
        contactor.set(closed: true)
        #expect(try await contactor.state().value == .closed)
        #expect(cabinet.slave.units.log.count { $0 == [10, 5, 2, 0, 0, 10] } == 3)
    }

    @Test func `never renews what has fallen before it was opened`() async throws {
        let cabinet = try Cabinet()
        defer { cabinet.stop() }
        let contactor = ModbusContactor(
            name: "K1",
            deadMan: DeadMan(.modbusPulse, opensWithinMilliseconds: 1000, renewMilliseconds: 300),
            bus: cabinet.bus, unit: 10, coil: 0,
            profile: RelayProfile(pulseMilliseconds: 100, feedback: .none), feedback: .none)
        let pulse: [UInt8] = [10, 5, 2, 0, 0, 1]
        contactor.set(closed: true)
        await until { cabinet.slave.units.log == [pulse] }
        let closed = SystemClock().monotonicMilliseconds
        await until { SystemClock().monotonicMilliseconds > closed + 100 }
        contactor.set(closed: true)
        await #expect(throws: DeviceError.lapsed) { _ = try await contactor.state() }
        contactor.set(closed: true)
        await #expect(throws: DeviceError.lapsed) { _ = try await contactor.state() }
        contactor.set(closed: false)
        contactor.set(closed: true)
        await until { cabinet.slave.units.log.last == pulse && cabinet.slave.units.log.count > 1 }
        #expect(cabinet.slave.units.log.count { $0 == pulse } == 2)
        _ = try await contactor.state()
    }

    @Test func `says that a first closing did not arrive`() async throws {
        let cabinet = try Cabinet()
        defer { cabinet.stop() }
        let contactor = cabinet.contactor
        cabinet.slave.units.suffer(SlaveFault(.exception, requests: 1), unit: 10)
        contactor.set(closed: true)
        await until { !cabinet.slave.units.log.isEmpty }
        var failure: DeviceError?
        await until {
            do throws(DeviceError) { _ = try await contactor.state() } catch { failure = error }
            return failure != nil
        }
        guard case .outputNotSet = failure else {
            Issue.record("\(String(describing: failure))")
            return
        }
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

    @Test
    func `reads a broken wire of its mirror contact as closed, and of one that follows as open`()
        async throws
    {
        let cabinet = try Cabinet()
        defer { cabinet.stop() }
        // Nothing is wired to the card's last input.
        func contactor(_ feedback: BoardCapabilities.Feedback) -> ModbusContactor {
            ModbusContactor(
                name: "K1", deadMan: cabinet.contactor.deadMan, bus: cabinet.bus, unit: 10, coil: 0,
                profile: RelayProfile(feedback: .input(offset: 7)), feedback: feedback)
        }
        #expect(try await contactor(.normallyClosed).state().value == .closed)
        #expect(try await contactor(.normallyOpen).state().value == .open)
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
    @Test func `orders its opening again, once a second, for as long as its mirror says closed`()
        async throws
    {
        let cabinet = try Cabinet()
        defer { cabinet.stop() }
        let contactor = cabinet.contactor
        contactor.set(closed: true)
        _ = try await contactor.state()
        cabinet.clock.advance(milliseconds: 20)
        cabinet.bench.now { $0.contactor.isWelded = true }
        contactor.set(closed: false)
        let opening: [UInt8] = [10, 5, 0, 0, 0, 0]
        for _ in 0..<30 {
            cabinet.clock.advance(milliseconds: 100)
            #expect(try await contactor.state().value == .closed)
        }
        // An opening goes before any reading, so what was ordered has been sent.
        _ = try await contactor.state()
        #expect(cabinet.slave.units.log.count { $0 == opening } == 4)
        cabinet.bench.now { $0.contactor.isWelded = false }
        cabinet.clock.advance(milliseconds: 20)
        for _ in 0..<30 {
            #expect(try await contactor.state().value == .open)
            cabinet.clock.advance(milliseconds: 100)
        }
        #expect(cabinet.slave.units.log.count { $0 == opening } == 4)
    }
}
