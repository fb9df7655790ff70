import Charging

/// The leader's knowledge of the other boards. A pure value: time and a random text come in.
///
/// Each answer carries a nonce of its own. A report that repeats one shows that its board heard that
/// answer, and is worth as much as that is old: a board that is heard and does not hear is silent, and
/// so is one whose reports somebody keeps back and sends later.
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
        /// When the present session was first believed.
        var sessionSince: Int64 = .min
        /// When the last answer was given of which is known that it arrived.
        var heardAt: Int64?
        /// Since when it has been heard without a break.
        var freshSince: Int64?
        var outlets: [BoardGroup.Outlet] = []
        var maximum: PhaseCurrents?
    }

    private let key: [UInt8]
    private let settles: Int64
    private let session: String
    private var boards: [Int: Board]

    /// - `session`: chosen at random when the program starts; no more than 40 bytes.
    package init(
        members: [Member], key: [UInt8], timings: LoadBalancer.Timings, session: String
    ) {
        self.key = key
        self.session = session
        settles = timings.settles
        boards = [:]
        for member in members { boards[member.board] = Board(safe: member.safe) }
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
        _ datagram: [UInt8], _ limits: [LoadBalancer.ID: Amperes], at now: Int64
    ) -> [UInt8]? {
        guard let message = BoardGroup.open(datagram, key: key),
            let report = BoardGroup.Report(json: message), var board = boards[report.board]
        else { return nil }
        var granted: [ConnectorNumber: Amperes]?
        if accept(report, &board, now) {
            granted = [:]
            for outlet in report.outlets {
                let id = LoadBalancer.ID(board: report.board, connector: outlet.connector)
                granted?[outlet.connector] = limits[id] ?? .zero
            }
        }
        boards[report.board] = board
        let grant = BoardGroup.Grant(
            board: report.board, session: report.session, sequence: report.sequence,
            nonce: nonce(at: now), limits: granted)
        return BoardGroup.seal(grant.json, key: key)
    }

    /// Nobody can make one up, for nobody else seals it: the moment may stand in it as it is.
    private func nonce(at now: Int64) -> String { "\(session).\(now)" }

    /// When this leader gave out a nonce; nil for another's, or one that has gone stale.
    private func givenAt(_ nonce: String, _ now: Int64) -> Int64? {
        let start = "\(session)."
        guard nonce.hasPrefix(start), let at = Int64(nonce.dropFirst(start.utf8.count)), at >= 0,
            at <= now, now - at <= BoardGroup.isSilent
        else { return nil }
        return at
    }

    private func accept(
        _ report: BoardGroup.Report, _ board: inout Board, _ now: Int64
    ) -> Bool {
        guard let heardAt = givenAt(report.echo, now) else { return false }
        if report.session == board.session {
            guard report.sequence > board.sequence else { return false }
        } else {
            // What was recorded of an old session knows nothing that the new one was told.
            guard heardAt >= board.sessionSince else { return false }
            board.session = report.session
            board.sessionSince = now
        }
        board.sequence = report.sequence
        if !isFresh(board, now) { board.freshSince = now }
        board.heardAt = max(heardAt, board.heardAt ?? heardAt)
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
