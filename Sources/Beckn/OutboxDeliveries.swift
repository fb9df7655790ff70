import CPO
import Charging
import SQL

/// The outbox's part in what waits for partners: callbacks that money or a contract hangs on. Others
/// are worth nothing minutes later. Ids: `callback~SEQ`.
package struct OutboxDeliveries: DeliveryStore {
    private static let prefix = "callback~"
    /// The actions that count, as a list for SQL; names of ours, nothing of a peer's.
    static let actions =
        BecknCallback.allCases.filter(\.isAboutMoney).map { "'\($0.rawValue)'" }
        .joined(separator: ", ")

    /// nil where the section `beckn` is gone: what lies there then goes nowhere.
    private let outbox: Outbox?

    package init(_ door: BecknDoor?) { self.init(outbox: door?.outbox) }

    init(outbox: Outbox?) { self.outbox = outbox }

    package func late(
        before moment: Timestamp, in transaction: Transaction
    ) throws -> [LateDelivery] {
        // A week before it is given up it was laid out, or a person asked for it anew: not older than that
        // is what he just asked for.
        try transaction.query(
            """
            SELECT bap_id, MIN(give_up_at) AS until FROM beckn_outbox
            WHERE state = 'queued' AND give_up_at <= ? AND action IN (\(Self.actions))
            GROUP BY bap_id ORDER BY bap_id
            """, moment.advanced(bySeconds: Outbox.moneySeconds)
        ).map { row in
            LateDelivery(
                reader: try Self.reader(row.text("bap_id")),
                since: try row.timestamp("until").advanced(bySeconds: -Outbox.moneySeconds))
        }
    }

    package func counts(in transaction: Transaction) throws -> [StuckCount] {
        try transaction.query(
            """
            SELECT bap_id, COUNT(*) AS n, MIN(created_at) AS since FROM beckn_outbox
            WHERE state = 'parked' AND action IN (\(Self.actions))
            GROUP BY bap_id ORDER BY bap_id
            """
        ).map { row in
            StuckCount(
                reader: try Self.reader(row.text("bap_id")), count: try row.int64("n"),
                since: try row.timestamp("since"))
        }
    }

    package func stuck(limit: Int, in transaction: Transaction) throws -> [StuckDelivery] {
        try transaction.query(
            """
            SELECT seq, bap_id, subject, action, created_at, last_error FROM beckn_outbox
            WHERE state = 'parked' AND action IN (\(Self.actions))
            ORDER BY created_at DESC, seq DESC LIMIT ?
            """, limit
        ).map { row in
            StuckDelivery(
                id: "\(Self.prefix)\(try row.int64("seq"))",
                reader: try Self.reader(row.text("bap_id")), kind: try row.text("action"),
                subject: try row.text("subject"), at: try row.timestamp("created_at"),
                reason: try row.textOrNil("last_error") ?? "", isAsked: false)
        }
    }

    /// From the beginning, with a life as long as a new one's.
    package func retry(
        _ id: String, at: Timestamp, in transaction: Transaction
    ) throws -> DeliveryRetry? {
        guard let seq = Self.seq(id) else { return nil }
        guard outbox != nil else {
            let known = try transaction.queryOne(
                "SELECT 1 AS one FROM beckn_outbox WHERE seq = ? AND state = 'parked'", seq)
            return known == nil ? nil : .nobodyReads
        }
        // Its words are of then: sent after newer ones they would be the last the app hears.
        let newer = try transaction.queryOne(
            """
            SELECT n.seq FROM beckn_outbox n JOIN beckn_outbox o ON n.subject = o.subject
            WHERE o.seq = ? AND o.state = 'parked' AND n.seq > o.seq
            AND n.state IN ('delivered', 'queued') LIMIT 1
            """, seq)
        guard newer == nil else { return .overtaken }
        let count = try transaction.execute(
            """
            UPDATE beckn_outbox SET state = 'queued', attempts = 0, next_at = ?, give_up_at = ?
            WHERE seq = ? AND state = 'parked'
            """, at, at.advanced(bySeconds: Outbox.moneySeconds), seq)
        return count == 1 ? .asked : nil
    }

    package func dismiss(_ id: String, in transaction: Transaction) throws -> Bool {
        guard let seq = Self.seq(id) else { return false }
        return try transaction.execute(
            "UPDATE beckn_outbox SET state = 'dismissed' WHERE seq = ? AND state = 'parked'", seq)
            == 1
    }

    package func wake() { outbox?.wake() }

    private static func reader(_ app: String) -> String { "beckn/\(app)" }

    private static func seq(_ id: String) -> Int64? {
        id.hasPrefix(prefix) ? Int64(id.dropFirst(prefix.count)) : nil
    }
}
