/// A tariff at work on one session: takes segments one by one and says at any time what they cost.
///
/// A running session keeps one of these and adds each meter value's segment to it; for a price "as of
/// now" add the unfinished segment to a copy. `Tariff.cost(of:)` is the same thing in one go, so that
/// running cost and bill cannot differ. Rules: OCPI 2.2.1 §11.3 and §11.4; decisions: `Tariff+Cost.swift`.
package struct Pricing: Sendable {
    /// What one component has billed so far: µWh, milliseconds, or 1 for FLAT.
    struct Use: Sendable {
        var candidate: Int
        var quantity: Rational
    }

    /// A place inside a segment as an exact fraction of it, so that a threshold in energy and one in
    /// time can be compared without rounding either.
    private struct Cut {
        var part: Int64
        var whole: Int64
        static let start = Cut(part: 0, whole: 1)
        static let end = Cut(part: 1, whole: 1)

        static func < (a: Cut, b: Cut) -> Bool {
            Int128(a.part) * Int128(b.whole) < Int128(b.part) * Int128(a.whole)
        }

        /// How much of `total`, spread evenly, lies before the cut.
        func share(of total: Int64) -> Rational {
            if whole == total { return Rational(part) }
            return Rational(Int128(total) * Int128(part), over: Int128(whole))
        }

        /// The same, cut down to a whole.
        func floorShare(of total: Int64) -> Int64 {
            Int64(truncatingIfNeeded: Int128(total) * Int128(part) / Int128(whole))
        }
    }

    /// The components in force, and what they were chosen by.
    private struct Choice: Sendable {
        var state: Usage.State
        var energyReached: Int
        var durationReached: Int
        var localEpoch: Int
        var current: Decimal?
        var power: Decimal?
        var energy: Int?
        var time: Int?
    }

    /// How often the wall clock is looked at in one session. A year of cuts every hour is far below;
    /// beyond it stands a broken clock, and the price in force then stays.
    static let maximumLocalEpochs = 50_000

    let tariff: Tariff
    let plan: TariffPlan
    private let rules: LocalTimeRules
    /// By slot; the last entry of `order` is the component used last.
    private(set) var uses: [[Use]]
    private(set) var lastUsed: [Int?]
    private(set) var periods: [Cost.Period] = []

    private var sessionStart: Timestamp?
    /// Delivered since the first segment, µWh.
    private var delivered: Int64 = 0
    private var energyReached = 0
    private var durationReached = 0
    private var localSince = Timestamp(milliseconds: .max)
    private var localUntil = Timestamp(milliseconds: .min)
    private var localEpoch = 0
    private var locallyOpen: [Bool] = []
    private var choice: Choice?

    package init(_ tariff: Tariff, in rules: LocalTimeRules, reservationExpired: Bool = false) {
        self.tariff = tariff
        self.rules = rules
        plan = TariffPlan(tariff, reservationExpired: reservationExpired)
        uses = Array(repeating: [], count: TariffPlan.Slot.allCases.count)
        lastUsed = Array(repeating: nil, count: TariffPlan.Slot.allCases.count)
    }

    /// Prices a further segment. Segments come in time order; one that ends before it starts has no
    /// length, but its energy counts.
    package mutating func add(_ segment: Usage.Segment) {
        let length = TariffPlan.bounded(max(0, segment.end.milliseconds(since: segment.start)))
        let energy = TariffPlan.bounded(
            TariffPlan.bounded(segment.energy.value, times: 1_000_000)
                + TariffPlan.bounded(segment.extraMicrowattHours))
        if segment.state != .reserved, sessionStart == nil { sessionStart = segment.start }
        // A reservation lies before the session: its duration has not begun.
        let elapsed = TariffPlan.bounded(
            segment.state == .reserved
                ? 0 : max(0, segment.start.milliseconds(since: sessionStart ?? segment.start)))
        reach(elapsed: elapsed, at: segment.start)

        var from = Cut.start
        while true {
            let next = nextCut(in: segment, length: length, energy: energy, elapsed: elapsed)
            choose(for: segment)
            price(segment, from: from, to: next.cut, length: length, energy: energy)
            guard next.kinds != .end else { break }
            if next.kinds.contains(.energy) { energyReached += 1 }
            if next.kinds.contains(.duration) { durationReached += 1 }
            if next.kinds.contains(.local) { enterLocal(at: localUntil) }
            from = next.cut
        }
        delivered = TariffPlan.bounded(delivered + energy)
    }

    // MARK: Cutting

    private struct CutKinds: OptionSet {
        let rawValue: Int
        static let end: CutKinds = []
        static let energy = CutKinds(rawValue: 1)
        static let duration = CutKinds(rawValue: 2)
        static let local = CutKinds(rawValue: 4)
    }

    private mutating func reach(elapsed: Int64, at start: Timestamp) {
        while energyReached < plan.energyThresholds.count,
            plan.energyThresholds[energyReached] <= delivered
        { energyReached += 1 }
        durationReached = 0
        while durationReached < plan.durationThresholds.count,
            plan.durationThresholds[durationReached] <= elapsed
        { durationReached += 1 }
        if !plan.boundaryMinutes.isEmpty, start < localSince || start >= localUntil {
            enterLocal(at: start)
        }
    }

    /// The nearest change ahead: a threshold of energy or duration, the wall clock, or the end.
    private func nextCut(
        in segment: Usage.Segment, length: Int64, energy: Int64, elapsed: Int64
    ) -> (cut: Cut, kinds: CutKinds) {
        var (nearest, kinds) = (Cut.end, CutKinds.end)
        func offer(_ cut: Cut, _ kind: CutKinds) {
            if cut < nearest {
                (nearest, kinds) = (cut, kind)
            } else if !(nearest < cut), kinds != .end {
                kinds.insert(kind)
            }
        }
        if energy > 0, energyReached < plan.energyThresholds.count {
            let ahead = TariffPlan.bounded(plan.energyThresholds[energyReached] - delivered)
            if ahead < energy { offer(Cut(part: ahead, whole: energy), .energy) }
        }
        guard length > 0 else { return (nearest, kinds) }
        if durationReached < plan.durationThresholds.count, segment.state != .reserved {
            let ahead = plan.durationThresholds[durationReached] - elapsed
            if ahead < length { offer(Cut(part: ahead, whole: length), .duration) }
        }
        if !plan.boundaryMinutes.isEmpty, localUntil < segment.end {
            let ahead = TariffPlan.bounded(localUntil.milliseconds(since: segment.start))
            offer(Cut(part: ahead, whole: length), .local)
        }
        return (nearest, kinds)
    }

    /// Looks at the wall clock, and how long what it shows is good for.
    private mutating func enterLocal(at moment: Timestamp) {
        let local = rules.local(at: moment)
        locallyOpen = tariff.elements.map { $0.restrictions?.areOpen(at: local) ?? true }
        localSince = moment
        localUntil =
            rules.nextBoundary(after: moment, minutes: plan.boundaryMinutes)
            ?? Timestamp(milliseconds: .max)
        localEpoch += 1
        // Beyond the years that can be written the wall clock stands still.
        if localUntil <= moment || localEpoch >= Self.maximumLocalEpochs {
            localUntil = Timestamp(milliseconds: .max)
        }
    }

    // MARK: Choosing and adding up

    private mutating func choose(for segment: Usage.Segment) {
        let current = plan.usesCurrent ? segment.current : nil
        let power = plan.usesPower ? segment.power : nil
        if let choice, choice.state == segment.state, choice.energyReached == energyReached,
            choice.durationReached == durationReached, choice.localEpoch == localEpoch,
            choice.current == current, choice.power == power
        {
            return
        }
        let moment = TariffPlan.Moment(
            energyReached: energyReached, durationReached: durationReached, current: current,
            power: power)
        func first(_ slot: TariffPlan.Slot) -> Int? {
            plan.choice(slot, at: moment, locallyOpen: locallyOpen)
        }
        choice = Choice(
            state: segment.state, energyReached: energyReached, durationReached: durationReached,
            localEpoch: localEpoch, current: current, power: power, energy: first(.energy),
            time: first(segment.state.timeSlot))
        // FLAT: once for the session, once for the reservation, the first that becomes active.
        let flat = segment.state.flatSlot
        if uses[flat.rawValue].isEmpty, let candidate = first(flat) {
            uses[flat.rawValue] = [Use(candidate: candidate, quantity: Rational(1))]
            lastUsed[flat.rawValue] = 0
        }
    }

    private mutating func price(
        _ segment: Usage.Segment, from: Cut, to: Cut, length: Int64, energy: Int64
    ) {
        guard let choice else { return }
        let isWhole = from.part == 0 && to.whole == 1
        if let candidate = choice.energy, energy != 0 {
            let quantity =
                isWhole ? Rational(energy) : to.share(of: energy) - from.share(of: energy)
            add(quantity, to: .energy, candidate)
        }
        if let candidate = choice.time, length > 0 {
            let quantity =
                isWhole ? Rational(length) : to.share(of: length) - from.share(of: length)
            add(quantity, to: segment.state.timeSlot, candidate)
        }
        if length > 0 || energy != 0 {
            record(segment, from: from, to: to, length: length, energy: energy, choice)
        }
    }

    private mutating func add(_ quantity: Rational, to slot: TariffPlan.Slot, _ candidate: Int) {
        // Two cuts at one place leave nothing between them: that component was not used.
        guard !quantity.isZero else { return }
        let index: Int
        if let last = lastUsed[slot.rawValue], uses[slot.rawValue][last].candidate == candidate {
            index = last
        } else if let known = uses[slot.rawValue].firstIndex(where: { $0.candidate == candidate }) {
            index = known
        } else {
            index = uses[slot.rawValue].count
            uses[slot.rawValue].append(Use(candidate: candidate, quantity: .zero))
        }
        uses[slot.rawValue][index].quantity += quantity
        lastUsed[slot.rawValue] = index
    }
}

// MARK: Charging periods

extension Pricing {
    /// Opens a new period where another component becomes active, else prolongs the last one. Energy
    /// is cut to whole Wh from the running sum, so that the periods add up to the session.
    private mutating func record(
        _ segment: Usage.Segment, from: Cut, to: Cut, length: Int64, energy: Int64, _ choice: Choice
    ) {
        let begin = segment.start.advanced(byMilliseconds: from.floorShare(of: length))
        let end = segment.start.advanced(byMilliseconds: to.floorShare(of: length))
        let before = LocalTimeRules.floorDivide(delivered + from.floorShare(of: energy), 1_000_000)
        let after = LocalTimeRules.floorDivide(delivered + to.floorShare(of: energy), 1_000_000)
        let components = Cost.ActiveComponents(
            energy: element(.energy, choice.energy),
            time: element(segment.state.timeSlot, choice.time))
        if let last = periods.last, last.state == segment.state, last.components == components {
            periods[periods.count - 1].end = end
            periods[periods.count - 1].energy += WattHours(after - before)
        } else {
            periods.append(
                Cost.Period(
                    start: begin, end: end, state: segment.state,
                    energy: WattHours(after - before), components: components))
        }
    }

    private func element(_ slot: TariffPlan.Slot, _ candidate: Int?) -> Int? {
        candidate.map { plan.candidates[slot.rawValue][$0].element }
    }
}

extension Usage.State {
    fileprivate var timeSlot: TariffPlan.Slot {
        switch self {
        case .charging: .time
        case .parking: .parking
        case .reserved: .reservationTime
        }
    }

    fileprivate var flatSlot: TariffPlan.Slot { self == .reserved ? .reservationFlat : .flat }
}
