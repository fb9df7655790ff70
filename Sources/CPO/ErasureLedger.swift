import Charging
import SQL

/// Which erasures were made, by hashes nobody can read a name from: what a restored backup brings back is
/// erased again at the next start.
package struct ErasureLedger: Sendable {
    enum State: String, Sendable {
        /// To be made as a whole: begun and cut off, or come back with a backup.
        case due
        /// Made, but for rows that are held.
        case waiting
        case done
    }

    struct Line: Hashable, Sendable {
        var hash: String
        var kind: MarkSource.Kind
        /// Owner of the token that was named; empty: whoever.
        var party: String
        var at: Timestamp
        var state: State
    }

    private static func marks(
        of person: Person
    ) -> [(kind: MarkSource.Kind, text: String, party: String)] {
        let party = person.party?.description ?? ""
        return person.tags.sorted().map { (.tag, $0, party) }
            + person.orders.sorted().map { (.order, $0, "") }
    }

    static func add(
        _ person: Person, _ key: ErasureKey, by who: String, at now: Timestamp,
        in transaction: Transaction
    ) throws {
        for mark in marks(of: person) {
            try transaction.execute(
                """
                INSERT INTO erasure (hash, kind, party, at, state, made_by)
                VALUES (?, ?, ?, ?, 'due', ?) ON CONFLICT (hash) DO UPDATE SET
                at = excluded.at, state = 'due', made_by = excluded.made_by
                """, key.hash(mark.kind, mark.text, of: mark.party), mark.kind.rawValue,
                mark.party, now, who)
        }
    }

    static func settle(
        _ person: Person, _ key: ErasureKey, _ state: State, at moment: Timestamp,
        in transaction: Transaction
    ) throws {
        for mark in marks(of: person) {
            try settle(
                key.hash(mark.kind, mark.text, of: mark.party), state, at: moment,
                in: transaction)
        }
    }

    /// One that was asked for again meanwhile stays as it is.
    static func settle(
        _ hash: String, _ state: State, at moment: Timestamp, in transaction: Transaction
    ) throws {
        try transaction.execute(
            "UPDATE erasure SET state = ? WHERE hash = ? AND at <= ?", state.rawValue, hash,
            moment)
    }

    static func open(in transaction: Transaction) throws -> [Line] {
        try transaction.query(
            "SELECT * FROM erasure WHERE state <> 'done' ORDER BY hash LIMIT ?", mostOpen
        ).map { row in
            guard let kind = MarkSource.Kind(rawValue: try row.text("kind")),
                let state = State(rawValue: try row.text("state"))
            else { throw StoredError(key: "kind") }
            return Line(
                hash: try row.text("hash"), kind: kind, party: try row.text("party"),
                at: try row.timestamp("at"), state: state)
        }
    }

    /// Lines that one look over the rows takes up; the rest has its turn at the next.
    private static let mostOpen = 10_000

    /// No backup is older.
    static func forget(before moment: Timestamp, in transaction: Transaction) throws {
        try transaction.execute(
            "DELETE FROM erasure WHERE state = 'done' AND at < ?", moment)
    }

    // MARK: After a restore

    /// All of it, to be brought into the database that a backup was restored into.
    private let lines: [Row]
    private let secret: String?

    /// Of the database that was in its place before; an older program's has none.
    package init(in transaction: Transaction) throws {
        guard
            try transaction.queryOne(
                "SELECT name FROM sqlite_master WHERE name = 'erasure_key'") != nil
        else {
            (lines, secret) = ([], nil)
            return
        }
        lines = try transaction.query("SELECT * FROM erasure")
        secret = try transaction.queryOne("SELECT secret FROM erasure_key")?.text("secret")
    }

    /// What was erased since the backup is due again.
    ///
    /// - Returns: how many; nil where the backup is of another database, whose people cannot be known.
    package func bring(into transaction: Transaction) throws -> Int? {
        guard let secret, !lines.isEmpty else { return 0 }
        try transaction.execute(
            "INSERT INTO erasure_key (id, secret) VALUES (1, ?) ON CONFLICT (id) DO NOTHING",
            secret)
        let stored = try transaction.queryOne("SELECT secret FROM erasure_key")?.text("secret")
        guard stored == secret else { return nil }
        var due = 0
        for line in lines {
            due += try transaction.execute(
                """
                INSERT INTO erasure (hash, kind, party, at, state, made_by)
                VALUES (?, ?, ?, ?, 'due', ?) ON CONFLICT (hash) DO UPDATE SET
                at = excluded.at, state = 'due', made_by = excluded.made_by
                WHERE erasure.at < excluded.at
                """, line.text("hash"), line.text("kind"), line.text("party"),
                line.timestamp("at"), line.text("made_by"))
        }
        return due
    }
}
