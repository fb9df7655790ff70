import Charging
import JSON
import TestSupport
import Testing

@testable import Station

@Suite struct `Boards behind one fuse` {
    private static let key = Array("a key that all boards hold".utf8)

    private func outlet(_ wanted: Int64 = 32) -> BoardGroup.Outlet {
        BoardGroup.Outlet(
            connector: 1,
            share: .init(
                wiring: .rst, circuit: 0, minimum: Amperes(6), wanted: Amperes(wanted)),
            isActive: true, mayDraw: true, isIdle: false, measured: Amperes(16))
    }

    private func leader(_ boards: Int = 1) -> GroupLeader {
        GroupLeader(
            members: (1...boards).map { .init(board: $0, safe: Amperes(8)) }, key: Self.key,
            timings: LoadBalancer.Timings(), session: "leader")
    }

    private let limits = [LoadBalancer.ID(board: 1, connector: 1): Amperes(20)]

    @Test func `hear their limits once they know the leader's nonce`() {
        var leader = leader()
        var follower = GroupFollower(board: 1, key: Self.key, session: "s")
        for now in [Int64(0), 500] {
            let report = follower.report([outlet()], maximum: nil, at: now)
            let answer = leader.take(report, limits, at: now)
            follower.take(answer ?? [], at: now)
            #expect(follower.limits(at: now) == (now == 0 ? nil : [1: Amperes(20)]))
        }
        #expect(follower.limits(at: 500 + BoardGroup.grantLasts) != nil)
        #expect(follower.limits(at: 501 + BoardGroup.grantLasts) == nil)
        #expect(leader.present(at: 500) == 1)
        #expect(leader.present(at: 501 + BoardGroup.isSilent) == 0)
    }

    @Test func `believe no stranger, no repetition and no old session`() {
        var leader = leader()
        var stranger = GroupFollower(board: 1, key: Array("another key".utf8), session: "x")
        let foreign = stranger.report([outlet()], maximum: nil, at: 0)
        #expect(leader.take(foreign, limits, at: 0) == nil)
        var unknown = GroupFollower(board: 7, key: Self.key, session: "x")
        let report = unknown.report([outlet()], maximum: nil, at: 0)
        #expect(leader.take(report, limits, at: 0) == nil)

        var follower = GroupFollower(board: 1, key: Self.key, session: "old")
        func exchange(_ now: Int64) -> (report: [UInt8], answer: [UInt8]) {
            let report = follower.report([outlet()], maximum: nil, at: now)
            let answer = leader.take(report, limits, at: now) ?? []
            follower.take(answer, at: now)
            return (report, answer)
        }
        _ = exchange(0)
        let recorded = exchange(500)
        func grants(_ datagram: [UInt8], _ now: Int64) -> Bool {
            let answer = leader.take(datagram, limits, at: now) ?? []
            return BoardGroup.open(answer, key: Self.key)?["limits"] != nil
        }
        #expect(!grants(recorded.report, 600))
        follower = GroupFollower(board: 1, key: Self.key, session: "new")
        _ = exchange(1_000)
        _ = exchange(1_500)
        #expect(follower.limits(at: 1_500) != nil)
        #expect(!grants(recorded.report, 1_600))
        // An answer to an earlier session means nothing to the new one.
        follower.take(recorded.answer, at: 10_000)
        #expect(follower.limits(at: 10_000) == nil)
        var damaged = recorded.answer
        damaged[40] ^= 1
        #expect(BoardGroup.open(damaged, key: Self.key) == nil)
    }

    @Test func `are silent when they do not hear, however well they are heard`() {
        var leader = leader()
        var follower = GroupFollower(board: 1, key: Self.key, session: "s")
        for now in stride(from: Int64(0), through: 10_000, by: 500) {
            let report = follower.report([outlet()], maximum: nil, at: now)
            let answer = leader.take(report, limits, at: now)
            if now <= 1_000 { follower.take(answer ?? [], at: now) }
            // The last answer that arrived is one of 1,000.
            #expect(leader.present(at: now) == (now >= 500 && now <= 3_000 ? 1 : 0), "at \(now)")
            let isGranted = BoardGroup.open(answer ?? [], key: Self.key)?["limits"] != nil
            #expect(isGranted == (now >= 500 && now <= 3_000), "at \(now)")
        }
    }

    @Test func `are silent when their reports were kept back`() {
        var leader = leader()
        var follower = GroupFollower(board: 1, key: Self.key, session: "s")
        func exchange(_ now: Int64) -> [UInt8] {
            let report = follower.report([outlet()], maximum: nil, at: now)
            follower.take(leader.take(report, limits, at: now) ?? [], at: now)
            return report
        }
        for now in [Int64(0), 500] { _ = exchange(now) }
        let kept = (0..<20).map { follower.report([outlet()], maximum: nil, at: 501 + $0) }
        for (index, report) in kept.enumerated() {
            _ = leader.take(report, limits, at: 1_000 + Int64(index) * 1_000)
        }
        #expect(leader.present(at: 2_500) == 1)
        #expect(leader.present(at: 2_501) == 0)
        #expect(leader.present(at: 20_000) == 0)
        // Nor does a whole echo of somebody who holds the key and means harm end the leader.
        for echo in ["leader.\(Int64.min)", "leader.\(Int64.max)", "leader.", "leader.-1"] {
            let report = BoardGroup.Report(
                board: 1, session: "s", sequence: 1_000, echo: echo, outlets: [], maximum: nil)
            _ = leader.take(BoardGroup.seal(report.json, key: Self.key), limits, at: 20_000)
        }
        #expect(leader.present(at: 20_000) == 0)
    }

    @Test func `look at so many datagrams a second, of each peer and of all`() throws {
        func peer(_ host: Int) throws -> GroupSocket.Peer {
            try #require(GroupSocket.Peer("10.0.0.\(host):7401"))
        }
        var budget = DatagramBudget()
        let loud = try peer(1)
        let taken = (0..<1_000).count { budget.admits(loud, at: Int64($0)) }
        #expect(taken == BoardGroup.mostOfPeer)
        let isCalmHeard = budget.admits(try peer(2), at: 999)
        let isHeardAgain = budget.admits(loud, at: 1_000)
        #expect(isCalmHeard && isHeardAgain)
        budget = DatagramBudget()
        var all = 0
        for round in 0..<BoardGroup.mostOfPeer {
            for host in 1...250 where budget.admits(try peer(host), at: Int64(round)) { all += 1 }
        }
        #expect(all == BoardGroup.mostOfAll)
    }

    @Test(.timeLimit(.minutes(1))) func `hear one another while somebody floods`() async throws {
        let any = try #require(GroupSocket.Peer("127.0.0.1:0"))
        let socket = try GroupSocket(bindingTo: any)
        let (loud, calm) = (try GroupSocket(bindingTo: any), try GroupSocket(bindingTo: any))
        let place = try #require(GroupSocket.Peer("127.0.0.1:\(socket.port)"))
        let noise = [UInt8](repeating: 7, count: 100)
        for _ in 0..<60 { loud.send(noise, to: place) }
        // Too short and too long for a board's word.
        calm.send([UInt8](repeating: 9, count: BoardGroup.tagBytes), to: place)
        calm.send([UInt8](repeating: 9, count: BoardGroup.mostBytes + 1), to: place)
        calm.send([UInt8](repeating: 8, count: 100), to: place)
        var heard: [UInt8] = []
        for await datagram in socket.datagrams {
            heard.append(datagram.bytes[0])
            if heard.last == 8 { break }
        }
        for one in [socket, loud, calm] { one.stop() }
        // A second may begin meanwhile.
        #expect(heard.count { $0 == 7 } <= 2 * BoardGroup.mostOfPeer)
        #expect(!heard.contains(9))
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>, Silence.allCases)
    private func `never exceed their fuse for longer than the reaction time, whoever is silent`(
        seed: UInt64, silence: Silence
    ) {
        var group = RandomGroup(seed: seed, silence)
        while group.now < 600_000 { group.step() }
        #expect(
            group.longestOver <= LoadBalancer.reactionMilliseconds, "seed \(seed) \(silence)")
        #expect(group.drawnByFollowers > 0 && group.drawnByLeader > 0)
    }
}

/// What does not arrive while a board is silent.
private enum Silence: CaseIterable {
    case both, reports, answers
    /// Somebody keeps the reports back, sends them later and slowly, and lets no answer through.
    case replayed
}

/// A leader and two followers on a network that loses, delays and falls silent.
private struct RandomGroup {
    static let key = Array("a key that all boards hold".utf8)

    struct Outlet {
        var id: LoadBalancer.ID
        var isActive = false
        var signal: Int64 = 0
        var signalAt: Int64 = 0
        var before: Int64 = 0
        var follows: Int64 = 0
        var drawn: Int64 = 0
    }

    struct Follower {
        var link: GroupFollower
        var alone = LoadBalancer()
        var wasGranted = false
        var silentUntil: Int64 = -1
        var kept: [[UInt8]] = []
    }

    let silence: Silence
    var random: SeededGenerator
    let fuse: Int64
    let safe: Amperes
    var leader: GroupLeader
    var balancer = LoadBalancer()
    var limits: [LoadBalancer.ID: Amperes] = [:]
    var followers: [Int: Follower] = [:]
    var outlets: [Outlet]
    var now: Int64 = 0
    var overSince: Int64?
    var longestOver: Int64 = 0
    var drawnByFollowers: Int64 = 0
    var drawnByLeader: Int64 = 0

    init(seed: UInt64, _ silence: Silence) {
        self.silence = silence
        random = SeededGenerator(seed: seed)
        fuse = .random(in: 19_000...42_000, using: &random)
        safe = Amperes(milliamperes: fuse / 3)
        let safe = safe
        leader = GroupLeader(
            members: [1, 2].map { .init(board: $0, safe: safe) }, key: Self.key,
            timings: LoadBalancer.Timings(), session: "leader")
        outlets = (0...2).flatMap { board in
            (1...2).map { Outlet(id: .init(board: board, connector: $0)) }
        }
        for board in 1...2 {
            followers[board] = Follower(
                link: GroupFollower(board: board, key: Self.key, session: "s\(board)"))
        }
    }

    mutating func step() {
        now += 250
        // Cars come sooner than they go: what is short is shared, and some wait for their turn.
        for index in outlets.indices
        where Int.random(in: 0..<(outlets[index].isActive ? 800 : 100), using: &random) == 0 {
            outlets[index].isActive.toggle()
        }
        for board in 1...2 { exchange(board) }
        let own = outlets.filter { $0.id.board == 0 }.map { load($0) }
        let circuits: [CurrentSharing.Circuit] = [
            .init(id: 0, capacity: PhaseCurrents(Amperes(milliamperes: fuse))),
            .init(id: 1, parent: 0, capacity: PhaseCurrents(Amperes(milliamperes: fuse))),
        ]
        limits = balancer.step(
            own + leader.loads(at: now),
            circuits + leader.circuits(fuse: Amperes(milliamperes: fuse)), at: now)
        for index in outlets.indices where outlets[index].id.board == 0 {
            drive(index, limits[outlets[index].id]?.milliamperes ?? 0)
        }
        let total = outlets.reduce(0) { $0 + $1.drawn }
        drawnByLeader += outlets.filter { $0.id.board == 0 }.reduce(0) { $0 + $1.drawn }
        drawnByFollowers += outlets.filter { $0.id.board != 0 }.reduce(0) { $0 + $1.drawn }
        if total > fuse {
            overSince = overSince ?? now
            longestOver = max(longestOver, now - (overSince ?? now))
        } else {
            overSince = nil
        }
    }

    private func load(_ outlet: Outlet) -> LoadBalancer.Load {
        .init(
            id: outlet.id,
            share: .init(
                wiring: .rst, circuit: outlet.id.board == 0 ? 1 : 0, minimum: Amperes(6),
                wanted: Amperes(32)),
            isActive: outlet.isActive, mayDraw: outlet.signal > 0 || outlet.drawn > 0,
            measured: Amperes(milliamperes: outlet.drawn))
    }

    private mutating func exchange(_ board: Int) {
        guard var follower = followers[board] else { return }
        if Int.random(in: 0..<400, using: &random) == 0 {
            follower.silentUntil = now + .random(in: 1_000...240_000, using: &random)
        }
        let mine = outlets.filter { $0.id.board == board }
        if now % BoardGroup.reportMilliseconds == 0 {
            let report = follower.link.report(
                mine.map { outlet in
                    let load = load(outlet)
                    return BoardGroup.Outlet(
                        connector: outlet.id.connector, share: load.share,
                        isActive: load.isActive, mayDraw: load.mayDraw, isIdle: false,
                        measured: load.measured)
                }, maximum: nil, at: now)
            send(report, board, &follower)
        }
        if let granted = follower.link.limits(at: now) {
            follower.wasGranted = true
            for index in outlets.indices where outlets[index].id.board == board {
                drive(index, granted[outlets[index].id.connector]?.milliamperes ?? 0)
            }
        } else {
            if follower.wasGranted {
                follower.alone = LoadBalancer()
                var held: [LoadBalancer.ID: Amperes] = [:]
                for outlet in mine { held[outlet.id] = Amperes(milliamperes: outlet.signal) }
                follower.alone.adopt(held, at: now)
                follower.wasGranted = false
            }
            let alone = follower.alone.step(
                mine.map { load($0) }, [.init(id: 0, capacity: PhaseCurrents(safe))], at: now)
            for index in outlets.indices where outlets[index].id.board == board {
                drive(index, alone[outlets[index].id]?.milliamperes ?? 0)
            }
        }
        followers[board] = follower
    }

    private mutating func send(_ report: [UInt8], _ board: Int, _ follower: inout Follower) {
        let isSilent = now < follower.silentUntil
        func isLost() -> Bool { Int.random(in: 0..<10, using: &random) == 0 }
        var arrives: [UInt8]? = report
        if isSilent {
            switch silence {
            case .both, .reports: arrives = nil
            case .answers: break
            case .replayed:
                follower.kept.append(report)
                // Just often enough to pass for a board that is there.
                arrives =
                    now % (3 * BoardGroup.reportMilliseconds) == 0
                    ? follower.kept.removeFirst() : nil
            }
        } else {
            follower.kept = []
        }
        guard let arrives, !isLost(), let answer = leader.take(arrives, limits, at: now),
            !isLost(), !isSilent || silence == .reports
        else { return }
        follower.link.take(answer, at: now)
    }

    /// Pilot and car, as late as they may.
    private mutating func drive(_ index: Int, _ limit: Int64) {
        var outlet = outlets[index]
        guard outlet.isActive else {
            outlets[index] = Outlet(id: outlet.id)
            return
        }
        if limit != outlet.signal,
            limit == 0 || outlet.signal == 0 || now - outlet.signalAt >= 5_000
        {
            outlet.before = max(outlet.drawn, now < outlet.follows ? outlet.before : outlet.signal)
            outlet.signal = limit
            outlet.signalAt = now
            outlet.follows = now + .random(in: 0...5_000, using: &random)
        }
        let most = now < outlet.follows ? outlet.before : outlet.signal
        outlet.drawn = most >= 6_000 ? min(most, 32_000) : 0
        outlets[index] = outlet
    }
}
