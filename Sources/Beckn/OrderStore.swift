import Charging
import JSON
import SQL

/// The rows of orders, requests and refunds. Every function works inside the caller's transaction.
struct OrderStore: Sendable {
    /// False when this request has been taken before. Facts §3: (bap_id, action, message_id).
    func isFirst(
        _ action: BecknAction, _ context: BecknContext, at now: Timestamp,
        in transaction: Transaction
    ) throws -> Bool {
        let count = try transaction.execute(
            """
            INSERT INTO beckn_request (bap_id, action, message_id, received_at) VALUES (?, ?, ?, ?)
            ON CONFLICT (bap_id, action, message_id) DO NOTHING
            """, context.bapID, action.rawValue, context.messageID, now)
        return count == 1
    }

    /// The order of a transaction; `id` must then be its own. nil when it is not this BAP's, which
    /// is answered like an unknown one.
    func order(
        _ id: String?, _ context: BecknContext, in transaction: Transaction
    ) throws -> Order? {
        let row: Row?
        if let id {
            row = try transaction.queryOne(
                "SELECT body FROM beckn_order WHERE id = ? AND bap_id = ?", id, context.bapID)
        } else {
            row = try transaction.queryOne(
                "SELECT body FROM beckn_order WHERE bap_id = ? AND transaction_id = ?",
                context.bapID, context.transactionID)
        }
        return try row.map(Self.order)
    }

    func order(id: String, in transaction: Transaction) throws -> Order? {
        try transaction.queryOne("SELECT body FROM beckn_order WHERE id = ?", id).map(Self.order)
    }

    func store(_ order: Order, in transaction: Transaction) throws {
        let body = String(decoding: try JSONCoder.encode(order), as: UTF8.self)
        try transaction.execute(
            """
            INSERT INTO beckn_order (id, bap_id, transaction_id, state, evse, body, deadline,
            created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (id) DO UPDATE SET state = excluded.state, evse = excluded.evse,
            body = excluded.body, deadline = excluded.deadline, updated_at = excluded.updated_at
            """, order.id, order.context.bapID, order.context.transactionID, order.state.rawValue,
            order.offer.evseUID, body, order.deadline, order.createdAt, order.updatedAt)
    }

    /// Whether another contract holds this EVSE.
    func isHeld(
        evse: String, besides order: String, in transaction: Transaction
    ) throws -> Bool {
        try transaction.queryOne(
            """
            SELECT 1 AS held FROM beckn_order WHERE evse = ? AND id <> ?
            AND state IN ('confirmed', 'starting', 'charging', 'stopping') LIMIT 1
            """, evse, order) != nil
    }

    /// What goes back of an order's payment, in all: a corrected bill raises it.
    func refund(
        _ refund: Order.Refund, of order: Order, in transaction: Transaction
    ) throws {
        try transaction.execute(
            """
            INSERT INTO beckn_refund (order_id, amount, currency, reason, state, at)
            VALUES (?, ?, ?, ?, 'requested', ?) 
            ON CONFLICT (order_id) DO UPDATE SET amount = excluded.amount,
            reason = excluded.reason, state = 'requested', at = excluded.at
            """, order.id, refund.amount, order.quote.currency, refund.reason, refund.at)
    }

    /// Orders whose deadline has come.
    func due(at now: Timestamp, limit: Int, in transaction: Transaction) throws -> [Order] {
        try transaction.query(
            "SELECT body FROM beckn_order WHERE deadline <= ? ORDER BY deadline LIMIT ?", now, limit
        ).map(Self.order)
    }

    /// A page, newest first; `before` is the cursor of the last one.
    func list(
        before: String?, limit: Int, in transaction: Transaction
    ) throws -> [Order] {
        let parts = before?.split(separator: "/", maxSplits: 1)
        let at = parts?.first.flatMap { Int64($0) } ?? .max
        let id = parts?.last.map(String.init) ?? ""
        return try transaction.query(
            """
            SELECT body FROM beckn_order WHERE created_at < ? OR (created_at = ? AND id < ?)
            ORDER BY created_at DESC, id DESC LIMIT ?
            """, at, at, id, limit
        ).map(Self.order)
    }

    /// Message ids are remembered for a week; no BAP repeats itself later.
    func forgetRequests(before: Timestamp, in transaction: Transaction) throws {
        try transaction.execute("DELETE FROM beckn_request WHERE received_at < ?", before)
        try transaction.execute(
            """
            DELETE FROM beckn_outbox WHERE created_at < ? AND (state IN ('delivered', 'dismissed')
            OR (state = 'parked' AND action NOT IN (\(OutboxDeliveries.actions))))
            """, before)
    }

    static func order(_ row: Row) throws -> Order {
        try JSONCoder.decode(Order.self, from: Array(try row.text("body").utf8))
    }
}
