/// A moment in UTC, to the millisecond.
package struct Timestamp: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Since 1970-01-01T00:00:00Z.
    package var milliseconds: Int64

    package init(milliseconds: Int64) { self.milliseconds = milliseconds }

    /// Stops at the ends of the range instead of trapping.
    package init(seconds: Int64) { self.milliseconds = Self.thousandfold(seconds) }

    package static func < (a: Self, b: Self) -> Bool { a.milliseconds < b.milliseconds }

    /// Stops at the ends of the range instead of trapping: a station's clock may say anything.
    package func advanced(bySeconds seconds: Int64) -> Timestamp {
        advanced(byMilliseconds: Self.thousandfold(seconds))
    }

    package func advanced(byMilliseconds step: Int64) -> Timestamp {
        let (sum, overflow) = milliseconds.addingReportingOverflow(step)
        return Timestamp(milliseconds: overflow ? (step < 0 ? .min : .max) : sum)
    }

    /// Whole seconds, cut towards zero.
    package func seconds(since earlier: Timestamp) -> Int64 { milliseconds(since: earlier) / 1000 }

    package func milliseconds(since earlier: Timestamp) -> Int64 {
        let (span, overflow) = milliseconds.subtractingReportingOverflow(earlier.milliseconds)
        return overflow ? (self < earlier ? .min : .max) : span
    }

    /// The first and the last moment that RFC 3339's four digits of a year can name.
    package static let earliest = Timestamp(milliseconds: -62_167_219_200_000)
    package static let latest = Timestamp(milliseconds: 253_402_300_799_999)

    /// `2026-11-21T09:42:00Z`, with `.fff` where the milliseconds are not zero. RFC 3339.
    ///
    /// - Range: years 0000 to 9999; a moment outside is written as the nearest one inside, so that what
    ///   we send can always be read.
    package var rfc3339: String {
        let written = min(max(self, Self.earliest), Self.latest)
        let (days, inDay) = Self.split(written.milliseconds, 86_400_000)
        let (year, month, day) = Self.civil(days: days)
        let (hour, minute, second) = (inDay / 3_600_000, inDay / 60_000 % 60, inDay / 1000 % 60)
        let milli = inDay % 1000
        // Written byte by byte: every heartbeat's answer carries a time.
        return String(unsafeUninitializedCapacity: 24) { buffer in
            var at = 0
            func put(_ value: Int64, digits: Int, then mark: UInt8) {
                var rest = value
                for index in stride(from: at + digits - 1, through: at, by: -1) {
                    buffer[index] = 0x30 + UInt8(rest % 10)
                    rest /= 10
                }
                at += digits
                buffer[at] = mark
                at += 1
            }
            put(year, digits: 4, then: UInt8(ascii: "-"))
            put(month, digits: 2, then: UInt8(ascii: "-"))
            put(day, digits: 2, then: UInt8(ascii: "T"))
            put(hour, digits: 2, then: UInt8(ascii: ":"))
            put(minute, digits: 2, then: UInt8(ascii: ":"))
            put(second, digits: 2, then: UInt8(ascii: milli == 0 ? "Z" : "."))
            if milli != 0 { put(milli, digits: 3, then: UInt8(ascii: "Z")) }
            return at
        }
    }

    package var description: String { rfc3339 }

    /// Reads RFC 3339 and what peers send instead: a blank for `T`, `+0530`, `+02`, no zone (then
    /// UTC), 1 to 9 digits of a second, cut to milliseconds. nil for anything else, a day outside its
    /// month included. A leap second, `23:59:60` in UTC, is the first of the next day, as in POSIX.
    package init?(rfc3339 text: some StringProtocol) {
        var rest = Array(text.utf8)[...]
        func number(_ digits: Int) -> Int64? {
            guard rest.count >= digits else { return nil }
            var value: Int64 = 0
            for byte in rest.prefix(digits) {
                guard byte >= 0x30, byte <= 0x39 else { return nil }
                value = value * 10 + Int64(byte - 0x30)
            }
            rest = rest.dropFirst(digits)
            return value
        }
        func mark(_ marks: String) -> Bool {
            guard let byte = rest.first, marks.utf8.contains(byte) else { return false }
            rest = rest.dropFirst()
            return true
        }
        guard let year = number(4), mark("-"), let month = number(2), mark("-"),
            let day = number(2),
            mark("Tt "), let hour = number(2), mark(":"), let minute = number(2), mark(":"),
            let second = number(2),
            (1...12).contains(month), (1...Self.length(of: month, year)).contains(day), hour < 24,
            minute < 60,
            second < 61
        else { return nil }
        var milli: Int64 = 0
        if mark(".") {
            var digits = 0
            while let byte = rest.first, byte >= 0x30, byte <= 0x39 {
                guard digits < 9 else { return nil }
                if digits < 3 { milli = milli * 10 + Int64(byte - 0x30) }
                digits += 1
                rest = rest.dropFirst()
            }
            guard digits > 0 else { return nil }
            while digits < 3 { milli *= 10; digits += 1 }
        }
        var offset: Int64 = 0
        if let sign = rest.first, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") {
            rest = rest.dropFirst()
            guard let hours = number(2) else { return nil }
            _ = mark(":")
            let minutes = rest.isEmpty ? 0 : number(2)
            guard let minutes, hours < 24, minutes < 60 else { return nil }
            offset = (hours * 60 + minutes) * (sign == UInt8(ascii: "-") ? -1 : 1)
        } else {
            _ = mark("Zz")
        }
        guard rest.isEmpty else { return nil }
        let days = Self.days(year: year, month: month, day: day)
        let minutes = days * 1440 + hour * 60 + minute - offset
        if second == 60, Self.split(minutes, 1440).1 != 1439 { return nil }
        self.init(milliseconds: (minutes * 60 + second) * 1000 + milli)
    }

    // MARK: The proleptic Gregorian calendar in days since 1970, counted in eras of 400 years.

    /// The day number of a civil date.
    package static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let y = month <= 2 ? year - 1 : year
        let era = (y >= 0 ? y : y - 399) / 400
        let yearOfEra = y - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    /// The civil date of a day number.
    package static func civil(days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let z = days + 719_468
        let era = (z >= 0 ? z : z - 146_096) / 146_097
        let dayOfEra = z - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shifted + 2) / 5 + 1
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }

    private static func length(of month: Int64, _ year: Int64) -> Int64 {
        let next =
            month == 12
            ? days(year: year + 1, month: 1, day: 1) : days(year: year, month: month + 1, day: 1)
        return next - days(year: year, month: month, day: 1)
    }

    private static func thousandfold(_ seconds: Int64) -> Int64 {
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        return overflow ? (seconds < 0 ? .min : .max) : product
    }

    private static func split(_ value: Int64, _ unit: Int64) -> (Int64, Int64) {
        let quotient = value >= 0 ? value / unit : (value - unit + 1) / unit
        return (quotient, value - quotient * unit)
    }
}
