import Charging
import JSON
import SQL
import Service

/// The one list of what happened, appended in the transaction that changed it.
///
/// Readers keep durable cursors and move them after their peer answered; retrying is not moving.
package final class Journal: Sendable {
    /// Lines one read returns at most.
    package static let pageLimit = 500
    /// Lines every reader has passed are kept this long for questions.
    package static let keptSeconds: Int64 = 30 * 86_400
    /// Lines that go in one transaction at most, and transactions of one look.
    package static let pruneLimit = 5000
    package static let prunesPerLook = 20

    private struct State {
        /// Lines appended since the start, committed or not. Counted, because a line that was rolled
        /// back leaves its number to the next one.
        var appended = 0
        /// As many of them as were announced.
        var announced = 0
        var newest: Int64 = 0
        var nextWaiter = 0
        var waiters: [Int: AsyncStream<Int64>.Continuation] = [:]
    }

    let database: Database
    private let state = Lock(State())

    init(database: Database) { self.database = database }

    /// Adds a line to the open transaction. Nobody hears of it before the commit.
    package func append(
        _ kind: JournalLine.Kind, _ subject: String, _ body: JSONValue = [:], at: Timestamp,
        in transaction: Transaction
    ) throws {
        let row = try transaction.queryOne(
            "INSERT INTO journal (at, kind, subject, body) VALUES (?, ?, ?, ?) RETURNING seq",
            at, kind.rawValue, subject, body.text)
        let seq = try row?.int64("seq") ?? 0
        state.withLock { state in
            state.appended += 1
            state.newest = seq
        }
    }

    /// How many lines were appended so far; taken by a writer at the end of its transaction's body.
    var mark: Int { state.withLock { $0.appended } }

    /// How many of them are known to be committed, or undone.
    var announcedMark: Int { state.withLock { $0.announced } }

    /// Lines after `seq`, oldest first, at most `limit`.
    package func lines(
        after seq: Int64, limit: Int = Journal.pageLimit
    ) async throws -> [JournalLine] {
        try await database.read { transaction in
            try transaction.query(
                "SELECT * FROM journal WHERE seq > ? ORDER BY seq LIMIT ?", seq,
                min(limit, Self.pageLimit)
            ).map(JournalLine.init(row:))
        }
    }

    /// The newest line's number, 0 when there is none.
    package func newest() async throws -> Int64 {
        try await database.read { transaction in
            try transaction.queryOne("SELECT MAX(seq) AS seq FROM journal")?.int64OrNil("seq") ?? 0
        }
    }

    /// How far a reader has come; nil when it never moved.
    package func cursor(of reader: String) async throws -> Int64? {
        try await database.read { transaction in
            try transaction.queryOne("SELECT seq FROM journal_cursor WHERE reader = ?", reader)?
                .int64("seq")
        }
    }

    /// Moves a cursor forward; it never goes back.
    package func move(
        _ reader: String, to seq: Int64, at: Timestamp, in transaction: Transaction
    ) throws {
        try transaction.execute(
            """
            INSERT INTO journal_cursor (reader, seq, moved_at) VALUES (?, ?, ?)
            ON CONFLICT (reader) DO UPDATE SET seq = excluded.seq, moved_at = excluded.moved_at
            WHERE journal_cursor.seq < excluded.seq
            """, reader, seq, at)
    }

    /// Forgets lines that are older than `moment` and that every reader has passed, at most `limit`;
    /// parked ones stay. Where nobody reads, their age alone decides.
    ///
    /// - Returns: how many went.
    @discardableResult
    package func prune(
        before moment: Timestamp, limit: Int = Journal.pruneLimit, in transaction: Transaction
    ) throws -> Int {
        try transaction.execute(
            """
            DELETE FROM journal WHERE seq IN (
                SELECT seq FROM (
                    SELECT seq, at FROM journal
                    WHERE seq < (SELECT COALESCE(MIN(seq), ?) FROM journal_cursor)
                    AND seq NOT IN (SELECT seq FROM journal_parked) ORDER BY seq LIMIT ?
                ) AS oldest WHERE at < ?)
            """, Int64.max, limit, moment)
    }

    /// Numbers of new lines as they become durable, newest only: a hint to read on.
    package func announcements() -> AsyncStream<Int64> {
        AsyncStream(bufferingPolicy: .bufferingNewest(1)) { continuation in
            let id = state.withLock { state in
                state.nextWaiter += 1
                state.waiters[state.nextWaiter] = continuation
                return state.nextWaiter
            }
            continuation.onTermination = { [weak self] _ in
                self?.state.withLock { _ = $0.waiters.removeValue(forKey: id) }
            }
        }
    }

    /// Has readers look although nothing was appended.
    func wakeReaders() {
        let (seq, waiters) = state.withLock { ($0.newest, Array($0.waiters.values)) }
        for waiter in waiters { waiter.yield(seq) }
    }

    /// Called after the commit of the transaction that took `mark`: wakes the readers if it, or one
    /// before it, appended anything they have not heard of.
    ///
    /// What another transaction appended since is not announced with it: that one is not durable
    /// yet, and its own call would find nothing left to tell.
    func committed(_ mark: Int) {
        let (seq, waiters) = state.withLock { state in
            guard mark > state.announced else {
                return (Int64(0), [AsyncStream<Int64>.Continuation]())
            }
            state.announced = mark
            return (state.newest, Array(state.waiters.values))
        }
        for waiter in waiters { waiter.yield(seq) }
    }
}

extension JournalLine {
    init(row: Row) throws {
        self.init(
            seq: try row.int64("seq"), at: try row.timestamp("at"),
            kind: Kind(rawValue: try row.text("kind")), subject: try row.text("subject"),
            body: try row.text("body"))
    }
}
