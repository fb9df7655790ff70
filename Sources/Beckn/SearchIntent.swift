import Charging
import JSON

/// What a driver looks for: place, plug and power. Facts §9, search.
package struct SearchIntent: Hashable, Sendable {
    /// nil: anywhere.
    package var near: GeoPoint?
    package var radiusMetres: Int
    /// OCPI standards; empty is any.
    package var standards: Set<String>
    /// `AC` or `DC`.
    package var chargerType: String?
    package var minimumPower: Watts?
    /// Per kWh.
    package var maximumPrice: Decimal?
    package var provider: String?
    package var item: String?

    package init(
        near: GeoPoint? = nil, radiusMetres: Int = 10_000, standards: Set<String> = [],
        chargerType: String? = nil, minimumPower: Watts? = nil, maximumPrice: Decimal? = nil,
        provider: String? = nil, item: String? = nil
    ) {
        self.near = near
        self.radiusMetres = radiusMetres
        self.standards = standards
        self.chargerType = chargerType
        self.minimumPower = minimumPower
        self.maximumPrice = maximumPrice
        self.provider = provider
        self.item = item
    }

    /// Reads `$.message.intent`. Free text and categories are not held, so they narrow nothing.
    init(of message: JSONValue, settings: BecknSettings) throws(BecknError) {
        let body = try Wire(message).require("message")
        self.init(radiusMetres: settings.defaultRadiusMetres)
        guard let intent = body["intent"] else { return }
        let fulfilment = intent.any("fulfillment", "fulfillments")?.elements.first
        let item = intent.any("item", "items")?.elements.first
        if let place = fulfilment?["stops"]?.elements.lazy.compactMap({ $0["location"] }).first {
            try read(place: place, settings: settings)
        } else if let place = intent["location"] {
            try read(place: place, settings: settings)
        }
        let tags = Tags(intent["tags"], fulfilment?["tags"], item?["tags"])
        for text in tags.values("connector-type", "connector-types") {
            for part in text.split(separator: ",") {
                standards.formUnion(ConnectorAlias.standards(part.trimmedBlanks))
            }
        }
        if let type = tags.values("charger-type").first?.uppercased() {
            chargerType = type.contains("DC") ? "DC" : type.contains("AC") ? "AC" : nil
        }
        minimumPower = tags.values("power-rating", "min-power").compactMap(Self.watts).max()
        maximumPrice = item?["price"]?.any("maximum_value", "value")?.decimal
        provider = intent["provider"]?["id"]?.text
        self.item = item?["id"]?.text
    }

    private mutating func read(place: Wire, settings: BecknSettings) throws(BecknError) {
        let circle = place["circle"]
        guard let gps = circle?["gps"] ?? place["gps"] else { return }
        guard let point = gps.text.flatMap(GeoPoint.init) else {
            throw .field(gps.path, "not `latitude,longitude`")
        }
        near = point
        guard let radius = circle?["radius"] else { return }
        guard let value = (radius["value"] ?? radius).decimal,
            let metres = Self.metres(value, radius)
        else { throw .field(radius.path, "no radius") }
        radiusMetres = min(metres, settings.largestRadiusMetres)
    }

    private static func metres(_ value: Decimal, _ radius: Wire) -> Int? {
        let unit = radius["unit"]?.text?.folded ?? "km"
        let factor: Decimal =
            switch unit {
            case "m", "meter", "metre", "meters", "metres": Decimal(1)
            case "mi", "mile", "miles": Decimal(1609)
            default: Decimal(1000)
            }
        guard value >= .zero, value < Decimal(100_000) else { return nil }
        return (value * factor).floor.flatMap { Int(exactly: $0) }
    }

    /// `30kW`, `7.4 kW`, `3300 W`; a bare number is kW.
    private static func watts(_ text: String) -> Watts? {
        guard let value = Wire(.string(text)).decimal, value >= .zero, value < Decimal(100_000_000)
        else { return nil }
        let unit = text.filter(\.isLetter).lowercased()
        let watts = unit == "w" ? value : value * Decimal(1000)
        return watts.floor.map { Watts($0) }
    }
}
