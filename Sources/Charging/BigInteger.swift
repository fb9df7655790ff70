/// A whole number of any size, for the few bills that outgrow `Int128`. Plain school arithmetic.
struct BigInteger: Hashable, Sendable {
    /// Least first, no zero at the end; zero is empty.
    private var limbs: [UInt32]
    private(set) var isNegative: Bool

    private init(limbs: [UInt32], isNegative: Bool) {
        var limbs = limbs
        while limbs.last == 0 { limbs.removeLast() }
        self.limbs = limbs
        self.isNegative = isNegative && !limbs.isEmpty
    }

    init(_ value: Int128) {
        var rest = value.magnitude
        var limbs: [UInt32] = []
        while rest != 0 {
            limbs.append(UInt32(truncatingIfNeeded: rest))
            rest >>= 32
        }
        self.init(limbs: limbs, isNegative: value < 0)
    }

    var isZero: Bool { limbs.isEmpty }
    var magnitude: BigInteger { BigInteger(limbs: limbs, isNegative: false) }
    var negated: BigInteger { BigInteger(limbs: limbs, isNegative: !isNegative) }

    /// The same number, or the nearest end of the range.
    var int128: Int128 {
        guard limbs.count <= 4 else { return isNegative ? -.max : .max }
        let value = limbs.reversed().reduce(UInt128(0)) { $0 << 32 | UInt128($1) }
        let bounded = Int128(min(value, UInt128(Int128.max)))
        return isNegative ? -bounded : bounded
    }

    static func + (a: BigInteger, b: BigInteger) -> BigInteger {
        if a.isNegative == b.isNegative {
            return BigInteger(limbs: sum(a.limbs, b.limbs), isNegative: a.isNegative)
        }
        if isLess(a.limbs, b.limbs) {
            return BigInteger(limbs: difference(b.limbs, a.limbs), isNegative: b.isNegative)
        }
        return BigInteger(limbs: difference(a.limbs, b.limbs), isNegative: a.isNegative)
    }

    static func * (a: BigInteger, b: BigInteger) -> BigInteger {
        guard !a.isZero, !b.isZero else { return BigInteger(0) }
        var product = [UInt32](repeating: 0, count: a.limbs.count + b.limbs.count)
        for (i, x) in a.limbs.enumerated() {
            var carry: UInt64 = 0
            for (j, y) in b.limbs.enumerated() {
                let value = UInt64(x) * UInt64(y) + UInt64(product[i + j]) + carry
                product[i + j] = UInt32(truncatingIfNeeded: value)
                carry = value >> 32
            }
            product[i + b.limbs.count] = UInt32(carry)
        }
        return BigInteger(limbs: product, isNegative: a.isNegative != b.isNegative)
    }

    /// The whole quotient of two numbers that are not negative, cut towards zero.
    ///
    /// Bit by bit: quotients here are published figures, at most some 128 bits long.
    func quotient(dividingBy divisor: BigInteger) -> BigInteger {
        precondition(!divisor.isZero && !divisor.isNegative && !isNegative, "positive only")
        let span = bitWidth - divisor.bitWidth
        guard span >= 0 else { return BigInteger(0) }
        var quotient = [UInt32](repeating: 0, count: span / 32 + 1)
        var rest = limbs
        var shifted = divisor.shifted(left: span).limbs
        for bit in stride(from: span, through: 0, by: -1) {
            if !Self.isLess(rest, shifted) {
                rest = BigInteger(limbs: Self.difference(rest, shifted), isNegative: false).limbs
                quotient[bit / 32] |= 1 << UInt32(bit % 32)
            }
            shifted = Self.halved(shifted)
        }
        return BigInteger(limbs: quotient, isNegative: false)
    }

    private var bitWidth: Int {
        limbs.count * 32 - (limbs.last?.leadingZeroBitCount ?? 0)
    }

    private func shifted(left bits: Int) -> BigInteger {
        var shifted = [UInt32](repeating: 0, count: bits / 32)
        var carry: UInt32 = 0
        let part = UInt32(bits % 32)
        for limb in limbs {
            shifted.append(part == 0 ? limb : limb << part | carry)
            carry = part == 0 ? 0 : limb >> (32 - part)
        }
        shifted.append(carry)
        return BigInteger(limbs: shifted, isNegative: isNegative)
    }

    private static func halved(_ limbs: [UInt32]) -> [UInt32] {
        var halved = limbs
        for index in halved.indices {
            let above = index + 1 < limbs.count ? limbs[index + 1] : 0
            halved[index] = limbs[index] >> 1 | above << 31
        }
        if halved.last == 0 { halved.removeLast() }
        return halved
    }

    private static func isLess(_ a: [UInt32], _ b: [UInt32]) -> Bool {
        if a.count != b.count { return a.count < b.count }
        for index in a.indices.reversed() where a[index] != b[index] { return a[index] < b[index] }
        return false
    }

    private static func sum(_ a: [UInt32], _ b: [UInt32]) -> [UInt32] {
        var result: [UInt32] = []
        var carry: UInt64 = 0
        for index in 0..<max(a.count, b.count) {
            let value =
                carry + UInt64(index < a.count ? a[index] : 0)
                + UInt64(index < b.count ? b[index] : 0)
            result.append(UInt32(truncatingIfNeeded: value))
            carry = value >> 32
        }
        result.append(UInt32(carry))
        return result
    }

    /// - Precondition: `a` is not below `b`.
    private static func difference(_ a: [UInt32], _ b: [UInt32]) -> [UInt32] {
        var result = a
        var borrow: Int64 = 0
        for index in a.indices {
            var value = Int64(a[index]) - borrow - Int64(index < b.count ? b[index] : 0)
            borrow = value < 0 ? 1 : 0
            if value < 0 { value += 1 << 32 }
            result[index] = UInt32(value)
        }
        return result
    }
}
