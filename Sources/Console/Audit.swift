import CPO
import Charging
import Crypto
import JSON
import SQL
import Service
import Web

/// Who did what: rows nobody can edit, written in the transaction of what they tell. Only a driver's
/// erasure takes his token out of them, and their age all of them.
struct Audit: Sendable {
    let clock: any ServiceClock

    func note(
        _ caller: Caller, _ action: String, _ subject: String, _ detail: JSONValue = [:],
        status: Int = 200, in transaction: Transaction
    ) throws {
        try transaction.execute(
            """
            INSERT INTO console_audit (at, who, address, action, subject, detail, status)
            VALUES (?, ?, ?, ?, ?, ?, ?)
            """, clock.now, caller.name, caller.address, action, subject, detail.text, status)
    }

    /// Newest first.
    static func list(
        before id: Int64?, limit: Int, in transaction: Transaction
    ) throws -> [(id: Int64, value: JSONValue)] {
        try transaction.query(
            "SELECT * FROM console_audit WHERE id < ? ORDER BY id DESC LIMIT ?", id ?? .max, limit
        ).map { row in
            (
                try row.int64("id"),
                [
                    "id": .number(try row.int64("id")), "at": .time(try row.timestamp("at")),
                    "who": .string(try row.text("who")),
                    "address": .string(try row.text("address")),
                    "action": .string(try row.text("action")),
                    "subject": .string(try row.text("subject")),
                    "detail": try JSONValue(parsing: try row.text("detail")),
                    "status": .number(try row.int64("status")),
                ]
            )
        }
    }
}
