/// What `Tariff.cost(of:)` found: rounded figures, billed quantities and the work behind them.
package struct Cost: Hashable, Sendable {
    /// The tariff's elements that price a stretch, by index; nil where none does and it is free.
    package struct ActiveComponents: Hashable, Sendable {
        package var energy: Int?
        /// TIME, PARKING_TIME or the reservation's TIME, as the state says.
        package var time: Int?

        package init(energy: Int? = nil, time: Int? = nil) {
            self.energy = energy
            self.time = time
        }
    }

    /// One OCPI charging period: a stretch with one set of active components. OCPI 2.2.1 §10.4.2.
    package struct Period: Hashable, Sendable {
        package var start: Timestamp
        package var end: Timestamp
        package var state: Usage.State
        package var energy: WattHours
        package var components: ActiveComponents
        /// False where no component of the tariff applied: a free period, listed all the same.
        package var isPriced: Bool { components != ActiveComponents() }

        package init(
            start: Timestamp, end: Timestamp, state: Usage.State, energy: WattHours,
            components: ActiveComponents = ActiveComponents()
        ) {
            self.start = start
            self.end = end
            self.state = state
            self.energy = energy
            self.components = components
        }
    }

    /// One line of the work: which component billed how much of what.
    package struct Line: Hashable, Sendable {
        package var dimension: Tariff.Dimension
        package var isReservation: Bool
        /// Index in the tariff's elements.
        package var element: Int
        package var price: Decimal
        package var vat: Decimal?
        /// Wh, seconds, or 1 for FLAT: as measured, and after the step. Rounded to the nearest whole
        /// for the reader; the cost comes from the exact quantity.
        package var measured: Int64
        package var billed: Int64
        /// Rounded on its own: lines explain, they need not add up. Sub-totals do.
        package var cost: Price

        package init(
            dimension: Tariff.Dimension, isReservation: Bool, element: Int, price: Decimal,
            vat: Decimal?, measured: Int64, billed: Int64, cost: Price
        ) {
            self.dimension = dimension
            self.isReservation = isReservation
            self.element = element
            self.price = price
            self.vat = vat
            self.measured = measured
            self.billed = billed
            self.cost = cost
        }
    }

    package var currency: String
    /// After min_price and max_price, rounded once.
    package var total: Price
    /// Before min_price and max_price, rounded once: what the five sub-totals add up to.
    package var beforeLimits: Price
    /// FLAT of the charging session. nil, here and below, where no component billed it.
    package var fixed: Price?
    package var energy: Price?
    package var time: Price?
    package var parking: Price?
    /// FLAT and TIME of the reservation together.
    package var reservation: Price?
    /// Quantities after step_size, in Wh and seconds, to the nearest whole.
    package var billedEnergy: WattHours
    package var billedTimeSeconds: Int64
    package var billedParkingSeconds: Int64
    package var billedReservationSeconds: Int64
    package var periods: [Period]
    package var lines: [Line]

    package init(
        currency: String, total: Price, beforeLimits: Price? = nil, fixed: Price? = nil,
        energy: Price? = nil, time: Price? = nil, parking: Price? = nil, reservation: Price? = nil,
        billedEnergy: WattHours = .zero, billedTimeSeconds: Int64 = 0,
        billedParkingSeconds: Int64 = 0, billedReservationSeconds: Int64 = 0,
        periods: [Period] = [], lines: [Line] = []
    ) {
        self.currency = currency
        self.total = total
        self.beforeLimits = beforeLimits ?? total
        self.fixed = fixed
        self.energy = energy
        self.time = time
        self.parking = parking
        self.reservation = reservation
        self.billedEnergy = billedEnergy
        self.billedTimeSeconds = billedTimeSeconds
        self.billedParkingSeconds = billedParkingSeconds
        self.billedReservationSeconds = billedReservationSeconds
        self.periods = periods
        self.lines = lines
    }
}
