import Charging
import JSON

// Location, EVSE and connector as OCPI 2.2.1 §8.3 has them.

extension Location {
    package var ocpi221: JSONValue {
        .members([
            "country_code": .string(party.country), "party_id": .string(party.party),
            "id": .string(id), "publish": .bool(publish), "name": name.map { .string($0) },
            "address": .string(address), "city": .string(city),
            "postal_code": postalCode.map { .string($0) }, "state": state.map { .string($0) },
            "country": .string(country), "coordinates": coordinates.ocpi221,
            "time_zone": .string(timeZone), "evses": .array(evses.map(\.ocpi221)),
            "last_updated": .time(lastUpdated),
        ])
    }
}

extension Coordinates {
    /// Texts with five to seven digits after the point. OCPI 2.2.1 §8.4.13.
    package var ocpi221: JSONValue {
        ["latitude": .string(Self.text(latitude)), "longitude": .string(Self.text(longitude))]
    }

    private static func text(_ value: Decimal) -> String {
        let short = value.rounded(to: 7).reduced
        return (short.scale < 5 ? short.rounded(to: 5) : short).description
    }
}

extension EVSE {
    package var ocpi221: JSONValue {
        .members([
            "uid": .string(uid), "evse_id": evseID.map { .string($0) },
            "status": .string(status.rawValue),
            "capabilities": capabilities.isEmpty
                ? nil : .array(capabilities.map { .string($0) }),
            "connectors": .array(connectors.map(\.ocpi221)),
            "physical_reference": physicalReference.map { .string($0) },
            "last_updated": .time(lastUpdated),
        ])
    }
}

extension Connector {
    package var ocpi221: JSONValue {
        .members([
            "id": .string(id), "standard": .string(standard), "format": .string(format),
            "power_type": .string(powerType), "max_voltage": .number(maxVoltage),
            "max_amperage": .number(maxAmperage),
            "max_electric_power": maxElectricPower.map { .number($0) },
            "tariff_ids": tariffIDs.isEmpty ? nil : .array(tariffIDs.map { .string($0) }),
            "last_updated": .time(lastUpdated),
        ])
    }
}
