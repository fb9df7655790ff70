import Charging
import JSON

extension PartyID: Stored {
    package var stored: JSONValue { .string(description) }

    package init(stored: JSONValue) throws {
        let parts = (stored.string ?? "").split(separator: "*", omittingEmptySubsequences: false)
        guard parts.count == 2 else { throw StoredError(key: "party") }
        self.init(country: String(parts[0]), party: String(parts[1]))
    }
}

extension Location: Stored {
    package var stored: JSONValue {
        .members([
            "party": party.stored, "id": .string(id), "publish": .bool(publish),
            "name": .text(name), "address": .string(address), "city": .string(city),
            "postalCode": .text(postalCode), "state": .text(state), "country": .string(country),
            "latitude": .number(coordinates.latitude), "longitude": .number(coordinates.longitude),
            "timeZone": .string(timeZone), "evses": evses.isEmpty ? nil : evses.stored,
            "lastUpdated": .time(lastUpdated),
        ])
    }

    package init(stored: JSONValue) throws {
        self.init(
            party: try stored.nested("party"), id: try stored.text("id"),
            publish: try stored.bool("publish"), name: try stored.textOrNil("name"),
            address: try stored.text("address"), city: try stored.text("city"),
            postalCode: try stored.textOrNil("postalCode"), state: try stored.textOrNil("state"),
            country: try stored.text("country"),
            coordinates: Coordinates(
                latitude: try stored.decimal("latitude"), longitude: try stored.decimal("longitude")
            ),
            timeZone: try stored.text("timeZone"), evses: try stored.list("evses"),
            lastUpdated: try stored.time("lastUpdated"))
    }
}

extension EVSE: Stored {
    package var stored: JSONValue {
        .members([
            "uid": .string(uid), "evseID": .text(evseID), "status": .string(status.rawValue),
            "connectors": connectors.stored,
            "capabilities": .array(capabilities.map { .string($0) }),
            "physicalReference": .text(physicalReference), "station": .text(station),
            "stationConnector": .int(stationConnector), "lastUpdated": .time(lastUpdated),
        ])
    }

    package init(stored: JSONValue) throws {
        self.init(
            uid: try stored.text("uid"), evseID: try stored.textOrNil("evseID"),
            status: try stored.choice("status"), connectors: try stored.list("connectors"),
            capabilities: try stored.texts("capabilities"),
            physicalReference: try stored.textOrNil("physicalReference"),
            station: try stored.textOrNil("station"),
            stationConnector: try stored.intOrNil("stationConnector"),
            lastUpdated: try stored.time("lastUpdated"))
    }
}

extension Connector: Stored {
    package var stored: JSONValue {
        .members([
            "id": .string(id), "standard": .string(standard), "format": .string(format),
            "powerType": .string(powerType), "maxVoltage": .number(maxVoltage),
            "maxAmperage": .number(maxAmperage), "maxElectricPower": .int(maxElectricPower),
            "tariffIDs": .array(tariffIDs.map { .string($0) }), "lastUpdated": .time(lastUpdated),
        ])
    }

    package init(stored: JSONValue) throws {
        self.init(
            id: try stored.text("id"), standard: try stored.text("standard"),
            format: try stored.text("format"), powerType: try stored.text("powerType"),
            maxVoltage: try stored.int("maxVoltage"), maxAmperage: try stored.int("maxAmperage"),
            maxElectricPower: try stored.intOrNil("maxElectricPower"),
            tariffIDs: try stored.texts("tariffIDs"), lastUpdated: try stored.time("lastUpdated"))
    }
}

extension Token: Stored {
    package var stored: JSONValue {
        .members([
            "party": party.stored, "uid": .string(uid), "kind": .string(kind.rawValue),
            "contractID": .string(contractID), "visualNumber": .text(visualNumber),
            "issuer": .string(issuer), "groupID": .text(groupID), "isValid": .bool(isValid),
            "whitelist": .string(whitelist.rawValue), "language": .text(language),
            "expires": .moment(expires), "mostCharges": .int(mostCharges),
            "lastUpdated": .time(lastUpdated),
        ])
    }

    package init(stored: JSONValue) throws {
        self.init(
            party: try stored.nested("party"), uid: try stored.text("uid"),
            kind: try stored.choice("kind"), contractID: try stored.text("contractID"),
            visualNumber: try stored.textOrNil("visualNumber"), issuer: try stored.text("issuer"),
            groupID: try stored.textOrNil("groupID"), isValid: try stored.bool("isValid"),
            whitelist: try stored.choice("whitelist"), language: try stored.textOrNil("language"),
            expires: try stored.timeOrNil("expires"),
            mostCharges: try stored.intOrNil("mostCharges"),
            lastUpdated: try stored.time("lastUpdated"))
    }
}
