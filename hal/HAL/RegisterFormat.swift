import Charging

/// How a value lies in its registers. The raw value is what a profile's `type` says.
package enum RegisterType: String, Hashable, Sendable, CaseIterable, Codable {
    case u16, i16, u32, i32, u64, i64, f32, f64
    /// Iskra: a signed decimal exponent in the high byte, then an unsigned or signed 24-bit mantissa.
    case t5, t6
    /// ASCII, two characters a register; its length is the profile's `count`.
    case text

    /// 16-bit registers of one value; 0 for `text`, whose length the profile gives.
    package var registers: Int {
        switch self {
        case .u16, .i16: 1
        case .u32, .i32, .f32, .t5, .t6: 2
        case .u64, .i64, .f64: 4
        case .text: 0
        }
    }
}

/// Which register of a value comes first on the wire.
package enum WordOrder: String, Hashable, Sendable, CaseIterable, Codable {
    case highFirst, lowFirst
}

/// Which byte of a register comes first on the wire; Modbus says `highFirst`, some meters do not.
package enum ByteOrder: String, Hashable, Sendable, CaseIterable, Codable {
    case highFirst, lowFirst
}

/// A register's number exactly as the bits say it: `(negative ? −1 : 1) · magnitude · 2^twos · 10^tens`.
///
/// A float32 of kWh is not a decimal number. Kept in this form no step on the way to whole
/// watt-hours rounds but the last one, and that one is chosen.
package struct RawNumber: Hashable, Sendable {
    package var isNegative: Bool
    package var magnitude: UInt64
    package var twos: Int
    package var tens: Int

    package init(isNegative: Bool = false, magnitude: UInt64, twos: Int = 0, tens: Int = 0) {
        self.isNegative = isNegative
        self.magnitude = magnitude
        self.twos = twos
        self.tens = tens
    }

    package init(_ value: Int64) { self.init(isNegative: value < 0, magnitude: value.magnitude) }

    /// nil for NaN and the infinities.
    package init?(float32 bits: UInt32) {
        let exponent = Int(bits >> 23 & 0xFF)
        guard exponent != 0xFF else { return nil }
        let fraction = UInt64(bits & 0x7F_FFFF)
        self.init(
            isNegative: bits >> 31 == 1, magnitude: exponent == 0 ? fraction : fraction | 1 << 23,
            twos: max(exponent, 1) - 127 - 23)
    }

    /// nil for NaN and the infinities.
    package init?(float64 bits: UInt64) {
        let exponent = Int(bits >> 52 & 0x7FF)
        guard exponent != 0x7FF else { return nil }
        let fraction = bits & 0xF_FFFF_FFFF_FFFF
        self.init(
            isNegative: bits >> 63 == 1, magnitude: exponent == 0 ? fraction : fraction | 1 << 52,
            twos: max(exponent, 1) - 1023 - 52)
    }

    package enum Rounding: Hashable, Sendable {
        /// Towards minus infinity: energy is never billed before it is complete.
        case down
        /// To the nearest, halves away from zero.
        case nearest
    }

    /// `self · scale · factor` as a whole number; nil outside `Int64`.
    package func times(_ scale: Decimal, _ factor: Int64, _ rounding: Rounding) -> Int64? {
        let isNegative = isNegative != (scale.significand < 0)
        let tens = tens - scale.scale
        guard magnitude != 0, scale.significand != 0, factor > 0 else { return 0 }
        guard var top = Self.product(UInt128(magnitude), scale.significand.magnitude),
            let widened = Self.product(top, UInt128(factor))
        else { return nil }
        top = widened
        // One bit more than asked for, so that "nearest" can look at the half.
        if rounding == .nearest {
            guard let doubled = Self.product(top, 2) else { return nil }
            top = doubled
        }
        if tens > 0 {
            guard tens <= 38, let raised = Self.product(top, Self.power(10, tens)) else {
                return nil
            }
            top = raised
        }
        if twos > 0 {
            guard twos <= 126, let raised = Self.product(top, UInt128(1) << twos) else {
                return nil
            }
            top = raised
        }
        var isExact = true
        if twos < 0 {
            // ⌊⌊x / 2^a⌋ / 10^b⌋ = ⌊x / (2^a · 10^b)⌋: two small divisions, no huge divisor.
            let shift = min(-twos, 128)
            isExact = shift < 128 && top & ((UInt128(1) << shift) - 1) == 0
            top = shift < 128 ? top >> shift : 0
        }
        if tens < 0 {
            guard tens >= -38 else { return nil }
            let (quotient, rest) = top.quotientAndRemainder(dividingBy: Self.power(10, -tens))
            isExact = isExact && rest == 0
            top = quotient
        }
        switch rounding {
        case .nearest: top = (top + 1) / 2
        case .down: if isNegative, !isExact { top += 1 }
        }
        guard let value = Int64(exactly: top) else { return nil }
        return isNegative ? -value : value
    }

    private static func product(_ a: UInt128, _ b: UInt128) -> UInt128? {
        let (value, overflow) = a.multipliedReportingOverflow(by: b)
        return overflow ? nil : value
    }

    private static func power(_ base: UInt128, _ exponent: Int) -> UInt128 {
        (0..<exponent).reduce(1) { value, _ in value * base }
    }
}

extension RegisterType {
    /// The number in `registers`, which are as many as the type has.
    ///
    /// - Returns: nil for NaN and infinity, which meters send for "not available", and for `text`.
    package func number(
        _ registers: some Collection<UInt16>, words: WordOrder, bytes: ByteOrder = .highFirst
    ) -> RawNumber? {
        let bits = Self.bits(registers, words: words, bytes: bytes)
        switch self {
        case .u16, .u32, .u64: return RawNumber(magnitude: bits)
        case .i16: return RawNumber(Int64(Int16(truncatingIfNeeded: bits)))
        case .i32: return RawNumber(Int64(Int32(truncatingIfNeeded: bits)))
        case .i64: return RawNumber(Int64(bitPattern: bits))
        case .f32: return RawNumber(float32: UInt32(truncatingIfNeeded: bits))
        case .f64: return RawNumber(float64: bits)
        case .t5, .t6:
            let exponent = Int(Int8(truncatingIfNeeded: bits >> 24))
            let isNegative = self == .t6 && bits & 0x80_0000 != 0
            let mantissa = bits & 0xFF_FFFF
            return RawNumber(
                isNegative: isNegative, magnitude: isNegative ? 0x100_0000 - mantissa : mantissa,
                tens: exponent)
        case .text: return nil
        }
    }

    /// The registers as one number, high word first whatever the wire's order.
    package static func bits(
        _ registers: some Collection<UInt16>, words: WordOrder, bytes: ByteOrder
    ) -> UInt64 {
        let swapped = registers.map { bytes == .highFirst ? $0 : $0.byteSwapped }
        let ordered = words == .highFirst ? swapped : swapped.reversed()
        return ordered.reduce(0) { $0 << 16 | UInt64($1) }
    }

    /// ASCII until the first NUL, blanks at the end cut, everything unprintable left out.
    package static func text(_ registers: some Collection<UInt16>) -> String {
        let bytes = registers.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] }.prefix { $0 != 0 }
        var printable = bytes.filter { (0x20...0x7E).contains($0) }
        while printable.last == 0x20 { printable.removeLast() }
        return String(decoding: printable, as: UTF8.self)
    }
}
