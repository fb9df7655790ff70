/// An exact fraction: what lies between a meter and a published figure.
///
/// Two `Int128` carry all common bills. A bill whose cuts need more, such as months of parking cut
/// twice a day at odd milliseconds, moves to big integers by itself: nothing is ever rounded inside.
package struct Rational: Sendable {
    private enum Storage: Sendable {
        /// The denominator is positive; not always in lowest terms.
        case small(Int128, Int128)
        case big(BigInteger, BigInteger)
    }

    private var storage: Storage

    private init(_ storage: Storage) { self.storage = storage }

    package init(_ whole: Int64) { storage = .small(Int128(whole), 1) }

    package init(_ decimal: Decimal) {
        storage = .small(decimal.significand, Decimal.power(decimal.scale))
    }

    /// - Precondition: the denominator is positive.
    package init(_ numerator: Int128, over denominator: Int128) {
        precondition(denominator > 0, "a fraction's denominator is positive")
        storage = .small(numerator, denominator)
    }

    package static let zero = Rational(0)

    package var isZero: Bool {
        switch storage {
        case .small(let n, _): n == 0
        case .big(let n, _): n.isZero
        }
    }

    /// Half-up away from zero, to `digits` after the point. What no `Decimal` can hold becomes the
    /// largest one.
    package func rounded(to digits: Int) -> Decimal {
        if case .small(let n, let d) = storage {
            let scaled = n.multipliedReportingOverflow(by: Decimal.power(digits))
            if !scaled.overflow {
                let (quotient, rest) = scaled.partialValue.quotientAndRemainder(dividingBy: d)
                let isHalf = rest.magnitude >= d.magnitude - rest.magnitude
                let up: Int128 = isHalf ? (n < 0 ? -1 : 1) : 0
                return Decimal(significand: quotient + up, scale: digits)
            }
        }
        let (n, d) = big
        let doubled = n.magnitude * BigInteger(Decimal.power(digits)) * BigInteger(2) + d
        let quotient = (doubled.quotient(dividingBy: d * BigInteger(2))).int128
        return Decimal(significand: n.isNegative ? -quotient : quotient, scale: digits)
    }

    /// The least multiple of `step` that is not below the number.
    package func roundedUp(toMultipleOf step: Int64) -> Rational {
        precondition(step > 0, "a step is positive")
        if case .small(let n, let d) = storage {
            let unit = d.multipliedReportingOverflow(by: Int128(step))
            if !unit.overflow {
                let (quotient, rest) = n.quotientAndRemainder(dividingBy: unit.partialValue)
                let steps = (rest > 0 ? quotient + 1 : quotient)
                    .multipliedReportingOverflow(by: Int128(step))
                if !steps.overflow { return Rational(.small(steps.partialValue, 1)) }
            }
        }
        let (n, d) = big
        let unit = d * BigInteger(Int128(step))
        let quotient = n.magnitude.quotient(dividingBy: unit)
        let isExact = quotient * unit == n.magnitude
        let steps =
            n.isNegative ? quotient.negated : (isExact ? quotient : quotient + BigInteger(1))
        return Rational(.big(steps * BigInteger(Int128(step)), BigInteger(1)))
    }

    private var big: (BigInteger, BigInteger) {
        switch storage {
        case .small(let n, let d): (BigInteger(n), BigInteger(d))
        case .big(let n, let d): (n, d)
        }
    }

    /// In lowest terms where small; big fractions are left, they only grow by short factors.
    private var reduced: Rational {
        guard case .small(let n, let d) = storage, n != .min, d > 1 else { return self }
        let divisor = Self.greatestCommonDivisor(n.magnitude, d.magnitude)
        return Rational(.small(n / Int128(divisor), d / Int128(divisor)))
    }

    private static func greatestCommonDivisor(_ a: UInt128, _ b: UInt128) -> UInt128 {
        var (a, b) = (a, b)
        while b != 0 {
            // Division of 64 bits is many times faster, and nearly every bill fits it.
            if a <= UInt128(UInt64.max), b <= UInt128(UInt64.max) {
                var (x, y) = (UInt64(a), UInt64(b))
                while y != 0 { (x, y) = (y, x % y) }
                return UInt128(x)
            }
            (a, b) = (b, a % b)
        }
        return a
    }
}

// MARK: Arithmetic

extension Rational {
    package static func + (a: Rational, b: Rational) -> Rational {
        if let sum = smallSum(a, b) ?? smallSum(a.reduced, b.reduced) { return sum }
        let ((an, ad), (bn, bd)) = (a.reduced.big, b.reduced.big)
        if ad == bd { return Rational(.big(an + bn, ad)) }
        return Rational(.big(an * bd + bn * ad, ad * bd))
    }

    package static func - (a: Rational, b: Rational) -> Rational { a + b.negated }

    package static func * (a: Rational, b: Rational) -> Rational {
        if let product = smallProduct(a, b) ?? smallProduct(a.reduced, b.reduced) {
            return product
        }
        let ((an, ad), (bn, bd)) = (a.reduced.big, b.reduced.big)
        return Rational(.big(an * bn, ad * bd))
    }

    package static func += (a: inout Rational, b: Rational) { a = a + b }

    /// - Precondition: `divisor` is above zero.
    package static func / (a: Rational, divisor: Rational) -> Rational {
        switch divisor.storage {
        case .small(let n, let d):
            precondition(n > 0, "a divisor is above zero")
            return a * Rational(.small(d, n))
        case .big(let n, let d):
            precondition(!n.isZero && !n.isNegative, "a divisor is above zero")
            return a * Rational(.big(d, n))
        }
    }

    private var negated: Rational {
        if case .small(let n, let d) = storage, n != .min { return Rational(.small(-n, d)) }
        let (n, d) = big
        return Rational(.big(n.negated, d))
    }

    private static func smallSum(_ a: Rational, _ b: Rational) -> Rational? {
        guard case .small(let an, let ad) = a.storage, case .small(let bn, let bd) = b.storage
        else { return nil }
        if ad == bd {
            let sum = an.addingReportingOverflow(bn)
            return sum.overflow ? nil : Rational(.small(sum.partialValue, ad))
        }
        let x = an.multipliedReportingOverflow(by: bd)
        let y = bn.multipliedReportingOverflow(by: ad)
        let d = ad.multipliedReportingOverflow(by: bd)
        let sum = x.partialValue.addingReportingOverflow(y.partialValue)
        guard !x.overflow, !y.overflow, !d.overflow, !sum.overflow else { return nil }
        return Rational(.small(sum.partialValue, d.partialValue))
    }

    private static func smallProduct(_ a: Rational, _ b: Rational) -> Rational? {
        guard case .small(let an, let ad) = a.storage, case .small(let bn, let bd) = b.storage
        else { return nil }
        let n = an.multipliedReportingOverflow(by: bn)
        let d = ad.multipliedReportingOverflow(by: bd)
        guard !n.overflow, !d.overflow else { return nil }
        return Rational(.small(n.partialValue, d.partialValue))
    }
}

extension Rational: Comparable {
    package static func == (a: Rational, b: Rational) -> Bool { (a - b).isZero }

    package static func < (a: Rational, b: Rational) -> Bool {
        switch (a - b).storage {
        case .small(let n, _): n < 0
        case .big(let n, _): n.isNegative
        }
    }
}
