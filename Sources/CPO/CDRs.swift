import Charging
import JSON
import SQL

/// The bills: one per session for ever, sealed, corrected only by further ones.
package final class CDRs: Sendable {
    private let database: Database
    private let journal: Journal

    init(database: Database, journal: Journal) {
        self.database = database
        self.journal = journal
    }

    /// The id follows from the session's, so that a second computation collides instead of billing.
    static func id(for session: Session) -> String { session.id }

    /// Stores the bill of a session that ended; false when it has one already.
    @discardableResult
    func create(_ session: Session, cost: Cost, at: Timestamp, in transaction: Transaction) throws
        -> Bool
    {
        let cdr = CDR(id: Self.id(for: session), session: session, cost: cost, createdAt: at)
        let count = try transaction.execute(
            """
            INSERT INTO cdr (id, session, credit_of, token_party, body, created_at)
            VALUES (?, ?, NULL, ?, ?, ?) ON CONFLICT (id) DO NOTHING
            """, cdr.id, session.id, session.token.party.description, cdr.storedText, at)
        guard count == 1 else { return false }
        try journal.append(
            .cdrCreated, cdr.id,
            ["session": .string(session.id), "party": .string(session.token.party.description)],
            at: at, in: transaction)
        return true
    }

    package func cdr(_ id: String) async throws -> CDR? {
        try await database.read { transaction in
            try transaction.queryOne("SELECT body FROM cdr WHERE id = ?", id).map {
                try CDR(storedText: $0.text("body"))
            }
        }
    }

    /// A page in order of creation, with how many there are in all. `from` inclusive, `until` not.
    ///
    /// - Parameter parties: whose tokens; nil asks for all, none for nothing.
    package func list(
        parties: [PartyID]?, from: Timestamp? = nil, until: Timestamp? = nil, offset: Int = 0,
        limit: Int = 100
    ) async throws -> (cdrs: [CDR], total: Int) {
        var filter = "FROM cdr WHERE created_at >= ? AND created_at < ?"
        var arguments: [SQLValue] = [
            .integer(from?.milliseconds ?? 0), .integer(until?.milliseconds ?? .max),
        ]
        if let parties {
            filter += " AND token_party IN (\(parties.map { _ in "?" }.joined(separator: ", ")))"
            arguments += parties.map { .text($0.description) }
        }
        let (condition, found) = (filter, arguments)
        return try await database.read { transaction in
            let total = try transaction.query("SELECT COUNT(*) AS n \(condition)", list: found)
            let rows = try transaction.query(
                "SELECT body \(condition) ORDER BY created_at, id LIMIT ? OFFSET ?",
                list: found + [.integer(Int64(limit)), .integer(Int64(offset))])
            return (
                try rows.map { try CDR(storedText: $0.text("body")) },
                try total.first?.int("n") ?? 0
            )
        }
    }

    package func list(
        party: PartyID? = nil, from: Timestamp? = nil, until: Timestamp? = nil, offset: Int = 0,
        limit: Int = 100
    ) async throws -> (cdrs: [CDR], total: Int) {
        try await list(
            parties: party.map { [$0] }, from: from, until: until, offset: offset, limit: limit)
    }
}
