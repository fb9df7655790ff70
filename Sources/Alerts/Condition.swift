import CPO
import Charging
import SQL

/// What is wrong now, by the rows.
struct Condition: Hashable, Sendable {
    struct Key: Hashable, Comparable, Sendable {
        var kind: Alert.Kind
        var subject: String

        init(_ kind: Alert.Kind, _ subject: String) {
            self.kind = kind
            self.subject = subject
        }

        init(_ alert: Alert) { self.init(alert.kind, alert.subject) }

        static func < (a: Self, b: Self) -> Bool {
            (a.kind.rawValue, a.subject) < (b.kind.rawValue, b.subject)
        }
    }

    var key: Key
    var detail: String
}

extension Alerts {
    func conditions(
        at now: Timestamp, in transaction: Transaction
    ) throws -> [Condition.Key: Condition] {
        var found: [Condition.Key: Condition] = [:]
        func note(_ kind: Alert.Kind, _ subject: String, _ detail: String) {
            let key = Condition.Key(kind, subject)
            found[key] = Condition(key: key, detail: detail)
        }
        // One row more than may be open, so that a look is bounded too.
        let most = Self.mostOpen
        for row in try transaction.query(
            """
            SELECT id, link_changed_at FROM station WHERE is_online = 0 AND registration = ?
            AND link_changed_at <= ? ORDER BY id LIMIT ?
            """, RegistrationStatus.accepted.rawValue,
            now.advanced(bySeconds: -settings.offlineSeconds), most)
        {
            note(
                .stationOffline, try row.text("id"),
                "no connection since \(try row.timestamp("link_changed_at"))")
        }
        for row in try transaction.query(
            """
            SELECT c.station, c.number, c.error_code, c.at FROM station_connector c
            JOIN station s ON s.id = c.station WHERE c.status = ? AND c.at <= ?
            AND s.is_online = 1 AND s.registration = ? ORDER BY c.station, c.number LIMIT ?
            """, ConnectorStatus.faulted.rawValue,
            now.advanced(bySeconds: -settings.faultedSeconds),
            RegistrationStatus.accepted.rawValue, most)
        {
            note(
                .connectorFaulted, "\(try row.text("station"))/\(try row.int64("number"))",
                "\(try row.text("error_code")) since \(try row.timestamp("at"))")
        }
        for row in try transaction.query(
            """
            SELECT station, COUNT(*) AS n, MIN(at) AS first FROM suspicion
            WHERE state = 'open' AND at <= ? GROUP BY station ORDER BY station LIMIT ?
            """, now.advanced(bySeconds: -settings.moneySeconds), most)
        {
            note(
                .moneyWaits, try row.text("station"),
                "\(try row.int64("n")) in the review list, the first since "
                    + "\(try row.timestamp("first"))")
        }
        for row in try transaction.query(
            """
            SELECT reader, COUNT(*) AS n, MIN(at) AS first FROM journal_parked
            GROUP BY reader ORDER BY reader LIMIT ?
            """, most)
        {
            note(
                .deliveryStuck, try row.text("reader"),
                "\(try row.int64("n")) lines set aside, the first at \(try row.timestamp("first"))")
        }
        // A person who paused it knows.
        for row in try transaction.query(
            """
            SELECT id, plan, reason FROM campaign WHERE state = 'paused' AND reason <> ?
            ORDER BY id LIMIT ?
            """, CampaignMachine.byHand, most)
        {
            note(
                .campaignPaused, try row.text("id"),
                "\(try CampaignPlan(storedText: row.text("plan")).name): \(try row.text("reason"))")
        }
        return found
    }
}
