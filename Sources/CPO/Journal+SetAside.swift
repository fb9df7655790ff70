import Charging
import SQL

// Lines that a reader could not bring wait here for a person: to be tried once more, or let go.

extension Journal {
    /// A line that was set aside.
    package struct SetAside: Hashable, Sendable {
        package var reader: String
        package var line: JournalLine
        package var reason: String
        package var at: Timestamp
        /// A person asked for one more try, and it is not made yet.
        package var isAsked: Bool
    }

    /// Sets a line aside that failed too often; the operator sees it.
    package func park(
        _ reader: String, _ seq: Int64, reason: String, at: Timestamp, in transaction: Transaction
    ) throws {
        try transaction.execute(
            """
            INSERT INTO journal_parked (reader, seq, at, reason) VALUES (?, ?, ?, ?)
            ON CONFLICT (reader, seq) DO NOTHING
            """, reader, seq, at, reason)
    }

    /// It failed once more. One that a person let go meanwhile stays gone.
    func parkAgain(
        _ reader: String, _ seq: Int64, reason: String, in transaction: Transaction
    ) throws {
        try transaction.execute(
            "UPDATE journal_parked SET reason = ?, asked_at = NULL WHERE reader = ? AND seq = ?",
            reason, reader, seq)
    }

    /// Lines set aside, of all readers or of one, newest first.
    package func parked(
        _ reader: String? = nil, limit: Int = 100, in transaction: Transaction
    ) throws -> [SetAside] {
        try transaction.query(
            """
            SELECT p.reader AS reader, p.reason AS reason, p.at AS parked_at,
            p.asked_at AS asked_at, j.* FROM journal_parked p
            JOIN journal j ON j.seq = p.seq WHERE (CAST(? AS TEXT) IS NULL OR p.reader = ?)
            ORDER BY p.at DESC, p.seq DESC, p.reader LIMIT ?
            """, reader, reader, limit
        ).map { row in
            SetAside(
                reader: try row.text("reader"), line: try JournalLine(row: row),
                reason: try row.text("reason"), at: try row.timestamp("parked_at"),
                isAsked: try row.timestampOrNil("asked_at") != nil)
        }
    }

    /// Asks a reader for one more try of a line that was set aside; call `wakeReaders` after the commit.
    ///
    /// - Returns: false when it is not there.
    func ask(
        _ reader: String, for seq: Int64, at: Timestamp, in transaction: Transaction
    ) throws -> Bool {
        try transaction.execute(
            "UPDATE journal_parked SET asked_at = ? WHERE reader = ? AND seq = ?", at, reader, seq)
            == 1
    }

    /// It was brought after all, or a person let it go. False when it is not there.
    func release(_ reader: String, _ seq: Int64, in transaction: Transaction) throws -> Bool {
        try transaction.execute(
            "DELETE FROM journal_parked WHERE reader = ? AND seq = ?", reader, seq) == 1
    }

    /// Lines that a person wants tried once more, oldest first.
    func asked(of reader: String, limit: Int) async throws -> [JournalLine] {
        try await database.read { transaction in
            try transaction.query(
                """
                SELECT j.* FROM journal_parked p JOIN journal j ON j.seq = p.seq
                WHERE p.reader = ? AND p.asked_at IS NOT NULL ORDER BY p.seq LIMIT ?
                """, reader, limit
            ).map(JournalLine.init(row:))
        }
    }

    /// Lines of which money hangs: the end of a charge, and its bill.
    static let moneyKinds: [JournalLine.Kind] = [.sessionEnded, .cdrCreated]

    /// Readers that stand before a line of money of before `moment`, with the time of that line.
    func late(
        before moment: Timestamp, in transaction: Transaction
    ) throws -> [(reader: String, since: Timestamp)] {
        // A reader that stands is at most a page away from the line it stands before.
        try transaction.query(
            "SELECT reader, seq FROM journal_cursor ORDER BY reader"
        ).compactMap { cursor -> (reader: String, since: Timestamp)? in
            let row = try transaction.queryOne(
                """
                SELECT at FROM journal WHERE seq > ? AND kind IN (?, ?) ORDER BY seq LIMIT 1
                """, try cursor.int64("seq"), Self.moneyKinds[0].rawValue,
                Self.moneyKinds[1].rawValue)
            guard let since = try row?.timestamp("at"), since <= moment else { return nil }
            return (try cursor.text("reader"), since)
        }
    }
}

/// The journal's part in what waits for partners. Ids: `SEQ~READER`, with `~` for each `/`.
struct JournalDeliveries: DeliveryStore {
    let journal: Journal

    func late(before moment: Timestamp, in transaction: Transaction) throws -> [LateDelivery] {
        try journal.late(before: moment, in: transaction).map {
            LateDelivery(reader: $0.reader, since: $0.since)
        }
    }

    func counts(in transaction: Transaction) throws -> [StuckCount] {
        try transaction.query(
            """
            SELECT reader, COUNT(*) AS n, MIN(at) AS first FROM journal_parked
            GROUP BY reader ORDER BY reader
            """
        ).map { row in
            StuckCount(
                reader: try row.text("reader"), count: try row.int64("n"),
                since: try row.timestamp("first"))
        }
    }

    func stuck(limit: Int, in transaction: Transaction) throws -> [StuckDelivery] {
        try journal.parked(limit: limit, in: transaction).map { one in
            StuckDelivery(
                id: "\(one.line.seq)~" + one.reader.split(separator: "/").joined(separator: "~"),
                reader: one.reader, kind: one.line.kind.rawValue, subject: one.line.subject,
                at: one.at, reason: one.reason, isAsked: one.isAsked)
        }
    }

    func retry(
        _ id: String, at: Timestamp, in transaction: Transaction
    ) throws -> DeliveryRetry? {
        guard let (seq, reader) = Self.parts(id) else { return nil }
        let known = try transaction.queryOne(
            "SELECT 1 AS one FROM journal_parked WHERE reader = ? AND seq = ?", reader, seq)
        guard known != nil else { return nil }
        let isRead = try transaction.queryOne(
            "SELECT 1 AS one FROM journal_cursor WHERE reader = ?", reader)
        guard isRead != nil else { return .nobodyReads }
        return try journal.ask(reader, for: seq, at: at, in: transaction) ? .asked : nil
    }

    func dismiss(_ id: String, in transaction: Transaction) throws -> Bool {
        guard let (seq, reader) = Self.parts(id) else { return false }
        return try journal.release(reader, seq, in: transaction)
    }

    func wake() { journal.wakeReaders() }

    private static func parts(_ id: String) -> (seq: Int64, reader: String)? {
        let parts = id.split(separator: "~", maxSplits: 1)
        guard parts.count == 2, let seq = Int64(parts[0]) else { return nil }
        return (seq, parts[1].split(separator: "~").joined(separator: "/"))
    }
}
