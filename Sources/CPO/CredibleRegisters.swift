import Charging

/// Which registers of a charge can be, where no stop says where it ended: a spike that a bad telegram left
/// behind would be the bill.
///
/// A rise that no plug of this power can give counts for nothing once a later register lies below it
/// again, and soon; a rise that no plug at all can give never counts. What falls without such a rise just
/// before it is an exchanged or reset meter, whose first register stands.
struct CredibleRegisters {
    /// No plug gives more. Watts.
    private static let mostWatts: Int64 = 1_000_000
    /// A spike is short: what stood longer before a register fell was energy.
    private static let mostOfSpike = 5
    /// Registers count in steps of up to 1 kWh, and readings whose times were repaired stand close together.
    private static let slack: Int128 = 1000

    private struct Point {
        var at: Timestamp
        var register: WattHours
    }

    private let rated: Int64
    private var points: [Point]

    init(of entry: SessionBook.Entry) {
        rated = min(entry.ratedWatts ?? Self.mostWatts, Self.mostWatts)
        points = [Point(at: entry.builder.startedAt, register: entry.builder.meterStart)]
    }

    /// In the order of time.
    mutating func take(_ register: WattHours?, at: Timestamp) {
        guard let register, let last = points.last, let first = points.first else { return }
        if register < last.register, at > last.at, register >= first.register {
            // The first of those it contradicts, and the one before that.
            let least = max(1, points.count - Self.mostOfSpike)
            var low = points.count - 1
            while low > least, points[low - 1].register > register { low -= 1 }
            guard low > 0, points[low - 1].register <= register,
                Self.leaps(from: points[low - 1], to: points[low], rated: rated)
            else { return }
            points.removeSubrange(low...)
        }
        guard let base = points.last, register >= base.register else { return }
        let point = Point(at: at, register: register)
        guard !Self.leaps(from: base, to: point, rated: Self.mostWatts) else { return }
        points.append(point)
    }

    func contains(_ register: WattHours, at: Timestamp) -> Bool {
        var (low, high) = (0, points.count)
        while low < high {
            let middle = (low + high) / 2
            if points[middle].at < at { low = middle + 1 } else { high = middle }
        }
        return points[low...].prefix { $0.at == at }.contains { $0.register == register }
    }

    private static func leaps(from base: Point, to point: Point, rated: Int64) -> Bool {
        Sessions.leap(
            from: base.register, at: base.at, to: point.register, at: point.at, rated: rated,
            slack: slack) != nil
    }
}
