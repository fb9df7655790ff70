import Charging
import JSON

/// Writes search results as the catalogue of on_search: one provider, one item per connector.
struct CatalogueWriter: Sendable {
    let settings: BecknSettings

    /// `message` of on_search.
    func json(_ matches: [Catalogue.Match], now: Timestamp) -> JSONValue {
        let providers: JSONValue =
            matches.isEmpty
            ? []
            : [
                [
                    "descriptor": ["name": .string(settings.providerName)],
                    "fulfillments": [["id": "1", "tracking": true, "type": "CHARGING"]],
                    "id": .string(settings.providerID),
                    "items": .array(matches.flatMap { match in match.items.map { item($0, now) } }),
                    "locations": .array(matches.map(location)),
                ]
            ]
        return [
            "catalog": [
                "descriptor": ["name": .string(settings.providerName)], "providers": providers,
            ]
        ]
    }

    private func location(_ match: Catalogue.Match) -> JSONValue {
        let place = match.location
        return .members([
            "address": .string(Self.address(place)),
            "area_code": place.postalCode.map { .string($0) },
            "city": ["name": .string(place.city)], "country": ["code": .string(place.country)],
            "descriptor": ["name": .string(place.name ?? place.address)],
            "gps": .string(Self.gps(place.coordinates)), "id": .string(place.id),
        ])
    }

    static func address(_ place: Location) -> String {
        [place.address, place.city, place.postalCode].compactMap { $0 }.joined(separator: ", ")
    }

    static func gps(_ coordinates: Coordinates) -> String {
        "\(coordinates.latitude),\(coordinates.longitude)"
    }

    private func item(_ item: Catalogue.Item, _ now: Timestamp) -> JSONValue {
        let connector = item.connector
        let currency = item.tariff?.currency
        var entries: [(String, String, String)] = [
            ("connector-id", "Connector Id", connector.id),
            ("charger-type", "Charger Type", ConnectorAlias.chargerType(connector.powerType)),
            ("connector-type", "Connector Type", ConnectorAlias.emitted(connector.standard)),
            ("power-type", "Power Type", connector.powerType),
            ("power-rating", "Power Rating", TagWriter.kilowatts(connector.maximumPower.value)),
            ("charging-speed", "Charging Speed", connector.chargingSpeed),
            ("status", "Status", ConnectorAlias.seedStatus(item.evse.status)),
            ("availability", "Availability", ConnectorAlias.availability(item.evse.status)),
        ]
        if let price = item.energyPrice, let currency {
            entries.append(("energy-rate", "Energy Rate", "\(price) \(currency)/kWh"))
        }
        if let price = item.timePrice, let currency {
            entries.append(("time-rate", "Time Rate", "\(price) \(currency)/h"))
        }
        return .members([
            "descriptor": [
                "code": "energy", "name": .string(ConnectorAlias.emitted(connector.standard)),
            ],
            "fulfillment_ids": ["1"], "id": .string(item.id),
            "location_ids": [.string(item.locationID)], "matched": true,
            "price": item.energyPrice.flatMap { price in currency.map { Quote.price(price, $0) } },
            "quantity": [
                "available": ["count": .number(item.isAvailable ? 1 : 0)],
                "unitized": ["measure": ["unit": "kWh", "value": "1"]],
            ],
            "tags": [
                TagWriter.group(
                    "connector-specifications", "Connector Specifications", entries),
                TagWriter.group(
                    "availability-confidence", "Availability Confidence",
                    [
                        ("value", "Value", "live"),
                        ("last-updated", "Last updated", item.evse.lastUpdated.rfc3339),
                    ]),
            ],
        ])
    }
}
