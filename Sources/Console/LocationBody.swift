import Charging
import JSON

/// Reads a Location as OCPI 2.2.1 §8.3 has it, with the station behind each EVSE.
enum LocationBody {
    static func read(
        _ body: JSONValue, id: String, party: PartyID, at now: Timestamp
    ) throws(APIProblem) -> Location {
        var evses: [EVSE] = []
        for (index, value) in (body["evses"]?.array ?? []).enumerated() {
            evses.append(try evse(value, "evses.\(index)", at: now))
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
            party: party, id: id, publish: body["publish"]?.bool ?? true,
            name: body["name"]?.string, address: try text(body, "address", 45),
            city: try text(body, "city", 45), postalCode: body["postal_code"]?.string,
            state: body["state"]?.string, country: country,
            coordinates: Coordinates(latitude: latitude, longitude: longitude),
            timeZone: try text(body, "time_zone", 255), evses: evses, lastUpdated: now)
    }

    private static func evse(
        _ value: JSONValue, _ path: String, at now: Timestamp
    ) throws(APIProblem) -> EVSE {
        var connectors: [Connector] = []
        for (index, connector) in (value["connectors"]?.array ?? []).enumerated() {
            connectors.append(
                try self.connector(connector, "\(path).connectors.\(index)", at: now))
        }
        guard !connectors.isEmpty else {
            throw .field("\(path).connectors", "needs at least one connector")
        }
        let status = value["status"]?.string ?? EVSEStatus.unknown.rawValue
        guard let known = EVSEStatus(rawValue: status) else {
            throw .field("\(path).status", "is no EVSE status of OCPI 2.2.1")
        }
        return EVSE(
            uid: try text(value, "uid", 36, path), evseID: value["evse_id"]?.string,
            status: known, connectors: connectors,
            capabilities: (value["capabilities"]?.array ?? []).compactMap(\.string),
            physicalReference: value["physical_reference"]?.string,
            station: value["station"]?.string, stationConnector: value["station_connector"]?.int,
            lastUpdated: now)
    }

    private static func connector(
        _ value: JSONValue, _ path: String, at now: Timestamp
    ) throws(APIProblem) -> Connector {
        Connector(
            id: try text(value, "id", 36, path), standard: try text(value, "standard", 40, path),
            format: try text(value, "format", 40, path),
            powerType: try text(value, "power_type", 40, path),
            maxVoltage: try number(value, "max_voltage", path),
            maxAmperage: try number(value, "max_amperage", path),
            maxElectricPower: value["max_electric_power"]?.int,
            tariffIDs: (value["tariff_ids"]?.array ?? []).compactMap(\.string), lastUpdated: now)
    }

    private static func text(
        _ value: JSONValue, _ key: String, _ most: Int, _ path: String = ""
    ) throws(APIProblem) -> String {
        let field = path.isEmpty ? key : "\(path).\(key)"
        guard let text = value[key]?.string, !text.isEmpty, text.count <= most else {
            throw .field(field, "must be a text of 1 to \(most) characters")
        }
        return text
    }

    private static func number(
        _ value: JSONValue, _ key: String, _ path: String
    ) throws(APIProblem) -> Int {
        guard let number = value[key]?.int, number > 0 else {
            throw .field("\(path).\(key)", "must be a whole number above 0")
        }
        return number
    }

    private static func decimal(_ value: JSONValue?, within limit: Int) -> Decimal? {
        guard let found = value?.string.flatMap({ Decimal($0) }) ?? value?.decimal,
            let bound = Decimal("\(limit)"), found <= bound, -bound <= found
        else { return nil }
        return found
    }
}
