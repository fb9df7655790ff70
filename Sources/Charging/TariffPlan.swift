/// A tariff made ready for pricing: per dimension the components in list order, every threshold in
/// one sorted list, so that a moment is described by how many thresholds lie behind it.
struct TariffPlan: Sendable {
    /// What is counted on its own: reservations never mix with the session. OCPI 2.2.1 §11.4.6.
    enum Slot: Int, CaseIterable, Sendable {
        case energy, time, parking, flat, reservationTime, reservationFlat

        var dimension: Tariff.Dimension {
            switch self {
            case .energy: .energy
            case .time, .reservationTime: .time
            case .parking: .parkingTime
            case .flat, .reservationFlat: .flat
            }
        }

        var isReservation: Bool { self == .reservationTime || self == .reservationFlat }
    }

    struct Candidate: Sendable {
        var element: Int
        var component: Tariff.Component
        var gate: Gate
    }

    /// Indices into the threshold lists, and what is asked of the moment itself.
    struct Gate: Sendable {
        var minEnergy, maxEnergy, minDuration, maxDuration: Int?
        var minCurrent, maxCurrent, minPower, maxPower: Decimal?
        var isLocal = false
    }

    /// What a gate is asked about. Counts are thresholds reached: at or below the present value.
    struct Moment: Sendable {
        var energyReached: Int
        var durationReached: Int
        var current: Decimal?
        var power: Decimal?
    }

    let candidates: [[Candidate]]
    /// Microwatt-hours and milliseconds, rising.
    let energyThresholds: [Int64]
    let durationThresholds: [Int64]
    /// Minutes of the local day at which a local restriction may change; empty where there is none.
    let boundaryMinutes: [Int]
    let usesCurrent: Bool
    let usesPower: Bool

    init(_ tariff: Tariff, reservationExpired: Bool) {
        let restrictions = tariff.elements.compactMap(\.restrictions)
        let energies = Self.sorted(
            restrictions.flatMap { [$0.minKWh, $0.maxKWh] }.compactMap(\.self)
                .map(Self.microwattHours))
        let durations = Self.sorted(
            restrictions.flatMap { [$0.minDurationSeconds, $0.maxDurationSeconds] }
                .compactMap(\.self).map { Self.bounded($0, times: 1000) })
        let local = restrictions.filter(\.isLocal)
        let times = local.flatMap { [$0.startTime?.minutes, $0.endTime?.minutes] }.compactMap(
            \.self)
        // Midnight is always among them: dates, weekdays and wrapped times change there.
        boundaryMinutes = local.isEmpty ? [] : Set(times.map { $0 % 1440 } + [0]).sorted()
        usesCurrent = restrictions.contains { $0.minCurrent != nil || $0.maxCurrent != nil }
        usesPower = restrictions.contains { $0.minPower != nil || $0.maxPower != nil }
        (energyThresholds, durationThresholds) = (energies, durations)

        func index(_ list: [Int64], _ value: Int64?) -> Int? {
            value.flatMap { list.firstIndex(of: $0) }
        }
        candidates = Slot.allCases.map { slot in
            Self.elements(of: tariff, for: slot, reservationExpired: reservationExpired)
                .compactMap { position, element in
                    guard
                        let component = element.components.first(where: {
                            $0.dimension == slot.dimension
                        })
                    else { return nil }
                    var gate = Gate()
                    if let asked = element.restrictions {
                        gate.minEnergy = index(energies, asked.minKWh.map(Self.microwattHours))
                        gate.maxEnergy = index(energies, asked.maxKWh.map(Self.microwattHours))
                        gate.minDuration = index(
                            durations,
                            asked.minDurationSeconds.map { Self.bounded($0, times: 1000) })
                        gate.maxDuration = index(
                            durations,
                            asked.maxDurationSeconds.map { Self.bounded($0, times: 1000) })
                        (gate.minCurrent, gate.maxCurrent) = (asked.minCurrent, asked.maxCurrent)
                        (gate.minPower, gate.maxPower) = (asked.minPower, asked.maxPower)
                        gate.isLocal = asked.isLocal
                    }
                    return Candidate(element: position, component: component, gate: gate)
                }
        }
    }

    /// The first component of a slot whose element holds at the moment.
    func choice(_ slot: Slot, at moment: Moment, locallyOpen: [Bool]) -> Int? {
        candidates[slot.rawValue].firstIndex { candidate in
            candidate.gate.isOpen(at: moment)
                && (!candidate.gate.isLocal || locallyOpen[candidate.element])
        }
    }

    /// Elements that may price a slot, in the order they are asked. An expired reservation asks the
    /// RESERVATION_EXPIRES elements first; a used one never. OCPI 2.2.1 §11.4.6.
    private static func elements(
        of tariff: Tariff, for slot: Slot, reservationExpired: Bool
    ) -> [(Int, Tariff.Element)] {
        let all = Array(zip(0..., tariff.elements))
        func restricted(to kind: Tariff.ReservationRestriction?) -> [(Int, Tariff.Element)] {
            all.filter { $0.1.restrictions?.reservation == kind }
        }
        guard slot.isReservation else { return restricted(to: nil) }
        return (reservationExpired ? restricted(to: .expires) : []) + restricted(to: .reservation)
    }

    private static func sorted(_ thresholds: [Int64]) -> [Int64] { Set(thresholds).sorted() }

    // MARK: Bounds

    /// Far beyond any charge, and two of them multiply inside `Int128`, add inside `Int64`.
    static let bound: Int64 = 1 << 61

    static func bounded(_ value: Int64, times factor: Int64 = 1) -> Int64 {
        let (product, overflow) = value.multipliedReportingOverflow(by: factor)
        return overflow ? (value < 0 ? -bound : bound) : min(max(product, -bound), bound)
    }

    /// A kWh restriction in µWh. OCPI numbers have four digits after the point, this keeps nine.
    private static func microwattHours(_ kilowattHours: Decimal) -> Int64 {
        let micro = kilowattHours.multiplied(by: Decimal(1_000_000_000))?.rounded(to: 0).floor
        return bounded(micro ?? (kilowattHours < .zero ? -bound : bound))
    }
}

extension TariffPlan.Gate {
    /// Lower bounds are inclusive, upper ones exclusive. What is not known satisfies no restriction.
    func isOpen(at moment: TariffPlan.Moment) -> Bool {
        if let minEnergy, moment.energyReached <= minEnergy { return false }
        if let maxEnergy, moment.energyReached > maxEnergy { return false }
        if let minDuration, moment.durationReached <= minDuration { return false }
        if let maxDuration, moment.durationReached > maxDuration { return false }
        return within(moment.current, minCurrent, maxCurrent)
            && within(moment.power, minPower, maxPower)
    }

    private func within(_ value: Decimal?, _ least: Decimal?, _ below: Decimal?) -> Bool {
        if least == nil, below == nil { return true }
        guard let value else { return false }
        if let least, value < least { return false }
        if let below, value >= below { return false }
        return true
    }
}

extension Tariff.Restrictions {
    /// Whether anything depends on the wall clock of the Location.
    var isLocal: Bool {
        startTime != nil || endTime != nil || startDate != nil || endDate != nil
            || !daysOfWeek.isEmpty
    }

    /// Whether the wall clock allows the element. OCPI 2.2.1 §11.4.6.
    func areOpen(at local: LocalTimeRules.LocalMoment) -> Bool {
        if let startDate, local.date < startDate { return false }
        if let endDate, local.date >= endDate { return false }
        if !daysOfWeek.isEmpty, !daysOfWeek.contains(local.weekday) { return false }
        let start = startTime?.minutes ?? 0
        // An end of 00:00 is the end of the day, and so is none.
        let end = endTime.map { $0.minutes == 0 ? 1440 : $0.minutes } ?? 1440
        if start == end { return true }
        if start < end { return local.minutes >= start && local.minutes < end }
        return local.minutes >= start || local.minutes < end
    }
}

extension Tariff.LocalDate: Comparable {
    package static func < (a: Self, b: Self) -> Bool {
        (a.year, a.month, a.day) < (b.year, b.month, b.day)
    }
}
