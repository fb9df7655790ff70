import Charging
import JSON
import SQL
import Service

/// What the house itself keeps of people.
struct HouseRows: PersonalRows {
    let tokens: Tokens
    let journal: Journal
    let clock: any ServiceClock
    let key: ErasureKey
    /// Of all doors as well.
    let hold: @Sendable (Row, Timestamp, Transaction) throws -> Hold?

    var tables: [any PersonalTable] {
        [
            commands, reservations, parked, journalLines, reviewList,
            SessionTable(key: key, clock: clock, hold: hold),
            ShownTagTable(tokens: tokens, clock: clock),
            TokenTable(tokens: tokens, journal: journal, clock: clock),
        ]
    }

    let marks = [
        MarkSource(.tag, table: "session", key: "key", column: "id_tag", isTextKey: false),
        MarkSource(.tag, table: "token", key: "id_tag", column: "id_tag", isTextKey: true),
        MarkSource(.tag, table: "shown_tag", key: "id_tag", column: "id_tag", isTextKey: true),
        MarkSource(.tag, table: "command", key: "id", column: "id_tag", isTextKey: true),
        MarkSource(.tag, table: "reservation", key: "number", column: "id_tag", isTextKey: false),
    ]

    func complete(
        _ person: inout Person, by query: Person.Query, in transaction: Transaction
    ) throws {
        if let token = query.token { person.add(token: token) }
        for tag in person.tags {
            for token in try tokens.candidates(idTag: tag, in: transaction)
            where person.party == nil || token.party == person.party {
                person.uids.insert(token.uid.lowercased())
                person.companions.insert(token.contractID.lowercased())
                if let number = token.visualNumber {
                    person.companions.insert(number.lowercased())
                }
            }
        }
    }

    // MARK: Traces

    private var commands: TextTable {
        var table = TextTable(
            "commands", table: "command", key: "id", isTextKey: true,
            texts: ["id_tag", "token", "body", "answer"], fate: .replaced, at: "created_at")
        table.remains = "station, name, times and outcome: they say what was done"
        table.shown = ["station", "name", "state", "door"]
        let clock = clock
        table.hold = { row, _ in
            switch Command.State(rawValue: try row.text("state")) {
            case .queued, .sent: return .command
            case .accepted:
                let age = clock.now.seconds(since: try row.timestamp("created_at"))
                return age < CommandAge.openSeconds ? .command : nil
            case .rejected, .timedOut, .failed, .seen, nil: return nil
            }
        }
        return table
    }

    private var reservations: TextTable {
        var table = TextTable(
            "reservations", table: "reservation", key: "number",
            texts: ["id_tag", "group_tag", "partner_id"], fate: .replaced, at: "created_at")
        table.remains = "number, connector, times and state: stations know them by their numbers"
        table.shown = ["station", "connector", "state", "party"]
        let clock = clock
        table.hold = { row, _ in
            let state = try row.textOrNil("state") ?? Reservations.State.asked.rawValue
            let isOpen =
                state == Reservations.State.asked.rawValue
                || state == Reservations.State.held.rawValue
            guard isOpen, try row.timestamp("expires_at") > clock.now else { return nil }
            return .reservation
        }
        return table
    }

    private var parked: TextTable {
        var table = TextTable(
            "parkedMessages", table: "parked", key: "id", texts: ["payload"], fate: .replaced,
            at: "received_at")
        table.remains = "registers and times: they may be the only proof of energy"
        table.shown = ["station", "kind", "state"]
        table.hold = { row, _ in
            try row.text("state") == ParkedMessage.State.waiting.rawValue ? .review : nil
        }
        let key = key
        table.more = { try ParkedMessage.hideFinger($0, key, in: $1) }
        return table
    }

    private var journalLines: TextTable {
        var table = TextTable(
            "journalLines", table: "journal", key: "seq", texts: ["subject", "body"],
            fate: .replaced, at: "at")
        table.remains = "the line itself: readers count them"
        table.shown = ["kind"]
        table.filter = JournalLine.filterOfNamingKinds
        return table
    }

    private var reviewList: TextTable {
        var table = TextTable(
            "reviewList", table: "suspicion", key: "id", texts: ["detail"], fate: .replaced,
            at: "at")
        table.remains = "the entry itself: it belongs to a bill"
        table.shown = ["code", "station"]
        return table
    }
}

enum CommandAge {
    /// What a station accepted and has not done in this time it does no more.
    static let openSeconds: Int64 = 86_400
}

extension JournalLine {
    /// The frequent kinds, whose subjects and bodies the house makes itself: ids and figures.
    static let filterOfNamingKinds =
        "kind NOT IN ("
        + [
            Kind.sessionStarted, .sessionUpdated, .sessionEnded, .cdrCreated, .commandChanged,
            .evseStatus, .connectorStatus, .stationLink, .locationChanged, .tariffChanged,
            .siteChanged, .profileChanged, .suspicionRaised,
        ].map { "'\($0.rawValue)'" }.joined(separator: ", ") + ")"
}

extension ParkedMessage {
    /// Its finger is a hash of all it said, and with it of the card: only a hint of it stays, by which a
    /// repeated message is still known.
    static func hideFinger(
        _ row: Row, _ key: ErasureKey, in transaction: Transaction
    ) throws {
        let finger = try row.text("finger")
        guard !finger.hasPrefix("~") else { return }
        let mark = key.mark(finger: finger)
        let isTaken = try transaction.queryOne(
            "SELECT id FROM parked WHERE station = ? AND reference = ? AND finger = ?",
            row.text("station"), row.text("reference"), mark)
        try transaction.execute(
            "UPDATE parked SET finger = ? WHERE id = ?",
            isTaken == nil ? mark : "\(mark) \(try row.int64("id"))", row.int64("id"))
    }
}

// MARK: Sessions

/// Charges with their bills and readings.
struct SessionTable: PersonalTable {
    let key: ErasureKey
    let clock: any ServiceClock
    let hold: @Sendable (Row, Timestamp, Transaction) throws -> Hold?

    let kind = "sessions"
    let remains: String? =
        "amounts, energies, times and ids, of the bills as well: tax law keeps bills"
    let stage = PersonalStage.sessions

    func mentions(
        of person: Person, after cursor: SQLValue?, in transaction: Transaction
    ) throws -> MentionPage {
        let window = RowWindow("session", key: "key", isTextKey: false, rows: 2000)
        let page = try window.read(
            "key, id_tag, token_party, token_uid, authorization_reference",
            where: "created_at <= ? AND token_uid <> ?",
            [person.until.sqlValue, .text(Person.erased)], after: cursor, in: transaction)
        return MentionPage(
            try page.rows.filter { try Self.isOf(person, $0) }.compactMap { row in
                try mention(row.int64("key"), in: transaction)
            }, next: page.next)
    }

    static func isOf(_ person: Person, _ row: Row) throws -> Bool {
        let party = try row.text("token_party")
        if try person.owns(row.text("token_uid"), of: party) { return true }
        if try person.tags.contains(row.text("id_tag")),
            person.party.map({ $0.description == party }) ?? true
        {
            return true
        }
        return try row.textOrNil("authorization_reference").map(person.orders.contains) ?? false
    }

    private func mention(_ key: Int64, in transaction: Transaction) throws -> Mention? {
        guard let row = try transaction.queryOne("SELECT * FROM session WHERE key = ?", key) else {
            return nil
        }
        let id = try row.text("id")
        let bills = try transaction.query("SELECT body FROM cdr WHERE session = ?", id)
        let readings = try transaction.queryOne(
            "SELECT COUNT(*) AS n FROM meter_reading WHERE session = ?", key)
        return Mention(
            key: .integer(key),
            value: .members([
                "id": .string(id), "station": .string(try row.text("station")),
                "tag": .string(try row.text("id_tag")),
                "startedAt": .time(try row.timestamp("started_at")),
                "endedAt": .moment(try row.timestampOrNil("ended_at")),
                "sealed": try JSONValue(parsing: row.text("sealed")),
                "result": try row.textOrNil("result").map { try JSONValue(parsing: $0) },
                "readings": .number(try readings?.int("n") ?? 0),
                "bills": .array(try bills.map { try JSONValue(parsing: $0.text("body")) }),
            ]), hold: try hold(row, clock.now, transaction))
    }

    func erase(_ mention: Mention, of person: Person, in transaction: Transaction) throws {
        guard
            let row = try transaction.queryOne("SELECT * FROM session WHERE key = ?", mention.key)
        else { return }
        try AnonymousSession.make(row, key, at: clock.now, in: transaction)
    }
}

// MARK: Tokens

/// Where a tag was shown: such a station may remember it, and is told to forget.
struct ShownTagTable: PersonalTable {
    let tokens: Tokens
    let clock: any ServiceClock
    let kind = "stationsThatRemember"
    let remains: String? = nil
    let stage = PersonalStage.tokens

    func mentions(
        of person: Person, after cursor: SQLValue?, in transaction: Transaction
    ) throws -> MentionPage {
        MentionPage(
            try person.tags.sorted().compactMap { tag in
                let stations = try transaction.query(
                    "SELECT station, at FROM shown_tag WHERE id_tag = ? ORDER BY station", tag
                ).map { JSONValue.string(try $0.text("station")) }
                guard !stations.isEmpty else { return nil }
                return Mention(
                    key: .text(tag), value: ["tag": .string(tag), "stations": .array(stations)])
            })
    }

    func erase(_ mention: Mention, of person: Person, in transaction: Transaction) throws {
        guard case .text(let tag) = mention.key else { return }
        try tokens.clearCaches(thatMayHold: tag, since: clock.now, in: transaction)
        try transaction.execute("DELETE FROM shown_tag WHERE id_tag = ?", tag)
        tokens.forget(shown: tag)
    }
}

/// The registry: lists of stations follow it by themselves.
struct TokenTable: PersonalTable {
    let tokens: Tokens
    let journal: Journal
    let clock: any ServiceClock
    let kind = "tokens"
    let remains: String? = nil
    let stage = PersonalStage.tokens

    func mentions(
        of person: Person, after cursor: SQLValue?, in transaction: Transaction
    ) throws -> MentionPage {
        var found: [Mention] = []
        for tag in person.tags.sorted() {
            for token in try tokens.candidates(idTag: tag, in: transaction)
            where person.party == nil || token.party == person.party {
                let key = [token.party.description, token.uid, token.kind.rawValue]
                found.append(
                    Mention(key: .text(key.joined(separator: "\u{1F}")), value: token.stored))
            }
        }
        return MentionPage(found)
    }

    func erase(_ mention: Mention, of person: Person, in transaction: Transaction) throws {
        guard case .text(let text) = mention.key else { return }
        let key = text.split(separator: "\u{1F}", omittingEmptySubsequences: false)
            .map(String.init)
        guard key.count == 3 else { return }
        let now = clock.now
        try tokens.clearCaches(
            thatMayHold: Tokens.idTag(of: key[1]), since: now, in: transaction)
        try transaction.execute(
            "DELETE FROM token WHERE party = ? AND uid = ? AND kind = ?", key[0], key[1], key[2])
        tokens.forget(try Token(stored: mention.value))
        try journal.append(
            .tokenChanged, Person.erased, ["party": .string(key[0])], at: now, in: transaction)
    }
}
