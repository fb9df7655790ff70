import Charging
import Crypto
import JSON

/// Several boards behind one fuse: one leads and shares the fuse among all outlets, the others ask it.
///
/// A follower reports its outlets twice a second; the leader answers each report with their limits. A
/// grant ends by itself: a follower that gets no answer falls to its own safe share, and the leader
/// counts that share for it from the moment it no longer knows that its answers arrive: each carries a
/// nonce, which the next report repeats. The sum of all safe shares is within the fuse, so that
/// silence, whoever's and whichever way, is never dangerous. Datagrams are authenticated by HMAC-SHA256
/// under a key all boards hold; sessions and nonces make a recorded one worthless.
package enum BoardGroup {
    /// One datagram, tag included.
    static let mostBytes = 8_192
    static let tagBytes = 32
    /// Datagrams a second that are looked at, of one peer, which sends two, and of all together.
    static let mostOfPeer = 16
    static let mostOfAll = 256
    static let mostOutlets = 16

    package static let reportMilliseconds: Int64 = 500
    /// A follower acts on a grant for so long after it asked for it.
    static let grantLasts: Int64 = 3_000
    /// A leader takes a board for silent so long after the last answer that is known to have arrived:
    /// before that grant ends.
    static let isSilent: Int64 = 2_000

    struct Outlet: Hashable {
        var connector: ConnectorNumber
        var share: CurrentSharing.Load
        var isActive: Bool
        var mayDraw: Bool
        var isIdle: Bool
        var measured: Amperes?
    }

    struct Report: Hashable {
        var board: Int
        /// Chosen at random when the follower's program starts.
        var session: String
        var sequence: Int64
        /// The leader's nonce as last heard; empty at first.
        var echo: String
        var outlets: [Outlet]
        /// The operator's maximum of the board.
        var maximum: PhaseCurrents?
    }

    struct Grant: Hashable {
        var board: Int
        var session: String
        /// The report this answers.
        var sequence: Int64
        var nonce: String
        /// nil: the report was not believed; ask again with the nonce.
        var limits: [ConnectorNumber: Amperes]?
    }

    // MARK: Sealed

    static func seal(_ message: JSONValue, key: [UInt8]) -> [UInt8] {
        let body = message.encoded()
        return HMACSHA256.authenticate(body, key: key) + body
    }

    /// nil for what was not sealed with the key.
    static func open(_ bytes: [UInt8], key: [UInt8]) -> JSONValue? {
        guard bytes.count > tagBytes, bytes.count <= mostBytes else { return nil }
        let body = Array(bytes.dropFirst(tagBytes))
        guard
            constantTimeEqual(
                Array(bytes.prefix(tagBytes)), HMACSHA256.authenticate(body, key: key))
        else { return nil }
        // Who holds the key sends JSON; anything else is dropped like a stranger's.
        return try? JSONValue(parsing: body)
    }
}

extension BoardGroup.Report {
    var json: JSONValue {
        .members([
            "kind": "report", "board": .number(board), "session": .string(session),
            "sequence": .number(sequence), "echo": .string(echo),
            "outlets": .array(outlets.map(\.json)),
            "maximum": maximum.map { .array($0.all.map { .number($0) }) },
        ])
    }

    init?(json: JSONValue) {
        guard json["kind"]?.string == "report", let board = json["board"]?.int,
            let session = json["session"]?.string, session.utf8.count <= 64,
            let sequence = json["sequence"]?.int64, let echo = json["echo"]?.string,
            let items = json["outlets"]?.array, items.count <= BoardGroup.mostOutlets
        else { return nil }
        let outlets = items.compactMap(BoardGroup.Outlet.init(json:))
        guard outlets.count == items.count else { return nil }
        var maximum: PhaseCurrents?
        if let values = json["maximum"]?.array {
            let currents = values.compactMap(\.int64).filter(BoardGroup.currents.contains)
            guard currents.count == 3 else { return nil }
            maximum = PhaseCurrents(currents[0], currents[1], currents[2])
        }
        self.init(
            board: board, session: session, sequence: sequence, echo: echo, outlets: outlets,
            maximum: maximum)
    }
}

extension BoardGroup {
    /// Milliamperes that are reckoned with.
    fileprivate static let currents: ClosedRange<Int64> = 0...10_000_000
}

extension BoardGroup.Outlet {
    var json: JSONValue {
        .members([
            "connector": .number(connector), "wiring": .string(share.wiring.rawValue),
            "minimum": .number(share.minimum.milliamperes),
            "wanted": .number(share.wanted.milliamperes), "priority": .number(share.priority),
            "active": .bool(isActive), "drawing": .bool(mayDraw), "idle": .bool(isIdle),
            "measured": measured.map { .number($0.milliamperes) },
        ])
    }

    init?(json: JSONValue) {
        func current(_ key: String) -> Amperes? {
            json[key]?.int64.flatMap {
                BoardGroup.currents.contains($0) ? Amperes(milliamperes: $0) : nil
            }
        }
        guard let connector = json["connector"]?.int, (1...64).contains(connector),
            let wiring = json["wiring"]?.string.flatMap(PhaseWiring.init(rawValue:)),
            let minimum = current("minimum"), let wanted = current("wanted"),
            let priority = json["priority"]?.int, (0...9).contains(priority),
            let isActive = json["active"]?.bool, let mayDraw = json["drawing"]?.bool,
            let isIdle = json["idle"]?.bool
        else { return nil }
        self.init(
            connector: connector,
            share: .init(
                wiring: wiring, circuit: 0, minimum: minimum, wanted: wanted, priority: priority),
            isActive: isActive, mayDraw: mayDraw, isIdle: isIdle, measured: current("measured"))
    }
}

extension BoardGroup.Grant {
    var json: JSONValue {
        var limitsJSON: [String: JSONValue]?
        if let limits {
            limitsJSON = [:]
            for (connector, limit) in limits {
                limitsJSON?[String(connector)] = .number(limit.milliamperes)
            }
        }
        return .members([
            "kind": "grant", "board": .number(board), "session": .string(session),
            "sequence": .number(sequence), "nonce": .string(nonce),
            "limits": limitsJSON.map(JSONValue.object),
        ])
    }

    init?(json: JSONValue) {
        guard json["kind"]?.string == "grant", let board = json["board"]?.int,
            let session = json["session"]?.string, let sequence = json["sequence"]?.int64,
            let nonce = json["nonce"]?.string, nonce.utf8.count <= 64
        else { return nil }
        var limits: [ConnectorNumber: Amperes]?
        if let members = json["limits"]?.object {
            var found: [ConnectorNumber: Amperes] = [:]
            for (key, value) in members {
                guard let connector = Int(key), let current = value.int64,
                    BoardGroup.currents.contains(current)
                else { return nil }
                found[connector] = Amperes(milliamperes: current)
            }
            limits = found
        }
        self.init(
            board: board, session: session, sequence: sequence, nonce: nonce, limits: limits)
    }
}
