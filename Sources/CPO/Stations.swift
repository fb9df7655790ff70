import Charging
import JSON
import SQL
import Service

/// The registry: who is known, what it says of itself, whether its line is up, what its plugs do.
package final class Stations: Sendable {
    /// Connectors of one station; absurd numbers are clamped away. Quirk list, NumberOfConnectors.
    package static let mostConnectors = 64

    let database: Database
    private let journal: Journal
    private let news: HouseNews
    private let locations: Locations
    private let settings: OperatorSettings
    private let removals = Lock([@Sendable (String, Transaction) throws -> Void]())

    init(
        database: Database, journal: Journal, news: HouseNews, locations: Locations,
        settings: OperatorSettings
    ) {
        self.database = database
        self.journal = journal
        self.news = news
        self.locations = locations
        self.settings = settings
    }

    // MARK: Reading

    package func station(_ id: String) async throws -> StationRecord? {
        try await database.read { try self.station(id, in: $0) }
    }

    /// By id, ignoring case: the registry's spelling wins.
    package func station(_ id: String, in transaction: Transaction) throws -> StationRecord? {
        guard
            let row = try transaction.queryOne(
                "SELECT * FROM station WHERE folded = ?", id.lowercased())
        else { return nil }
        var station = try StationRecord(row: row)
        station.connectors = try transaction.query(
            "SELECT * FROM station_connector WHERE station = ? ORDER BY number", station.id
        ).map(StationRecord.Connector.init(row:))
        return station
    }

    /// By id, in pages.
    package func list(after id: String = "", limit: Int = 200) async throws -> [StationRecord] {
        try await database.read { transaction in
            var stations = try transaction.query(
                "SELECT * FROM station WHERE folded > ? ORDER BY folded LIMIT ?", id.lowercased(),
                limit
            ).map(StationRecord.init(row:))
            for index in stations.indices {
                stations[index].connectors = try transaction.query(
                    "SELECT * FROM station_connector WHERE station = ? ORDER BY number",
                    stations[index].id
                ).map(StationRecord.Connector.init(row:))
            }
            return stations
        }
    }

    // MARK: Registration

    /// What becomes of a station that knocks: its record, made here where the policy adopts it or
    /// lists it; nil where it is refused.
    package func admit(_ id: String, at: Timestamp, in transaction: Transaction) throws
        -> StationRecord?
    {
        if let known = try station(id, in: transaction) {
            return known.registration == .rejected ? nil : known
        }
        switch settings.unknownStations {
        case .refuse: return nil
        case .inbox: return try register(id, .pending, at: at, in: transaction)
        case .adopt: return try register(id, .accepted, at: at, in: transaction)
        }
    }

    /// Whether the station stands in the inbox: it came by itself and nobody took it in yet.
    func isWaiting(_ id: String, in transaction: Transaction) throws -> Bool {
        try transaction.queryOne(
            "SELECT 1 AS waiting FROM station WHERE id = ? AND registration = ?", id,
            RegistrationStatus.pending.rawValue) != nil
    }

    /// Makes a station known, or changes how it is registered.
    @discardableResult
    package func register(
        _ id: String, _ registration: RegistrationStatus, at: Timestamp,
        in transaction: Transaction
    ) throws -> StationRecord {
        if var known = try station(id, in: transaction) {
            guard known.registration != registration else { return known }
            let waitsSince = registration == .pending && known.registration == .accepted ? at : nil
            try transaction.execute(
                "UPDATE station SET registration = ?, waits_since = ? WHERE id = ?",
                registration.rawValue, waitsSince, known.id)
            known.registration = registration
            news.note(.station(known.id))
            try journal.append(
                .stationChanged, known.id, ["registration": .string(registration.rawValue)],
                at: at, in: transaction)
            return known
        }
        try transaction.execute(
            """
            INSERT INTO station (id, folded, registration, is_online, link_epoch, created_at)
            VALUES (?, ?, ?, 0, 0, ?)
            """, id, id.lowercased(), registration.rawValue, at)
        try journal.append(
            .stationAdded, id, ["registration": .string(registration.rawValue)], at: at,
            in: transaction)
        return StationRecord(id: id, registration: registration, createdAt: at)
    }

    /// Has what a door keeps of a station go with it, in the same transaction.
    package func onRemoval(_ forget: @escaping @Sendable (String, Transaction) throws -> Void) {
        removals.withLock { $0.append(forget) }
    }

    /// Takes a station out of the registry. Its sessions and bills stay.
    package func remove(_ id: String, at: Timestamp, in transaction: Transaction) throws -> Bool {
        guard let known = try station(id, in: transaction) else { return false }
        for table in ["station_connector", "station_security", "shown_tag", "cache_clear"] {
            try transaction.execute("DELETE FROM \(table) WHERE station = ?", known.id)
        }
        try transaction.execute("DELETE FROM station WHERE id = ?", known.id)
        news.note(.station(known.id))
        for forget in removals.withLock({ $0 }) { try forget(known.id, transaction) }
        for place in locations.places(station: known.id) {
            // As the plug before left it: two may stand in one location.
            guard var location = locations.location(place.location.id) else { continue }
            for index in location.evses.indices where location.evses[index].uid == place.evse.uid {
                location.evses[index].station = nil
                location.evses[index].stationConnector = nil
            }
            try locations.put(location, at: at, in: transaction)
        }
        try journal.append(
            .stationChanged, known.id, ["removed": true], at: at, in: transaction)
        return true
    }

    // MARK: The line

    /// A new authenticated socket: newest wins.
    ///
    /// - Returns: its epoch; every later call about this socket carries it.
    package func attached(
        _ id: String, subprotocol: String, at: Timestamp, in transaction: Transaction
    ) throws -> Int64 {
        let row = try transaction.queryOne(
            """
            UPDATE station SET is_online = 1, link_epoch = link_epoch + 1, subprotocol = ?,
            link_changed_at = ? WHERE id = ? RETURNING link_epoch
            """, subprotocol, at, id)
        guard let epoch = try row?.int64("link_epoch") else { throw StationError.unknown }
        try linkMoved(id, isOnline: true, at: at, in: transaction)
        return epoch
    }

    /// A socket's end. A late end of an old one does nothing: false.
    @discardableResult
    package func detached(
        _ id: String, epoch: Int64, at: Timestamp, in transaction: Transaction
    ) throws -> Bool {
        let count = try transaction.execute(
            """
            UPDATE station SET is_online = 0, link_changed_at = ?
            WHERE id = ? AND link_epoch = ? AND is_online = 1
            """, at, id, epoch)
        guard count == 1 else { return false }
        try linkMoved(id, isOnline: false, at: at, in: transaction)
        return true
    }

    /// At the server's start no socket is open, whatever the rows say.
    package func allDetached(at: Timestamp, in transaction: Transaction) throws {
        for row in try transaction.query("SELECT id, link_epoch FROM station WHERE is_online = 1") {
            try detached(
                row.text("id"), epoch: row.int64("link_epoch"), at: at, in: transaction)
        }
    }

    private func linkMoved(
        _ id: String, isOnline: Bool, at: Timestamp, in transaction: Transaction
    ) throws {
        news.note(.station(id))
        try journal.append(
            .stationLink, id, ["online": .bool(isOnline)], at: at, in: transaction)
        guard let station = try station(id, in: transaction) else { return }
        for place in locations.places(station: id) {
            guard let number = place.evse.stationConnector else { continue }
            try locations.setStatus(
                evseStatus(of: station, connector: number), station: id, connector: number,
                at: at, in: transaction)
        }
    }

    // MARK: What stations report

    /// A boot: answered from the registration; rows only change where the station differs.
    func booted(
        _ id: String, _ identity: StationIdentity, at: Timestamp, in transaction: Transaction
    ) throws -> StationReply {
        guard let known = try station(id, in: transaction) else { throw StationError.unknown }
        if known.identity != identity {
            let former = try replaced(known, by: identity, at: at, in: transaction)
            try journal.append(
                .stationChanged, id,
                .members([
                    "vendor": .string(identity.vendor), "model": .string(identity.model),
                    "firmware": .text(identity.firmware), "former": .text(former),
                ]), at: at, in: transaction)
        }
        try transaction.execute(
            """
            UPDATE station SET vendor = ?, model = ?, serial = ?, firmware = ?, meter_type = ?,
            meter_serial = ?, booted_at = ? WHERE id = ?
            """, identity.vendor, identity.model, identity.serial, identity.firmware,
            identity.meterType, identity.meterSerial, at, id)
        return .booted(
            known.registration, intervalSeconds: settings.heartbeatIntervalSeconds, now: at)
    }

    /// Remembers that another device came by a station's id.
    ///
    /// - Returns: what the one before said it was; nil where it is the same device. Of several behind one
    ///   id each may boot.
    private func replaced(
        _ known: StationRecord, by identity: StationIdentity, at: Timestamp,
        in transaction: Transaction
    ) throws -> String? {
        guard let former = known.identity, identity.isAnother(than: former),
            settings.corrections.first(for: identity)?.isCluster != true
        else { return nil }
        try transaction.execute(
            """
            UPDATE station SET former_identity = ?, replaced_at = ?,
            replaced_times = COALESCE(replaced_times, 0) + 1 WHERE id = ?
            """, former.words, at, known.id)
        return former.words
    }

    /// Stores a status; the current one only moves forward by the station's time. One that is told again
    /// is the same since its first time, whatever error it names by now.
    ///
    /// - Returns: false for one that was told before.
    func reported(
        _ report: StatusReport, at moment: Timestamp, from id: String, receivedAt: Timestamp,
        in transaction: Transaction
    ) throws -> Bool {
        let isNew = try transaction.execute(
            """
            INSERT INTO status_change (station, connector, at, status, error_code, received_at)
            VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
            """, id, report.connector, moment, report.status.rawValue, report.errorCode, receivedAt)
        guard (0...Self.mostConnectors).contains(report.connector) else { return isNew == 1 }
        // Of one second the last told is current: most stations stamp whole seconds, and one may come
        // back to a status within it.
        let moved = try transaction.execute(
            """
            INSERT INTO station_connector
            (station, number, status, error_code, info, vendor_error_code, at, since)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (station, number) DO UPDATE SET
            since = CASE WHEN excluded.status = station_connector.status
            THEN COALESCE(station_connector.since, station_connector.at) ELSE excluded.since END,
            status = excluded.status, error_code = excluded.error_code, info = excluded.info,
            vendor_error_code = excluded.vendor_error_code, at = excluded.at
            WHERE excluded.at > station_connector.at OR (excluded.at = station_connector.at
            AND (excluded.status <> station_connector.status
            OR excluded.error_code <> station_connector.error_code))
            """, id, report.connector, report.status.rawValue, report.errorCode, report.info,
            report.vendorErrorCode, moment, min(moment, receivedAt))
        guard moved == 1 else { return isNew == 1 }
        try adopt(id, report.connector, at: receivedAt, in: transaction)
        try journal.append(
            .connectorStatus, "\(id)/\(report.connector)",
            [
                "status": .string(report.status.rawValue), "error": .string(report.errorCode),
                "at": .time(moment),
            ], at: receivedAt, in: transaction)
        if let station = try station(id, in: transaction) {
            let numbers =
                report.connector == 0
                ? locations.places(station: id).compactMap(\.evse.stationConnector)
                : [report.connector]
            for number in numbers {
                try locations.setStatus(
                    evseStatus(of: station, connector: number), station: id,
                    connector: number, at: receivedAt, in: transaction)
            }
        }
        return true
    }

    /// Gives a plug its place where unknown stations are adopted with all they have.
    func adopt(
        _ id: String, _ connector: ConnectorNumber, at: Timestamp, in transaction: Transaction
    ) throws {
        guard settings.unknownStations == .adopt, let location = settings.adoptionLocation,
            (1...Self.mostConnectors).contains(connector)
        else { return }
        try locations.adopt(
            station: id, connector: connector, into: location, at: at, in: transaction)
    }

    /// What partners are told of a plug. OCPI 2.2.1 §8.4.22.
    func evseStatus(of station: StationRecord, connector number: ConnectorNumber) -> EVSEStatus {
        guard station.isOnline else { return .unknown }
        // In a cluster it is the master's own state, and the satellites go on without it.
        let isCluster = settings.corrections.first(for: station.identity)?.isCluster ?? false
        let whole = isCluster ? nil : station.connectors.first { $0.number == 0 }
        if whole?.status == .faulted { return .outOfOrder }
        guard let connector = station.connectors.first(where: { $0.number == number }) else {
            return .unknown
        }
        if whole?.status == .unavailable { return .inoperative }
        return switch connector.status {
        case .available: .available
        case .preparing, .charging, .suspendedEV, .suspendedEVSE, .finishing: .charging
        case .reserved: .reserved
        case .unavailable: .inoperative
        case .faulted: .outOfOrder
        }
    }
}
