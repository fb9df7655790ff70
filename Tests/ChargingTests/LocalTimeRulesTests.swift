import Charging
import Testing

@Suite struct `Local time` {
    let berlin = try! zone("CET-1CEST,M3.5.0,M10.5.0/3")

    @Test func `is UTC where nothing else is known`() {
        let local = LocalTimeRules.utc.local(at: at("2026-11-21T09:42:59Z"))
        #expect(local.date == Tariff.LocalDate(year: 2026, month: 11, day: 21))
        #expect(local.minutes == 582)
        #expect(local.weekday == 6)
        #expect(LocalTimeRules.utc.nextTransition(after: at("2026-11-21T09:42:59Z")) == nil)
    }

    @Test(arguments: [
        ("2025-03-30T00:59:59Z", 3600), ("2025-03-30T01:00:00Z", 7200),
        ("2025-10-26T00:59:59Z", 7200), ("2025-10-26T01:00:00Z", 3600),
        ("2025-12-31T23:30:00Z", 3600), ("2400-07-01T00:00:00Z", 7200),
    ])
    func `follows a footer's rule for ever`(moment: String, offset: Int) {
        #expect(berlin.offsetSeconds(at: at(moment)) == offset)
    }

    @Test func `finds the next jump of the clock`() {
        #expect(
            berlin.nextTransition(after: at("2025-01-01T00:00:00Z")) == at("2025-03-30T01:00:00Z"))
        #expect(
            berlin.nextTransition(after: at("2025-03-30T01:00:00Z")) == at("2025-10-26T01:00:00Z"))
        #expect(
            berlin.nextTransition(after: at("2025-11-01T00:00:00Z")) == at("2026-03-29T01:00:00Z"))
    }

    @Test func `knows the southern summer and odd offsets`() throws {
        let sydney = try zone("AEST-10AEDT,M10.1.0,M4.1.0/3")
        #expect(sydney.offsetSeconds(at: at("2026-01-01T00:00:00Z")) == 39_600)
        #expect(sydney.offsetSeconds(at: at("2025-12-31T23:00:00Z")) == 39_600)
        #expect(sydney.offsetSeconds(at: at("2026-07-01T00:00:00Z")) == 36_000)
        let kathmandu = try zone("<+0545>-5:45")
        #expect(kathmandu.local(at: at("2026-01-01T18:15:00Z")).minutes == 0)
        #expect(kathmandu.local(at: at("2026-01-01T18:15:00Z")).weekday == 5)
        let nuuk = try zone("<-02>2<-01>,M3.5.0/-1,M10.5.0/0")
        #expect(nuuk.offsetSeconds(at: at("2026-03-29T00:59:59Z")) == -7200)
        #expect(nuuk.offsetSeconds(at: at("2026-03-29T01:00:00Z")) == -3600)
        let always = try zone("XXX3EDT4,0/0,J365/23")
        for month in ["01", "06", "12"] {
            #expect(always.offsetSeconds(at: at("2026-\(month)-01T00:00:00Z")) == -14_400)
        }
        #expect(always.nextTransition(after: at("2026-06-01T00:00:00Z")) == nil)
    }

    @Test func `uses the table before the footer`() throws {
        let bytes = tzif(
            transitions: [at("2000-01-01T00:00:00Z").milliseconds / 1000], offsets: [5400, 3600],
            kinds: [1], footer: "CET-1")
        let rules = try LocalTimeRules(tzif: bytes)
        #expect(rules.offsetSeconds(at: at("1999-12-31T23:59:59Z")) == 5400)
        #expect(rules.offsetSeconds(at: at("2000-01-01T00:00:00Z")) == 3600)
        #expect(
            rules.nextTransition(after: at("1999-01-01T00:00:00Z")) == at("2000-01-01T00:00:00Z"))
    }

    @Test func `finds the next minute of the day across a jump`() {
        #expect(
            berlin.nextBoundary(after: at("2025-03-29T23:00:00Z"), minutes: [0, 180])
                == at("2025-03-30T01:00:00Z"))
        #expect(
            berlin.nextBoundary(after: at("2025-06-01T10:00:00Z"), minutes: [720])
                == at("2025-06-02T10:00:00Z"))
        #expect(
            berlin.nextBoundary(after: at("2025-06-01T09:59:59.5Z"), minutes: [720])
                == at("2025-06-01T10:00:00Z"))
    }

    @Test func `refuses what is no zone`() {
        let good = tzif(transitions: [], offsets: [0], kinds: [], footer: "UTC0")
        func flaw(_ bytes: [UInt8]) -> LocalTimeRules.Flaw? {
            do throws(LocalTimeRules.Flaw) {
                _ = try LocalTimeRules(tzif: bytes)
                return nil
            } catch { return error }
        }
        #expect(flaw(good) == nil)
        #expect(flaw([]) == .notTZif)
        #expect(flaw(Array("TZif".utf8)) == .cutShort)
        for length in 5..<good.count { #expect(flaw(Array(good.prefix(length))) != nil) }
        #expect(
            flaw(tzif(transitions: [2, 1], offsets: [0], kinds: [0, 0], footer: ""))
                == .inconsistent)
        #expect(flaw(tzif(transitions: [1], offsets: [0], kinds: [7], footer: "")) == .inconsistent)
        for footer in [
            "CET", "CET-1CEST", "CET-1CEST,M13.5.0,M10.5.0", "CE-1", "CET-25", "CET-1x",
            "CET-1CEST,M3.5.0,M10.5.0,",
        ] {
            #expect(
                flaw(tzif(transitions: [], offsets: [0], kinds: [], footer: footer))
                    == .footer(footer))
        }
    }

    @Test func `survives any bytes`() {
        var random = SystemRandomNumberGenerator()
        let good = tzif(
            transitions: [1, 2, 3], offsets: [0, 3600], kinds: [0, 1, 0],
            footer: "CET-1CEST,M3.5.0,M10.5.0/3")
        for _ in 0..<3000 {
            var bytes = good
            for _ in 0..<4 {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(
                    in: 0...255, using: &random)
            }
            guard let rules = try? LocalTimeRules(tzif: bytes) else { continue }
            for moment in [
                Timestamp.earliest, .latest, at("2026-06-01T00:00:00Z"),
                Timestamp(milliseconds: .max),
            ] {
                _ = rules.local(at: moment)
                _ = rules.nextBoundary(after: moment, minutes: [0, 60])
            }
        }
    }
}

func at(_ text: String) -> Timestamp { Timestamp(rfc3339: text)! }

/// A zone without a table, as `zic -b slim` writes them.
func zone(_ footer: String) throws -> LocalTimeRules {
    try LocalTimeRules(tzif: tzif(transitions: [], offsets: [0], kinds: [], footer: footer))
}

/// A version 2 file: an empty block of 32 bits, then the data.
func tzif(transitions: [Int64], offsets: [Int32], kinds: [UInt8], footer: String) -> [UInt8] {
    func big(_ value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }
    func header(_ times: Int, _ types: Int) -> [UInt8] {
        Array("TZif2".utf8) + [UInt8](repeating: 0, count: 15)
            + [0, 0, 0, times, types, 4].flatMap { big(Int32($0)) }
    }
    var bytes = header(0, 1) + [0, 0, 0, 0, 0, 0] + Array("UTC\0".utf8)
    bytes += header(transitions.count, offsets.count)
    bytes += transitions.flatMap { big($0) } + kinds
    bytes += offsets.flatMap { big($0) + [0, 0] }
    return bytes + Array("UTC\0\n\(footer)\n".utf8)
}
