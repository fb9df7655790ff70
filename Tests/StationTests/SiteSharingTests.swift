import Charging
import HAL
import Service
import TestSupport
import Testing

@testable import Station

@Suite(.timeLimit(.minutes(2))) struct `A board on a shared fuse` {
    private static func settings(fuse: Int64, safe: Int64) -> SmartChargingSettings {
        var settings = SmartChargingSettings(
            outlets: [.init(connector: 1, wiring: .rst, maximum: Amperes(32))],
            fuse: Amperes(fuse), safe: Amperes(safe))
        settings.balancing.rises = 0
        settings.balancing.settles = 200
        return settings
    }

    private func offers(_ board: TestBoard, _ amperes: Int64) async {
        await until { board.state.withLock { $0.signal == .pwm(Amperes(amperes)) } }
    }

    private func start(_ station: TestStation) async {
        station.board.change { $0.isPlugged = true }
        await until { await station.controller.isPlugged }
        await until {
            await station.controller.remoteStart(token: "T", needsAuthorization: false) == nil
        }
    }

    @Test func `leaves the other consumers theirs, and falls to its safe share when it cannot see`()
        async throws
    {
        let folder = TemporaryFolder()
        let board = TestBoard()
        let meter = SiteMeter(board)
        let station = try await TestStation.make(
            board: board, path: folder.file("journal.db"), smart: Self.settings(fuse: 32, safe: 8),
            siteMeter: meter)
        try await station.during { () async throws in
            await until { await station.smartCharging?.view().state == "shared" }
            await start(station)
            await offers(station.board, 12)
            meter.isDead.withLock { $0 = true }
            await offers(station.board, 8)
            #expect(await station.smartCharging?.view().state == "safe")
            meter.isDead.withLock { $0 = false }
            await offers(station.board, 12)
            // It answers, and its currents are a thousandth of what its power says.
            meter.doubts.withLock { $0 = [.power: .unitJump(watts: 20_000, voltAmperes: 20)] }
            await offers(station.board, 8)
            #expect(await station.smartCharging?.view().state == "safe")
            // One that gives a small net power beside large currents is to be believed.
            meter.doubts.withLock { $0 = [.power: .unitJump(watts: 9, voltAmperes: 5_000)] }
            await offers(station.board, 12)
        }
    }

    @Test func `takes a local limit at once and gives it back`() async throws {
        let folder = TemporaryFolder()
        let station = try await TestStation.make(
            path: folder.file("journal.db"), smart: Self.settings(fuse: 63, safe: 63))
        try await station.during { () async throws in
            await start(station)
            await offers(station.board, 32)
            try await station.smartCharging?.limitSite(
                LocalLimit(currents: PhaseCurrents(20_000, 0, 20_000)))
            await until { station.board.state.withLock { $0.signal == .x1 } }
            #expect(await station.controller.hasTransaction)
            try await station.smartCharging?.limitSite(nil)
            await offers(station.board, 32)
        }
    }

    @Test func `shares with another board, and falls to its safe share when the leader is gone`()
        async throws
    {
        let folder = TemporaryFolder()
        let key = Array("sixteen bytes or more".utf8)
        let any = try #require(GroupSocket.Peer("127.0.0.1:0"))
        let socket = try GroupSocket(bindingTo: any)
        let address = try #require(GroupSocket.Peer("127.0.0.1:\(socket.port)"))
        var timings = LoadBalancer.Timings()
        timings.settles = 200
        let leader = try await TestStation.make(
            path: folder.file("leader.db"), smart: Self.settings(fuse: 32, safe: 16),
            group: .leader(
                GroupLeader(
                    members: [.init(board: 1, safe: Amperes(8))], key: key, timings: timings,
                    session: SmartCharging.randomText()), socket))
        let follower = try await TestStation.make(
            path: folder.file("follower.db"), smart: Self.settings(fuse: 15, safe: 8),
            group: .follower(
                GroupFollower(board: 1, key: key, session: SmartCharging.randomText()),
                try GroupSocket(bindingTo: any), leader: address))
        try await follower.during { () async throws in
            try await leader.during { () async throws in
                await until { await follower.smartCharging?.view().state == "granted" }
                await start(leader)
                await start(follower)
                await offers(leader.board, 17)
                // Its own fuse bounds what it is given.
                await offers(follower.board, 15)
            }
            await offers(follower.board, 8)
            #expect(await follower.smartCharging?.view().state == "safe")
            #expect(follower.board.state.withLock { $0.mostOffered } <= Amperes(15))
        }
    }

    /// A follower that charges, of a leader that has heard of no fuse and grants the car all it can take.
    private func underGenerousLeader(
        _ path: String, safe: Int64,
        _ body: @escaping @Sendable (TestStation, Lock<GroupLeader>) async throws -> Void
    ) async throws {
        let key = Array("sixteen bytes or more".utf8)
        let any = try #require(GroupSocket.Peer("127.0.0.1:0"))
        let (socket, own) = (try GroupSocket(bindingTo: any), try GroupSocket(bindingTo: any))
        let address = try #require(GroupSocket.Peer("127.0.0.1:\(socket.port)"))
        let leader = Lock(
            GroupLeader(
                members: [.init(board: 1, safe: Amperes(8))], key: key,
                timings: LoadBalancer.Timings(), session: "leader"))
        let follower = try await TestStation.make(
            path: path, smart: Self.settings(fuse: 15, safe: safe),
            group: .follower(
                GroupFollower(board: 1, key: key, session: "s"), own, leader: address))
        let answering = Task {
            for await datagram in socket.datagrams {
                let now = SystemClock().monotonicMilliseconds
                let grant = [LoadBalancer.ID(board: 1, connector: 1): Amperes(32)]
                let answer = leader.withLock { $0.take(datagram.bytes, grant, at: now) }
                if let answer { socket.send(answer, to: datagram.from) }
            }
        }
        try await follower.during { () async throws in
            await until { await follower.smartCharging?.view().state == "granted" }
            await start(follower)
            await until { follower.board.relayIsClosed }
            try await body(follower, leader)
        }
        answering.cancel()
        for one in [socket, own] { one.stop() }
    }

    @Test func `tells its leader its own fuse, and keeps to it where the leader does not`()
        async throws
    {
        let folder = TemporaryFolder()
        try await underGenerousLeader(folder.file("follower.db"), safe: 8) { follower, leader in
            await offers(follower.board, 15)
            #expect(follower.board.state.withLock { $0.mostOffered } == Amperes(15))
            let told = leader.withLock { $0.circuits(fuse: Amperes(63)) }
            #expect(told.map(\.capacity) == [PhaseCurrents(Amperes(15))])
        }
    }

    /// A follower that hears its leader decides nothing by itself, and a lost limit is its own operator's.
    @Test(arguments: [(safe: Int64(8), offered: Int64(8)), (safe: 15, offered: 6)])
    func `gets no more than its safe share of a leader while a limit is lost`(
        safe: Int64, offered: Int64
    ) async throws {
        let folder = TemporaryFolder()
        let path = folder.file("follower.db")
        try await Self.loseProfile(path)
        try await underGenerousLeader(path, safe: safe) { follower, _ in
            await offers(follower.board, offered)
            #expect(follower.board.state.withLock { $0.mostOffered } == Amperes(offered))
        }
    }

    /// Without `safeAmperes` the safe share is the fuse, which bounds nothing.
    @Test(arguments: [(safe: Int64(63), offered: Int64(6)), (safe: 10, offered: 10)])
    func `offers its least while a limit is lost and no safe share is set`(
        safe: Int64, offered: Int64
    ) async throws {
        let folder = TemporaryFolder()
        let path = folder.file("journal.db")
        try await Self.loseProfile(path)
        let station = try await TestStation.make(
            path: path, smart: Self.settings(fuse: 63, safe: safe))
        try await station.during { () async throws in
            await start(station)
            await until { station.board.relayIsClosed }
            await isMeasured(station)
            await offers(station.board, offered)
            #expect(station.board.state.withLock { $0.mostOffered } == Amperes(offered))
        }
    }

    @Test func `offers its least while a person's limit is lost and no safe share is set`()
        async throws
    {
        let folder = TemporaryFolder()
        let path = folder.file("journal.db")
        try await Self.lose(SmartCharging.limitKey, path)
        let station = try await TestStation.make(
            path: path, smart: Self.settings(fuse: 63, safe: 63))
        try await station.during { () async throws in
            await start(station)
            await until { station.board.relayIsClosed }
            await isMeasured(station)
            await offers(station.board, 6)
            #expect(station.board.state.withLock { $0.mostOffered } == Amperes(6))
            let note = await station.smartCharging?.view().limits[1]?.last?.note
            #expect(note?.contains(text: "each outlet has its least") == true)
            try await station.smartCharging?.limitSite(nil)
            await offers(station.board, 32)
        }
    }

    /// An outlet whose meter was not heard yet has its least anyway.
    private func isMeasured(_ station: TestStation) async {
        await until { await station.smartCharging?.loads[1]?.currents.isEmpty == false }
        await station.smartCharging?.step()
    }

    private static func loseProfile(_ path: String) async throws {
        try await lose(SmartCharging.profilesKey, path)
    }

    private static func lose(_ key: String, _ path: String) async throws {
        let journal = try await BoardJournal(path: path, bootID: "lost")
        try await journal.set(key, to: "")
        await journal.close()
    }

    /// Below zero it would make the car another consumer's load, twice over.
    @Test func `counts what a reversed outlet draws as the outlet's`() async throws {
        let folder = TemporaryFolder()
        let journal = try await BoardJournal(path: folder.file("j.db"), bootID: "a")
        let smart = SmartCharging(
            Self.settings(fuse: 32, safe: 8), controllers: [], journal: journal,
            executor: ThreadExecutor(name: "control"), log: .silent)
        #expect(
            await smart.drawn([Amperes(10), Amperes(milliamperes: -10_000), Amperes(0)])
                == PhaseCurrents(10_000, 10_000, 0))
        await journal.close()
    }

    @Test func `stays within its own fuse, whatever a leader grants`() async throws {
        let folder = TemporaryFolder()
        let any = try #require(GroupSocket.Peer("127.0.0.1:0"))
        let key = Array("sixteen bytes or more".utf8)
        let socket = try GroupSocket(bindingTo: any)
        let journal = try await BoardJournal(path: folder.file("j.db"), bootID: "a")
        var settings = Self.settings(fuse: 20, safe: 8)
        settings.outlets.append(.init(connector: 2, wiring: .rst, maximum: Amperes(32)))
        let smart = SmartCharging(
            settings, controllers: [], journal: journal,
            executor: ThreadExecutor(name: "control"),
            group: .follower(
                GroupFollower(board: 1, key: key, session: "s"), socket, leader: any),
            log: .silent)
        let present = (1...2).map {
            LoadBalancer.Load(
                id: .init(connector: $0),
                share: .init(
                    wiring: .rst, circuit: 2, minimum: Amperes(6), wanted: Amperes(32)),
                isActive: true, mayDraw: true)
        }
        func granted(_ first: Int64, _ second: Int64) async -> [ConnectorNumber: Amperes] {
            await smart.bounded([1: Amperes(first), 2: Amperes(second)], present, 0)
        }
        #expect(await granted(16, 16) == [1: Amperes(10), 2: Amperes(10)])
        #expect(await granted(12, 8) == [1: Amperes(12), 2: Amperes(8)])
        #expect(await granted(32, 0) == [1: Amperes(20), 2: .zero])
        socket.stop()
        await journal.close()
    }
}

extension SmartCharging {
    /// What the outlets draw by its reckoning, where the first one's meter says this.
    fileprivate func drawn(_ currents: [Amperes]) -> PhaseCurrents {
        loads[1] = ConnectorLoad(
            number: 1, isActive: true, mayDraw: true, isIdle: false, cap: Amperes(32),
            currents: currents, currentsAskedAt: 0)
        return outletCurrents(at: 0)
    }
}

/// A house that draws 20 A besides the outlets, on every phase.
private final class SiteMeter: EnergyMeter {
    let name = "site"
    let isDead = Lock(false)
    let doubts = Lock([MeterQuantity: MeterDoubt]())
    private let board: TestBoard

    init(_ board: TestBoard) { self.board = board }

    func readings() async throws(MeterError) -> MeterReadings {
        if isDead.withLock({ $0 }) { throw .noAnswer }
        let clock = SystemClock()
        return MeterReadings(
            energy: WattHours(1),
            currents: [
                Amperes(milliamperes: 20_000 + board.drawn.milliamperes), Amperes(20), Amperes(20),
            ],
            doubts: doubts.withLock { $0 },
            source: name, askedAt: clock.monotonicMilliseconds, at: clock.now)
    }

    func identity() async throws(MeterError) -> MeterIdentity { MeterIdentity() }
}
