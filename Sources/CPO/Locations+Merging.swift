import Charging

// What is the caller's in a location, and what the house's own.

extension Locations {
    /// What `put` would store; nil where nothing differs. Changes nothing.
    package func change(to new: Location, at: Timestamp) throws -> Location? {
        let old = location(new.id)
        let merged = Self.merged(new, over: old, at: at)
        guard merged != old else { return nil }
        for evse in merged.evses {
            guard let holder = self.evse(evse.uid)?.location.id else { continue }
            // A uid is never reused, so it cannot move to another place either.
            guard holder.lowercased() == merged.id.lowercased() else {
                throw LocationError.evseBelongsElsewhere(uid: evse.uid, location: holder)
            }
        }
        return merged
    }

    /// Refuses what no person can mean: a uid that stands here twice, a plug behind two EVSEs. What is stored
    /// already may stay, so that everything else about it can be mended.
    ///
    /// - Parameter leaving: uids in lower case whose plugs the same order puts elsewhere.
    package func refuseTwice(_ location: Location, leaving: Set<String> = []) throws {
        let old = self.location(location.id)
        var uids: Set<String> = []
        var ties: [String: String] = [:]
        for evse in location.evses {
            guard uids.insert(evse.uid.lowercased()).inserted else {
                throw LocationError.evseTwice(uid: evse.uid)
            }
            guard let station = evse.station, let connector = evse.stationConnector else {
                continue
            }
            let known = old?.evses.first { Self.same($0.uid, evse.uid) }
            let elsewhere = place(station: station, connector: connector).flatMap { place in
                Self.same(place.location.id, location.id)
                    || leaving.contains(place.evse.uid.lowercased()) ? nil : place.evse.uid
            }
            let isNew =
                known?.station.map { Self.same($0, station) } != true
                || known?.stationConnector != connector
            let key = "\(connector) \(station.lowercased())"
            if let other = ties.updateValue(evse.uid, forKey: key) ?? elsewhere, isNew {
                throw LocationError.plugTiedTwice(
                    station: station, connector: connector, uid: evse.uid, other: other)
            }
        }
    }

    /// What is to be stored: `new` with the ids, statuses and times that are not the caller's.
    static func merged(_ new: Location, over old: Location?, at: Timestamp) -> Location {
        var merged = new
        merged.id = old?.id ?? new.id
        var newest = old?.lastUpdated ?? at
        merged.evses = new.evses.map { wanted in
            guard let before = old?.evses.first(where: { same($0.uid, wanted.uid) }) else {
                newest = max(newest, at)
                return fresh(wanted, at: at)
            }
            let evse = Self.merged(wanted, over: before, at: at)
            newest = max(newest, evse.lastUpdated)
            return evse
        }
        for before in old?.evses ?? []
        where !new.evses.contains(where: { same($0.uid, before.uid) }) {
            var gone = before
            if gone.status != .removed {
                gone.status = .removed
                gone.station = nil
                gone.stationConnector = nil
                gone.lastUpdated = max(gone.lastUpdated, at)
                newest = max(newest, gone.lastUpdated)
            }
            merged.evses.append(gone)
        }
        merged.lastUpdated = newest
        if let old, merged != old { merged.lastUpdated = max(newest, at) }
        return merged
    }

    private static func merged(_ wanted: EVSE, over before: EVSE, at: Timestamp) -> EVSE {
        var evse = wanted
        evse.uid = before.uid
        // Planned and removed are a person's word; every other status is the station's.
        let isPersons = wanted.status == .planned || wanted.status == .removed
        evse.status = isPersons ? wanted.status : before.status
        if before.status == .planned || before.status == .removed, !isPersons {
            evse.status = .unknown
        }
        // Nobody tells any more what a plug does that has no station.
        if evse.station == nil, before.station != nil, !isPersons { evse.status = .unknown }
        evse.connectors = wanted.connectors.map { connector in
            var connector = connector
            let previous = before.connectors.first { same($0.id, connector.id) }
            connector.lastUpdated = previous?.lastUpdated ?? at
            if let previous, connector != previous { connector.lastUpdated = at }
            return connector
        }
        evse.lastUpdated = before.lastUpdated
        if evse != before { evse.lastUpdated = max(before.lastUpdated, at) }
        return evse
    }

    private static func fresh(_ wanted: EVSE, at: Timestamp) -> EVSE {
        var evse = wanted
        if evse.status != .planned, evse.status != .removed { evse.status = .unknown }
        evse.lastUpdated = at
        for index in evse.connectors.indices { evse.connectors[index].lastUpdated = at }
        return evse
    }

    private static func same(_ a: String, _ b: String) -> Bool { a.lowercased() == b.lowercased() }
}
