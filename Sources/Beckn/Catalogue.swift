import Charging

/// What can be offered, ready to be searched: locations in a grid of the globe.
///
/// A value, fed by the house's locations and status events and replaced as a whole by its owner, so
/// that a search never waits for an update. Pure: no clock, no store.
package struct Catalogue: Sendable {
    /// One connector on offer; the item of Beckn.
    package struct Item: Hashable, Sendable {
        /// Stable and opaque: the EVSE's uid and the connector's id.
        package var id: String
        package var locationID: String
        package var evse: EVSE
        package var connector: Connector
        /// The tariff it is sold under now; nil means shown without a price and not sold.
        package var tariff: Tariff?

        package var isAvailable: Bool { evse.status == .available }

        /// The unrestricted price of a kWh, for filters and the catalogue.
        package var energyPrice: Decimal? { price(.energy) }
        package var timePrice: Decimal? { price(.time) }

        private func price(_ dimension: Tariff.Dimension) -> Decimal? {
            tariff?.elements.lazy.filter { $0.restrictions == nil }.flatMap(\.components)
                .first { $0.dimension == dimension }?.price
        }

        package static func id(evse: String, connector: String) -> String { "\(evse):\(connector)" }
    }

    package struct Match: Sendable {
        package var location: Location
        package var metres: Int?
        package var items: [Item]
    }

    private struct Entry: Sendable {
        var location: Location
        var point: GeoPoint
        var items: [Item]
    }

    private var entries: [String: Entry] = [:]
    private var cells: [Int64: Set<String>] = [:]
    /// Item id → location id.
    private var places: [String: String] = [:]
    /// EVSE uid → location id.
    private var homes: [String: String] = [:]

    package init() {}

    package var itemCount: Int { places.count }

    // MARK: Feeding

    /// Adds or replaces a location; one that is not published, or has nothing to offer, is left out.
    ///
    /// - Parameter tariff: what a connector is sold under now; nil shows it without a price.
    package mutating func put(_ location: Location, tariff: (Connector) -> Tariff?) {
        remove(location: location.id)
        guard location.publish else { return }
        var items: [Item] = []
        for evse in location.evses where evse.status != .removed && evse.status != .planned {
            for connector in evse.connectors {
                items.append(
                    Item(
                        id: Item.id(evse: evse.uid, connector: connector.id),
                        locationID: location.id, evse: evse, connector: connector,
                        tariff: tariff(connector)))
            }
        }
        guard !items.isEmpty else { return }
        let point = GeoPoint(location.coordinates)
        for item in items {
            places[item.id] = location.id
            homes[item.evse.uid] = location.id
        }
        cells[GeoGrid.cell(point), default: []].insert(location.id)
        entries[location.id] = Entry(location: location, point: point, items: items)
    }

    package mutating func remove(location id: String) {
        guard let entry = entries.removeValue(forKey: id) else { return }
        for item in entry.items {
            places[item.id] = nil
            homes[item.evse.uid] = nil
        }
        let cell = GeoGrid.cell(entry.point)
        cells[cell]?.remove(id)
        if cells[cell]?.isEmpty == true { cells[cell] = nil }
    }

    package mutating func setStatus(_ status: EVSEStatus, ofEVSE uid: String, at moment: Timestamp)
    {
        guard let home = homes[uid] else { return }
        for index in entries[home]?.items.indices ?? 0..<0
        where entries[home]?.items[index].evse.uid == uid {
            entries[home]?.items[index].evse.status = status
            entries[home]?.items[index].evse.lastUpdated = moment
        }
    }

    // MARK: Asking

    package func item(_ id: String) -> Item? {
        places[id].flatMap { entries[$0] }?.items.first { $0.id == id }
    }

    package func location(ofItem id: String) -> Location? {
        places[id].flatMap { entries[$0]?.location }
    }

    /// What fits, nearest first, at most `limit` locations.
    package func search(_ intent: SearchIntent, limit: Int = 50) -> [Match] {
        var matches: [Match] = []
        for id in candidates(intent) {
            guard let entry = entries[id] else { continue }
            var metres: Int?
            if let near = intent.near {
                let distance = near.metres(to: entry.point)
                guard distance <= intent.radiusMetres else { continue }
                metres = distance
            }
            let items = entry.items.filter { intent.fits($0) }
            guard !items.isEmpty else { continue }
            matches.append(Match(location: entry.location, metres: metres, items: items))
        }
        matches.sort { a, b in
            (a.metres ?? 0, a.location.id) < (b.metres ?? 0, b.location.id)
        }
        return Array(matches.prefix(limit))
    }

    private func candidates(_ intent: SearchIntent) -> [String] {
        if let item = intent.item { return places[item].map { [$0] } ?? [] }
        guard let near = intent.near else { return Array(entries.keys) }
        guard let box = GeoGrid.box(around: near, metres: intent.radiusMetres),
            box.cellCount <= cells.count
        else { return Array(entries.keys) }
        var found: [String] = []
        for row in box.rows {
            for column in box.columns {
                if let ids = cells[GeoGrid.key(row, column)] { found.append(contentsOf: ids) }
            }
        }
        return found
    }
}

extension SearchIntent {
    func fits(_ item: Catalogue.Item) -> Bool {
        if let wanted = self.item, wanted != item.id { return false }
        if !standards.isEmpty, !standards.contains(item.connector.standard) { return false }
        if let chargerType, ConnectorAlias.chargerType(item.connector.powerType) != chargerType {
            return false
        }
        if let minimumPower, item.connector.maximumPower < minimumPower { return false }
        if let maximumPrice {
            guard let price = item.energyPrice, price <= maximumPrice else { return false }
        }
        return true
    }
}
