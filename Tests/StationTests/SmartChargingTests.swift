import Charging
import HAL
import OCPP
import Service
import TestSupport
import Testing

@testable import Station

@Suite(.timeLimit(.minutes(1))) struct `Smart charging at a station` {
    static let settings: SmartChargingSettings = {
        var settings = SmartChargingSettings(
            outlets: [.init(connector: 1, wiring: .rst, maximum: Amperes(32))], fuse: Amperes(63),
            safe: Amperes(63))
        settings.balancing.rises = 0
        return settings
    }()

    func profile(
        _ id: Int, _ tenths: Int64, _ purpose: ChargingProfile.Purpose = .transactionDefault,
        level: Int = 0
    ) -> ChargingProfile {
        ChargingProfile(
            id: id, stackLevel: level, purpose: purpose,
            kind: purpose == .stationMaximum ? .absolute : .relative,
            schedule: ChargingSchedule(
                unit: .amperes, periods: [.init(start: 0, tenths: tenths)],
                start: purpose == .stationMaximum ? Timestamp(seconds: 1_700_000_000) : nil))
    }

    private func offers(_ board: TestBoard, _ milliamperes: Int64) async {
        await until {
            board.state.withLock { $0.signal == .pwm(Amperes(milliamperes: milliamperes)) }
        }
    }

    @Test func `offers what the profile says, and the rest once it is cleared`() async throws {
        let folder = TemporaryFolder()
        let station = try await TestStation.make(
            path: folder.file("journal.db"), smart: Self.settings)
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            let board = station.board
            board.change { $0.isPlugged = true }
            await peer.hears(status: .preparing)
            #expect(
                try await peer.ask(.setProfile(connector: 0, profile(1, 160)))
                    == .status("Accepted"))
            await station.controller.take(.token("T"))
            await offers(board, 16_000)
            #expect(
                try await peer.ask(.setProfile(connector: 1, profile(2, 0, .transaction)))
                    == .status("Accepted"))
            await until { board.state.withLock { $0.signal == .x1 } }
            await peer.hears(status: .suspendedEVSE)
            #expect(try await peer.ask(.clearProfiles(ProfileFilter(id: 2))) == .status("Accepted"))
            await offers(board, 16_000)
            #expect(try await peer.ask(.clearProfiles(ProfileFilter(id: 2))) == .status("Unknown"))
            #expect(await station.controller.hasTransaction)
        }
    }

    @Test func `refuses what the specification refuses`() async throws {
        let folder = TemporaryFolder()
        let station = try await TestStation.make(
            path: folder.file("journal.db"), smart: Self.settings)
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            await peer.hears(status: .available)
            func refused(_ connector: Int, _ profile: ChargingProfile) async throws {
                #expect(
                    try await peer.ask(.setProfile(connector: connector, profile))
                        == .status("Rejected"))
            }
            try await refused(0, profile(1, 100, .transaction))
            try await refused(1, profile(1, 100, .transaction))
            try await refused(1, profile(1, 100, .stationMaximum))
            try await refused(9, profile(1, 100))
            try await refused(1, profile(1, 100, level: ProfileLimits.stackLevel + 1))
            var long = profile(1, 100)
            long.schedule.periods = (0...ProfileLimits.periods).map {
                .init(start: $0, tenths: 100)
            }
            try await refused(1, long)
            var over = profile(1, 100)
            over.validTo = Timestamp(seconds: 1_700_000_000)
            try await refused(1, over)
            for id in 0..<ProfileLimits.installed {
                let one = profile(id + 10, 100, level: id)
                #expect(
                    try await peer.ask(.setProfile(connector: 1, one))
                        == .status(id <= ProfileLimits.stackLevel ? "Accepted" : "Rejected"))
            }
            try await refused(0, profile(999, 100, level: 1))
            #expect(await station.smartCharging?.view().profiles == ProfileLimits.installed)
        }
    }

    @Test func `remembers every profile over a restart, but for a charge's own`() async throws {
        let folder = TemporaryFolder()
        let path = folder.file("journal.db")
        let first = try await TestStation.make(path: path, smart: Self.settings)
        let peer = TestOperator()
        first.links.yield(peer)
        try await first.during { () async throws in
            first.board.change { $0.isPlugged = true }
            await peer.hears(status: .preparing)
            _ = try await peer.ask(.setProfile(connector: 1, profile(1, 200)))
            _ = try await peer.ask(.setProfile(connector: 1, profile(2, 180, level: 1)))
            _ = try await peer.ask(.setProfile(connector: 0, profile(3, 300, .stationMaximum)))
            await first.controller.take(.token("T"))
            await offers(first.board, 18_000)
            #expect(
                try await peer.ask(.setProfile(connector: 1, profile(4, 100, .transaction)))
                    == .status("Accepted"))
            await first.controller.take(.stop(.local))
            await until { await first.smartCharging?.view().profiles == 3 }
        }
        // The removal is on the disk too, sooner or later; what the charge left behind ends anyway.
        let second = try await TestStation.make(path: path, smart: Self.settings)
        try await second.during { () async throws in
            await until { await second.smartCharging?.view().profiles == 3 }
            second.board.change { $0.isPlugged = true }
            await until { await second.controller.isPlugged }
            await second.controller.take(
                .remoteStart(token: "T", needsAuthorization: false))
            await offers(second.board, 18_000)
        }
    }

    @Test func `lets a charge go on when the operator stays away, as the installer chose`()
        async throws
    {
        let folder = TemporaryFolder()
        var settings = Self.settings
        settings.offlineMilliseconds = 100
        settings.offlineAmperes = Amperes(8)
        let station = try await TestStation.make(
            path: folder.file("journal.db"), smart: settings)
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            let board = station.board
            board.change { $0.isPlugged = true }
            await peer.hears(status: .preparing)
            _ = try await peer.ask(.setProfile(connector: 1, profile(1, 0)))
            await station.controller.take(.token("T"))
            await peer.hears(status: .suspendedEVSE)
            #expect(board.state.withLock { $0.signal } == .x1)
            peer.hangUp()
            await offers(board, 8_000)
            let again = TestOperator()
            station.links.yield(again)
            await until { board.state.withLock { $0.signal == .x1 } }
        }
    }

    @Test func `has told a limit before whoever set it goes on`() async throws {
        let folder = TemporaryFolder()
        let station = try await TestStation.make(path: folder.file("journal.db"))
        let smart = SmartCharging(
            Self.settings, controllers: station.controllers, journal: station.journal,
            executor: ThreadExecutor(name: "limits"), log: .silent)
        let gate = BlockingQueue<Int>(limit: 1)
        let said = Lock<[String]>([])
        let isHeld = Lock(false)
        async let holding: Void = station.controller.hold(at: gate) {
            isHeld.withLock { $0 = true }
        }
        await until { isHeld.withLock { $0 } }
        // The first waits for a connector that is busy.
        async let first: Void = smart.step(saying: said)
        await until { said.withLock { $0.count } == 1 }
        async let second: Void = smart.step(saying: said)
        await until { said.withLock { $0.count } >= 2 }
        // Whatever runs on that thread has had its turn.
        _ = await smart.isAlive
        #expect(said.withLock { $0 } == ["asked", "asked"])
        try gate.put(1)
        _ = await (holding, first, second)
        #expect(said.withLock { $0.count } == 4)
        await station.journal.close()
    }

    @Test func `lets the control thread work while a composite schedule is reckoned`() async throws
    {
        let folder = TemporaryFolder()
        let station = try await TestStation.make(
            path: folder.file("journal.db"), smart: Self.settings)
        let smart = try #require(station.smartCharging)
        for id in 1...8 {
            var daily = profile(id, 160, level: id)
            daily.kind = .recurring(.daily)
            daily.schedule.start = Timestamp(seconds: 1_700_000_000)
            daily.schedule.periods = (0..<20).map {
                .init(start: $0 == 0 ? 0 : $0 * 60 + id, tenths: Int64(100 + $0))
            }
            #expect(await smart.install(daily, connector: 0) == nil)
        }
        let turns = Lock(0)
        let counting = Task {
            while !Task.isCancelled {
                _ = await smart.isAlive
                turns.withLock { $0 += 1 }
            }
        }
        let before = turns.withLock { $0 }
        let whole = await smart.composite(0, seconds: 30 * 86_400, unit: nil)
        let meanwhile = turns.withLock { $0 } - before
        counting.cancel()
        await counting.value
        #expect(whole?.schedule.periods.count ?? 0 > 100)
        #expect(meanwhile > 50)
        await station.journal.close()
    }

    @Test func `tells what it expects to offer`() async throws {
        let folder = TemporaryFolder()
        let station = try await TestStation.make(
            path: folder.file("journal.db"), smart: Self.settings)
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            await peer.hears(status: .available)
            var stepped = profile(1, 160)
            stepped.schedule.periods.append(.init(start: 600, tenths: 80))
            _ = try await peer.ask(.setProfile(connector: 1, stepped))
            guard
                case .composite(let composite?) = try await peer.ask(
                    .getComposite(connector: 1, seconds: 3_600, unit: .watts))
            else {
                Issue.record("no schedule")
                return
            }
            #expect(composite.schedule.periods.map(\.tenths) == [110_400, 55_200])
            #expect(composite.schedule.durationSeconds == 3_600)
            #expect(
                try await peer.ask(.getComposite(connector: 7, seconds: 60, unit: nil))
                    == .composite(nil))
        }
    }
}

extension SmartCharging {
    fileprivate func step(saying said: Lock<[String]>) async {
        said.withLock { $0.append("asked") }
        await step()
        said.withLock { $0.append("done") }
    }
}

extension ConnectorController {
    /// Keeps the control thread busy until something is put there.
    fileprivate func hold(at gate: BlockingQueue<Int>, isHeld: @Sendable () -> Void) {
        isHeld()
        _ = gate.take(most: 1)
    }
}
