import CPO
import Charging
import SQL

extension BecknDoor {
    /// Where the section `beckn` is gone: callbacks whose time is over are given up, and after
    /// `idleSeconds` without a reader its cursor goes. A section that comes back before that finds all
    /// that happened meanwhile. To be called now and then.
    package static func settleWithoutDoor(
        _ house: ChargePointOperator, idleSeconds: Int64 = Journal.keptSeconds, at now: Timestamp,
        in transaction: Transaction
    ) throws {
        let reason = "the section `beckn` is gone"
        try transaction.execute(
            """
            UPDATE beckn_outbox SET state = 'parked', last_error = COALESCE(last_error, ?)
            WHERE state = 'queued' AND give_up_at <= ?
            """, reason, now)
        let cursor = try transaction.queryOne(
            "SELECT seq FROM journal_cursor WHERE reader = ? AND moved_at < ?", reader,
            now.advanced(bySeconds: -idleSeconds))
        guard let seq = try cursor?.int64("seq") else { return }
        // Bills of orders that no app heard of.
        let bills = try transaction.query(
            """
            SELECT j.seq AS seq FROM journal j JOIN cdr c ON c.id = j.subject
            JOIN session s ON s.id = c.session JOIN beckn_order o ON o.id = s.authorization_reference
            WHERE j.seq > ? AND j.kind = ? ORDER BY j.seq
            """, seq, JournalLine.Kind.cdrCreated.rawValue
        ).map { try $0.int64("seq") }
        for bill in bills {
            try house.journal.park(reader, bill, reason: reason, at: now, in: transaction)
        }
        try house.journal.retire(
            reader, billsOf: [], until: now, reason: reason, at: now, in: transaction)
    }
}
