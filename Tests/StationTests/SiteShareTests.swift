import Charging
import HAL
import Service
import TestSupport
import Testing

@testable import Station

@Suite struct `A site's limit` {
    private func charging(share: Int64?) -> BenchBoard {
        var bench = BenchBoard.charging()
        bench.give(.limit(.site, Amperes(20)))
        bench.give(.safeShare(share.map { Amperes($0) }))
        bench.pass(4_900)
        bench.give(.limit(.site, Amperes(20)))
        bench.effects = []
        return bench
    }

    @Test func `holds for ever where nobody has to repeat it`() {
        var bench = charging(share: nil)
        bench.pass(60_000)
        #expect(bench.machine.available == Amperes(20))
    }

    @Test func `falls to the safe share when nobody repeats it, and comes back`() {
        var bench = charging(share: 8)
        bench.pass(ConnectorTimings.siteLimitIsLost)
        #expect(bench.machine.available == Amperes(20))
        bench.pass(100)
        #expect(bench.machine.available == Amperes(8))
        #expect(bench.machine.signal == .pwm(Amperes(8)))
        bench.milliamperes = 7_000
        bench.pass(60_000)
        let reports = bench.effects.filter { $0 == .report(.siteLimitLost(Amperes(8))) }
        #expect(reports.count == 1)
        #expect(bench.isRelayClosed)
        bench.give(.limit(.site, Amperes(20)))
        #expect(bench.machine.signal == .pwm(Amperes(20)))
        #expect(bench.machine.transaction?.isRunning == true)
    }

    @Test func `below the safe share stays where it is`() {
        var bench = charging(share: 32)
        bench.pass(6_000)
        #expect(bench.machine.available == Amperes(20))
    }

    @Test func `without a share ends the offer, and with it the current`() {
        var bench = charging(share: 0)
        bench.pass(5_100)
        #expect(bench.machine.signal == .x1)
        bench.pass(6_000)
        #expect(!bench.isRelayClosed)
        #expect(bench.machine.transaction != nil)
    }

    @Test func `never told is the safe share`() {
        var bench = BenchBoard.ready()
        bench.give(.safeShare(Amperes(8)))
        #expect(bench.machine.available == Amperes(8))
    }

    @Test func `leaves even shares that all together are within what is safe`() {
        func shares(_ wiring: [PhaseWiring], fuse: Int64, safe: Int64, isShared: Bool) -> [Int64] {
            let settings = SmartChargingSettings(
                outlets: wiring.enumerated().map {
                    .init(connector: $0 + 1, wiring: $1, maximum: Amperes(16))
                }, fuse: Amperes(fuse), safe: Amperes(safe))
            return settings.outlets.map {
                settings.safeShare(of: $0, isShared: isShared).milliamperes
            }
        }
        #expect(shares([.rst, .l1], fuse: 63, safe: 20, isShared: true) == [10_000, 10_000])
        #expect(shares([.rst, .l1, .l2], fuse: 63, safe: 25, isShared: true)[0] == 12_500)
        #expect(shares([.rst, .str, .trs], fuse: 63, safe: 16, isShared: true) == [0, 0, 0])
        #expect(shares([.rst], fuse: 63, safe: 63, isShared: true) == [16_000])
        // Where the fuse carries all of them nothing has to fall.
        #expect(shares([.rst, .str], fuse: 32, safe: 8, isShared: false) == [16_000, 16_000])
        #expect(shares([.rst, .str], fuse: 31, safe: 31, isShared: false) == [15_500, 15_500])
    }
}

@Suite struct `A loop that shares the fuse` {
    private let folder = TemporaryFolder()
    private let clock = ManualClock()

    private func smart(group: SmartCharging.Group? = nil) async throws -> SmartCharging {
        let journal = try await BoardJournal(
            path: folder.file("\(group == nil).db"), bootID: "a", clock: clock)
        let smart = SmartCharging(
            SmartChargingSettings(
                outlets: [.init(connector: 1, wiring: .rst, maximum: Amperes(32))],
                fuse: Amperes(32), safe: Amperes(8)),
            controllers: [], journal: journal, executor: ThreadExecutor(name: "control"),
            group: group, clock: clock, log: .silent)
        try await smart.load()
        return smart
    }

    @Test func `is alive while it steps, and hangs when it does not`() async throws {
        let smart = try await smart()
        #expect(await smart.isAlive)
        clock.advance(milliseconds: 5_001)
        #expect(await !smart.isAlive)
        await smart.step()
        #expect(await smart.isAlive)
    }

    @Test func `answers no other board once it hangs`() async throws {
        let key = Array("sixteen bytes or more".utf8)
        let any = try #require(GroupSocket.Peer("127.0.0.1:0"))
        let smart = try await smart(
            group: .leader(
                GroupLeader(
                    members: [.init(board: 1, safe: Amperes(8))], key: key,
                    timings: LoadBalancer.Timings(), session: SmartCharging.randomText()),
                try GroupSocket(bindingTo: any)))
        var follower = GroupFollower(board: 1, key: key, session: "s")
        func report() -> [UInt8] {
            follower.report([], maximum: nil, at: clock.monotonicMilliseconds)
        }
        #expect(await smart.answer(to: report()) != nil)
        clock.advance(milliseconds: 2_001)
        #expect(await smart.answer(to: report()) == nil)
        await smart.step()
        #expect(await smart.answer(to: report()) != nil)
    }
}
