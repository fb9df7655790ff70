import Charging

/// Where a charge ends by itself: energy, time or money, whichever comes first.
package struct ChargeLimits: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable {
        case energy, time, money

        /// What an operator and a driver read; at most 50 characters, as OCPP 1.6's `info`.
        package var text: String {
            switch self {
            case .energy: "energy limit reached"
            case .time: "time limit reached"
            case .money: "money limit reached"
            }
        }
    }

    /// An amount and the price at which it is used up; both in one currency, which is not ours to know.
    package struct Budget: Hashable, Sendable {
        package let amount: Decimal
        package let perKilowattHour: Decimal
        /// The whole watt-hours the amount pays for, rounded down: never above the money.
        package let energy: WattHours

        package static let highestAmount = Decimal(1_000_000)
        package static let highestPrice = Decimal(10_000)
        package static let mostDigits = 6

        /// nil for an amount or price that is not above 0, above its bound, or finer than 6 digits.
        package init?(amount: Decimal, perKilowattHour price: Decimal) {
            let (amount, price) = (amount.reduced, price.reduced)
            guard amount > .zero, amount <= Self.highestAmount, amount.scale <= Self.mostDigits,
                price > .zero, price <= Self.highestPrice, price.scale <= Self.mostDigits
            else { return nil }
            self.amount = amount
            perKilowattHour = price
            // At most 10^12 · 10^6 · 10^3 over 10^10 · 10^6: far inside 128 bits.
            let wattHours =
                amount.significand * Self.power(price.scale) * 1000
                / (price.significand * Self.power(amount.scale))
            energy = WattHours(Int64(clamping: wattHours))
        }

        private static func power(_ digits: Int) -> Int128 {
            (0..<digits).reduce(Int128(1)) { power, _ in power * 10 }
        }
    }

    /// Counted from the register at the start.
    package var energy: WattHours?
    /// Counted from the start, pauses included.
    package var seconds: Int64?
    package var budget: Budget?

    package static let highestEnergy = WattHours(10_000_000)
    package static let longestSeconds: Int64 = 31_536_000
    package static let none = ChargeLimits()

    package init(energy: WattHours? = nil, seconds: Int64? = nil, budget: Budget? = nil) {
        self.energy = energy
        self.seconds = seconds
        self.budget = budget
    }

    /// The limit that a charge has come to; nil while it may go on.
    func reached(energy used: WattHours, milliseconds: Int64) -> Kind? {
        if let energy, used >= energy { return .energy }
        if let budget, used >= budget.energy { return .money }
        if let seconds, milliseconds >= seconds * 1000 { return .time }
        return nil
    }
}
