import Charging
import Testing

@testable import HAL

@Suite struct `A register's number` {
    @Test func `in float32 becomes the watt-hours below it, exactly`() {
        // 812.345 kWh has no float32; the nearest is 812.344970703125.
        let number = RawNumber(float32: Float(812.345).bitPattern)
        #expect(number?.times(Decimal(1), 1000, .down) == 812_344)
        #expect(number?.times(Decimal(1), 1000, .nearest) == 812_345)
    }

    @Test func `in float32 agrees with exact binary arithmetic for ten thousand patterns`() {
        var bits: UInt32 = 0x3A00_0000
        for _ in 0..<10_000 {
            bits &+= 21_379
            let float = Float(bitPattern: bits)
            guard float < 1e9 else { break }
            // A 24-bit significand times 1000 fits a Double's 53 bits: this product is exact.
            let exact = Double(float) * 1000
            let number = RawNumber(float32: bits)
            #expect(number?.times(Decimal(1), 1000, .down) == Int64(exact.rounded(.down)))
            #expect(
                number?.times(Decimal(1), 1000, .nearest)
                    == Int64(exact.rounded(.toNearestOrAwayFromZero)))
        }
    }

    @Test(arguments: [
        (Int64(-1), RawNumber.Rounding.down, Int64(-1)), (-15, .down, -2), (-15, .nearest, -2),
        (-14, .nearest, -1), (14, .nearest, 1), (15, .nearest, 2), (19, .down, 1),
    ])
    func `rounds tenths as asked`(tenths: Int64, rounding: RawNumber.Rounding, expected: Int64) {
        let scale = Decimal(significand: 1, scale: 1)
        #expect(RawNumber(tenths).times(scale, 1, rounding) == expected)
    }

    @Test func `beyond all bounds is no number`() {
        #expect(RawNumber(float32: 0x7F7F_FFFF)?.times(Decimal(1), 1000, .down) == nil)
        #expect(RawNumber(magnitude: .max).times(Decimal(1), 1000, .down) == nil)
        #expect(RawNumber(float32: 1)?.times(Decimal(1), 1000, .down) == 0)
        #expect(RawNumber(float32: 0x8000_0001)?.times(Decimal(1), 1000, .down) == -1)
    }

    @Test(arguments: [UInt32(0x7F80_0000), 0xFF80_0000, 0x7FC0_0000, 0xFFFF_FFFF])
    func `is none for NaN and infinity`(bits: UInt32) {
        #expect(RawNumber(float32: bits) == nil)
    }

    @Test func `reads a double of watt-hours`() {
        let bits = Double(123_456_789.75).bitPattern
        #expect(RawNumber(float64: bits)?.times(Decimal(1), 1, .down) == 123_456_789)
    }

    @Test func `reads Iskra's exponent and mantissa`() {
        // 10^-1 × 2301 and 10^2 × −45.
        #expect(
            RegisterType.t5.number([0xFF00, 0x08FD], words: .highFirst)?.times(
                Decimal(1), 1000, .nearest) == 230_100)
        #expect(
            RegisterType.t6.number([0x02FF, 0xFFD3], words: .highFirst)?.times(
                Decimal(1), 1, .nearest) == -4500)
    }

    @Test func `knows word and byte order`() {
        let raw: [UInt16] = [0x1122, 0x3344]
        #expect(RegisterType.bits(raw, words: .highFirst, bytes: .highFirst) == 0x1122_3344)
        #expect(RegisterType.bits(raw, words: .lowFirst, bytes: .highFirst) == 0x3344_1122)
        #expect(RegisterType.bits(raw, words: .highFirst, bytes: .lowFirst) == 0x2211_4433)
    }

    @Test func `as text ends at its first NUL and loses what cannot be printed`() {
        #expect(RegisterType.text([0x4232, 0x3320, 0x0041]) == "B23")
        #expect(RegisterType.text([0x411B, 0x4200]) == "AB")
    }
}
