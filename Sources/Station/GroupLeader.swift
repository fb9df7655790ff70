import Charging

/// The leader's knowledge of the other boards. A pure value: time and random texts come in.
package struct GroupLeader: Sendable {
    package struct Member: Hashable, Sendable {
        /// 1 and up; the leader itself is 0.
        package var board: Int
        /// What it falls back to by itself, per phase.
        package var safe: Amperes

        package init(board: Int, safe: Amperes) {
            self.board = board
            self.safe = safe
        }
    }

    private struct Board {
        var safe: Amperes
        var session = ""
        var sequence: Int64 = -1
        var nonce: String
        var heardAt: Int64?
        /// Since when it has been heard without a break.
        var freshSince: Int64?
        var outlets: [BoardGroup.Outlet] = []
        var maximum: PhaseCurrents?
    }

    private let key: [UInt8]
    private let settles: Int64
    private var boards: [Int: Board]

    package init(
        members: [Member], key: [UInt8], timings: LoadBalancer.Timings,
        random: () -> String
    ) {
        self.key = key
        settles = timings.settles
        boards = [:]
        for member in members { boards[member.board] = Board(safe: member.safe, nonce: random()) }
    }

    /// The safe shares of all members together.
    package var safe: Amperes {
        boards.values.reduce(.zero) {
            Amperes(milliamperes: $0.milliamperes + $1.safe.milliamperes)
        }
    }

    /// Boards that are heard of now.
    package func present(at now: Int64) -> Int { boards.values.count { isFresh($0, now) } }

    /// Takes a datagram; answers with one where it is a member's. `limits` are the present ones.
    package mutating func take(
        _ datagram: [UInt8], _ limits: [LoadBalancer.ID: Amperes], random: () -> String,
        at now: Int64
    ) -> [UInt8]? {
        guard let message = BoardGroup.open(datagram, key: key),
            let report = BoardGroup.Report(json: message), var board = boards[report.board]
        else { return nil }
        var granted: [ConnectorNumber: Amperes]?
        if report.echo == board.nonce, accept(report, &board, random: random, now) {
            granted = [:]
            for outlet in report.outlets {
                let id = LoadBalancer.ID(board: report.board, connector: outlet.connector)
                granted?[outlet.connector] = limits[id] ?? .zero
            }
        }
        boards[report.board] = board
        let grant = BoardGroup.Grant(
            board: report.board, session: report.session, sequence: report.sequence,
            nonce: board.nonce, limits: granted)
        return BoardGroup.seal(grant.json, key: key)
    }

    /// A new session gets a new nonce, so that nothing of an old one is believed again.
    private func accept(
        _ report: BoardGroup.Report, _ board: inout Board, random: () -> String, _ now: Int64
    ) -> Bool {
        if report.session == board.session {
            guard report.sequence > board.sequence else { return false }
        } else {
            board.session = report.session
            board.nonce = random()
        }
        board.sequence = report.sequence
        if !isFresh(board, now) { board.freshSince = now }
        board.heardAt = now
        board.outlets = report.outlets
        board.maximum = report.maximum
        return true
    }

    private func isFresh(_ board: Board, _ now: Int64) -> Bool {
        board.heardAt.map { now - $0 <= BoardGroup.isSilent } ?? false
    }

    /// The other boards' outlets, and for each board that is silent what it takes by itself.
    func loads(at now: Int64) -> [LoadBalancer.Load] {
        boards.sorted { $0.key < $1.key }.flatMap { number, board -> [LoadBalancer.Load] in
            let isFresh = isFresh(board, now)
            let isBack = board.freshSince.map { now - $0 < settles } ?? false
            // The board as one outlet on all phases: silent, or just back and still falling.
            let whole = LoadBalancer.Load(
                id: .init(board: number, connector: 0),
                share: .init(
                    wiring: .rst, circuit: 1, minimum: board.safe, wanted: board.safe),
                isActive: false, mayDraw: isFresh && isBack, isSilent: !isFresh, safe: board.safe)
            return [whole]
                + board.outlets.map { outlet in
                    var share = outlet.share
                    share.circuit = Self.circuit(of: number)
                    return LoadBalancer.Load(
                        id: .init(board: number, connector: outlet.connector), share: share,
                        isActive: outlet.isActive, mayDraw: outlet.mayDraw,
                        isIdle: outlet.isIdle, measured: outlet.measured, isSilent: !isFresh,
                        delay: BoardGroup.grantLasts)
                }
        }
    }

    func circuits(fuse: Amperes) -> [CurrentSharing.Circuit] {
        boards.map { number, board in
            .init(
                id: Self.circuit(of: number), parent: 1,
                capacity: board.maximum ?? PhaseCurrents(fuse))
        }
    }

    private static func circuit(of board: Int) -> Int { 100 + board }
}

/// A follower's side of a group. A pure value.
package struct GroupFollower: Sendable {
    private let board: Int
    private let key: [UInt8]
    private let session: String
    private var sequence: Int64 = 0
    private var echo = ""
    /// When each report that is not answered yet was sent.
    private var asked: [Int64: Int64] = [:]
    private var grant: (limits: [ConnectorNumber: Amperes], askedAt: Int64)?

    package init(board: Int, key: [UInt8], session: String) {
        self.board = board
        self.key = key
        self.session = session
    }

    /// The next datagram to the leader.
    mutating func report(
        _ outlets: [BoardGroup.Outlet], maximum: PhaseCurrents?, at now: Int64
    ) -> [UInt8] {
        sequence += 1
        asked = asked.filter { now - $0.value <= BoardGroup.grantLasts }
        asked[sequence] = now
        let report = BoardGroup.Report(
            board: board, session: session, sequence: sequence, echo: echo, outlets: outlets,
            maximum: maximum)
        return BoardGroup.seal(report.json, key: key)
    }

    package mutating func take(_ datagram: [UInt8], at now: Int64) {
        guard let message = BoardGroup.open(datagram, key: key),
            let answer = BoardGroup.Grant(json: message), answer.board == board,
            answer.session == session, let askedAt = asked.removeValue(forKey: answer.sequence)
        else { return }
        // An answer that was overtaken by a later one's says nothing any more.
        asked = asked.filter { $0.key > answer.sequence }
        echo = answer.nonce
        guard let limits = answer.limits else { return }
        grant = (limits, askedAt)
    }

    /// The leader's limits; nil once they have ended.
    func limits(at now: Int64) -> [ConnectorNumber: Amperes]? {
        guard let grant, now - grant.askedAt <= BoardGroup.grantLasts else { return nil }
        return grant.limits
    }
}
