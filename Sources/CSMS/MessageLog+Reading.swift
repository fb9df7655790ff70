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

/// Which exchanges are looked for; nil asks for all.
package struct MessageFilter: Hashable, Sendable {
    package var station: String?
    package var action: String?
    /// Somewhere in the frames or the note, ignoring case.
    package var text: String?
    /// From inclusive, until exclusive.
    package var from: Timestamp?
    package var until: Timestamp?

    package init(
        station: String? = nil, action: String? = nil, text: String? = nil, from: Timestamp? = nil,
        until: Timestamp? = nil
    ) {
        self.station = station
        self.action = action
        self.text = text
        self.from = from
        self.until = until
    }
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
    func messages(
        _ filter: MessageFilter, before id: Int64?, limit: Int
    ) async throws -> [LoggedMessage] {
        var conditions = ["id < ?"]
        var arguments: [SQLValue] = [.integer(id ?? .max)]
        func require(_ condition: String, _ values: SQLValue...) {
            conditions.append(condition)
            arguments += values
        }
        if let station = filter.station { require("station = ?", .text(station)) }
        if let action = filter.action { require("LOWER(action) = ?", .text(action.lowercased())) }
        if let from = filter.from { require("at >= ?", .integer(from.milliseconds)) }
        if let until = filter.until { require("at < ?", .integer(until.milliseconds)) }
        if let text = filter.text {
            let pattern = SQLValue.text(Self.pattern(text))
            require(
                """
                (LOWER(request) LIKE ? ESCAPE '!' OR LOWER(COALESCE(answer, '')) LIKE ? ESCAPE '!'
                OR LOWER(COALESCE(note, '')) LIKE ? ESCAPE '!')
                """, pattern, pattern, pattern)
        }
        let condition = conditions.joined(separator: " AND ")
        let found = arguments + [.integer(Int64(min(max(1, limit), 1000)))]
        return try await house.read { transaction in
            try transaction.query(
                "SELECT * FROM csms_message WHERE \(condition) ORDER BY id DESC LIMIT ?",
                list: found
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

    /// What contains this text, ignoring case; its own `%` and `_` mean themselves.
    private static func pattern(_ text: String) -> String {
        var escaped = "%"
        for character in text.lowercased() {
            if "!%_".contains(character) { escaped.append("!") }
            escaped.append(character)
        }
        return escaped + "%"
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
