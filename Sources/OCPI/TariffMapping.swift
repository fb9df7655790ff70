import Charging
import JSON

// Tariff ↔ wire. In: 2.1.1, 2.2.1 and 2.3.0. Out: 2.2.1. OCPI 2.2.1 §11.3.1 and §11.4.

extension Tariff {
    /// Reads a tariff object.
    ///
    /// Strict, because a tariff half understood bills wrongly: unknown dimensions and restrictions are
    /// refused by name. Other unknown members are ignored.
    /// - Parameter owner: whose tariff it is where the object does not say (2.1.1).
    package init(
        ocpi value: JSONValue, version: OCPIVersion, owner: PartyID? = nil, at path: String = ""
    ) throws(WireError) {
        let fields = try WireFields(value, at: path)
        let country = try fields.optionalText("country_code", max: 2)
        let party = try fields.optionalText("party_id", max: 3)
        let own: PartyID
        if let country, let party {
            own = PartyID(country: country, party: party)
        } else if let owner {
            own = owner
        } else {
            throw WireError(fields.at(country == nil ? "country_code" : "party_id"), "is missing")
        }
        self.init(
            party: own, id: try fields.text("id", max: 36),
            currency: try fields.required("currency", "three letters of ISO 4217", Self.currency),
            kind: try fields.optionalText("type", max: 40),
            texts: try fields.list("tariff_alt_text") { value, path throws(WireError) in
                let text = try WireFields(value, at: path)
                return Text(
                    language: try text.text("language", max: 2),
                    text: try text.text("text", max: 512))
            },
            textURL: try fields.optionalText("tariff_alt_url", max: 255),
            minPrice: try Self.limit(fields, "min_price"),
            maxPrice: try Self.limit(fields, "max_price"),
            elements: try fields.list("elements", atLeast: 1, Self.element),
            taxInclusion: try Self.taxInclusion(fields, version),
            validFrom: try fields.optionalTime("start_date_time"),
            validUntil: try fields.optionalTime("end_date_time"),
            lastUpdated: try fields.time("last_updated"))
    }

    /// The tariff as OCPI 2.2.1 has it.
    ///
    /// Prices that include taxes (2.3.0) are taken down to excl. VAT where a VAT is named, to four
    /// digits after the point; where none is named they go out as they are.
    package var ocpi221: JSONValue {
        .members([
            "country_code": .string(party.country), "party_id": .string(party.party),
            "id": .string(id), "currency": .string(currency),
            "type": kind.map(JSONValue.string),
            "tariff_alt_text": texts.isEmpty
                ? nil
                : .array(
                    texts.map { ["language": .string($0.language), "text": .string($0.text)] }),
            "tariff_alt_url": textURL.map(JSONValue.string),
            "min_price": minPrice?.ocpi221, "max_price": maxPrice?.ocpi221,
            "elements": .array(elements.map(element221)),
            "start_date_time": validFrom.map(JSONValue.time),
            "end_date_time": validUntil.map(JSONValue.time),
            "last_updated": .time(lastUpdated),
        ])
    }
}

extension Price {
    /// OCPI 2.2.1 §16.5.
    package var ocpi221: JSONValue {
        .members(["excl_vat": .number(exclVAT), "incl_vat": inclVAT.map { .number($0) }])
    }
}

// MARK: In

extension Tariff {
    private static func currency(_ value: JSONValue) -> String? {
        guard let text = value.string?.uppercased(), text.utf8.count == 3,
            text.utf8.allSatisfy({ $0 >= 0x41 && $0 <= 0x5A })
        else { return nil }
        return text
    }

    private static func taxInclusion(
        _ fields: WireFields, _ version: OCPIVersion
    ) throws(WireError) -> TaxInclusion {
        let given = try fields.optional("tax_included", "YES, NO or N/A") { value in
            value.string.flatMap { TaxInclusion(rawValue: $0.uppercased()) }
        }
        if version == .v230, given == nil {
            throw WireError(fields.at("tax_included"), "is missing")
        }
        return given ?? .excluded
    }

    /// `{excl_vat, incl_vat?}`, or 2.3.0's `{before_taxes, after_taxes?}`.
    private static func limit(_ fields: WireFields, _ key: String) throws(WireError) -> Price? {
        guard let limit = try fields.optionalFields(key) else { return nil }
        let isNew = limit.has("before_taxes")
        return Price(
            exclVAT: try limit.number(isNew ? "before_taxes" : "excl_vat"),
            inclVAT: try limit.optionalNumber(isNew ? "after_taxes" : "incl_vat"))
    }

    private static func element(_ value: JSONValue, _ path: String) throws(WireError) -> Element {
        let fields = try WireFields(value, at: path)
        let restrictions = try fields.optionalFields("restrictions")
        return Element(
            components: try fields.list("price_components", atLeast: 1, component),
            restrictions: try restrictions.map { fields throws(WireError) in
                try Restrictions(ocpi: fields)
            })
    }

    private static func component(
        _ value: JSONValue, _ path: String
    ) throws(WireError) -> Component {
        let fields = try WireFields(value, at: path)
        let vat = try fields.optionalNumber("vat")
        if let vat, vat < .zero || vat > Decimal(1000) {
            throw WireError(fields.at("vat"), "must be a percentage from 0 to 1000")
        }
        return Component(
            try fields.choice("type", Dimension.self), price: try fields.number("price"), vat: vat,
            stepSize: Int(try fields.whole("step_size", 0...Int64(Int32.max))))
    }
}

extension Tariff.Restrictions {
    private static let known: Set<String> = [
        "start_time", "end_time", "start_date", "end_date", "min_kwh", "max_kwh", "min_current",
        "max_current", "min_power", "max_power", "min_duration", "max_duration", "day_of_week",
        "reservation",
    ]

    private static let days = [
        "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY",
    ]

    fileprivate init(ocpi fields: WireFields) throws(WireError) {
        self.init()
        if let unknown = fields.members.keys.filter({ !Self.known.contains($0) }).min() {
            throw WireError(fields.at(unknown), "is no restriction Kerb knows")
        }
        startTime = try fields.optional("start_time", "a time like 08:30", Self.time)
        endTime = try fields.optional("end_time", "a time like 08:30", Self.time)
        startDate = try fields.optional("start_date", "a date like 2026-01-31", Self.date)
        endDate = try fields.optional("end_date", "a date like 2026-01-31", Self.date)
        minKWh = try Self.bound(fields, "min_kwh")
        maxKWh = try Self.bound(fields, "max_kwh")
        minCurrent = try Self.bound(fields, "min_current")
        maxCurrent = try Self.bound(fields, "max_current")
        minPower = try Self.bound(fields, "min_power")
        maxPower = try Self.bound(fields, "max_power")
        minDurationSeconds = try fields.optionalWhole("min_duration", 0...Int64(Int32.max))
        maxDurationSeconds = try fields.optionalWhole("max_duration", 0...Int64(Int32.max))
        daysOfWeek = Set(
            try fields.list("day_of_week") { value, path throws(WireError) in
                guard let index = Self.days.firstIndex(where: { $0 == value.string?.uppercased() })
                else { throw WireError(path, "must be one of MONDAY to SUNDAY") }
                return index + 1
            })
        reservation = try fields.optional(
            "reservation", "RESERVATION or RESERVATION_EXPIRES"
        ) { value in
            value.string.flatMap { Tariff.ReservationRestriction(rawValue: $0.uppercased()) }
        }
    }

    private static func bound(_ fields: WireFields, _ key: String) throws(WireError) -> Decimal? {
        guard let value = try fields.optionalNumber(key) else { return nil }
        guard value >= .zero else { throw WireError(fields.at(key), "must not be negative") }
        return value
    }

    /// `HH:MM`; `24:00`, which some write for the end of the day, is `00:00`.
    private static func time(_ value: JSONValue) -> Tariff.LocalTime? {
        guard let text = value.string, text.utf8.count == 5 else { return nil }
        if text == "24:00" { return Tariff.LocalTime(minutes: 0) }
        guard let moment = Timestamp(rfc3339: "1970-01-01T\(text):00Z") else { return nil }
        return Tariff.LocalTime(minutes: Int(moment.milliseconds / 60_000))
    }

    private static func date(_ value: JSONValue) -> Tariff.LocalDate? {
        guard let text = value.string, text.utf8.count == 10,
            let moment = Timestamp(rfc3339: "\(text)T00:00:00Z")
        else { return nil }
        return LocalTimeRules.utc.local(at: moment).date
    }

    /// OCPI 2.2.1 §11.4.6.
    fileprivate var ocpi221: JSONValue {
        .members([
            "start_time": startTime.map { .string($0.text) },
            "end_time": endTime.map { .string($0.text) },
            "start_date": startDate.map { .string($0.text) },
            "end_date": endDate.map { .string($0.text) },
            "min_kwh": minKWh.map { .number($0) }, "max_kwh": maxKWh.map { .number($0) },
            "min_current": minCurrent.map { .number($0) },
            "max_current": maxCurrent.map { .number($0) },
            "min_power": minPower.map { .number($0) }, "max_power": maxPower.map { .number($0) },
            "min_duration": minDurationSeconds.map { .number($0) },
            "max_duration": maxDurationSeconds.map { .number($0) },
            "day_of_week": daysOfWeek.isEmpty
                ? nil
                : .array(
                    daysOfWeek.sorted().filter { (1...7).contains($0) }
                        .map { .string(Self.days[$0 - 1]) }),
            "reservation": reservation.map { .string($0.rawValue) },
        ])
    }
}

// MARK: Out

extension Tariff {
    private func element221(_ element: Element) -> JSONValue {
        .members([
            "price_components": .array(element.components.map(component221)),
            "restrictions": element.restrictions?.ocpi221,
        ])
    }

    private func component221(_ component: Component) -> JSONValue {
        .members([
            "type": .string(component.dimension.rawValue),
            "price": .number(priceExcludingVAT(of: component)),
            "vat": component.vat.map { .number($0) },
            "step_size": .number(component.stepSize),
        ])
    }

    private func priceExcludingVAT(of component: Component) -> Decimal {
        guard taxInclusion == .included, let vat = component.vat, vat > Decimal(-100) else {
            return component.price
        }
        let hundred = Rational(100)
        return (Rational(component.price) * hundred / (hundred + Rational(vat))).rounded(to: 4)
    }
}

extension Tariff.LocalTime {
    fileprivate var text: String {
        let (hour, minute) = (minutes / 60 % 24, minutes % 60)
        return "\(hour < 10 ? "0" : "")\(hour):\(minute < 10 ? "0" : "")\(minute)"
    }
}

extension Tariff.LocalDate {
    fileprivate var text: String {
        let midnight = Timestamp.days(year: Int64(year), month: Int64(month), day: Int64(day))
        return String(Timestamp(seconds: midnight * 86_400).rfc3339.prefix(10))
    }
}
