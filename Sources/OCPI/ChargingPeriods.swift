import Charging
import JSON

/// The charging periods of a session, with volumes that add up: kWh to the Wh, hours to four digits
/// after the point. OCPI 2.2.1 §10.4.2.
///
/// Hours are cut from the running sum of each dimension, so that Σ TIME and Σ PARKING_TIME are the
/// rounded totals and not sums of rounding errors.
struct ChargingPeriods: Hashable, Sendable {
    private(set) var wire: [JSONValue] = []
    /// Charging and parking together; a reservation is not part of the session's time.
    private(set) var totalHours: Decimal
    private(set) var parkingHours: Decimal

    private struct Sums {
        var milliseconds: [Usage.State: Int64] = [:]

        mutating func hours(_ state: Usage.State, _ length: Int64) -> Decimal {
            let before = milliseconds[state] ?? 0
            let after = before + max(0, length)
            milliseconds[state] = after
            return Self.hours(after) - Self.hours(before)
        }

        static func hours(_ milliseconds: Int64) -> Decimal {
            Rational(Int128(milliseconds), over: 3_600_000).rounded(to: 4)
        }
    }

    init(_ session: Session, cost: Cost?) {
        var periods = cost?.periods ?? Self.unpriced(session)
        if periods.isEmpty {
            // At least one, even for a charge that took no time.
            periods = [
                Cost.Period(
                    start: session.startedAt, end: session.endedAt ?? session.startedAt,
                    state: .charging, energy: session.energy)
            ]
        }
        var sums = Sums()
        for period in periods {
            let hours = sums.hours(period.state, period.end.milliseconds(since: period.start))
            var dimensions: [JSONValue] = []
            if period.energy != .zero || period.state == .charging {
                dimensions.append([
                    "type": "ENERGY", "volume": .number(period.energy.kilowattHours),
                ])
            }
            dimensions.append([
                "type": .string(period.state.dimension), "volume": .number(hours),
            ])
            wire.append(
                .members([
                    "start_date_time": .time(period.start), "dimensions": .array(dimensions),
                    "tariff_id": period.isPriced ? session.tariff.map { .string($0.id) } : nil,
                ]))
        }
        parkingHours = Sums.hours(sums.milliseconds[.parking] ?? 0)
        totalHours = Sums.hours(sums.milliseconds[.charging] ?? 0) + parkingHours
    }

    /// Without a tariff a period is a stretch of one state.
    private static func unpriced(_ session: Session) -> [Cost.Period] {
        var periods: [Cost.Period] = []
        for segment in session.usage.segments {
            if let last = periods.last, last.state == segment.state {
                periods[periods.count - 1].end = segment.end
                periods[periods.count - 1].energy += segment.energy
            } else {
                periods.append(
                    Cost.Period(
                        start: segment.start, end: segment.end, state: segment.state,
                        energy: segment.energy))
            }
        }
        return periods
    }
}

extension Usage.State {
    fileprivate var dimension: String {
        switch self {
        case .charging: "TIME"
        case .parking: "PARKING_TIME"
        case .reserved: "RESERVATION_TIME"
        }
    }
}
