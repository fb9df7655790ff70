import Charging
import JSON
import SQL

/// The bills: one standing per session, sealed, corrected only by further ones.
package final class CDRs: Sendable {
    private let database: Database
    private let journal: Journal

    init(database: Database, journal: Journal) {
        self.database = database
        self.journal = journal
    }

    /// Bills one session can have: an id has 39 characters in OCPI, a session's takes 36 of them.
    static let mostBills = 9

    /// The id follows from the session's, so that a second computation collides instead of billing.
    static func id(for session: Session) -> String { session.id }

    /// Stores the bill of a session that ended; false when it has one already.
    @discardableResult
    func create(
        _ session: Session, cost: Cost, signed: [SignedReading], at: Timestamp,
        in transaction: Transaction
    ) throws -> Bool {
        try insert(
            CDR(
                id: Self.id(for: session), session: session, cost: cost, createdAt: at,
                signed: signed), in: transaction)
    }

    /// Takes back the bill that stands for a session; nil when none does.
    ///
    /// A credit repeats its bill with the total negated; it is sent like any other. OCPI 2.2.1 §10.3.1.
    func credit(_ session: String, at: Timestamp, in transaction: Transaction) throws -> String? {
        let row = try transaction.queryOne(
            """
            SELECT body FROM cdr WHERE session = ? AND credit_of IS NULL AND id NOT IN (
                SELECT credit_of FROM cdr WHERE session = ? AND credit_of IS NOT NULL)
            """, session, session)
        guard let bill = try row.map({ try CDR(storedText: $0.text("body")) }) else { return nil }
        let number = try bills(of: session, in: transaction)
        let credit = CDR(
            id: "\(session)-\(number)C", session: bill.session, cost: bill.cost, createdAt: at,
            creditOf: bill.id, signed: bill.signed)
        guard try insert(credit, in: transaction) else { throw CorrectionRefusal.tooMany }
        return credit.id
    }

    /// The next bill of a session whose former one was taken back.
    func createNext(
        _ session: Session, cost: Cost, signed: [SignedReading], at: Timestamp,
        in transaction: Transaction
    ) throws -> String {
        let number = try bills(of: session.id, in: transaction) + 1
        guard number <= Self.mostBills else { throw CorrectionRefusal.tooMany }
        let id = number == 1 ? Self.id(for: session) : "\(session.id)-\(number)"
        guard
            try insert(
                CDR(id: id, session: session, cost: cost, createdAt: at, signed: signed),
                in: transaction)
        else { throw CorrectionRefusal.tooMany }
        return id
    }

    /// How many bills a session has had, standing or not.
    private func bills(of session: String, in transaction: Transaction) throws -> Int {
        try transaction.queryOne(
            "SELECT COUNT(*) AS n FROM cdr WHERE session = ? AND credit_of IS NULL", session)?
            .int("n") ?? 0
    }

    private func insert(_ cdr: CDR, in transaction: Transaction) throws -> Bool {
        let party = cdr.session.token.party.description
        let count = try transaction.execute(
            """
            INSERT INTO cdr (id, session, credit_of, token_party, body, created_at)
            VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING
            """, cdr.id, cdr.session.id, cdr.creditOf, party, cdr.storedText, cdr.createdAt)
        guard count == 1 else { return false }
        try journal.append(
            .cdrCreated, cdr.id,
            ["session": .string(cdr.session.id), "party": .string(party)], at: cdr.createdAt,
            in: transaction)
        return true
    }

    package func cdr(_ id: String) async throws -> CDR? {
        try await database.read { transaction in
            try transaction.queryOne("SELECT body FROM cdr WHERE id = ?", id).map {
                try CDR(storedText: $0.text("body"))
            }
        }
    }

    /// Every bill and credit of a session in order of creation; `mostBills` bounds them.
    package func list(session: String) async throws -> [CDR] {
        try await database.read { transaction in
            try transaction.query(
                "SELECT body FROM cdr WHERE session = ? ORDER BY created_at, id", session
            ).map { try CDR(storedText: $0.text("body")) }
        }
    }

    /// A page in order of creation, with how many there are in all. `from` inclusive, `until` not.
    ///
    /// - Parameter parties: whose tokens; nil asks for all, none for nothing.
    /// - Parameter charge: of sessions like this alone; its times and parties say nothing.
    package func list(
        parties: [PartyID]?, from: Timestamp? = nil, until: Timestamp? = nil,
        of charge: Sessions.Filter = Sessions.Filter(), newestFirst: Bool = false,
        offset: Int = 0, limit: Int = 100
    ) async throws -> (cdrs: [CDR], total: Int) {
        var filter = "FROM cdr WHERE created_at >= ? AND created_at < ?"
        var arguments: [SQLValue] = [
            .integer(from?.milliseconds ?? 0), .integer(until?.milliseconds ?? .max),
        ]
        if let parties {
            filter += " AND token_party IN (\(parties.map { _ in "?" }.joined(separator: ", ")))"
            arguments += parties.map { .text($0.description) }
        }
        for (column, value) in [
            ("station", charge.station), ("token_uid", charge.tokenUID),
            ("status", charge.status?.rawValue),
        ] {
            guard let value else { continue }
            filter += " AND session IN (SELECT id FROM session WHERE \(column) = ?)"
            arguments.append(.text(value))
        }
        let (condition, found, order) = (filter, arguments, newestFirst ? "DESC" : "ASC")
        return try await database.read { transaction in
            let total = try transaction.query("SELECT COUNT(*) AS n \(condition)", list: found)
            let rows = try transaction.query(
                """
                SELECT body \(condition) ORDER BY created_at \(order), id \(order) LIMIT ? OFFSET ?
                """,
                list: found + [.integer(Int64(limit)), .integer(Int64(offset))])
            return (
                try rows.map { try CDR(storedText: $0.text("body")) },
                try total.first?.int("n") ?? 0
            )
        }
    }

    package func list(
        party: PartyID? = nil, from: Timestamp? = nil, until: Timestamp? = nil,
        of charge: Sessions.Filter = Sessions.Filter(), newestFirst: Bool = false,
        offset: Int = 0, limit: Int = 100
    ) async throws -> (cdrs: [CDR], total: Int) {
        try await list(
            parties: party.map { [$0] }, from: from, until: until, of: charge,
            newestFirst: newestFirst,
            offset: offset, limit: limit)
    }
}
