import Charging
import SQL
import Service

extension ChargePointOperator {
    /// What charges for nothing now, and nobody may have meant it.
    package struct Unpriced: Hashable, Sendable {
        /// `LOCATION/EVSE` of plugs with a station behind them and no tariff that is valid.
        package var plugs: [String]
        /// `STATION/CONNECTOR` of accepted stations' plugs that stand in no location, 100 at most.
        package var homeless: [String]
    }

    private static let mostHomeless = 100
    private static let mostPlugsLookedAt = 10_000

    /// Plugs with a station behind them that have tariffs of which none is valid at `now`.
    package func plugs(withEndedTariffsAt now: Timestamp) -> [(name: String, tariffs: [String])] {
        locations.all().flatMap { location in
            location.evses.filter { $0.station != nil && $0.status != .removed }.compactMap {
                evse in
                let ended = evse.connectors.first {
                    !$0.tariffIDs.isEmpty && tariffs.applicable(to: $0, at: now) == nil
                }
                return ended.map { ("\(location.id)/\(evse.uid)", $0.tariffIDs) }
            }
        }
    }

    package func unpriced() async throws -> Unpriced {
        let now = clock.now
        let plugs = locations.all().flatMap { location in
            location.evses.filter { evse in
                evse.station != nil && evse.status != .removed
                    && evse.connectors.contains { tariffs.applicable(to: $0, at: now) == nil }
            }.map { "\(location.id)/\($0.uid)" }
        }
        let told = try await read { transaction in
            try transaction.query(
                """
                SELECT c.station, c.number FROM station_connector c JOIN station s ON s.id = c.station
                WHERE c.number > 0 AND s.registration = ? ORDER BY c.station, c.number
                """, RegistrationStatus.accepted.rawValue
            ).map { (try $0.text("station"), Int(try $0.int64("number"))) }
        }
        let homeless = told.lazy.filter { station, number in
            self.locations.place(station: station, connector: number) == nil
        }.prefix(Self.mostHomeless).map { "\($0)/\($1)" }
        return Unpriced(plugs: plugs, homeless: Array(homeless))
    }

    /// `STATION/CONNECTOR` of accepted stations' plugs that stand in no location and had a charge that
    /// began since, 100 at most: nobody pays for those.
    package func homelessPlugs(
        withChargesSince since: Timestamp, in transaction: Transaction
    ) throws -> [String] {
        // A charge without a place has its station's id for one.
        try transaction.query(
            """
            SELECT DISTINCT c.station, c.connector FROM session c JOIN station s ON s.id = c.station
            WHERE c.started_at >= ? AND c.location = c.station AND s.registration = ?
            ORDER BY c.station, c.connector LIMIT ?
            """, since, RegistrationStatus.accepted.rawValue, Self.mostPlugsLookedAt
        ).map { (try $0.text("station"), try $0.int("connector")) }
            .lazy.filter { self.locations.place(station: $0, connector: $1) == nil }
            .prefix(Self.mostHomeless).map { "\($0)/\($1)" }
    }
}
