import Charging
import SQL

// What stations told of their security: the newest, so that a person sees them; all are in the message log.

/// One as the registry keeps it.
package struct StationSecurityEvent: Hashable, Sendable {
    /// One of `SecurityEvent.Kind`, or whatever the station calls it.
    package var type: String
    /// The station's time, repaired where it cannot be true.
    package var at: Timestamp
    package var receivedAt: Timestamp
    package var isAlarming: Bool
}

extension Stations {
    /// Kept of a station, of alarming ones and of others each: no flood of one sort hides the other.
    static let mostSecurityEvents = 25
    /// More of one sort than are kept, within this time, are a flood: they leave no line in the journal.
    static let securityFloodSeconds: Int64 = 3600

    /// Keeps an event; the same again changes nothing.
    ///
    /// - Returns: whether it belongs into the journal: it is new, and not one of a flood.
    func told(
        _ event: SecurityEvent, by station: String, receivedAt: Timestamp,
        in transaction: Transaction
    ) throws -> Bool {
        let isAlarming = SecurityEvent.Kind(rawValue: event.type)?.isAlarming ?? false
        let (at, _) = StationTime.repaired(event.at, receivedAt: receivedAt)
        let last = try transaction.queryOne(
            "SELECT MAX(number) AS n FROM station_security WHERE station = ? AND is_alarming = ?",
            station, isAlarming)
        let isNew = try transaction.execute(
            """
            INSERT INTO station_security (station, is_alarming, number, type, at, received_at)
            VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
            """, station, isAlarming, (last?.int64OrNil("n") ?? 0) + 1, event.type, at, receivedAt)
        guard isNew == 1 else { return false }
        let oldest = try transaction.queryOne(
            """
            SELECT number, received_at FROM station_security
            WHERE station = ? AND is_alarming = ? ORDER BY number DESC LIMIT 1 OFFSET ?
            """, station, isAlarming, Self.mostSecurityEvents)
        guard let oldest else { return true }
        try transaction.execute(
            """
            DELETE FROM station_security WHERE station = ? AND is_alarming = ? AND number <= ?
            """, station, isAlarming, oldest.int64("number"))
        let age = receivedAt.seconds(since: try oldest.timestamp("received_at"))
        return age >= Self.securityFloodSeconds
    }

    /// The newest first.
    package func securityEvents(
        of station: String, limit: Int = 10
    ) async throws -> [StationSecurityEvent] {
        try await database.read { transaction in
            try transaction.query(
                """
                SELECT * FROM station_security WHERE station = ?
                ORDER BY received_at DESC, number DESC LIMIT ?
                """, station, limit
            ).map { row in
                StationSecurityEvent(
                    type: try row.text("type"), at: try row.timestamp("at"),
                    receivedAt: try row.timestamp("received_at"),
                    isAlarming: try row.bool("is_alarming"))
            }
        }
    }
}
