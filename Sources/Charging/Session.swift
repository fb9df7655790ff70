/// What happened between plug-in and plug-out, before any price is known: the input of
/// `Tariff.cost(of:)`. Segments follow each other without gap or overlap.
package struct Usage: Hashable, Sendable {
    package enum State: String, Hashable, Sendable {
        /// Reserved, before the charging session begins.
        case reserved = "RESERVED"
        case charging = "CHARGING"
        /// The vehicle does not ask for power (OCPP SuspendedEV, Finishing).
        case parking = "PARKING"
    }

    /// Half-open: the start belongs to it, the end does not.
    package struct Segment: Hashable, Sendable {
        package var start: Timestamp
        package var end: Timestamp
        package var state: State
        /// Spread evenly over the segment.
        package var energy: WattHours
        /// What a register finer than Wh shows beyond `energy`: 0…999 999 µWh. Kerb's own sessions count
        /// whole Wh; priced cases of others need not.
        package var extraMicrowattHours: Int64
        /// Amperes, sum of all phases; nil is unknown.
        package var current: Decimal?
        /// Kilowatts; nil is unknown.
        package var power: Decimal?

        package init(
            start: Timestamp, end: Timestamp, state: State, energy: WattHours,
            extraMicrowattHours: Int64 = 0, current: Decimal? = nil, power: Decimal? = nil
        ) {
            self.start = start
            self.end = end
            self.state = state
            self.energy = energy
            self.extraMicrowattHours = extraMicrowattHours
            self.current = current
            self.power = power
        }
    }

    package var segments: [Segment]
    /// The reservation ran out unused; then there are only reserved segments.
    package var reservationExpired: Bool

    package init(segments: [Segment], reservationExpired: Bool = false) {
        self.segments = segments
        self.reservationExpired = reservationExpired
    }

    package var energy: WattHours { segments.reduce(.zero) { $0 + $1.energy } }
}

/// How a session was allowed to begin. OCPI 2.2.1 §10.4.1.
package enum AuthMethod: String, Hashable, Sendable {
    case authRequest = "AUTH_REQUEST"
    case command = "COMMAND"
    case whitelist = "WHITELIST"
}

/// OCPI 2.2.1 §9.4.2.
package enum SessionStatus: String, Hashable, Sendable, CaseIterable {
    case active = "ACTIVE"
    case completed = "COMPLETED"
    case invalid = "INVALID"
    case pending = "PENDING"
    case reservation = "RESERVATION"
}

/// One charge, running or over. Tariff, location and token are as they were when it began.
package struct Session: Hashable, Sendable {
    package var id: String
    package var status: SessionStatus
    package var station: String
    package var connector: ConnectorNumber
    package var transaction: TransactionReference?
    package var token: Token
    package var authMethod: AuthMethod
    /// The last one given by a START_SESSION, a reservation or an authorise answer.
    package var authorizationReference: String?
    package var location: Location
    package var evseUID: String
    package var connectorID: String
    package var tariff: Tariff?
    package var currency: String
    package var startedAt: Timestamp
    package var endedAt: Timestamp?
    package var meterStart: WattHours
    /// The last register seen; the final one once `endedAt` is set.
    package var meterLast: WattHours
    package var usage: Usage
    /// Running cost while active, final cost at the end; nil when no tariff is known.
    package var cost: Cost?
    package var stopReason: StopReason?
    /// Why a person has to look; empty when all is well.
    package var suspicions: [String]
    package var lastUpdated: Timestamp

    package var energy: WattHours { meterLast - meterStart }

    package init(
        id: String, status: SessionStatus, station: String, connector: ConnectorNumber,
        transaction: TransactionReference?, token: Token, authMethod: AuthMethod,
        authorizationReference: String? = nil, location: Location, evseUID: String,
        connectorID: String,
        tariff: Tariff?, currency: String, startedAt: Timestamp, endedAt: Timestamp? = nil,
        meterStart: WattHours, meterLast: WattHours, usage: Usage, cost: Cost? = nil,
        stopReason: StopReason? = nil, suspicions: [String] = [], lastUpdated: Timestamp
    ) {
        self.id = id
        self.status = status
        self.station = station
        self.connector = connector
        self.transaction = transaction
        self.token = token
        self.authMethod = authMethod
        self.authorizationReference = authorizationReference
        self.location = location
        self.evseUID = evseUID
        self.connectorID = connectorID
        self.tariff = tariff
        self.currency = currency
        self.startedAt = startedAt
        self.endedAt = endedAt
        self.meterStart = meterStart
        self.meterLast = meterLast
        self.usage = usage
        self.cost = cost
        self.stopReason = stopReason
        self.suspicions = suspicions
        self.lastUpdated = lastUpdated
    }
}

/// A meter's signed record of a charge, as its station sent it.
package struct SignedReading: Hashable, Sendable {
    package var at: Timestamp
    package var context: ReadingContext
    /// Byte for byte: a changed one proves nothing.
    package var record: String

    package init(at: Timestamp, context: ReadingContext, record: String) {
        self.at = at
        self.context = context
        self.record = record
    }
}

/// The bill of one session, sealed. Exactly one per session for ever; corrections are new CDRs.
package struct CDR: Hashable, Sendable {
    package var id: String
    package var session: Session
    package var cost: Cost
    package var createdAt: Timestamp
    /// Set on a credit: the CDR it takes back. Then only the total is negative.
    package var creditOf: String?
    /// What the meter signed of it, as far as it had come when the bill was made; begin first, end last.
    package var signed: [SignedReading]

    package init(
        id: String, session: Session, cost: Cost, createdAt: Timestamp, creditOf: String? = nil,
        signed: [SignedReading] = []
    ) {
        self.id = id
        self.session = session
        self.cost = cost
        self.createdAt = createdAt
        self.creditOf = creditOf
        self.signed = signed
    }
}
