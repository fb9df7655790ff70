import Charging
import SQL

extension Journal {
    /// Lets a reader go whose partner is gone: nothing is kept for it any more.
    ///
    /// What it never brought of the bills of `parties`, made until `moment`, is set aside: it is money,
    /// and stays in sight until a person lets it go.
    package func retire(
        _ reader: String, billsOf parties: [PartyID], until moment: Timestamp, reason: String,
        at: Timestamp, in transaction: Transaction
    ) throws {
        let cursor = try transaction.queryOne(
            "SELECT seq FROM journal_cursor WHERE reader = ?", reader)
        guard let seq = try cursor?.int64("seq") else { return }
        for party in parties {
            try transaction.execute(
                """
                INSERT INTO journal_parked (reader, seq, at, reason)
                SELECT CAST(? AS TEXT), j.seq, CAST(? AS BIGINT), CAST(? AS TEXT) FROM journal j
                JOIN cdr c ON c.id = j.subject
                WHERE j.seq > ? AND j.kind = ? AND j.at <= ? AND c.token_party = ?
                ON CONFLICT (reader, seq) DO NOTHING
                """, reader, at, reason, seq, JournalLine.Kind.cdrCreated.rawValue, moment,
                party.description)
        }
        try transaction.execute("DELETE FROM journal_cursor WHERE reader = ?", reader)
    }
}
