/// An exact decimal number: `significand / 10^scale`. Money and prices are this, never a `Double`.
///
/// - Range: 36 significant digits; `init(_:)` refuses more. Sums and products of amounts and prices
///   stay far inside it; a step outside is a programmer error and traps.
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

    /// Reads a JSON number or a plain decimal text; nil for anything else or more than 36 digits.
    package init?(_ text: some StringProtocol) {
        var significand: Int128 = 0
        var digits = 0
        var scale = 0
        var seenPoint = false
        var exponent = 0
        var bytes = Array(text.utf8)[...]
        let isNegative = bytes.first == UInt8(ascii: "-")
        if isNegative { bytes.removeFirst() }
        guard let first = bytes.first, first >= 0x30, first <= 0x39 else { return nil }
        while let byte = bytes.first {
            if byte == UInt8(ascii: "."), !seenPoint {
                seenPoint = true
            } else if byte >= 0x30, byte <= 0x39 {
                guard digits < 36 else { return nil }
                significand = significand * 10 + Int128(byte - 0x30)
                if significand != 0 { digits += 1 }
                if seenPoint { scale += 1 }
            } else if byte == UInt8(ascii: "e") || byte == UInt8(ascii: "E") {
                bytes.removeFirst()
                guard let value = Int(String(decoding: bytes, as: UTF8.self)), abs(value) <= 36
                else { return nil }
                exponent = value
                break
            } else {
                return nil
            }
            bytes.removeFirst()
        }
        scale -= exponent
        while scale < 0 {
            guard digits < 36 else { return nil }
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

    /// Half-up away from zero, once, to `digits` after the point.
    package func rounded(to digits: Int) -> Decimal {
        guard digits < scale else {
            return Decimal(significand: significand * Self.power(digits - scale), scale: digits)
        }
        let divisor = Self.power(scale - digits)
        let (quotient, rest) = significand.quotientAndRemainder(dividingBy: divisor)
        let up: Int128 = rest.magnitude * 2 >= divisor.magnitude ? (significand < 0 ? -1 : 1) : 0
        return Decimal(significand: quotient + up, scale: digits)
    }

    /// The whole part, rounded down; nil outside `Int64`.
    package var floor: Int64? {
        let divisor = Self.power(scale)
        var (quotient, rest) = significand.quotientAndRemainder(dividingBy: divisor)
        if rest < 0 { quotient -= 1; rest += divisor }
        return Int64(exactly: quotient)
    }

    private static func power(_ exponent: Int) -> Int128 {
        var value: Int128 = 1
        for _ in 0..<abs(exponent) { value *= 10 }
        return value
    }

    private static func aligned(_ a: Decimal, _ b: Decimal) -> (Int128, Int128, Int) {
        let scale = max(a.scale, b.scale)
        return (
            a.significand * power(scale - a.scale), b.significand * power(scale - b.scale), scale
        )
    }

    package static func + (a: Decimal, b: Decimal) -> Decimal {
        let (x, y, scale) = aligned(a, b)
        return Decimal(significand: x + y, scale: scale)
    }

    package static func - (a: Decimal, b: Decimal) -> Decimal {
        let (x, y, scale) = aligned(a, b)
        return Decimal(significand: x - y, scale: scale)
    }

    package static prefix func - (a: Decimal) -> Decimal {
        Decimal(significand: -a.significand, scale: a.scale)
    }

    package static func * (a: Decimal, b: Decimal) -> Decimal {
        let (x, y) = (a.reduced, b.reduced)
        return Decimal(significand: x.significand * y.significand, scale: x.scale + y.scale)
    }
}

extension Decimal: Comparable, Hashable {
    package static func == (a: Decimal, b: Decimal) -> Bool {
        let (x, y) = (a.reduced, b.reduced)
        return x.significand == y.significand && x.scale == y.scale
    }

    package static func < (a: Decimal, b: Decimal) -> Bool {
        let (x, y, _) = aligned(a.reduced, b.reduced)
        return x < y
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
