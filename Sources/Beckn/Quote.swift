import Charging
import JSON

/// A price with its lines, such that the lines add up to it. Facts §9, quote.
package struct Quote: Hashable, Sendable, Codable {
    package struct Line: Hashable, Sendable, Codable {
        package var title: String
        package var amount: Decimal
    }

    package var id: String
    package var currency: String
    package var total: Decimal
    package var lines: [Line]
    package var energyWh: Int64
    package var expiresAt: Timestamp

    /// Lines of a cost: what each component came to without tax, what a price limit changed, the tax,
    /// and what rounding leaves. The published total stands; the lines bend to it.
    package static func lines(of cost: Cost, taxTitle: String, digits: Int) -> [Line] {
        var lines: [Line] = []
        func add(_ title: String, _ amount: Decimal?) {
            if let amount, amount != .zero { lines.append(Line(title: title, amount: amount)) }
        }
        // The estimate's main line is always there, even if the charge is free.
        lines.append(
            Line(title: "energy-cost", amount: cost.energy?.exclVAT ?? .zero.rounded(to: digits)))
        add("session-fee", cost.fixed?.exclVAT)
        add("time-cost", cost.time?.exclVAT)
        add("parking-fee", cost.parking?.exclVAT)
        add("reservation-fee", cost.reservation?.exclVAT)
        if let tax = cost.total.inclVAT.map({ $0 - cost.total.exclVAT }) { add(taxTitle, tax) }
        let limit = (cost.total.exclVAT - cost.beforeLimits.exclVAT).rounded(to: digits)
        add(limit < .zero ? "maximum-price" : "minimum-price", limit)
        let sum = lines.reduce(Decimal.zero) { $0 + $1.amount }
        add("rounding", (cost.payable - sum).rounded(to: digits))
        return lines
    }

    /// The `quote` of an order. v1.1: all values are strings.
    func json(item: String?, now: Timestamp, digits: Int) -> JSONValue {
        let seconds = max(0, expiresAt.seconds(since: now))
        return .members([
            "breakup": .array(
                lines.map { line in
                    .members([
                        "item": line.title == "energy-cost"
                            ? item.map { ["id": .string($0)] } : nil,
                        "price": Self.money(line.amount, currency, digits),
                        "title": .string(line.title),
                    ])
                }),
            "id": .string(id), "price": Self.money(total, currency, digits),
            "ttl": .string(ISODuration.text(seconds)),
        ])
    }

    /// An amount with all its currency's digits: `4.50`.
    static func money(_ amount: Decimal, _ currency: String, _ digits: Int) -> JSONValue {
        price(amount.rounded(to: digits), currency)
    }

    static func price(_ amount: Decimal, _ currency: String) -> JSONValue {
        ["currency": .string(currency), "value": .string(amount.description)]
    }
}

extension Cost {
    /// What the driver pays: with VAT where it is known.
    package var payable: Decimal { total.inclVAT ?? total.exclVAT }
}

/// How much a driver orders: by energy, by time or by money. Facts §9, order by.
package enum Quantity: Hashable, Sendable, Codable {
    case energy(wattHours: Int64)
    case time(seconds: Int64)
    case money(Decimal)

    /// Reads the item, its fulfilment and the options tag of a `select`.
    init?(item: Wire, fulfilment: Wire?, tags: Tags) throws(BecknError) {
        if let measure = item["quantity"]?.any("selected", "measure"),
            let value = (measure["measure"] ?? measure)["value"]
        {
            let unit = (measure["measure"] ?? measure)["unit"]?.text?.folded ?? "kwh"
            guard let amount = value.decimal, amount > .zero, amount < Decimal(1_000_000) else {
                throw .field(value.path, "no quantity that can be sold")
            }
            switch unit {
            case "wh": self = .energy(wattHours: amount.floor ?? 0)
            case "kwh", "units", "unit":
                self = .energy(wattHours: (amount * Decimal(1000)).floor ?? 0)
            case "min", "mins", "minutes", "minute":
                self = .time(seconds: (amount * Decimal(60)).floor ?? 0)
            case "h", "hour", "hours", "hr":
                self = .time(seconds: (amount * Decimal(3600)).floor ?? 0)
            case "inr", "eur", "usd", "amount": self = .money(amount)
            default: throw .field(value.path, "the unit \(unit) is not sold here")
            }
            return
        }
        if let money = tags.values("amount").compactMap({ Wire(.string($0)).decimal }).first,
            money > .zero, money < Decimal(10_000_000)
        {
            self = .money(money)
            return
        }
        let times = (fulfilment?["stops"]?.elements ?? []).compactMap { stop in
            (stop["time"]?["timestamp"]?.text).flatMap { Timestamp(rfc3339: $0) }
        }
        if let start = times.first, let end = times.last, end > start {
            self = .time(seconds: min(end.seconds(since: start), 7 * 86_400))
            return
        }
        return nil
    }
}

/// Turns a wish into a quote with the one price of the house.
struct Quoter: Sendable {
    let settings: BecknSettings
    let digits: Int

    /// - Returns: nil when the item has no tariff: never free by accident.
    func quote(
        _ quantity: Quantity, for item: Catalogue.Item, rules: LocalTimeRules, now: Timestamp,
        id: String
    ) -> Quote? {
        guard let tariff = item.tariff else { return nil }
        let power = item.connector.maximumPower
        let energy: WattHours
        switch quantity {
        case .energy(let wattHours): energy = WattHours(max(1, wattHours))
        case .time(let seconds):
            energy = WattHours(max(1, Int64(Int128(power.value) * Int128(seconds) / 3600)))
        case .money(let amount):
            energy = largest(below: amount, tariff: tariff, power: power, rules: rules, now: now)
        }
        let cost = tariff.quote(energy, at: power, from: now, in: rules, digits: digits)
        return Quote(
            id: id, currency: cost.currency, total: cost.payable,
            lines: Quote.lines(of: cost, taxTitle: settings.taxTitle, digits: digits),
            energyWh: energy.value, expiresAt: now.advanced(bySeconds: settings.quoteSeconds))
    }

    /// The most energy that costs no more than `amount`: by halving, as cost never falls with energy.
    private func largest(
        below amount: Decimal, tariff: Tariff, power: Watts, rules: LocalTimeRules, now: Timestamp
    ) -> WattHours {
        var (low, high): (Int64, Int64) = (1, 200_000)
        while low < high {
            let middle = (low + high + 1) / 2
            let cost = tariff.quote(
                WattHours(middle), at: power, from: now, in: rules, digits: digits)
            if cost.payable <= amount { low = middle } else { high = middle - 1 }
        }
        return WattHours(low)
    }
}
