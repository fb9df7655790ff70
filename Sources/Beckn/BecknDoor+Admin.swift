import CPO
import Charging
import JSON
import SQL

// What the operator sees: orders, their callbacks and the complaints about them.
extension BecknDoor {
    /// The data of `GET /api/v1/beckn/orders`: a page, newest first.
    package func orders(cursor: String? = nil, limit: Int = 50) async throws -> JSONValue {
        let limit = min(max(limit, 1), 200)
        let orders = try await house.read { [store] transaction in
            try store.list(before: cursor, limit: limit, in: transaction)
        }
        let last = orders.count == limit ? orders.last : nil
        return .members([
            "items": .array(try orders.map(summary)),
            "nextCursor": last.map { .string("\($0.createdAt.milliseconds)/\($0.id)") },
        ])
    }

    /// The data of `GET /api/v1/beckn/orders/{id}`: the order with its callbacks, refund and ratings;
    /// nil when there is none.
    package func orderDetail(_ id: String) async throws -> JSONValue? {
        guard let order = try await order(id) else { return nil }
        var detail = try summary(fresh(order))
        let subject = Self.subject(order.context)
        let rows = try await house.read { transaction in
            (
                try transaction.query(
                    """
                    SELECT action, state, attempts, created_at, last_error FROM beckn_outbox
                    WHERE subject = ? ORDER BY seq
                    """, subject),
                try transaction.query(
                    "SELECT category, value, at FROM beckn_rating WHERE order_id = ? ORDER BY seq",
                    id)
            )
        }
        detail["callbacks"] = .array(
            try rows.0.map { row in
                .members([
                    "action": .string(try row.text("action")),
                    "attempts": .number(try row.int("attempts")),
                    "at": .time(try row.timestamp("created_at")),
                    "lastError": try row.textOrNil("last_error").map { .string($0) },
                    "state": .string(try row.text("state")),
                ])
            })
        detail["ratings"] = .array(
            try rows.1.map { row in
                [
                    "at": .time(try row.timestamp("at")),
                    "category": .string(try row.text("category")),
                    "value": .string(try row.text("value")),
                ]
            })
        return detail
    }

    package func order(_ id: String) async throws -> Order? {
        try await house.read { [store] in try store.order(id: id, in: $0) }
    }

    /// Without what the driver wrote about himself: that is for the app and the charge, not for lists.
    private func summary(_ order: Order) throws(JSONCodingError) -> JSONValue {
        var value = try JSONCoder.value(of: order)
        value["customer"] = nil
        value["billing"] = nil
        value["waiting"] = nil
        value["outstanding"] = .number(order.outstanding)
        return value
    }

    /// Callbacks of one transaction keep their order under this name.
    static func subject(_ context: BecknContext) -> String {
        "\(context.bapID)|\(context.transactionID)"
    }
}
