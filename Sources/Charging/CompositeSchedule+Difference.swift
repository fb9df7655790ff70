extension CompositeSchedule {
    /// A span over which two schedules of one connector do not say the same.
    package struct Difference: Hashable, Sendable {
        /// Seconds since the first schedule's start.
        package var from: Int
        /// Exclusive.
        package var until: Int
        /// Tenths of the unit; nil where a schedule says nothing.
        package var expected: Int64?
        package var reported: Int64?

        package init(from: Int, until: Int, expected: Int64?, reported: Int64?) {
            self.from = from
            self.until = until
            self.expected = expected
            self.reported = reported
        }
    }

    /// Rounding on the way through a station's own arithmetic: a tenth of an ampere; of watts 1 %.
    private static func isSame(_ a: Int64?, _ b: Int64?, _ unit: ChargingSchedule.Unit) -> Bool {
        guard let a, let b else { return a == b }
        switch unit {
        case .amperes: return abs(a - b) <= 1
        case .watts: return abs(a - b) <= max(10, max(a, b) / 100)
        }
    }

    /// Where `reported` says something else than this one, over the span both cover; nil when they
    /// cannot be compared: they are not in one unit, or begin more than a year apart.
    package func differences(from reported: CompositeSchedule) -> [Difference]? {
        guard reported.schedule.unit == schedule.unit else { return nil }
        // A station's start is only as good as its clock, and may be any.
        let longest = Int64(ChargingProfile.Bounds.seconds.upperBound)
        let apart = reported.start.seconds(since: start)
        guard (-longest...longest).contains(apart) else { return nil }
        let shift = Int(apart)
        func end(_ other: ChargingSchedule, _ shift: Int) -> Int {
            other.durationSeconds.map { $0 + shift } ?? .max
        }
        let first = max(0, shift)
        let last = min(end(schedule, 0), end(reported.schedule, shift))
        guard first < last else { return [] }
        let starts =
            schedule.periods.map(\.start) + reported.schedule.periods.map { $0.start + shift }
        let cuts = Set(starts + [first]).filter { (first..<last).contains($0) }.sorted()
        var differences: [Difference] = []
        for (index, cut) in cuts.enumerated() {
            let until = index + 1 < cuts.count ? cuts[index + 1] : last
            let expected = schedule.tenths(at: cut)
            let other = reported.schedule.tenths(at: cut - shift)
            guard !Self.isSame(expected, other, schedule.unit) else { continue }
            if let before = differences.last, before.until == cut, before.expected == expected,
                before.reported == other
            {
                differences[differences.count - 1].until = until
            } else {
                differences.append(
                    Difference(from: cut, until: until, expected: expected, reported: other))
            }
        }
        return differences
    }
}
