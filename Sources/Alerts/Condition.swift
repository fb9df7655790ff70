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
    /// Of what there can be more and more, how much there is: when it grows it is told anew.
    var count: Int64 = 1
}

extension Alerts {
    func conditions(
        at now: Timestamp, in transaction: Transaction
    ) throws -> [Condition.Key: Condition] {
        let found =
            try stations(at: now, in: transaction) + neverCame(at: now, in: transaction)
            + waiting(in: transaction) + replaced(at: now, in: transaction)
            + security(at: now, in: transaction)
            + withoutPrice(at: now) + withoutPlace(at: now, in: transaction)
            + money(at: now, in: transaction)
            + deliveries(at: now, in: transaction) + campaigns(in: transaction)
        return Dictionary(found.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
    }

    // One row more than may be open, so that a look is bounded too.
    private static let most = mostOpen

    private func stations(at now: Timestamp, in transaction: Transaction) throws -> [Condition] {
        let offline = try transaction.query(
            """
            SELECT id, link_changed_at FROM station WHERE is_online = 0
            AND registration = ? AND link_changed_at <= ? ORDER BY id LIMIT ?
            """, RegistrationStatus.accepted.rawValue,
            now.advanced(bySeconds: -settings.offlineSeconds), Self.most
        ).map { row in
            Condition(
                key: Condition.Key(.stationOffline, try row.text("id")),
                detail: "no connection since \(try row.timestamp("link_changed_at"))")
        }
        // Faulted by its last word: a line that comes and goes mends nothing.
        let faulted = try transaction.query(
            """
            SELECT c.station, c.number, c.error_code, COALESCE(c.since, c.at) AS since
            FROM station_connector c JOIN station s ON s.id = c.station
            WHERE c.status = ? AND COALESCE(c.since, c.at) <= ? AND s.registration = ?
            ORDER BY c.station, c.number LIMIT ?
            """, ConnectorStatus.faulted.rawValue,
            now.advanced(bySeconds: -settings.faultedSeconds),
            RegistrationStatus.accepted.rawValue, Self.most
        ).map { row in
            Condition(
                key: Condition.Key(
                    .connectorFaulted, "\(try row.text("station"))/\(try row.int64("number"))"),
                detail: "\(try row.text("error_code")) since \(try row.timestamp("since"))")
        }
        return offline + faulted
    }

    private func waiting(in transaction: Transaction) throws -> [Condition] {
        try transaction.query(
            """
            SELECT id, waits_since FROM station
            WHERE waits_since IS NOT NULL AND registration = ? ORDER BY id LIMIT ?
            """, RegistrationStatus.pending.rawValue, Self.most
        ).map { row in
            Condition(
                key: Condition.Key(.stationWaits, try row.text("id")),
                detail:
                    "since \(try row.timestamp("waits_since")) it serves nobody; take it in on the "
                    + "station's page if it is the one that stands there")
        }
    }

    private func withoutPrice(at now: Timestamp) -> [Condition] {
        house.plugs(withEndedTariffsAt: now).prefix(Self.most).map { plug in
            Condition(
                key: Condition.Key(.tariffEnded, plug.name),
                detail: "none of its tariffs is valid (\(plug.tariffs.joined(separator: ", "))): "
                    + "charging there costs nothing")
        }
    }

    private func withoutPlace(at now: Timestamp, in transaction: Transaction) throws -> [Condition]
    {
        let plugs = try house.homelessPlugs(
            withChargesSince: now.advanced(bySeconds: -Self.homelessSeconds), in: transaction)
        guard let first = plugs.first else { return [] }
        return [
            Condition(
                key: Condition.Key(.chargesForNothing, "registry"),
                detail:
                    "plugs that charged within a day and stand in no location: \(plugs.count), the "
                    + "first is \(first); give them a place and a tariff (PUT /locations/ID), and correct "
                    + "the bills", count: Int64(plugs.count))
        ]
    }

    private static let homelessSeconds: Int64 = 86_400

    /// For a week: whoever exchanged it knows, and two by one id tell of themselves again.
    private func replaced(at now: Timestamp, in transaction: Transaction) throws -> [Condition] {
        try transaction.query(
            """
            SELECT id, vendor, model, serial, former_identity, replaced_at, replaced_times
            FROM station WHERE replaced_at > ? AND registration = ? ORDER BY id LIMIT ?
            """, now.advanced(bySeconds: -Self.newsSeconds),
            RegistrationStatus.accepted.rawValue, Self.most
        ).map { row in
            let times = try row.int64("replaced_times")
            let serial = try row.textOrNil("serial").map { ", serial \($0)" } ?? ", no serial"
            return Condition(
                key: Condition.Key(.stationReplaced, try row.text("id")),
                detail: "\(try row.text("vendor")) \(try row.text("model"))\(serial), was "
                    + "\(try row.text("former_identity")) until \(try row.timestamp("replaced_at")); "
                    + "changes so far: \(times)", count: times)
        }
    }

    /// For a week: whoever looked knows, and the next one tells of itself.
    private func security(at now: Timestamp, in transaction: Transaction) throws -> [Condition] {
        try transaction.query(
            """
            SELECT e.station, e.type, e.at, e.number FROM station_security e
            JOIN station s ON s.id = e.station
            WHERE e.is_alarming = 1 AND e.received_at > ? AND s.registration = ?
            AND e.number = (SELECT MAX(n.number) FROM station_security n
                WHERE n.station = e.station AND n.is_alarming = 1)
            ORDER BY e.station LIMIT ?
            """, now.advanced(bySeconds: -Self.newsSeconds), RegistrationStatus.accepted.rawValue,
            Self.most
        ).map { row in
            let number = try row.int64("number")
            return Condition(
                key: Condition.Key(.stationSecurity, try row.text("station")),
                detail:
                    "\(try row.text("type")) at \(try row.timestamp("at")); such events so far: "
                    + "\(number)", count: number)
        }
    }

    /// What happened once, and does not end by itself, is told of for so long.
    private static let newsSeconds: Int64 = 7 * 86_400

    private func neverCame(at now: Timestamp, in transaction: Transaction) throws -> [Condition] {
        let which = "registration = ? AND link_changed_at IS NULL AND created_at <= ?"
        let (accepted, before) = (
            RegistrationStatus.accepted.rawValue, now.advanced(bySeconds: -settings.offlineSeconds)
        )
        let count =
            try transaction.queryOne(
                "SELECT COUNT(*) AS n FROM station WHERE \(which)", accepted, before
            )?.int64("n") ?? 0
        guard
            let first = try transaction.queryOne(
                "SELECT id, created_at FROM station WHERE \(which) ORDER BY created_at, id LIMIT 1",
                accepted, before)
        else { return [] }
        return [
            Condition(
                key: Condition.Key(.stationsNeverCame, "registry"),
                detail: "\(count) since registered, the first is \(try first.text("id")) of "
                    + "\(try first.timestamp("created_at"))", count: count)
        ]
    }

    private func money(at now: Timestamp, in transaction: Transaction) throws -> [Condition] {
        try transaction.query(
            """
            SELECT station, COUNT(*) AS n, MIN(at) AS first FROM suspicion
            WHERE state = 'open' AND at <= ? GROUP BY station ORDER BY station LIMIT ?
            """, now.advanced(bySeconds: -settings.moneySeconds), Self.most
        ).map { row in
            let count = try row.int64("n")
            return Condition(
                key: Condition.Key(.moneyWaits, try row.text("station")),
                detail: "\(count) in the review list, the first since "
                    + "\(try row.timestamp("first"))", count: count)
        }
    }

    private func deliveries(at now: Timestamp, in transaction: Transaction) throws -> [Condition] {
        let stuck = try house.deliveries.counts(in: transaction).map { one in
            Condition(
                key: Condition.Key(.deliveryStuck, one.reader),
                detail: partner(one.reader) + "\(one.count) set aside, the first at \(one.since)",
                count: one.count)
        }
        let late = try house.deliveries.late(
            before: now.advanced(bySeconds: -settings.deliverySeconds), in: transaction
        ).map { one in
            Condition(
                key: Condition.Key(.billsWait, one.reader),
                detail: partner(one.reader) + "the first waits since \(one.since)")
        }
        return stuck + late
    }

    private func partner(_ reader: String) -> String {
        house.deliveries.partner(of: reader).map { "\($0): " } ?? ""
    }

    private func campaigns(in transaction: Transaction) throws -> [Condition] {
        // A person who paused it knows.
        try transaction.query(
            """
            SELECT id, plan, reason FROM campaign WHERE state = 'paused' AND reason <> ?
            ORDER BY id LIMIT ?
            """, CampaignMachine.byHand, Self.most
        ).map { row in
            let name = try CampaignPlan(storedText: row.text("plan")).name
            return Condition(
                key: Condition.Key(.campaignPaused, try row.text("id")),
                detail: "\(name): \(try row.text("reason"))")
        }
    }
}
