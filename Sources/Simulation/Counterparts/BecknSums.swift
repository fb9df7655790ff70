import Charging
import JSON

/// The arithmetic of an order, done again by the app.
package enum BecknSums {
    /// The quote's total as a decimal; nil when it has none.
    package static func total(of order: JSONValue) -> Decimal? {
        order["quote"]?["price"]?["value"]?.string.flatMap { Decimal($0) }
    }

    static func check(_ order: JSONValue, of action: String, _ findings: Findings) {
        guard let quote = order["quote"] else { return }
        guard let total = total(of: order) else {
            findings.note("\(action): quote.price.value is no decimal")
            return
        }
        let currency = quote["price"]?["currency"]?.string
        var sum = Decimal.zero
        for line in quote["breakup"]?.array ?? [] {
            guard let value = line["price"]?["value"]?.string.flatMap({ Decimal($0) }) else {
                findings.note("\(action): a line of the quote has no decimal price: \(line.text)")
                return
            }
            findings.expect(
                line["price"]?["currency"]?.string == currency,
                "\(action): a line of the quote is in another currency")
            sum = sum + value
        }
        findings.expect(
            sum == total, "\(action): the quote's lines add up to \(sum), its price is \(total)")
    }
}
