import Charging
import JSON
import SQL

/// The quarantine: nothing in it was lost or refused, everything in it waits for a person.
package final class Suspicions: Sendable {
    private let database: Database
    private let journal: Journal

    init(database: Database, journal: Journal) {
        self.database = database
        self.journal = journal
    }

    /// - Returns: its number.
    @discardableResult
    func raise(
        _ code: Suspicion.Code, station: String, connector: ConnectorNumber?, session: String?,
        detail: String, at: Timestamp, in transaction: Transaction
    ) throws -> Int64 {
        let row = try transaction.queryOne(
            """
            INSERT INTO suspicion (at, code, station, connector, session, detail, state)
            VALUES (?, ?, ?, ?, ?, ?, 'open') RETURNING id
            """, at, code.rawValue, station, connector, session, detail)
        let id = try row?.int64("id") ?? 0
        try journal.append(
            .suspicionRaised, String(id),
            .members([
                "code": .string(code.rawValue), "station": .string(station),
                "session": .text(session),
            ]), at: at, in: transaction)
        return id
    }

    /// What it is about went into a session; one that a person decided keeps that word.
    func bound(
        _ id: Int64, to session: String, by name: String, at: Timestamp,
        in transaction: Transaction
    ) throws {
        try transaction.execute(
            "UPDATE suspicion SET session = ? WHERE id = ?", session, id)
        _ = try decide(id, .accepted, by: name, at: at, in: transaction)
    }

    /// Newest first; `before` is the number of the last one of the page before.
    package func list(
        state: Suspicion.State? = .open, session: String? = nil, before: Int64? = nil,
        limit: Int = 200
    ) async throws -> [Suspicion] {
        try await database.read { transaction in
            try transaction.query(
                """
                SELECT * FROM suspicion WHERE (CAST(? AS TEXT) IS NULL OR state = ?)
                AND (CAST(? AS TEXT) IS NULL OR session = ?) AND id < ? ORDER BY id DESC LIMIT ?
                """, state?.rawValue, state?.rawValue, session, session, before ?? .max, limit
            ).map(Suspicion.init(row:))
        }
    }

    /// One word on all that is open about a session.
    func decideAll(
        of session: String, _ state: Suspicion.State, by name: String, at: Timestamp,
        in transaction: Transaction
    ) throws {
        try transaction.execute(
            """
            UPDATE suspicion SET state = ?, decided_by = ?, decided_at = ?
            WHERE session = ? AND state = 'open'
            """, state.rawValue, name, at, session)
    }

    func isOpen(
        _ code: Suspicion.Code, of session: String, in transaction: Transaction
    ) throws -> Bool {
        try transaction.queryOne(
            "SELECT id FROM suspicion WHERE session = ? AND code = ? AND state = 'open' LIMIT 1",
            session, code.rawValue) != nil
    }

    /// What was open of a kind about a session, and is over by what came since.
    func settle(
        _ code: Suspicion.Code, of session: String, by reason: String, at: Timestamp,
        in transaction: Transaction
    ) throws {
        try transaction.execute(
            """
            UPDATE suspicion SET state = 'accepted', decided_by = ?, decided_at = ?
            WHERE session = ? AND code = ? AND state = 'open'
            """, reason, at, session, code.rawValue)
    }

    package func suspicion(_ id: Int64) async throws -> Suspicion? {
        try await database.read { transaction in
            try transaction.queryOne("SELECT * FROM suspicion WHERE id = ?", id)
                .map(Suspicion.init(row:))
        }
    }

    /// A person's word on one; false when there is no open one of this number.
    package func decide(
        _ id: Int64, _ state: Suspicion.State, by name: String, at: Timestamp,
        in transaction: Transaction
    ) throws -> Bool {
        try transaction.execute(
            """
            UPDATE suspicion SET state = ?, decided_by = ?, decided_at = ?
            WHERE id = ? AND state = 'open'
            """, state.rawValue, name, at, id) == 1
    }
}

extension Suspicion {
    init(row: Row) throws {
        let (code, state) = (try row.text("code"), try row.text("state"))
        guard let code = Code(rawValue: code), let state = State(rawValue: state) else {
            throw StoredError(key: "code")
        }
        self.init(
            id: try row.int64("id"), at: try row.timestamp("at"), code: code,
            station: try row.text("station"), connector: try row.intOrNil("connector"),
            session: try row.textOrNil("session"), detail: try row.text("detail"), state: state,
            decidedBy: try row.textOrNil("decided_by"))
    }
}
