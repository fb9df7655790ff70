import Charging
import Glibc
import HAL
import LinuxHAL
import Service
import TestSupport
import Testing

@Suite struct `A contactor on a line` {
    @Test func `is open from the request on, closes, and kicks its dead-man`() throws {
        let rig = try GPIORig()
        let contactor = rig.contactor()
        #expect(rig.gpio.terminal("K1").written == [false])
        contactor.set(closed: true)
        #expect(rig.gpio["K1"])
        let kicks = rig.gpio.terminal("KICK1").written.count
        for _ in 0..<10 {
            rig.pass(milliseconds: 100)
            contactor.set(closed: true)
        }
        #expect(rig.gpio["K1"])
        #expect(rig.gpio.terminal("KICK1").written.count - kicks == 20, "every 50 ms")
        contactor.set(closed: false)
        #expect(!rig.gpio["K1"] && !rig.gpio["KICK1"])
    }

    @Test func `opens and stops kicking when nobody renews, and stays open when one comes late`()
        async throws
    {
        let rig = try GPIORig()
        let contactor = rig.contactor()
        contactor.set(closed: true)
        rig.pass(milliseconds: 790)
        #expect(rig.gpio["K1"])
        rig.pass(milliseconds: 10)
        #expect(!rig.gpio["K1"])
        let kicks = rig.gpio.terminal("KICK1").written.count
        contactor.set(closed: true)
        rig.pass(milliseconds: 500)
        #expect(!rig.gpio["K1"])
        #expect(rig.gpio.terminal("KICK1").written.count == kicks)
        // Whoever has said that it is open may close it again.
        contactor.set(closed: false)
        contactor.set(closed: true)
        #expect(rig.gpio["K1"])
    }

    @Test func `does not close by a renewal that comes before its thread, after a stop`() throws {
        let rig = try GPIORig()
        let contactor = rig.contactor()
        contactor.set(closed: true)
        // The whole program stood still: no clockwork ran.
        rig.clock.advance(milliseconds: 5_000)
        contactor.set(closed: true)
        #expect(!rig.gpio["K1"])
    }

    @Test(arguments: [("RCD1", true), ("ESTOP", false), ("PE1", true)])
    func `opens at the edge of a safety input and is told of before it closes again`(
        line: String, level: Bool
    ) async throws {
        let rig = try GPIORig()
        let contactor = rig.contactor()
        contactor.set(closed: true)
        rig.gpio[line] = level
        #expect(rig.gpio["K1"])
        rig.board.drain()
        #expect(!rig.gpio["K1"])
        #expect(rig.falls.withLock { $0.map(\.opened) } == [["contactor 1"]])
        // A short one is over before anybody looked.
        rig.gpio[line] = !level
        rig.board.drain()
        contactor.set(closed: true)
        #expect(!rig.gpio["K1"], "the renewal of one who has not heard of it")
        contactor.set(closed: false)
        contactor.set(closed: true)
        #expect(rig.gpio["K1"])
    }

    @Test func `does not close while a safety input is active, though no edge was seen`() throws {
        let rig = try GPIORig()
        let contactor = rig.contactor()
        rig.gpio["RCD1"] = true
        contactor.set(closed: true)
        #expect(!rig.gpio["K1"])
        #expect(rig.gpio.terminal("K1").written.allSatisfy { !$0 })
    }

    @Test func `opens when a reading sees the trip before its edge is taken`() async throws {
        let rig = try GPIORig()
        let contactor = rig.contactor()
        contactor.set(closed: true)
        let stop = GPIOEmergencyStop(try #require(rig.board.input(.emergencyStop, connector: 1)))
        rig.gpio["ESTOP"] = false
        #expect(try await stop.isActive().value)
        #expect(!rig.gpio["K1"])
    }

    @Test func `opens when the earth is lost, and who asks hears of a short loss once`()
        async throws
    {
        let rig = try GPIORig()
        let contactor = rig.contactor()
        let earth = GPIOProtectiveEarth(
            try #require(rig.board.input(.protectiveEarth, connector: 1)))
        #expect(try await !earth.isLost().value)
        contactor.set(closed: true)
        rig.gpio["PE1"] = true
        rig.board.drain()
        rig.gpio["PE1"] = false
        rig.board.drain()
        #expect(!rig.gpio["K1"])
        #expect(try await earth.isLost().value)
        #expect(try await !earth.isLost().value)
    }

    @Test func `shows what its mirror says, either way round`() async throws {
        let rig = try GPIORig()
        let inverse = rig.contactor()
        #expect(try await inverse.state().value == .open)
        rig.gpio["MIRROR1"] = false
        #expect(try await inverse.state().value == .closed)
        #expect(try await rig.contactor(feedback: .normallyOpen).state().value == .open)
        #expect(try await rig.contactor(feedback: .none).state().value == .unknown)
    }

    @Test(arguments: [BoardCapabilities.Feedback.none, .normallyClosed])
    func `that a safety input opened says that it fell, and nothing of a broken output`(
        feedback: BoardCapabilities.Feedback
    ) async throws {
        let rig = try GPIORig()
        let contactor = rig.contactor(feedback: feedback)
        contactor.set(closed: true)
        rig.gpio["RCD1"] = true
        rig.board.drain()
        await #expect(throws: DeviceError.lapsed) { try await contactor.state() }
        contactor.set(closed: false)
        #expect(try await contactor.state().value != .closed)
    }

    @Test(arguments: [BoardCapabilities.Feedback.none, .normallyClosed])
    func `that nobody renewed says so, and is no stuck contact`(
        feedback: BoardCapabilities.Feedback
    ) async throws {
        let rig = try GPIORig()
        let contactor = rig.contactor(feedback: feedback)
        contactor.set(closed: true)
        // The mirror has not followed yet: open, as a contact that is stuck would say for ever.
        rig.pass(milliseconds: 800)
        await #expect(throws: DeviceError.lapsed) { try await contactor.state() }
        contactor.set(closed: true)
        await #expect(throws: DeviceError.lapsed) { try await contactor.state() }
        contactor.set(closed: false)
        #expect(try await contactor.state().value != .closed)
    }

    @Test func `orders its opening again, once a second, for as long as its mirror says closed`()
        async throws
    {
        let rig = try GPIORig()
        let contactor = rig.contactor()
        contactor.set(closed: true)
        rig.gpio["MIRROR1"] = false
        contactor.set(closed: false)
        let orders = rig.gpio.terminal("K1").written.count
        for _ in 0..<50 {
            rig.pass(milliseconds: 100)
            #expect(try await contactor.state().value == .closed)
        }
        #expect(rig.gpio.terminal("K1").written.count - orders == 5)
        #expect(rig.gpio.terminal("K1").written.suffix(6).allSatisfy { !$0 })
        rig.gpio["MIRROR1"] = true
        rig.pass(milliseconds: 2_000)
        #expect(try await contactor.state().value == .open)
        #expect(rig.gpio.terminal("K1").written.count - orders == 5)
    }

    @Test func `tries an opening that failed again until it is done`() async throws {
        let rig = try GPIORig()
        let contactor = rig.contactor()
        contactor.set(closed: true)
        rig.gpio.fail(ENODEV)
        contactor.set(closed: false)
        #expect(rig.gpio["K1"], "the line cannot be reached")
        await #expect(throws: DeviceError.self) { try await contactor.state() }
        contactor.set(closed: true)
        rig.gpio.fail(nil)
        rig.pass(milliseconds: 20)
        #expect(!rig.gpio["K1"])
        #expect(try await contactor.state().value == .open)
    }

    @Test func `opens when the lines can no longer be watched`() throws {
        let rig = try GPIORig()
        let contactor = rig.contactor()
        contactor.set(closed: true)
        rig.gpio.fail(EIO)
        rig.board.drain()
        rig.gpio.fail(nil)
        rig.pass(milliseconds: 20)
        #expect(!rig.gpio["K1"])
        contactor.set(closed: false)
        contactor.set(closed: true)
        #expect(!rig.gpio["K1"], "nobody would see a trip any more")
    }

    @Test func `without a circuit opens by itself after two renewals`() throws {
        let rig = try GPIORig()
        let contactor = rig.contactor(hasKick: false)
        contactor.set(closed: true)
        rig.pass(milliseconds: 590)
        #expect(rig.gpio["K1"])
        rig.pass(milliseconds: 10)
        #expect(!rig.gpio["K1"])
    }
}
