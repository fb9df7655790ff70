/// An exact decimal number: `significand / 10^scale`. Money and prices are this, never a `Double`.
///
/// - Range: 36 significant digits; `init(_:)` refuses more. What a peer sent is added and multiplied
///   by `adding`, `subtracting` and `multiplied(by:)`, which answer nil where the result does not fit;
///   the operators trap there and are for figures Kerb made itself. Comparing never traps.
package struct Decimal: Sendable {
    package let significand: Int128
    /// Digits after the point, 0…38.
    package let scale: Int

    package init(significand: Int128, scale: Int) {
        precondition((0...38).contains(scale), "a Decimal has 0 to 38 digits after the point")
        self.significand = significand
        self.scale = scale
    }

    package init(_ integer: Int64) { self.init(significand: Int128(integer), scale: 0) }

    package static let zero = Decimal(0)

    /// The most significant digits a text may have; what fits can be negated, doubled and rounded.
    package static let maximumDigits = 36

    /// Reads a JSON number or a plain decimal text; nil for anything else or more than 36 digits.
    package init?(_ text: some StringProtocol) {
        var significand: Int128 = 0
        var (digits, scale, exponent) = (0, 0, 0)
        var (seenPoint, digitWasLast) = (false, false)
        var bytes = Array(text.utf8)[...]
        let isNegative = bytes.first == UInt8(ascii: "-")
        if isNegative { bytes.removeFirst() }
        while let byte = bytes.first {
            if byte >= 0x30, byte <= 0x39 {
                guard digits < Self.maximumDigits else { return nil }
                significand = significand * 10 + Int128(byte - 0x30)
                if significand != 0 { digits += 1 }
                if seenPoint { scale += 1 }
                digitWasLast = true
            } else if byte == UInt8(ascii: "."), !seenPoint, digitWasLast {
                (seenPoint, digitWasLast) = (true, false)
            } else if byte == UInt8(ascii: "e") || byte == UInt8(ascii: "E"), digitWasLast {
                let power = String(decoding: bytes.dropFirst(), as: UTF8.self)
                // Not abs(): the least Int has no positive twin, and a peer may well send it.
                guard let value = Int(power), (-38...38).contains(value) else { return nil }
                exponent = value
                break
            } else {
                return nil
            }
            bytes.removeFirst()
        }
        guard digitWasLast else { return nil }
        scale -= exponent
        if significand == 0 { scale = min(max(scale, 0), 38) }
        while scale < 0 {
            guard digits < Self.maximumDigits else { return nil }
            significand *= 10
            digits += 1
            scale += 1
        }
        guard scale <= 38 else { return nil }
        self.init(significand: isNegative ? -significand : significand, scale: scale)
    }

    /// The same number without trailing zeros after the point.
    package var reduced: Decimal {
        var (s, d) = (significand, scale)
        while d > 0, s % 10 == 0 {
            s /= 10
            d -= 1
        }
        return Decimal(significand: s, scale: d)
    }

    /// Half-up away from zero, once, to `digits` after the point (0…38). Fewer digits than asked for
    /// come back where filling up with zeros would not fit; the value is the same then.
    package func rounded(to digits: Int) -> Decimal {
        precondition((0...38).contains(digits), "a Decimal has 0 to 38 digits after the point")
        guard digits < scale else {
            let (filled, overflow) =
                significand.multipliedReportingOverflow(by: Self.power(digits - scale))
            return overflow ? self : Decimal(significand: filled, scale: digits)
        }
        let divisor = Self.power(scale - digits)
        let (quotient, rest) = significand.quotientAndRemainder(dividingBy: divisor)
        let up: Int128 = rest.magnitude * 2 >= divisor.magnitude ? (significand < 0 ? -1 : 1) : 0
        return Decimal(significand: quotient + up, scale: digits)
    }

    /// The whole part, rounded down; nil outside `Int64`.
    package var floor: Int64? {
        let (quotient, rest) = significand.quotientAndRemainder(dividingBy: Self.power(scale))
        return Int64(exactly: rest < 0 ? quotient - 1 : quotient)
    }

    /// 10^0…10^38, the largest power of ten below 2^127.
    static func power(_ exponent: Int) -> Int128 { powers[exponent] }

    private static let powers: [Int128] = (0..<38).reduce(into: [1]) { list, index in
        list.append(list[index] * 10)
    }
}

// MARK: Arithmetic

extension Decimal {
    /// The exact sum; nil where it does not fit.
    package func adding(_ other: Decimal) -> Decimal? {
        func sum(_ a: Decimal, _ b: Decimal) -> Decimal? {
            let scale = max(a.scale, b.scale)
            let x = a.significand.multipliedReportingOverflow(by: Self.power(scale - a.scale))
            let y = b.significand.multipliedReportingOverflow(by: Self.power(scale - b.scale))
            let sum = x.partialValue.addingReportingOverflow(y.partialValue)
            return x.overflow || y.overflow || sum.overflow
                ? nil : Decimal(significand: sum.partialValue, scale: scale)
        }
        return sum(self, other) ?? sum(reduced, other.reduced)
    }

    /// The exact difference; nil where it does not fit.
    package func subtracting(_ other: Decimal) -> Decimal? {
        guard other.significand != .min else { return nil }
        return adding(-other)
    }

    /// The exact product; nil where it does not fit.
    package func multiplied(by other: Decimal) -> Decimal? {
        let (x, y) = (reduced, other.reduced)
        let product = x.significand.multipliedReportingOverflow(by: y.significand)
        guard !product.overflow else { return nil }
        if product.partialValue == 0 { return .zero }
        var (significand, scale) = (product.partialValue, x.scale + y.scale)
        while scale > 38, significand % 10 == 0 {
            significand /= 10
            scale -= 1
        }
        return scale > 38 ? nil : Decimal(significand: significand, scale: scale)
    }

    package static func + (a: Decimal, b: Decimal) -> Decimal { made(a.adding(b)) }
    package static func - (a: Decimal, b: Decimal) -> Decimal { made(a.subtracting(b)) }
    package static func * (a: Decimal, b: Decimal) -> Decimal { made(a.multiplied(by: b)) }

    package static prefix func - (a: Decimal) -> Decimal {
        Decimal(significand: -a.significand, scale: a.scale)
    }

    private static func made(_ result: Decimal?) -> Decimal {
        guard let result else {
            preconditionFailure(
                "a Decimal holds 38 digits: use the checked ways for what peers send")
        }
        return result
    }
}

extension Decimal: Comparable, Hashable {
    package static func == (a: Decimal, b: Decimal) -> Bool {
        if a.scale == b.scale { return a.significand == b.significand }
        let (x, y) = (a.reduced, b.reduced)
        return x.significand == y.significand && x.scale == y.scale
    }

    package static func < (a: Decimal, b: Decimal) -> Bool {
        if a.scale == b.scale { return a.significand < b.significand }
        let scale = max(a.scale, b.scale)
        let x = a.significand.multipliedReportingOverflow(by: power(scale - a.scale))
        let y = b.significand.multipliedReportingOverflow(by: power(scale - b.scale))
        // Only the side with fewer digits after the point is multiplied; if it leaves the range it is
        // farther from zero than anything the other side can be.
        if x.overflow { return a.significand < 0 }
        if y.overflow { return b.significand > 0 }
        return x.partialValue < y.partialValue
    }

    package func hash(into hasher: inout Hasher) {
        let value = reduced
        hasher.combine(value.significand)
        hasher.combine(value.scale)
    }
}

extension Decimal: CustomStringConvertible {
    /// The shortest plain spelling that keeps the scale: `5.50` stays `5.50`; use `reduced` for `5.5`.
    package var description: String {
        guard scale > 0 else { return "\(significand)" }
        var digits = String(significand.magnitude)
        if digits.count <= scale {
            digits = String(repeating: "0", count: scale - digits.count + 1) + digits
        }
        let point = digits.index(digits.endIndex, offsetBy: -scale)
        return "\(significand < 0 ? "-" : "")\(digits[..<point]).\(digits[point...])"
    }
}
