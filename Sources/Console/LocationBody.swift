import CPO
import Charging
import JSON
import Service

/// Reads a Location as OCPI 2.2.1 §8.3 has it, with the station behind each EVSE.
///
/// What would be dropped is refused: a misspelt `tariff_ids` is a plug whose charges cost nothing.
struct LocationBody {
    /// What the store keeps, and what an answer of ours has besides.
    private static let ours = ["country_code", "party_id", "id", "last_updated"]
    private static let place: Set<String> = Set(
        ours + [
            "publish", "name", "address", "city", "postal_code", "state", "country", "coordinates",
            "time_zone", "evses",
        ])
    private static let evse: Set<String> = [
        "uid", "evse_id", "status", "capabilities", "connectors", "physical_reference", "station",
        "station_connector", "last_updated",
    ]
    private static let connector: Set<String> = [
        "id", "standard", "format", "power_type", "max_voltage", "max_amperage",
        "max_electric_power", "tariff_ids", "last_updated",
    ]
    /// OCPI 2.2.1 §8.4.6 and §8.4.19.
    private static let formats = ["SOCKET", "CABLE"]
    private static let powerTypes = [
        "AC_1_PHASE", "AC_2_PHASE", "AC_2_PHASE_SPLIT", "AC_3_PHASE", "DC",
    ]
    /// A plug is sold under a handful at most: one per way to pay and season.
    private static let mostTariffs = 20

    var party: PartyID
    var now: Timestamp
    private let house: ChargePointOperator

    init(_ house: ChargePointOperator, at now: Timestamp) {
        party = house.settings.party
        self.now = now
        self.house = house
    }

    func read(_ body: JSONValue, id: String) throws(APIProblem) -> Location {
        try body.refuseStrangers(Self.place)
        var evses: [EVSE] = []
        for (index, value) in try list(body, "evses", "").enumerated() {
            evses.append(try evse(value, "evses.\(index)"))
        }
        guard let coordinates = body["coordinates"],
            let latitude = decimal(coordinates["latitude"], within: 90),
            let longitude = decimal(coordinates["longitude"], within: 180)
        else {
            throw .field(
                "coordinates", "needs `latitude` and `longitude` in degrees, like 28.613900")
        }
        let country = try text(body, "country", 3)
        guard country.utf8.count == 3 else {
            throw .field("country", "must be ISO 3166-1 alpha-3, like IND")
        }
        return Location(
            party: party, id: id, publish: try body.flag("publish") ?? true,
            name: try optionalText(body, "name", 255), address: try text(body, "address", 45),
            city: try text(body, "city", 45),
            postalCode: try optionalText(body, "postal_code", 10),
            state: try optionalText(body, "state", 20), country: country,
            coordinates: Coordinates(latitude: latitude, longitude: longitude),
            timeZone: try zone(body), evses: evses, lastUpdated: now)
    }

    private func evse(_ value: JSONValue, _ path: String) throws(APIProblem) -> EVSE {
        try value.refuseStrangers(Self.evse, at: path)
        var connectors: [Connector] = []
        for (index, connector) in try list(value, "connectors", path).enumerated() {
            connectors.append(try self.connector(connector, "\(path).connectors.\(index)"))
        }
        let uid = try text(value, "uid", 36, path)
        guard !connectors.isEmpty else {
            throw .field("\(path).connectors", "needs at least one connector")
        }
        let status = try optionalText(value, "status", 40, path) ?? EVSEStatus.unknown.rawValue
        guard let known = EVSEStatus(rawValue: status) else {
            throw .field("\(path).status", "is no EVSE status of OCPI 2.2.1")
        }
        let station = try optionalText(value, "station", 48, path)
        let number = try optionalNumber(value, "station_connector", path)
        if known != .removed {
            for (index, connector) in connectors.enumerated() {
                try checkTariffs(of: connector, at: uid, "\(path).connectors.\(index)")
            }
        }
        var evse = EVSE(
            uid: uid,
            evseID: try optionalText(value, "evse_id", 48, path), status: known,
            connectors: connectors,
            physicalReference: try optionalText(value, "physical_reference", 16, path),
            station: station, stationConnector: number, lastUpdated: now)
        // Unsaid it is what every OCPP charger can; without it no app offers to start there.
        if value.given("capabilities") != nil {
            evse.capabilities = try texts(value, "capabilities", path)
        }
        return evse
    }

    private func connector(_ value: JSONValue, _ path: String) throws(APIProblem) -> Connector {
        try value.refuseStrangers(Self.connector, at: path)
        let tariffs = try texts(value, "tariff_ids", path)
        guard tariffs.count <= Self.mostTariffs else {
            throw .field("\(path).tariff_ids", "has more than \(Self.mostTariffs)")
        }
        return Connector(
            id: try text(value, "id", 36, path), standard: try text(value, "standard", 40, path),
            format: try choice(value, "format", Self.formats, path),
            powerType: try choice(value, "power_type", Self.powerTypes, path),
            maxVoltage: try number(value, "max_voltage", path),
            maxAmperage: try number(value, "max_amperage", path),
            maxElectricPower: try optionalNumber(value, "max_electric_power", path),
            tariffIDs: tariffs, lastUpdated: now)
    }

    /// One that ended since the plug was put is named by `doctor`; everything else about the plug can be
    /// changed meanwhile.
    private func checkTariffs(
        of connector: Connector, at uid: String, _ path: String
    ) throws(APIProblem) {
        let stored = house.locations.evse(uid)?.evse.connectors.first {
            $0.id.lowercased() == connector.id.lowercased()
        }
        for id in connector.tariffIDs where house.tariffs.tariff(id) == nil {
            guard stored?.tariffIDs.contains(id) != true else { continue }
            throw .field(
                "\(path).tariff_ids",
                """
                names \(id), which is no tariff here, and charges would cost nothing: put it first \
                (PUT /tariffs/ID)
                """)
        }
    }

    /// The plug behind an EVSE is both, or none.
    static func refuseHalfTies(_ location: Location) throws(APIProblem) {
        for (index, evse) in location.evses.enumerated()
        where (evse.station == nil) != (evse.stationConnector == nil) {
            throw .field(
                "evses.\(index).\(evse.station == nil ? "station" : "station_connector")",
                "is missing: the plug behind an EVSE is a station and its connector's number")
        }
    }
}

// MARK: Kinds

extension LocationBody {
    private func at(_ key: String, _ path: String) -> String {
        path.isEmpty ? key : "\(path).\(key)"
    }

    private func list(
        _ value: JSONValue, _ key: String, _ path: String
    ) throws(APIProblem) -> [JSONValue] {
        guard let found = value.given(key) else { return [] }
        guard let list = found.array else { throw .field(at(key, path), "must be a list: […]") }
        return list
    }

    private func texts(
        _ value: JSONValue, _ key: String, _ path: String
    ) throws(APIProblem) -> [String] {
        var found: [String] = []
        for item in try list(value, key, path) {
            guard let text = item.string else {
                throw .field(at(key, path), "must be a list of texts: [\"…\"]")
            }
            found.append(text)
        }
        return found
    }

    private func text(
        _ value: JSONValue, _ key: String, _ most: Int, _ path: String = ""
    ) throws(APIProblem) -> String {
        guard let text = try optionalText(value, key, most, path) else {
            throw .field(at(key, path), "must be a text of 1 to \(most) characters")
        }
        return text
    }

    private func optionalText(
        _ value: JSONValue, _ key: String, _ most: Int, _ path: String = ""
    ) throws(APIProblem) -> String? {
        guard let found = value.given(key), found.string != "" else { return nil }
        guard let text = found.string, text.count <= most else {
            throw .field(at(key, path), "must be a text of 1 to \(most) characters")
        }
        return text
    }

    private func choice(
        _ value: JSONValue, _ key: String, _ words: [String], _ path: String
    ) throws(APIProblem) -> String {
        guard let text = value.given(key)?.string, words.contains(text) else {
            throw .field(at(key, path), "must be one of \(words.joined(separator: ", "))")
        }
        return text
    }

    private func number(
        _ value: JSONValue, _ key: String, _ path: String
    ) throws(APIProblem) -> Int {
        guard let number = try optionalNumber(value, key, path) else {
            throw .field(at(key, path), "must be a whole number above 0")
        }
        return number
    }

    private func optionalNumber(
        _ value: JSONValue, _ key: String, _ path: String
    ) throws(APIProblem) -> Int? {
        guard let found = value.given(key) else { return nil }
        guard let number = found.int, (1...Int(Int32.max)).contains(number) else {
            throw .field(at(key, path), "must be a whole number above 0")
        }
        return number
    }

    private func decimal(_ value: JSONValue?, within limit: Int) -> Decimal? {
        guard let found = value?.string.flatMap({ Decimal($0) }) ?? value?.decimal,
            let bound = Decimal("\(limit)"), found <= bound, -bound <= found
        else { return nil }
        return found
    }

    /// Prices by the hour and the day rest on it; a zone nobody knows would bill them in UTC.
    private func zone(_ body: JSONValue) throws(APIProblem) -> String {
        let name = try text(body, "time_zone", 255)
        do { _ = try LocalTimeRules(tzif: ZoneInfo.load(name)) } catch {
            throw .field(
                "time_zone", "must be a zone of the tz database, like Europe/Berlin: \(error)")
        }
        return name
    }
}
