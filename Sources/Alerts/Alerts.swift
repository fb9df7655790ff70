import CPO
import Charging
import SQL
import Service

/// Raises alerts from what the house's rows say, ends them by themselves, and keeps what every channel
/// still has to be told.
package final class Alerts: Sendable {
    /// Numbers 500 to 599. Times are milliseconds UTC.
    package static let migrations: [Migration] = [
        Migration(
            500, "alerts and who still has to be told",
            """
            CREATE TABLE alert (
                id {identity}, kind TEXT NOT NULL, subject TEXT NOT NULL, detail TEXT NOT NULL,
                raised_at BIGINT NOT NULL, ended_at BIGINT, acknowledged_by TEXT,
                acknowledged_at BIGINT);
            CREATE UNIQUE INDEX alert_open ON alert(kind, subject) WHERE ended_at IS NULL;
            CREATE INDEX alert_raised ON alert(raised_at);
            CREATE TABLE alert_message (
                alert BIGINT NOT NULL REFERENCES alert(id), channel TEXT NOT NULL,
                what TEXT NOT NULL, due_at BIGINT NOT NULL, tries BIGINT NOT NULL,
                last_error TEXT, PRIMARY KEY (alert, channel, what));
            CREATE INDEX alert_message_due ON alert_message(channel, due_at);
            """),
        Migration(
            501, "of how much an alert told, and when",
            """
            ALTER TABLE alert ADD COLUMN told_count BIGINT;
            ALTER TABLE alert ADD COLUMN told_at BIGINT;
            """),
    ]

    /// Open at once; a network that is down as a whole must not make a million rows.
    package static let mostOpen = 10_000
    /// One whose count grows is told anew, this often at most.
    package static let anewSeconds: Int64 = 3600
    /// Ended ones are kept this long for questions.
    package static let keptSeconds: Int64 = 90 * 86_400

    let house: ChargePointOperator
    let settings: AlertSettings
    /// Names of the channels that are told.
    let channels: [String]

    package init(
        house: ChargePointOperator, settings: AlertSettings, channels: [String]
    ) {
        self.house = house
        self.settings = settings
        self.channels = channels
    }

    /// Newest first.
    package func list(
        onlyOpen: Bool = false, before id: Int64? = nil, limit: Int = 200
    ) async throws -> [Alert] {
        try await house.read { transaction in
            try transaction.query(
                """
                SELECT * FROM alert WHERE id < ? \(onlyOpen ? "AND ended_at IS NULL" : "")
                ORDER BY id DESC LIMIT ?
                """, id ?? .max, limit
            ).map(Alert.init(row:))
        }
    }

    /// A person has seen it: nothing more about it is told. False when there is none of this number.
    package func acknowledge(
        _ id: Int64, by name: String, at: Timestamp, in transaction: Transaction
    ) throws -> Bool {
        guard try transaction.queryOne("SELECT id FROM alert WHERE id = ?", id) != nil else {
            return false
        }
        try transaction.execute(
            """
            UPDATE alert SET acknowledged_by = ?, acknowledged_at = ?
            WHERE id = ? AND acknowledged_at IS NULL
            """, name, at, id)
        try transaction.execute("DELETE FROM alert_message WHERE alert = ?", id)
        return true
    }

    /// Compares what is with what is told; to be called about once a minute.
    package func look(at now: Timestamp) async throws {
        let due = settings.quietHours?.release(at: now, in: settings.zone) ?? now
        try await house.write { transaction in
            let found = try self.conditions(at: now, in: transaction)
            let open = try transaction.query(
                "SELECT * FROM alert WHERE ended_at IS NULL ORDER BY id"
            ).map(Alert.init(row:))
            for alert in open where found[Condition.Key(alert)] == nil {
                try self.end(alert, at: now, due: due, in: transaction)
            }
            for alert in open {
                guard let condition = found[Condition.Key(alert)] else { continue }
                try self.renew(alert, condition, at: now, due: due, in: transaction)
            }
            let known = Set(open.map(Condition.Key.init))
            var room = Self.mostOpen - open.count
            for condition in found.values.sorted(by: { $0.key < $1.key })
            where !known.contains(condition.key) && room > 0 {
                try self.raise(condition, at: now, due: due, in: transaction)
                room -= 1
            }
            try transaction.execute(
                """
                DELETE FROM alert WHERE ended_at < ? AND NOT EXISTS
                (SELECT 1 FROM alert_message WHERE alert_message.alert = alert.id)
                """, now.advanced(bySeconds: -Self.keptSeconds))
        }
    }

    private func raise(
        _ condition: Condition, at now: Timestamp, due: Timestamp, in transaction: Transaction
    ) throws {
        let row = try transaction.queryOne(
            """
            INSERT INTO alert (kind, subject, detail, raised_at, told_count, told_at)
            VALUES (?, ?, ?, ?, ?, ?) RETURNING id
            """, condition.key.kind.rawValue, condition.key.subject, condition.detail, now,
            condition.count, now)
        guard let id = try row?.int64("id") else { return }
        log(condition)
        try tell(id, .raised, due: due, in: transaction)
    }

    /// Keeps the words of an open one true. Where there is more than was told, whoever took note of it
    /// took note of less: it is told anew.
    private func renew(
        _ alert: Alert, _ condition: Condition, at now: Timestamp, due: Timestamp,
        in transaction: Transaction
    ) throws {
        if alert.detail != condition.detail {
            try transaction.execute(
                "UPDATE alert SET detail = ? WHERE id = ?", condition.detail, alert.id)
        }
        let told = alert.toldCount ?? condition.count
        let isMore = condition.count > told
        let mayTell = now.seconds(since: alert.toldAt ?? alert.raisedAt) >= Self.anewSeconds
        guard condition.count != alert.toldCount, !isMore || mayTell else { return }
        try transaction.execute(
            "UPDATE alert SET told_count = ? WHERE id = ?", condition.count, alert.id)
        guard isMore else { return }
        try transaction.execute(
            """
            UPDATE alert SET told_at = ?, acknowledged_by = NULL, acknowledged_at = NULL
            WHERE id = ?
            """, now, alert.id)
        log(condition)
        // Whoever was not told of it yet is told of all of it at once.
        try tell(
            alert.id, .renewed, due: due, but: unheard(alert.id, in: transaction), in: transaction)
    }

    private func log(_ condition: Condition) {
        house.log.warning(
            "alert",
            [
                "kind": condition.key.kind.rawValue, "subject": condition.key.subject,
                "detail": condition.detail,
            ])
    }

    private func end(
        _ alert: Alert, at now: Timestamp, due: Timestamp, in transaction: Transaction
    ) throws {
        try transaction.execute("UPDATE alert SET ended_at = ? WHERE id = ?", now, alert.id)
        // Who has not heard of it need not hear that it is over; who only has not heard that it grew must.
        let unheard = try unheard(alert.id, in: transaction)
        try transaction.execute("DELETE FROM alert_message WHERE alert = ?", alert.id)
        guard alert.acknowledgedAt == nil, try !isOfNeverCame(alert, in: transaction) else {
            return
        }
        try tell(alert.id, .ended, due: due, but: unheard, in: transaction)
    }

    /// Of a station that never came an earlier version told as offline: it is not back, it is counted with
    /// the others that never came.
    private func isOfNeverCame(_ alert: Alert, in transaction: Transaction) throws -> Bool {
        guard alert.kind == .stationOffline else { return false }
        let row = try transaction.queryOne(
            "SELECT id FROM station WHERE id = ? AND link_changed_at IS NULL", alert.subject)
        return row != nil
    }

    /// The channels that were not told yet that there is such an alert.
    private func unheard(_ id: Int64, in transaction: Transaction) throws -> [String] {
        try transaction.query(
            "SELECT channel FROM alert_message WHERE alert = ? AND what = ?", id,
            AlertMessage.What.raised.rawValue
        ).map { try $0.text("channel") }
    }

    private func tell(
        _ id: Int64, _ what: AlertMessage.What, due: Timestamp, but unheard: [String] = [],
        in transaction: Transaction
    ) throws {
        for channel in channels where !unheard.contains(channel) {
            try transaction.execute(
                """
                INSERT INTO alert_message (alert, channel, what, due_at, tries)
                VALUES (?, ?, ?, ?, 0) ON CONFLICT (alert, channel, what) DO NOTHING
                """, id, channel, what.rawValue, due)
        }
    }
}
