import Charging
import JSON
import SQL
import Service

/// Where the chargers stand: places, EVSEs and plugs with their OCPI and eMI3 ids, tied to stations.
///
/// All of it is kept in memory as well; changes go through a transaction. Ids are compared ignoring
/// case.
package final class Locations: Remembering {
    /// One EVSE with its surroundings.
    package struct Place: Hashable, Sendable {
        package var location: Location
        package var evse: EVSE

        /// The location with this EVSE alone: what a session seals.
        package var sealed: Location {
            var copy = location
            copy.evses = [evse]
            return copy
        }
    }

    /// Where an EVSE is found in memory.
    private struct Spot: Hashable {
        var location: String
        var index: Int
    }

    private struct Tie: Hashable {
        var station: String
        var connector: ConnectorNumber
    }

    private struct State {
        var byID: [String: Location] = [:]
        var spots: [String: Spot] = [:]
        var ties: [Tie: Spot] = [:]
        var isTrusted = false
        var version = 0

        mutating func put(_ location: Location) {
            version += 1
            let key = location.id.lowercased()
            remove(key)
            byID[key] = location
            for (index, evse) in location.evses.enumerated() {
                let spot = Spot(location: key, index: index)
                spots[evse.uid.lowercased()] = spot
                if let station = evse.station, let connector = evse.stationConnector {
                    ties[Tie(station: station.lowercased(), connector: connector)] = spot
                }
            }
        }

        mutating func remove(_ key: String) {
            guard let old = byID.removeValue(forKey: key) else { return }
            for evse in old.evses {
                spots[evse.uid.lowercased()] = nil
                guard let station = evse.station, let connector = evse.stationConnector else {
                    continue
                }
                let tie = Tie(station: station.lowercased(), connector: connector)
                // A plug that moved is another location's by now.
                if ties[tie]?.location == key { ties[tie] = nil }
            }
        }

        func place(_ spot: Spot?) -> Place? {
            guard let spot, let location = byID[spot.location] else { return nil }
            return Place(location: location, evse: location.evses[spot.index])
        }
    }

    private let database: Database
    private let journal: Journal
    private let state = Lock(State())
    /// What a station's plug shows now, for a place that is put on it later.
    typealias StatusOf = @Sendable (String, ConnectorNumber, Transaction) throws -> EVSEStatus
    private let statusOf = Lock<StatusOf?>(nil)

    init(database: Database, journal: Journal) {
        self.database = database
        self.journal = journal
    }

    // MARK: Reading

    /// Every location, ordered by id; those that are not published as well.
    package func all() -> [Location] {
        state.withLock { $0.byID.values.sorted { $0.id < $1.id } }
    }

    package func location(_ id: String) -> Location? {
        state.withLock { $0.byID[id.lowercased()] }
    }

    package func evse(_ uid: String) -> Place? {
        state.withLock { $0.place($0.spots[uid.lowercased()]) }
    }

    /// By eMI3 id, with or without its separators.
    package func evse(evseID: String) -> Place? {
        func folded(_ text: String) -> String {
            text.lowercased().filter { $0 != "*" && $0 != "-" }
        }
        let wanted = folded(evseID)
        return state.withLock { state in
            for location in state.byID.values {
                for evse in location.evses where evse.evseID.map(folded) == wanted {
                    return Place(location: location, evse: evse)
                }
            }
            return nil
        }
    }

    /// `LOCATION/EVSE` of every plug whose list of tariffs has this one, in order.
    package func plugs(soldUnder tariff: String) -> [String] {
        let wanted = tariff.lowercased()
        return all().flatMap { location in
            location.evses.filter { evse in
                evse.status != .removed
                    && evse.connectors.contains { connector in
                        connector.tariffIDs.contains { $0.lowercased() == wanted }
                    }
            }.map { "\(location.id)/\($0.uid)" }
        }
    }

    package func place(station: String, connector: ConnectorNumber) -> Place? {
        state.withLock {
            $0.place($0.ties[Tie(station: station.lowercased(), connector: connector)])
        }
    }

    /// The EVSEs behind a station, by connector number.
    package func places(station: String) -> [Place] {
        let station = station.lowercased()
        return state.withLock { state in
            state.ties.filter { $0.key.station == station }
                .sorted { $0.key.connector < $1.key.connector }
                .compactMap { state.place($0.value) }
        }
    }

    // MARK: Changing

    /// Puts a location as it shall be. EVSEs that are gone from it stay as REMOVED; statuses are the
    /// house's own and kept. `lastUpdated` moves where something changed and in what holds it, and
    /// nowhere else.
    ///
    /// - Returns: false when nothing differs.
    @discardableResult
    package func put(_ new: Location, at: Timestamp, in transaction: Transaction) throws -> Bool {
        try ensure(in: transaction)
        guard let merged = try change(to: new, at: at) else { return false }
        try store(merged, in: transaction)
        try journal.append(.locationChanged, merged.id, at: at, in: transaction)
        try takeStatuses(of: merged, at: at, in: transaction)
        return true
    }

    func onNewPlace(_ statusOf: @escaping StatusOf) { self.statusOf.withLock { $0 = statusOf } }

    /// A plug told its status before it had this place, and does not tell it again.
    private func takeStatuses(
        of location: Location, at: Timestamp, in transaction: Transaction
    ) throws {
        guard let statusOf = statusOf.withLock({ $0 }) else { return }
        for evse in location.evses where evse.status == .unknown {
            guard let station = evse.station, let connector = evse.stationConnector else {
                continue
            }
            try setStatus(
                statusOf(station, connector, transaction), station: station, connector: connector,
                at: at, in: transaction)
        }
    }

    /// Takes plugs from the EVSEs of other locations, so that `location` may have them.
    package func takeTies(
        of location: Location, at: Timestamp, in transaction: Transaction
    ) throws {
        try ensure(in: transaction)
        for evse in location.evses {
            guard let station = evse.station, let connector = evse.stationConnector,
                let place = place(station: station, connector: connector),
                place.location.id.lowercased() != location.id.lowercased()
            else { continue }
            var other = place.location
            for index in other.evses.indices where other.evses[index].uid == place.evse.uid {
                other.evses[index].station = nil
                other.evses[index].stationConnector = nil
            }
            try put(other, at: at, in: transaction)
        }
    }

    /// Takes a location out of service: every EVSE becomes REMOVED. OCPI knows no other deletion.
    package func retire(_ id: String, at: Timestamp, in transaction: Transaction) throws -> Bool {
        try ensure(in: transaction)
        guard var location = location(id) else { return false }
        for index in location.evses.indices where location.evses[index].status != .removed {
            location.evses[index].status = .removed
            location.evses[index].station = nil
            location.evses[index].stationConnector = nil
            location.evses[index].lastUpdated = max(location.evses[index].lastUpdated, at)
            location.lastUpdated = max(location.lastUpdated, at)
        }
        try store(location, in: transaction)
        try journal.append(.locationChanged, location.id, at: at, in: transaction)
        return true
    }

    /// Gives the plug of an adopted station a place: of the EVSEs that no other station has the one of
    /// its number, so that it does not matter which plug is told of first; where that is taken the first
    /// free one, else a new one like the last. False when it has a place or there is no such location.
    @discardableResult
    func adopt(
        station: String, connector: ConnectorNumber, into id: String, at: Timestamp,
        in transaction: Transaction
    ) throws -> Bool {
        try ensure(in: transaction)
        guard connector > 0, place(station: station, connector: connector) == nil,
            var location = location(id)
        else { return false }
        let isFree: (EVSE) -> Bool = { $0.station == nil && $0.status != .removed }
        let open = location.evses.indices.filter { index in
            let evse = location.evses[index]
            return isFree(evse) || evse.station?.lowercased() == station.lowercased()
        }
        let own = open.dropFirst(connector - 1).first.flatMap {
            isFree(location.evses[$0]) ? $0 : nil
        }
        if let index = own ?? location.evses.firstIndex(where: isFree) {
            location.evses[index].station = station
            location.evses[index].stationConnector = connector
        } else if let index = location.evses.firstIndex(where: {
            $0.status == .removed && $0.uid.lowercased() == "\(station)-\(connector)".lowercased()
        }) {
            // It was here before.
            location.evses[index].status = .unknown
            location.evses[index].station = station
            location.evses[index].stationConnector = connector
        } else if var evse = location.evses.last {
            // Numbered on where another place has it: a uid is never reused.
            let uids =
                ["\(station)-\(connector)"] + (2...99).map { "\(station)-\(connector)-\($0)" }
            guard let uid = uids.first(where: { self.evse($0) == nil }) else { return false }
            evse.uid = uid
            evse.status = .unknown
            evse.evseID = evse.evseID.map { "\($0)*\(location.evses.count + 1)" }
            evse.station = station
            evse.stationConnector = connector
            location.evses.append(evse)
        }
        return try put(location, at: at, in: transaction)
    }

    /// Moves the status of the EVSE behind a station's connector; false when it has it already.
    @discardableResult
    func setStatus(
        _ status: EVSEStatus, station: String, connector: ConnectorNumber, at: Timestamp,
        in transaction: Transaction
    ) throws -> Bool {
        try ensure(in: transaction)
        let key = Tie(station: station.lowercased(), connector: connector)
        let moved = state.withLock { state -> Place? in
            guard let spot = state.ties[key] else { return nil }
            guard let old = state.place(spot), old.evse.status != status,
                old.evse.status != .removed
            else { return nil }
            state.version += 1
            state.byID[spot.location]?.evses[spot.index].status = status
            state.byID[spot.location]?.evses[spot.index].lastUpdated = max(old.evse.lastUpdated, at)
            state.byID[spot.location]?.lastUpdated = max(old.location.lastUpdated, at)
            return state.place(spot)
        }
        guard let moved else { return false }
        try transaction.execute(
            "UPDATE evse SET status = ?, last_updated = ? WHERE uid = ?", status.rawValue,
            moved.evse.lastUpdated, moved.evse.uid)
        try transaction.execute(
            "UPDATE location SET last_updated = ? WHERE id = ?", moved.location.lastUpdated,
            moved.location.id)
        try journal.append(
            .evseStatus, moved.evse.uid,
            ["location": .string(moved.location.id), "status": .string(status.rawValue)], at: at,
            in: transaction)
        return true
    }

    // MARK: Memory

    /// Reads everything from the rows.
    func load(in transaction: Transaction) throws {
        var evses: [String: [EVSE]] = [:]
        for row in try transaction.query("SELECT * FROM evse ORDER BY location, position") {
            var evse = try EVSE(storedText: row.text("body"))
            evse.status = EVSEStatus(rawValue: try row.text("status")) ?? .unknown
            evse.lastUpdated = try row.timestamp("last_updated")
            evses[try row.text("location"), default: []].append(evse)
        }
        var fresh = State(isTrusted: true)
        for row in try transaction.query("SELECT * FROM location") {
            var location = try Location(storedText: row.text("body"))
            location.evses = evses[location.id] ?? []
            location.lastUpdated = try row.timestamp("last_updated")
            fresh.put(location)
        }
        let loaded = fresh
        state.withLock { state in
            let next = state.version + 1
            state = loaded
            state.version = next
        }
    }

    var version: Int { state.withLock { $0.version } }

    func distrust() { state.withLock { $0.isTrusted = false } }

    func ensure(in transaction: Transaction) throws {
        guard !state.withLock({ $0.isTrusted }) else { return }
        try load(in: transaction)
    }

    private func store(_ location: Location, in transaction: Transaction) throws {
        var body = location
        body.evses = []
        try transaction.execute(
            """
            INSERT INTO location (id, body, last_updated) VALUES (?, ?, ?)
            ON CONFLICT (id) DO UPDATE SET body = excluded.body, last_updated = excluded.last_updated
            """, location.id, body.storedText, location.lastUpdated)
        for (position, evse) in location.evses.enumerated() {
            try transaction.execute(
                """
                INSERT INTO evse (uid, location, position, body, status, last_updated)
                VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (uid) DO UPDATE SET
                position = excluded.position, body = excluded.body, status = excluded.status,
                last_updated = excluded.last_updated
                """, evse.uid, location.id, position, evse.storedText, evse.status.rawValue,
                evse.lastUpdated)
        }
        state.withLock { $0.put(location) }
    }
}

/// What a location may not be.
package enum LocationError: Error, Hashable, Sendable, CustomStringConvertible {
    case evseBelongsElsewhere(uid: String, location: String)
    case evseTwice(uid: String)
    /// One plug of a station behind two EVSEs: its charges would be sold at one of the two places.
    case plugTiedTwice(station: String, connector: ConnectorNumber, uid: String, other: String)

    package var description: String {
        switch self {
        case .evseBelongsElsewhere(let uid, let location):
            "the uid \(uid) stands in location \(location)"
        case .evseTwice(let uid): "the uid \(uid) stands here twice"
        case .plugTiedTwice(let station, let connector, let uid, let other):
            """
            connector \(connector) of station \(station) is behind \(uid) and behind \(other): \
            a plug is one EVSE's; take it from one of them
            """
        }
    }
}
