/// When the clocks of one place stand where: a time zone, read from TZif bytes without any library.
///
/// Loading the bytes is `Service.ZoneInfo`'s work; this is pure. Source: RFC 8536 (TZif versions 1 to
/// 4), POSIX.1 TZ for the footer that carries the rule of all later years.
package struct LocalTimeRules: Hashable, Sendable {
    /// A moment as the wall clock of the place shows it.
    package struct LocalMoment: Hashable, Sendable {
        package var date: Tariff.LocalDate
        /// Since local midnight, 0…1439, cut to the minute.
        package var minutes: Int
        /// 1 is Monday, 7 is Sunday.
        package var weekday: Int
    }

    /// Why bytes are no time zone Kerb can use.
    package enum Flaw: Error, Hashable, Sendable {
        case notTZif
        case cutShort
        /// Counts or indices that do not belong together, or times out of order.
        case inconsistent
        /// A `right/` zone that counts leap seconds; OCPI times do not.
        case leapSeconds
        case footer(String)
    }

    /// Seconds since 1970, rising; `offsets[i + 1]` holds from `transitions[i]` on.
    private var transitions: [Int64]
    /// Seconds east of UTC; the first holds before every transition.
    private var offsets: [Int]
    /// What holds after the last transition.
    private var rule: DaylightRule?

    package static let utc = LocalTimeRules(fixedOffsetSeconds: 0)

    package init(fixedOffsetSeconds: Int) {
        transitions = []
        offsets = [fixedOffsetSeconds]
        rule = nil
    }

    package init(tzif bytes: [UInt8]) throws(Flaw) {
        var reader = TZifReader(bytes: bytes)
        let table = try reader.read()
        transitions = table.transitions
        offsets = table.offsets
        rule = nil
        if !table.footer.isEmpty {
            guard let rule = DaylightRule(posix: table.footer) else {
                throw .footer(String(decoding: table.footer.prefix(64), as: UTF8.self))
            }
            self.rule = rule
        }
    }

    /// Seconds east of UTC at a moment.
    package func offsetSeconds(at moment: Timestamp) -> Int {
        offset(atSecond: Self.second(of: moment))
    }

    package func local(at moment: Timestamp) -> LocalMoment {
        let second = Self.second(of: moment)
        let local = second + Int64(offset(atSecond: second))
        let day = Self.floorDivide(local, 86_400)
        let (year, month, ofMonth) = Timestamp.civil(days: day)
        return LocalMoment(
            date: Tariff.LocalDate(year: Int(year), month: Int(month), day: Int(ofMonth)),
            minutes: Int((local - day * 86_400) / 60),
            // 1970-01-01 was a Thursday.
            weekday: Int(day + 3 - Self.floorDivide(day + 3, 7) * 7) + 1)
    }

    /// The first moment after `moment` from which another offset may hold; nil when there is none.
    package func nextTransition(after moment: Timestamp) -> Timestamp? {
        let second = Self.second(of: moment)
        let index = firstTransition(after: second)
        if index < transitions.count { return Timestamp(seconds: transitions[index]) }
        return rule?.nextTransition(after: second).map { Timestamp(seconds: $0) }
    }

    /// The first moment after `moment` at which the wall clock shows one of `minutes` (of the day,
    /// 0…1439) or jumps. nil only where nothing of that kind ever comes.
    package func nextBoundary(after moment: Timestamp, minutes: [Int]) -> Timestamp? {
        let jump = nextTransition(after: moment)
        let second = Self.second(of: moment)
        let offset = Int64(offset(atSecond: second))
        let midnight = Self.floorDivide(second + offset, 86_400) * 86_400
        var next: Int64?
        for minute in minutes {
            var candidate = midnight + Int64(minute) * 60 - offset
            if candidate <= second { candidate += 86_400 }
            next = min(next ?? candidate, candidate)
        }
        guard let next else { return jump }
        // A candidate behind the jump was reckoned with the old offset: the jump comes first.
        guard let jump else { return Timestamp(seconds: next) }
        return min(jump, Timestamp(seconds: next))
    }

    private func offset(atSecond second: Int64) -> Int {
        let index = firstTransition(after: second)
        if index == transitions.count, let rule { return rule.offset(at: second) }
        return offsets[index]
    }

    private func firstTransition(after second: Int64) -> Int {
        var (low, high) = (0, transitions.count)
        while low < high {
            let middle = (low + high) / 2
            if transitions[middle] <= second { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Kept inside the years that RFC 3339 can write, so that calendar arithmetic cannot overflow.
    private static func second(of moment: Timestamp) -> Int64 {
        let bounded = min(max(moment, .earliest), .latest)
        return floorDivide(bounded.milliseconds, 1000)
    }

    static func floorDivide(_ value: Int64, _ unit: Int64) -> Int64 {
        let quotient = value / unit
        return value % unit < 0 ? quotient - 1 : quotient
    }
}

/// Reads the tables of a TZif file. RFC 8536 §3.
private struct TZifReader {
    struct Table {
        var transitions: [Int64] = []
        var offsets: [Int] = []
        var footer: [UInt8] = []
    }

    private struct Header {
        var version: UInt8
        var isUTC, isStandard, leaps, times, types, characters: Int
    }

    /// Real zones stay below 2000 transitions and 256 types; more is no zone.
    private static let maximumTransitions = 20_000

    let bytes: [UInt8]
    var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func read() throws(LocalTimeRules.Flaw) -> Table {
        let first = try header()
        guard first.version >= UInt8(ascii: "2") else { return try table(first, timeSize: 4) }
        // The first block repeats the data in 32 bits for old readers.
        try skip(
            first.times * 5 + first.types * 6 + first.characters + first.leaps * 8
                + first.isStandard + first.isUTC)
        var table = try table(try header(), timeSize: 8)
        guard try next() == UInt8(ascii: "\n") else { throw .inconsistent }
        while true {
            let byte = try next()
            if byte == UInt8(ascii: "\n") { return table }
            table.footer.append(byte)
        }
    }

    private mutating func header() throws(LocalTimeRules.Flaw) -> Header {
        guard bytes.count >= position + 4,
            Array("TZif".utf8) == Array(bytes[position..<position + 4])
        else { throw .notTZif }
        try skip(4)
        let version = try next()
        try skip(15)
        var counts: [Int] = []
        for _ in 0..<6 { counts.append(Int(try number(4))) }
        guard counts.allSatisfy({ $0 >= 0 && $0 <= Self.maximumTransitions }), counts[4] > 0,
            counts[4] <= 256
        else { throw .inconsistent }
        return Header(
            version: version, isUTC: counts[0], isStandard: counts[1], leaps: counts[2],
            times: counts[3], types: counts[4], characters: counts[5])
    }

    private mutating func table(
        _ header: Header, timeSize: Int
    ) throws(LocalTimeRules.Flaw) -> Table {
        guard header.leaps == 0 else { throw .leapSeconds }
        var table = Table()
        for _ in 0..<header.times { table.transitions.append(try number(timeSize)) }
        var kinds: [Int] = []
        for _ in 0..<header.times { kinds.append(Int(try next())) }
        var types: [Int] = []
        for _ in 0..<header.types {
            types.append(Int(try number(4)))
            try skip(2)
        }
        try skip(header.characters + header.isStandard + header.isUTC)
        guard kinds.allSatisfy({ $0 < types.count }),
            types.allSatisfy({ abs($0) <= 26 * 3600 }),
            zip(table.transitions, table.transitions.dropFirst()).allSatisfy({ $0 < $1 })
        else { throw .inconsistent }
        table.offsets = [types[0]] + kinds.map { types[$0] }
        return table
    }

    private mutating func next() throws(LocalTimeRules.Flaw) -> UInt8 {
        guard position < bytes.count else { throw .cutShort }
        position += 1
        return bytes[position - 1]
    }

    private mutating func skip(_ count: Int) throws(LocalTimeRules.Flaw) {
        guard bytes.count - position >= count else { throw .cutShort }
        position += count
    }

    /// A signed big-endian number of 4 or 8 bytes.
    private mutating func number(_ size: Int) throws(LocalTimeRules.Flaw) -> Int64 {
        var value: UInt64 = 0
        for _ in 0..<size { value = value << 8 | UInt64(try next()) }
        return size == 8 ? Int64(bitPattern: value) : Int64(Int32(bitPattern: UInt32(value)))
    }
}
