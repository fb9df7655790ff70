import Charging
import HAL

extension ConnectorMachine {
    /// Everything that can happen to a connector.
    package enum Input: Hashable, Sendable {
        // From the board.
        case pilot(PilotState, diode: DiodeCheck)
        /// The cable's rating; nil when the pin reads nothing.
        case proximity(Amperes?)
        case mirror(MirrorState)
        case locked(Bool)
        case residualCurrent(ResidualCurrentState)
        case emergencyStop(isActive: Bool)
        case door(isOpen: Bool)
        case protectiveEarth(isLost: Bool)
        case temperature(degrees: Int)
        case meter(MeterSnapshot)
        case meterFailed
        /// What became of the test that the effect `selfTest` asked for.
        case selfTest(SelfTestResult)
        /// A closing was not renewed in time and has fallen, or may have.
        case lapsed
        /// Nothing was handed over for longer than the dead-man holds a closing: it has opened, and
        /// what the inputs said is old through nobody's fault but ours.
        case resumed
        /// Whether outputs can be set at all; false where a driver reported an error.
        case outputs(areWorking: Bool)
        // From people and the operator.
        case token(String)
        case authorization(token: String, AuthorizationInfo)
        /// The operator's word on a running transaction's token.
        case transactionToken(AuthorizationInfo)
        case remoteStart(token: String, needsAuthorization: Bool)
        case stop(StopReason)
        case operative(Bool)
        /// Whether the board itself lets nothing new begin for a while.
        case held(Bool)
        /// Whether the program is about to end.
        case ending(Bool)
        /// Each `site` one counts for a while only where there is a safe share.
        case limit(Limit, Amperes?)
        /// What the connector falls to when nobody repeats the site's limit; nil: it never does.
        case safeShare(Amperes?)
        /// Keeps the connector for a driver; nil gives it free.
        case reserve(Reservation?)
        /// Whether it could be read for whom connectors are kept.
        case reservations(areKnown: Bool)
        /// Where the charge of this number ends by itself; nil takes its limits away.
        case chargeLimit(Int64, ChargeLimits?)
        case rules(ConnectorRules)
        /// Whether the wall's clock can be believed; without a battery it reads the last time it knew.
        case clock(isTrusted: Bool)
        /// A person looked and cleared what was latched.
        case latchedFaultsCleared
        // From the controller.
        case journal(JournalAnswer)
        /// Whether the journal could keep a new charge; nil while it could.
        case journalTrouble(JournalTrouble?)
        case tick
    }

    /// Whose limit; the least of all counts.
    package enum Limit: String, Hashable, Sendable, CaseIterable { case configured, site, profile }

    package enum JournalAnswer: Hashable, Sendable {
        /// The start is durable under this number of the board's own.
        case started(Int64)
        case startFailed
        case stopped
        case stopFailed
    }

    /// What is to be done, in this order: outputs, journal, then the rest.
    package enum Effect: Hashable, Sendable {
        case output(Output)
        case journal(JournalEntry)
        case authorize(token: String)
        /// Test the residual current device now; the answer is the input of the same name.
        case selfTest
        case report(Report)
    }

    package enum Output: Hashable, Sendable {
        case contactor(closed: Bool)
        case pilot(PilotSignal)
        case lock(Bool)
        case indicator(Indication)
    }

    /// What must be on disk. `start` and `stop` answer with a `JournalAnswer`; the others do not.
    package enum JournalEntry: Hashable, Sendable {
        case start(Start)
        case sample(transaction: Int64, MeterSnapshot, ReadingContext)
        case register(transaction: Int64, WattHours, at: Timestamp)
        case stop(Stop)
        case limits(transaction: Int64, ChargeLimits)
        case latched([Fault])
        /// How much of its life the contactor has used, after each closing and opening.
        case wear(ContactorWear)
    }

    package struct Start: Hashable, Sendable {
        package var token: String
        package var isRemote: Bool
        package var register: WattHours
        package var at: Timestamp
        /// When the machine decided on it, on the monotonic clock.
        package var decidedAt: Int64 = 0
        /// The operator's number of the reservation it uses.
        package var reservation: Int?
        /// Where it ends by itself. They are durable with the start: a crash between the two would
        /// leave a charge without limits.
        package var limits = ChargeLimits.none
    }

    package struct Stop: Hashable, Sendable {
        package var transaction: Int64
        package var register: WattHours
        package var at: Timestamp
        package var reason: StopReason
        /// Who stopped it, where a token did.
        package var token: String?
        /// True where no reading came after the relay opened and the last good one stands in.
        package var isLastGood: Bool
        /// The limit that ended it, where one did; the reason is then `local`.
        package var limit: ChargeLimits.Kind?

        package init(
            transaction: Int64, register: WattHours, at: Timestamp, reason: StopReason,
            token: String?, isLastGood: Bool, limit: ChargeLimits.Kind? = nil
        ) {
            self.transaction = transaction
            self.register = register
            self.at = at
            self.reason = reason
            self.token = token
            self.isLastGood = isLastGood
            self.limit = limit
        }
    }

    package enum Report: Hashable, Sendable {
        case status(Status)
        case tokenRefused(AuthorizationStatus)
        case startAbandoned(StartFailure)
        case reservationEnded(id: Int, ReservationEnd)
        /// Nobody repeated the site's limit; this counts until somebody does.
        case siteLimitLost(Amperes)
        /// A charge that was found open goes on.
        case resumed
        /// The meter shows more than a charge found open can have drawn since its register was kept: the
        /// kept one is billed, and a person decides on the rest.
        case registerRefused(kept: WattHours, shown: WattHours)
        /// Something about the meter of a running charge is doubted since this reading.
        case meterDoubted(MeterConcern, why: String)
    }

    package enum MeterConcern: String, Hashable, Sendable {
        /// The driver holds the register against the power.
        case register
        /// Power flows the wrong way.
        case feedsBack
        /// The register does not count what flows; the charge ends.
        case standsStill
    }

    package enum StartFailure: String, Hashable, Sendable {
        /// No car came within `ConnectionTimeOut`.
        case timedOut
        case inoperative
        case journalFailed
        /// The connector is kept for another token.
        case reserved
    }

    package struct Status: Hashable, Sendable {
        package var status: ConnectorStatus
        package var errorCode: String
        package var info: String?
        package var vendorErrorCode: String?

        package init(
            _ status: ConnectorStatus, errorCode: String = "NoError", info: String? = nil,
            vendorErrorCode: String? = nil
        ) {
            self.status = status
            self.errorCode = errorCode
            self.info = info
            self.vendorErrorCode = vendorErrorCode
        }
    }

    /// An open transaction found on disk after a restart.
    package struct Recovered: Hashable, Sendable {
        package var transaction: Int64
        package var token: String
        package var lastRegister: WattHours
        /// The last moment the board is known to have been alive.
        package var lastAlive: Timestamp
        /// The same by the monotonic clock; nil where the power was gone since.
        package var aliveMilliseconds: Int64?
        /// False where nothing opens the contactor when the program ends.
        package var hasDeadMan: Bool
        package var reason: StopReason
        /// Of its start; what is billed counts from there if it goes on.
        package var startRegister: WattHours?
        package var startedAt: Timestamp?
        package var limits: ChargeLimits
        /// False where damage left nobody knowing them; then it does not go on.
        package var areLimitsKnown: Bool

        package init(
            transaction: Int64, token: String, lastRegister: WattHours, lastAlive: Timestamp,
            aliveMilliseconds: Int64? = nil, hasDeadMan: Bool = true,
            reason: StopReason, startRegister: WattHours? = nil, startedAt: Timestamp? = nil,
            limits: ChargeLimits = .none, areLimitsKnown: Bool = true
        ) {
            self.transaction = transaction
            self.token = token
            self.lastRegister = lastRegister
            self.lastAlive = lastAlive
            self.aliveMilliseconds = aliveMilliseconds
            self.hasDeadMan = hasDeadMan
            self.reason = reason
            self.startRegister = startRegister
            self.startedAt = startedAt
            self.limits = limits
            self.areLimitsKnown = areLimitsKnown
        }
    }
}
