/// The rule of all years after a zone's table: a POSIX TZ text such as `CET-1CEST,M3.5.0,M10.5.0/3`.
///
/// Source: POSIX.1-2017 §8.3, with the signed hours up to 167 of RFC 8536 §3.3.1.
struct DaylightRule: Hashable, Sendable {
    private enum Day: Hashable, Sendable {
        /// `Jn`: 1…365, the 29th of February never counted.
        case julian(Int)
        /// `n`: 0…365, leap days counted.
        case ofYear(Int)
        /// `Mm.w.d`: the w-th (5 = last) weekday d (0 = Sunday) of month m.
        case weekday(month: Int, week: Int, day: Int)
    }

    private struct Change: Hashable, Sendable {
        var day: Day
        /// Seconds after the local midnight of that day, in the time that held before.
        var seconds: Int64

        /// The local second, counted as if local time were UTC.
        func local(in year: Int64) -> Int64 {
            let newYear = Timestamp.days(year: year, month: 1, day: 1)
            let isLeap = Timestamp.days(year: year + 1, month: 1, day: 1) - newYear == 366
            let date: Int64
            switch day {
            case .julian(let number):
                date = newYear + Int64(number - 1) + (isLeap && number > 59 ? 1 : 0)
            case .ofYear(let number):
                date = newYear + Int64(number)
            case .weekday(let month, let week, let weekday):
                let first = Timestamp.days(year: year, month: Int64(month), day: 1)
                // 1970-01-01 was a Thursday; Sunday is 0 here.
                let firstWeekday = (first + 4) - LocalTimeRules.floorDivide(first + 4, 7) * 7
                var found = first + (Int64(weekday) - firstWeekday + 7) % 7 + Int64(week - 1) * 7
                let next =
                    month == 12
                    ? Timestamp.days(year: year + 1, month: 1, day: 1)
                    : Timestamp.days(year: year, month: Int64(month) + 1, day: 1)
                if found >= next { found -= 7 }
                date = found
            }
            return date * 86_400 + seconds
        }
    }

    /// Seconds east of UTC.
    private let standard: Int
    private let daylight: Int
    private let begin: Change?
    private let end: Change?

    func offset(at second: Int64) -> Int {
        guard begin != nil else { return standard }
        let year = Timestamp.civil(
            days: LocalTimeRules.floorDivide(second + Int64(standard), 86_400)
        ).year
        // The last change at or before the second decides; it may belong to the year before.
        var latest: (at: Int64, offset: Int)?
        for candidate in [year - 1, year, year + 1].flatMap(changes(in:))
        where candidate.at <= second && candidate.at >= latest?.at ?? .min {
            latest = candidate
        }
        return latest?.offset ?? standard
    }

    func nextTransition(after second: Int64) -> Int64? {
        guard begin != nil else { return nil }
        let year = Timestamp.civil(
            days: LocalTimeRules.floorDivide(second + Int64(standard), 86_400)
        ).year
        let now = offset(at: second)
        return [year - 1, year, year + 1, year + 2].flatMap(changes(in:)).map(\.at)
            .filter { $0 > second && offset(at: $0) != now }.min()
    }

    /// Both changes of a year as UTC seconds; of two at one moment the later in the list holds.
    private func changes(in year: Int64) -> [(at: Int64, offset: Int)] {
        guard let begin, let end else { return [] }
        // All-year daylight time is written as an end that falls on the next begin: begin comes last.
        return [
            (end.local(in: year) - Int64(daylight), standard),
            (begin.local(in: year) - Int64(standard), daylight),
        ]
    }
}

// MARK: Reading

extension DaylightRule {
    /// nil for anything that is not a POSIX TZ text of a fixed offset or of two changes a year.
    init?(posix text: [UInt8]) {
        var rest = text[...]
        guard Self.name(&rest), let west = Self.time(&rest, hours: 24) else { return nil }
        standard = -Int(west)
        guard !rest.isEmpty else {
            (daylight, begin, end) = (standard, nil, nil)
            return
        }
        guard Self.name(&rest) else { return nil }
        if rest.first == UInt8(ascii: ",") {
            daylight = standard + 3600
        } else {
            guard let west = Self.time(&rest, hours: 24) else { return nil }
            daylight = -Int(west)
        }
        guard let begin = Self.change(&rest), let end = Self.change(&rest), rest.isEmpty else {
            return nil
        }
        (self.begin, self.end) = (begin, end)
    }

    private static func name(_ rest: inout ArraySlice<UInt8>) -> Bool {
        if rest.first == UInt8(ascii: "<") {
            guard let close = rest.firstIndex(of: UInt8(ascii: ">")) else { return false }
            rest = rest[(close + 1)...]
            return true
        }
        let letters = rest.prefix { ($0 | 0x20) >= 0x61 && ($0 | 0x20) <= 0x7a }
        rest = rest.dropFirst(letters.count)
        return letters.count >= 3
    }

    private static func number(_ rest: inout ArraySlice<UInt8>, _ range: ClosedRange<Int>) -> Int? {
        let digits = rest.prefix { $0 >= 0x30 && $0 <= 0x39 }
        guard (1...3).contains(digits.count) else { return nil }
        rest = rest.dropFirst(digits.count)
        let value = digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
        return range.contains(value) ? value : nil
    }

    private static func mark(_ rest: inout ArraySlice<UInt8>, _ mark: Character) -> Bool {
        guard rest.first == mark.asciiValue else { return false }
        rest = rest.dropFirst()
        return true
    }

    /// `[+-]hh[:mm[:ss]]` in seconds.
    private static func time(_ rest: inout ArraySlice<UInt8>, hours: Int) -> Int64? {
        let isNegative = mark(&rest, "-")
        if !isNegative { _ = mark(&rest, "+") }
        guard let hour = number(&rest, 0...hours) else { return nil }
        var seconds = hour * 3600
        if mark(&rest, ":") {
            guard let minute = number(&rest, 0...59) else { return nil }
            seconds += minute * 60
            if mark(&rest, ":") {
                guard let second = number(&rest, 0...59) else { return nil }
                seconds += second
            }
        }
        return Int64(isNegative ? -seconds : seconds)
    }

    /// `,date[/time]`; the time is 02:00 where none is given.
    private static func change(_ rest: inout ArraySlice<UInt8>) -> Change? {
        guard mark(&rest, ",") else { return nil }
        let day: Day
        if mark(&rest, "M") {
            guard let month = number(&rest, 1...12), mark(&rest, "."),
                let week = number(&rest, 1...5), mark(&rest, "."),
                let weekday = number(&rest, 0...6)
            else { return nil }
            day = .weekday(month: month, week: week, day: weekday)
        } else if mark(&rest, "J") {
            guard let number = number(&rest, 1...365) else { return nil }
            day = .julian(number)
        } else {
            guard let number = number(&rest, 0...365) else { return nil }
            day = .ofYear(number)
        }
        guard mark(&rest, "/") else { return Change(day: day, seconds: 7200) }
        guard let seconds = time(&rest, hours: 167) else { return nil }
        return Change(day: day, seconds: seconds)
    }
}
