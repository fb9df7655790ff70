import Charging
import Testing

@Suite struct `A decimal` {
    @Test(
        arguments: [
            ("0", 0, 0), ("-0", 0, 0), ("5.50", 550, 2), ("-0.05", -5, 2), ("1e3", 1000, 0),
            ("1.5E-2", 15, 3), ("0.000", 0, 3),
            (
                "123456789012345678901234567890123456",
                123_456_789_012_345_678_901_234_567_890_123_456, 0
            ),
        ] as [(String, Int128, Int)])
    func `reads its text exactly`(text: String, significand: Int128, scale: Int) {
        let value = Decimal(text)
        #expect(value?.significand == significand)
        #expect(value?.scale == scale)
    }

    @Test(arguments: [
        "", "-", "+1", ".5", "1.", "1.2.3", "1e", "1e99", "1e-9223372036854775808", "NaN", "0x10",
        "1 ", "१", "1234567890123456789012345678901234567", "1e37", "1e-39", "0e-99", "--1", "1.e5",
        "e5",
    ])
    func `refuses what is no number it can hold`(text: String) {
        #expect(Decimal(text) == nil)
    }

    @Test func `compares numbers of far scales without leaving its range`() {
        let huge = Decimal(significand: .max, scale: 0)
        let tiny = Decimal(significand: 1, scale: 38)
        #expect(tiny < huge)
        #expect(!(huge < tiny))
        #expect(-huge < tiny)
        #expect(Decimal(significand: .min, scale: 0) < tiny)
        #expect(!(tiny < -huge))
        #expect(Decimal("0.10") == Decimal("0.1"))
        #expect(Decimal("0.10").hashValue == Decimal("0.1").hashValue)
        #expect(Decimal(significand: .max, scale: 38) < Decimal(2))
    }

    @Test func `answers nil where a sum or a product does not fit`() {
        let huge = Decimal(significand: .max, scale: 0)
        #expect(huge.adding(Decimal(1)) == nil)
        #expect(huge.adding(Decimal(significand: 1, scale: 38)) == nil)
        #expect((-huge).subtracting(Decimal(2)) == nil)
        #expect(huge.multiplied(by: Decimal(2)) == nil)
        #expect(
            Decimal(significand: 3, scale: 30).multiplied(by: Decimal(significand: 3, scale: 30))
                == nil)
        #expect(Decimal.zero.multiplied(by: huge) == .zero)
        #expect(Decimal("0.5")?.adding(Decimal(significand: 10, scale: 38)) != nil)
        #expect(Decimal("1.10")! + Decimal("2.205")! == Decimal("3.305")!)
        #expect(Decimal("1.10")! - Decimal("2.205")! == Decimal("-1.105")!)
        #expect(Decimal("1.10")! * Decimal("-2.5")! == Decimal("-2.75")!)
    }

    @Test(arguments: [
        ("2.5", 0, "3"), ("-2.5", 0, "-3"), ("2.4999", 0, "2"), ("1.005", 2, "1.01"),
        ("-1.005", 2, "-1.01"), ("1.0049", 2, "1.00"), ("7", 2, "7.00"), ("0.5", 0, "1"),
    ])
    func `rounds half up, away from zero`(text: String, digits: Int, expected: String) {
        #expect(Decimal(text)?.rounded(to: digits).description == expected)
    }

    @Test func `keeps its value where zeros would not fit`() {
        let huge = Decimal(significand: .max, scale: 0)
        #expect(huge.rounded(to: 2) == huge)
    }

    @Test func `has a floor inside Int64 only`() {
        #expect(Decimal("-0.5")?.floor == -1)
        #expect(Decimal("115.2")?.floor == 115)
        #expect(Decimal(significand: .max, scale: 0).floor == nil)
    }
}

@Suite struct `Energy` {
    @Test func `stops at the ends of its range`() {
        #expect(WattHours(.max) + WattHours(1) == WattHours(.max))
        #expect(WattHours(.min) - WattHours(1) == WattHours(.min))
        #expect(WattHours(.max) - WattHours(-1) == WattHours(.max))
    }
}

@Suite struct `A timestamp` {
    @Test(
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("2026-11-21T09:42:00.5Z", 1_795_254_120_500),
            ("2026-11-21 09:42:00", 1_795_254_120_000),
            ("2026-11-21T15:12:00+0530", 1_795_254_120_000),
            ("2026-11-21T11:42:00+02", 1_795_254_120_000),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000),
            ("2017-01-01T05:29:60+05:30", 1_483_228_800_000),
            ("0000-01-01T00:00:00Z", -62_167_219_200_000),
            ("9999-12-31T23:59:59.999999999Z", 253_402_300_799_999),
        ] as [(String, Int64)])
    func `is read as peers write it`(text: String, milliseconds: Int64) {
        #expect(Timestamp(rfc3339: text)?.milliseconds == milliseconds)
    }

    @Test(arguments: [
        "", "2026-11-21", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-11-21T24:00:00Z",
        "2026-11-21T12:00:60Z", "2026-11-21T09:42:00.Z", "2026-11-21T09:42:00.1234567890Z",
        "2026-11-21T09:42:00+25:00", "2026-11-21T09:42:00Zx", "+026-11-21T09:42:00Z",
        "99999-01-01T00:00:00Z",
    ])
    func `is refused where it names no moment`(text: String) {
        #expect(Timestamp(rfc3339: text) == nil)
    }

    @Test func `is written within the years that RFC 3339 knows`() {
        #expect(Timestamp(milliseconds: 1_795_254_120_500).rfc3339 == "2026-11-21T09:42:00.500Z")
        #expect(Timestamp(milliseconds: .max).rfc3339 == "9999-12-31T23:59:59.999Z")
        #expect(Timestamp(milliseconds: .min).rfc3339 == "0000-01-01T00:00:00Z")
        for text in ["2000-02-29T12:00:00Z", "1900-03-01T00:00:00Z", "1969-12-31T23:59:59.999Z"] {
            #expect(Timestamp(rfc3339: text)?.rfc3339 == text)
        }
    }

    @Test func `never leaves its range`() {
        #expect(Timestamp(seconds: .max).milliseconds == .max)
        #expect(Timestamp(milliseconds: .max).advanced(bySeconds: 1).milliseconds == .max)
        #expect(Timestamp(milliseconds: 0).advanced(bySeconds: .min).milliseconds == .min)
        #expect(
            Timestamp(milliseconds: .max).seconds(since: Timestamp(milliseconds: .min)) == Int64.max
                / 1000)
        #expect(Timestamp(milliseconds: 1999).seconds(since: Timestamp(milliseconds: 0)) == 1)
    }
}
