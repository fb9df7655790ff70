import CPO
import Charging
import SQL

/// One exchange with a station, as the operator reads it.
package struct LoggedMessage: Hashable, Sendable {
    package var id: Int64
    package var station: String
    package var at: Timestamp
    /// True when the station began.
    package var isInbound: Bool
    /// Empty when the message was no CALL.
    package var action: String
    package var messageID: String
    /// The frames as they were on the wire, secrets masked, long ones cut.
    package var request: String
    package var answer: String?
    package var tookMilliseconds: Int64?
    /// Why something was odd or failed.
    package var note: String?
}

/// How often a station departs from the specification in one way.
package struct DeviationCount: Hashable, Sendable {
    package var kind: String
    package var times: Int64
    package var firstAt: Timestamp
    package var lastAt: Timestamp
}

/// A handshake that was turned away.
package struct RefusedHandshake: Hashable, Sendable {
    package var station: String
    package var reason: String
    package var address: String
    package var times: Int64
    package var firstAt: Timestamp
    package var lastAt: Timestamp
}

extension MessageLog {
    func messages(station: String?, before id: Int64?, limit: Int) async throws -> [LoggedMessage] {
        try await house.read { transaction in
            try transaction.query(
                """
                SELECT * FROM csms_message WHERE (? IS NULL OR station = ?) AND id < ?
                ORDER BY id DESC LIMIT ?
                """, station, station, id ?? .max, min(max(1, limit), 1000)
            ).map { row in
                LoggedMessage(
                    id: try row.int64("id"), station: try row.text("station"),
                    at: try row.timestamp("at"), isInbound: try row.bool("is_inbound"),
                    action: try row.text("action"), messageID: try row.text("message_id"),
                    request: try row.text("request"), answer: try row.textOrNil("answer"),
                    tookMilliseconds: try row.int64OrNil("took_ms"),
                    note: try row.textOrNil("note"))
            }
        }
    }

    func deviations(of station: String) async throws -> [DeviationCount] {
        try await house.read { transaction in
            try transaction.query(
                "SELECT * FROM csms_deviation WHERE station = ? ORDER BY times DESC", station
            ).map { row in
                DeviationCount(
                    kind: try row.text("kind"), times: try row.int64("times"),
                    firstAt: try row.timestamp("first_at"), lastAt: try row.timestamp("last_at"))
            }
        }
    }

    func refusals() async throws -> [RefusedHandshake] {
        try await house.read { transaction in
            try transaction.query("SELECT * FROM csms_refusal ORDER BY last_at DESC LIMIT 500")
                .map { row in
                    RefusedHandshake(
                        station: try row.text("folded"), reason: try row.text("reason"),
                        address: try row.text("address"), times: try row.int64("times"),
                        firstAt: try row.timestamp("first_at"),
                        lastAt: try row.timestamp("last_at"))
                }
        }
    }
}
