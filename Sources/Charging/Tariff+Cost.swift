// The one price of Kerb: running cost, CDR, quote, console and `tariffs test` all come from here.
//
// OCPI leaves several points open. What Kerb does, and the tests hold it to:
//
// | question                                   | decision                                              |
// |--------------------------------------------|-------------------------------------------------------|
// | rounding, mode and place                   | exact inside; half-up away from zero, once per published figure; the number of digits is a setting |
// | total                                      | rounded from the exact total, never added up from rounded lines |
// | leftover between sub-totals and total      | one fixed sub-total takes it (`giveAwayLeftover`), the total stands |
// | step_size of reservation and charging TIME | each on its own                                       |
// | step_size 0 or below                       | read as 1                                             |
// | priced parking with price 0                | absorbs the step of TIME like any parking component   |
// | parking without a component                | neither counts nor absorbs                            |
// | start_time = end_time                      | the whole day                                         |
// | current or power unknown                   | restrictions on it do not hold                        |
// | duration during a reservation              | 0: it counts from the start of the charging session   |
// | a component with a price of 0              | used like any other, its cost is 0 whatever its VAT   |
// | vat absent                                 | unknown: a figure in which such a component has a cost has no incl. VAT, and a tariff that names no VAT at all has none anywhere |
// | min or max price without incl. VAT, in force | the total's incl. VAT is unknown then                 |
// | 2.3.0 tax_included YES                     | incl. VAT is the sum as it stands; excl. is that less the VAT, or the same sum where no VAT is named |
// | 2.3.0 tax_included N/A                     | both are the sum as it stands                         |
// | tariff changed during a session            | not seen here: the caller seals the tariff at the start |

extension Tariff {
    /// What the usage costs under this tariff, with the work shown.
    ///
    /// - Parameter digits: after the point of every published figure, 0…18.
    /// - Source: OCPI 2.2.1 §11.3 and §11.4, current text.
    package func cost(of usage: Usage, in rules: LocalTimeRules, digits: Int = 2) -> Cost {
        exactCost(of: usage, in: rules).rounded(to: digits)
    }

    /// The same before rounding.
    package func exactCost(of usage: Usage, in rules: LocalTimeRules) -> ExactCost {
        var pricing = Pricing(self, in: rules, reservationExpired: usage.reservationExpired)
        for segment in usage.segments { pricing.add(segment) }
        return pricing.exactCost()
    }

    /// What `energy` would cost, charged from `start` at an even `power`, with nothing parked after it.
    ///
    /// An estimate for offers: current restrictions do not hold in it, for the phases are not known.
    package func quote(
        _ energy: WattHours, at power: Watts, from start: Timestamp, in rules: LocalTimeRules,
        digits: Int = 2
    ) -> Cost {
        let milliseconds = Rational(
            Int128(max(0, energy.value)) * 3_600_000, over: Int128(max(1, power.value)))
        let end = start.advanced(byMilliseconds: milliseconds.rounded(to: 0).floor ?? 0)
        let segment = Usage.Segment(
            start: start, end: end, state: .charging, energy: energy,
            power: Decimal(significand: Int128(power.value), scale: 3))
        return cost(of: Usage(segments: [segment]), in: rules, digits: digits)
    }
}

extension Pricing {
    /// The cost so far, each published figure rounded half-up once.
    package func cost(digits: Int = 2) -> Cost { exactCost().rounded(to: digits) }

    package func exactCost() -> ExactCost {
        let isParkingPriced = !uses[TariffPlan.Slot.parking.rawValue].isEmpty
        let energy = lines(.energy, isStepped: true)
        let parking = lines(.parking, isStepped: true)
        // TIME is not rounded once parking is priced: the parking at the end absorbs the step.
        let time = lines(.time, isStepped: !isParkingPriced)
        let flat = lines(.flat, isStepped: false)
        let reservedTime = lines(.reservationTime, isStepped: true)
        let reservedFlat = lines(.reservationFlat, isStepped: false)
        let all = flat + energy + time + parking + reservedFlat + reservedTime
        let sum = total(of: all) ?? noCost
        return ExactCost(
            currency: tariff.currency, total: limited(sum), beforeLimits: sum,
            fixed: total(of: flat), energy: total(of: energy), time: total(of: time),
            parking: total(of: parking), reservation: total(of: reservedFlat + reservedTime),
            billedEnergy: billed(energy), billedTime: billed(time), billedParking: billed(parking),
            billedReservation: billed(reservedTime), periods: periods, lines: all)
    }

    /// A slot's components with what they billed. The step is taken once, of the whole quantity, with
    /// the component used last, which also carries what the step adds.
    private func lines(_ slot: TariffPlan.Slot, isStepped: Bool) -> [ExactCost.Line] {
        guard let last = lastUsed[slot.rawValue] else { return [] }
        let uses = uses[slot.rawValue]
        var extra = Rational.zero
        if isStepped {
            let total = uses.reduce(Rational.zero) { $0 + $1.quantity }
            let component = plan.candidates[slot.rawValue][uses[last].candidate].component
            let unit: Int64 = slot == .energy ? 1_000_000 : 1000
            let step = TariffPlan.bounded(Int64(max(1, component.stepSize)), times: unit)
            // Energy that flowed back leaves nothing to round up.
            if total > .zero { extra = total.roundedUp(toMultipleOf: step) - total }
        }
        return uses.enumerated().map { index, use in
            let candidate = plan.candidates[slot.rawValue][use.candidate]
            let billed = index == last ? use.quantity + extra : use.quantity
            return ExactCost.Line(
                dimension: slot.dimension, isReservation: slot.isReservation,
                element: candidate.element, component: candidate.component,
                measured: use.quantity * slot.scale, billed: billed * slot.scale,
                cost: figure(billed * slot.scale * slot.priceUnit, candidate.component))
        }
    }

    private func billed(_ lines: [ExactCost.Line]) -> Rational {
        lines.reduce(.zero) { $0 + $1.billed }
    }

    private func total(of lines: [ExactCost.Line]) -> ExactCost.Figure? {
        lines.isEmpty ? nil : lines.reduce(noCost) { $0 + $1.cost }
    }
}

// MARK: VAT and limits

extension Pricing {
    /// Nothing, with VAT where the tariff says anything about VAT.
    private var noCost: ExactCost.Figure {
        let saysVAT =
            tariff.taxInclusion != .excluded
            || tariff.elements.contains { $0.components.contains { $0.vat != nil } }
        return ExactCost.Figure(excl: .zero, incl: saysVAT ? .zero : nil)
    }

    /// `quantity` in the price's own unit: kWh, hours, sessions.
    private func figure(_ quantity: Rational, _ component: Tariff.Component) -> ExactCost.Figure {
        let amount = quantity * Rational(component.price)
        let hundred = Rational(100)
        let factor = component.vat.map { (hundred + Rational($0)) / hundred }
        switch tariff.taxInclusion {
        case .excluded:
            if amount.isZero { return .zero }
            return ExactCost.Figure(excl: amount, incl: factor.map { amount * $0 })
        case .included:
            // A VAT of -100 % or less is no VAT; dividing by it would be worse than leaving it.
            guard let factor, factor > .zero else {
                return ExactCost.Figure(excl: amount, incl: amount)
            }
            return ExactCost.Figure(excl: amount / factor, incl: amount)
        case .notApplicable:
            return ExactCost.Figure(excl: amount, incl: amount)
        }
    }

    /// min_price, then max_price, on excl. and incl. each on its own.
    private func limited(_ sum: ExactCost.Figure) -> ExactCost.Figure {
        var figure = sum
        func apply(_ limit: Price?, _ bites: (Rational, Rational) -> Bool) {
            guard let limit else { return }
            let excl = Rational(limit.exclVAT)
            let isInForce = bites(figure.excl, excl)
            if isInForce { figure.excl = excl }
            if let incl = limit.inclVAT.map(Rational.init) {
                // Without a VAT of its own the total takes the limit's where the limit is the total.
                if figure.incl.map({ bites($0, incl) }) ?? isInForce { figure.incl = incl }
            } else if isInForce {
                figure.incl = tariff.taxInclusion == .excluded ? nil : excl
            }
        }
        apply(tariff.minPrice, <)
        apply(tariff.maxPrice, >)
        return figure
    }
}

extension TariffPlan.Slot {
    /// From what is counted (µWh, ms, times) to what is shown (Wh, s, times).
    fileprivate var scale: Rational {
        switch self {
        case .energy: Rational(1, over: 1_000_000)
        case .time, .parking, .reservationTime: Rational(1, over: 1000)
        case .flat, .reservationFlat: Rational(1)
        }
    }

    /// From what is shown to the unit of a price: kWh, hours, times.
    fileprivate var priceUnit: Rational {
        switch self {
        case .energy: Rational(1, over: 1000)
        case .time, .parking, .reservationTime: Rational(1, over: 3600)
        case .flat, .reservationFlat: Rational(1)
        }
    }
}
