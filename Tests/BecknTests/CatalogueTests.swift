import Charging
import JSON
import TestSupport
import Testing

@testable import Beckn

@Suite struct `The catalogue` {
    static func location(
        _ id: String, _ latitude: String, _ longitude: String, standard: String = "IEC_62196_T2",
        powerType: String = "AC_3_PHASE", amperes: Int = 32, status: EVSEStatus = .available
    ) -> Location {
        Location(
            party: PartyID(country: "IN", party: "KRB"), id: id, name: id, address: "1 Road",
            city: "Delhi", country: "IND",
            coordinates: Coordinates(
                latitude: Decimal(latitude) ?? .zero, longitude: Decimal(longitude) ?? .zero),
            timeZone: "Asia/Kolkata",
            evses: [
                EVSE(
                    uid: "\(id)-E", evseID: nil, status: status,
                    connectors: [
                        Connector(
                            id: "1", standard: standard, format: "SOCKET", powerType: powerType,
                            maxVoltage: 230, maxAmperage: amperes, tariffIDs: ["T"],
                            lastUpdated: Sample.noon)
                    ], lastUpdated: Sample.noon)
            ], lastUpdated: Sample.noon)
    }

    static func tariff(price: Decimal = Decimal(18)) -> Tariff {
        Tariff(
            party: PartyID(country: "IN", party: "KRB"), id: "T", currency: "INR",
            elements: [
                Tariff.Element(components: [
                    Tariff.Component(.energy, price: price, vat: Decimal(18))
                ])
            ], lastUpdated: Sample.noon)
    }

    private func catalogue(_ locations: Location...) -> Catalogue {
        var catalogue = Catalogue()
        for location in locations { catalogue.put(location) { _ in Self.tariff() } }
        return catalogue
    }

    private let delhi = GeoPoint(latitude: 28.7041, longitude: 77.1025)

    @Test func `finds by circle, nearest first`() {
        let all = catalogue(
            Self.location("far", "28.79", "77.10"), Self.location("near", "28.7045", "77.1025"),
            Self.location("away", "12.97", "77.59"))
        let found = all.search(SearchIntent(near: delhi, radiusMetres: 10_000))
        #expect(found.map(\.location.id) == ["near", "far"])
        #expect(found[0].metres == 45)
        #expect(all.search(SearchIntent(near: delhi, radiusMetres: 9_000)).count == 1)
        #expect(all.search(SearchIntent()).count == 3)
        #expect(all.search(SearchIntent(), limit: 2).count == 2)
    }

    @Test func `filters by plug, current and power`() {
        let all = catalogue(
            Self.location("ac", "28.70", "77.10"),
            Self.location(
                "dc", "28.70", "77.10", standard: "IEC_62196_T2_COMBO", powerType: "DC",
                amperes: 200))
        func ids(_ intent: SearchIntent) -> [String] { all.search(intent).map(\.location.id) }
        #expect(ids(SearchIntent(standards: ConnectorAlias.standards("CCS2"))) == ["dc"])
        #expect(ids(SearchIntent(standards: ConnectorAlias.standards("ccs"))) == ["dc"])
        #expect(ids(SearchIntent(standards: ConnectorAlias.standards("type-2"))) == ["ac"])
        #expect(ids(SearchIntent(standards: ConnectorAlias.standards("Hyperloop"))) == [])
        #expect(ids(SearchIntent(chargerType: "DC")) == ["dc"])
        #expect(ids(SearchIntent(minimumPower: Watts(30_000))) == ["dc"])
        #expect(ids(SearchIntent(maximumPrice: Decimal(17))) == [])
        #expect(ids(SearchIntent(item: "ac-E:1")) == ["ac"])
    }

    @Test func `follows what the house tells it`() {
        var all = catalogue(Self.location("a", "28.70", "77.10"))
        all.setStatus(.charging, ofEVSE: "a-E", at: Sample.noon)
        #expect(all.item("a-E:1")?.isAvailable == false)
        all.put(Self.location("a", "12.97", "77.59")) { _ in nil }
        #expect(all.search(SearchIntent(near: delhi)).isEmpty)
        #expect(all.itemCount == 1)
        #expect(all.item("a-E:1")?.energyPrice == nil)
        all.put(Self.location("a", "12.97", "77.59", status: .removed)) { _ in nil }
        #expect(all.itemCount == 0)
        all.remove(location: "never there")
    }

    @Test func `finds across the date line and at the poles`() {
        let all = catalogue(
            Self.location("east", "0", "179.99"), Self.location("pole", "89.99", "-120"))
        let line = GeoPoint(latitude: 0, longitude: -179.99)
        #expect(all.search(SearchIntent(near: line, radiusMetres: 5_000)).count == 1)
        let pole = GeoPoint(latitude: 89.99, longitude: 60)
        #expect(all.search(SearchIntent(near: pole, radiusMetres: 5_000)).count == 1)
    }

    /// The grid must give what looking at every location gives.
    @Test(arguments: [1, 2, 3] as [UInt64])
    func `finds exactly what lies in the circle`(seed: UInt64) {
        var rng = SeededGenerator(seed: seed)
        var all = Catalogue()
        var points: [(String, GeoPoint)] = []
        for index in 0..<2_000 {
            let latitude = Int.random(in: 275...295, using: &rng)
            let longitude = Int.random(in: 760...780, using: &rng)
            let (a, b) = (
                Int.random(in: 0...999, using: &rng), Int.random(in: 0...999, using: &rng)
            )
            let location = Self.location(
                "L\(index)", "\(latitude / 10).\(latitude % 10)\(a)",
                "\(longitude / 10).\(longitude % 10)\(b)")
            all.put(location) { _ in nil }
            points.append((location.id, GeoPoint(location.coordinates)))
        }
        for _ in 0..<20 {
            let near = GeoPoint(
                latitude: Double.random(in: 27.4...29.6, using: &rng),
                longitude: Double.random(in: 75.9...78.1, using: &rng))
            let radius = Int.random(in: 0...60_000, using: &rng)
            let found = all.search(SearchIntent(near: near, radiusMetres: radius), limit: 10_000)
            let expected = points.filter { near.metres(to: $0.1) <= radius }.map(\.0)
            #expect(Set(found.map(\.location.id)) == Set(expected))
        }
    }

    @Test func `writes every item once with its price and plug`() {
        let all = catalogue(Self.location("a", "28.70", "77.10"))
        let json = CatalogueWriter(settings: Sample.settings()).json(
            all.search(SearchIntent()), now: Sample.noon)
        let provider = json["catalog"]?["providers"]?[0]
        #expect(provider?["id"]?.string == "IN-KRB")
        #expect(provider?["items"]?[0]?["price"] == ["currency": "INR", "value": "18"])
        #expect(provider?["locations"]?[0]?["gps"]?.string == "28.70,77.10")
        #expect(provider?["locations"]?[0]?["address"]?.string == "1 Road, Delhi")
    }
}

@Suite struct `A quote` {
    private func cost(_ components: [Tariff.Component], minimum: Decimal? = nil) -> Cost {
        var tariff = `The catalogue`.tariff()
        tariff.elements = [Tariff.Element(components: components)]
        tariff.minPrice = minimum.map { Price(exclVAT: $0) }
        return tariff.quote(
            WattHours(10_007), at: Watts(7_400), from: Sample.noon, in: .utc, digits: 2)
    }

    @Test func `has lines that add up to what is paid`() {
        for cost in [
            cost([Tariff.Component(.energy, price: Decimal(18), vat: Decimal(18))]),
            cost([
                Tariff.Component(.energy, price: Decimal("0.333") ?? .zero, vat: Decimal(19)),
                Tariff.Component(.time, price: Decimal("1.117") ?? .zero, vat: Decimal(7)),
                Tariff.Component(.flat, price: Decimal("0.505") ?? .zero, vat: Decimal(19)),
            ]),
            cost([Tariff.Component(.energy, price: Decimal("0.01") ?? .zero)], minimum: Decimal(5)),
            cost([]),
        ] {
            let lines = Quote.lines(of: cost, taxTitle: "gst", digits: 2)
            #expect(lines.reduce(Decimal.zero) { $0 + $1.amount } == cost.payable)
            #expect(lines.first?.title == "energy-cost")
        }
    }

    @Test func `carries in one line what rounding leaves`() {
        func price(_ text: String) -> Price { Price(exclVAT: Decimal(text) ?? .zero) }
        let third = price("0.33")
        let cost = Cost(
            currency: "INR", total: price("1.00"), beforeLimits: price("1.00"), fixed: third,
            energy: third, time: third)
        let lines = Quote.lines(of: cost, taxTitle: "gst", digits: 2)
        #expect(lines.last == Quote.Line(title: "rounding", amount: Decimal("0.01") ?? .zero))
        #expect(lines.reduce(Decimal.zero) { $0 + $1.amount } == Decimal(1))
    }

    @Test func `names the tax and the minimum price`() {
        let taxed = Quote.lines(
            of: cost([Tariff.Component(.energy, price: Decimal(18), vat: Decimal(18))]),
            taxTitle: "gst", digits: 2)
        #expect(taxed.map(\.title) == ["energy-cost", "gst"])
        #expect(taxed.map(\.amount.description) == ["180.13", "32.42"])
        let lifted = Quote.lines(
            of: cost(
                [Tariff.Component(.energy, price: Decimal("0.01") ?? .zero)], minimum: Decimal(5)),
            taxTitle: "gst", digits: 2)
        #expect(lifted.map(\.title).contains("minimum-price"))
    }

    @Test func `can be had by energy, by time and by money`() throws {
        let item = try #require(
            {
                var all = Catalogue()
                all.put(`The catalogue`.location("a", "28.70", "77.10")) { _ in
                    `The catalogue`.tariff()
                }
                return all.item("a-E:1")
            }())
        let quoter = Quoter(settings: Sample.settings(), digits: 2)
        func quote(_ quantity: Quantity) -> Quote? {
            quoter.quote(quantity, for: item, rules: .utc, now: Sample.noon, id: "q")
        }
        #expect(quote(.energy(wattHours: 10_000))?.total == Decimal("212.40"))
        #expect(quote(.time(seconds: 1800))?.energyWh == 11_040)
        let money = try #require(quote(.money(Decimal(100))))
        #expect(money.total <= Decimal(100))
        #expect(money.energyWh == 4708)
        var free = item
        free.tariff = nil
        #expect(
            quoter.quote(.money(Decimal(1)), for: free, rules: .utc, now: Sample.noon, id: "q")
                == nil)
    }
}
