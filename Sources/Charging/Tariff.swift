/// What a charge costs, in the words of OCPI 2.2.1 §11, wide enough for 2.1.1 and 2.3.0.
package struct Tariff: Hashable, Sendable {
    package enum Dimension: String, Hashable, Sendable, CaseIterable {
        case energy = "ENERGY"
        case flat = "FLAT"
        case parkingTime = "PARKING_TIME"
        case time = "TIME"
    }

    /// OCPI 2.3.0 §11: how component prices are meant. Older versions are always `.excluded`.
    package enum TaxInclusion: String, Hashable, Sendable {
        case excluded = "NO"
        case included = "YES"
        case notApplicable = "N/A"
    }

    /// A price component. OCPI 2.2.1 §11.4.2.
    package struct Component: Hashable, Sendable {
        package var dimension: Dimension
        /// Per kWh, per session or per hour; without VAT unless the tariff says `.included`.
        package var price: Decimal
        /// Percent; nil is "unknown", not 0 %.
        package var vat: Decimal?
        /// Wh or seconds; 0 is read as 1.
        package var stepSize: Int

        package init(_ dimension: Dimension, price: Decimal, vat: Decimal? = nil, stepSize: Int = 1)
        {
            self.dimension = dimension
            self.price = price
            self.vat = vat
            self.stepSize = stepSize
        }
    }

    /// Minutes since local midnight.
    package struct LocalTime: Hashable, Sendable {
        package var minutes: Int
        package init(minutes: Int) { self.minutes = minutes }
    }

    package struct LocalDate: Hashable, Sendable {
        package var year: Int
        package var month: Int
        package var day: Int
        package init(year: Int, month: Int, day: Int) {
            self.year = year
            self.month = month
            self.day = day
        }
    }

    package enum ReservationRestriction: String, Hashable, Sendable {
        case reservation = "RESERVATION"
        case expires = "RESERVATION_EXPIRES"
    }

    /// All given ones must hold. OCPI 2.2.1 §11.4.6. Lower bounds inclusive, upper exclusive.
    package struct Restrictions: Hashable, Sendable {
        package var startTime: LocalTime?
        package var endTime: LocalTime?
        package var startDate: LocalDate?
        package var endDate: LocalDate?
        package var minKWh: Decimal?
        package var maxKWh: Decimal?
        package var minCurrent: Decimal?
        package var maxCurrent: Decimal?
        package var minPower: Decimal?
        package var maxPower: Decimal?
        package var minDurationSeconds: Int64?
        package var maxDurationSeconds: Int64?
        /// 1 is Monday; empty means every day.
        package var daysOfWeek: Set<Int>
        package var reservation: ReservationRestriction?

        package init() { daysOfWeek = [] }
    }

    package struct Element: Hashable, Sendable {
        package var components: [Component]
        package var restrictions: Restrictions?

        package init(components: [Component], restrictions: Restrictions? = nil) {
            self.components = components
            self.restrictions = restrictions
        }
    }

    package struct Text: Hashable, Sendable {
        package var language: String
        package var text: String
        package init(language: String, text: String) {
            self.language = language
            self.text = text
        }
    }

    package var party: PartyID
    package var id: String
    /// ISO 4217.
    package var currency: String
    package var kind: String?
    package var texts: [Text]
    package var textURL: String?
    package var minPrice: Price?
    package var maxPrice: Price?
    package var elements: [Element]
    package var taxInclusion: TaxInclusion
    package var validFrom: Timestamp?
    package var validUntil: Timestamp?
    package var lastUpdated: Timestamp

    package init(
        party: PartyID, id: String, currency: String, kind: String? = nil, texts: [Text] = [],
        textURL: String? = nil, minPrice: Price? = nil, maxPrice: Price? = nil, elements: [Element],
        taxInclusion: TaxInclusion = .excluded, validFrom: Timestamp? = nil,
        validUntil: Timestamp? = nil,
        lastUpdated: Timestamp
    ) {
        self.party = party
        self.id = id
        self.currency = currency
        self.kind = kind
        self.texts = texts
        self.textURL = textURL
        self.minPrice = minPrice
        self.maxPrice = maxPrice
        self.elements = elements
        self.taxInclusion = taxInclusion
        self.validFrom = validFrom
        self.validUntil = validUntil
        self.lastUpdated = lastUpdated
    }
}

/// An amount before and, where the VAT is known, with VAT; in its tariff's currency.
package struct Price: Hashable, Sendable {
    package var exclVAT: Decimal
    package var inclVAT: Decimal?

    package init(exclVAT: Decimal, inclVAT: Decimal? = nil) {
        self.exclVAT = exclVAT
        self.inclVAT = inclVAT
    }

    /// What a credit takes back.
    package var negated: Price { Price(exclVAT: -exclVAT, inclVAT: inclVAT.map { -$0 }) }
}
