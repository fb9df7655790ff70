import Charging

/// A moment of a session's course.
package struct SeriesPoint: Hashable, Sendable {
    package var at: Timestamp
    /// Since the session began; never below the point before.
    package var energy: WattHours
    /// Kilowatts; nil where nothing was sampled then.
    package var power: Decimal?
    /// Amperes, sum of all phases.
    package var current: Decimal?

    package init(
        at: Timestamp, energy: WattHours, power: Decimal? = nil, current: Decimal? = nil
    ) {
        self.at = at
        self.energy = energy
        self.power = power
        self.current = current
    }
}

extension Session {
    /// One clean series out of what a charger sent: one point a moment, in order, from the start's
    /// register to the stop's.
    ///
    /// Counted as billed: registers that fall, or lie above the stop's, are left out; they stand in the
    /// readings as they came.
    package func series(_ readings: [MeterReading]) -> [SeriesPoint] {
        var points = [SeriesPoint(at: startedAt, energy: .zero)]
        var register = meterStart
        for reading in readings.sorted(by: { ($0.at ?? startedAt) < ($1.at ?? startedAt) }) {
            guard let at = reading.at, at >= startedAt, endedAt.map({ at <= $0 }) ?? true else {
                continue
            }
            if let told = reading.register, told >= register,
                endedAt == nil || told <= meterLast
            {
                register = told
            }
            guard reading.register != nil || reading.power != nil || reading.current != nil else {
                continue
            }
            if points[points.count - 1].at != at {
                points.append(SeriesPoint(at: at, energy: register - meterStart))
            }
            // Of one moment: what a second message of it adds.
            let last = points.count - 1
            points[last].energy = register - meterStart
            points[last].power = points[last].power ?? reading.power
            points[last].current = points[last].current ?? reading.current
        }
        guard let endedAt else { return points }
        if points[points.count - 1].at < endedAt {
            points.append(SeriesPoint(at: endedAt, energy: energy))
        } else {
            points[points.count - 1].energy = energy
        }
        return points
    }
}
