/// A cost before any figure is rounded.
package struct ExactCost: Sendable {
    /// An amount before VAT and, where it is known, with VAT.
    package struct Figure: Sendable {
        package var excl: Rational
        package var incl: Rational?

        package static let zero = Figure(excl: .zero, incl: .zero)

        package static func + (a: Figure, b: Figure) -> Figure {
            var incl: Rational?
            if let x = a.incl, let y = b.incl { incl = x + y }
            return Figure(excl: a.excl + b.excl, incl: incl)
        }

        package func rounded(to digits: Int) -> Price {
            Price(exclVAT: excl.rounded(to: digits), inclVAT: incl?.rounded(to: digits))
        }
    }

    /// A component's share: Wh, seconds, or 1 for FLAT.
    package struct Line: Sendable {
        package var dimension: Tariff.Dimension
        package var isReservation: Bool
        package var element: Int
        package var component: Tariff.Component
        package var measured: Rational
        package var billed: Rational
        package var cost: Figure
    }

    package var currency: String
    package var total: Figure
    package var beforeLimits: Figure
    package var fixed: Figure?
    package var energy: Figure?
    package var time: Figure?
    package var parking: Figure?
    package var reservation: Figure?
    /// After step_size, in Wh and seconds.
    package var billedEnergy: Rational
    package var billedTime: Rational
    package var billedParking: Rational
    package var billedReservation: Rational
    package var periods: [Cost.Period]
    package var lines: [Line]

    /// Every published figure, rounded half-up once; sub-totals then made to add up.
    package func rounded(to digits: Int) -> Cost {
        var cost = Cost(
            currency: currency, total: total.rounded(to: digits),
            beforeLimits: beforeLimits.rounded(to: digits), fixed: fixed?.rounded(to: digits),
            energy: energy?.rounded(to: digits), time: time?.rounded(to: digits),
            parking: parking?.rounded(to: digits), reservation: reservation?.rounded(to: digits),
            billedEnergy: WattHours(Self.whole(billedEnergy)),
            billedTimeSeconds: Self.whole(billedTime),
            billedParkingSeconds: Self.whole(billedParking),
            billedReservationSeconds: Self.whole(billedReservation), periods: periods,
            lines: lines.map { line in
                Cost.Line(
                    dimension: line.dimension, isReservation: line.isReservation,
                    element: line.element, price: line.component.price, vat: line.component.vat,
                    measured: Self.whole(line.measured), billed: Self.whole(line.billed),
                    cost: line.cost.rounded(to: digits))
            })
        cost.giveAwayLeftover()
        return cost
    }

    private static func whole(_ quantity: Rational) -> Int64 {
        quantity.rounded(to: 0).floor ?? .max
    }
}

extension Cost {
    /// What rounding leaves between the sub-totals and their total goes to one sub-total; the total
    /// stands. The taker is fixed: the first of energy, time, parking, fixed and reservation that is
    /// at least as large as what it has to take.
    fileprivate mutating func giveAwayLeftover() {
        let places: [WritableKeyPath<Cost, Price?>] = [
            \.energy, \.time, \.parking, \.fixed, \.reservation,
        ]
        func settle(
            _ total: Decimal, _ read: (Price) -> Decimal?, _ write: (inout Price, Decimal) -> Void
        ) {
            let present = places.compactMap { place in
                self[keyPath: place].flatMap(read).map { (place, $0) }
            }
            let sum = present.reduce(Decimal?.some(.zero)) { $0?.adding($1.1) }
            guard let sum, let leftover = total.subtracting(sum), leftover != .zero else { return }
            let size = leftover < .zero ? -leftover : leftover
            guard let taker = present.first(where: { $0.1 >= size }) ?? present.first,
                var price = self[keyPath: taker.0], let settled = taker.1.adding(leftover)
            else { return }
            write(&price, settled)
            self[keyPath: taker.0] = price
        }
        settle(beforeLimits.exclVAT, { $0.exclVAT }, { $0.exclVAT = $1 })
        if let total = beforeLimits.inclVAT { settle(total, { $0.inclVAT }, { $0.inclVAT = $1 }) }
    }
}
