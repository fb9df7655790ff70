import Charging
import HAL

/// Every decision about one connector: when its contactor closes and opens, what its pilot offers,
/// when a transaction starts and stops, what its status is.
///
/// A pure value: no I/O, no clock, no randomness. Each input is first taken in, then one `settle`
/// derives everything that follows, so that no path around the gate exists. The caller applies the
/// effects in order and calls with `.tick` at least every 100 ms, every 400 ms while it rests.
package struct ConnectorMachine: Sendable {
    package let number: ConnectorNumber
    package let board: BoardCapabilities
    package internal(set) var rules: ConnectorRules

    // What was sensed; nil until it was.
    var pilot: PilotState?
    var pilotSince: Int64
    var isDiodePassed = false
    var cable: Amperes?
    var mirror: MirrorState?
    var isLocked: Bool?
    var residualCurrent: ResidualCurrentState?
    var isEmergencyStopActive: Bool?
    var isDoorOpen: Bool?
    var isProtectiveEarthLost: Bool?
    var degrees: Int?
    var isHot = false
    /// What the offer is derated by; follows the sensor up at once and down with hysteresis.
    var deratingDegrees: Int?
    var areOutputsWorking = true
    var meter: MeterSnapshot?
    var limits: [Limit: Amperes] = [:]
    /// What is left of the site's limit when nobody repeats it; nil where it holds by itself.
    var safeShare: Amperes?
    var siteHeardAt: Int64?
    var supply = Supply()

    /// When each input last spoke; a value without a date is none.
    var heardAt: [Sensor: Int64] = [:]
    /// What was last heard before the board was absent, or before the contactor was switched: it
    /// tells of a time that is over.
    var outdated: Set<Sensor> = []
    /// When the control last came back from an absence.
    var resumedAt = Int64.min
    var isClockTrusted = true

    // What was commanded.
    var contactor: Contactor
    var signal: PilotSignal = .x1
    var signalSince: Int64
    /// What was offered before, and until when: a car has its time to follow a lower offer.
    var formerOffers: [(amperes: Amperes, until: Int64)] = []
    /// Since when current is offered without a break; nil while none is.
    var offeredSince: Int64?
    var isLockCommanded = false
    var lockCommandedAt: Int64
    var indication: Indication?
    var selfTest = SelfTest.due
    package internal(set) var wear: ContactorWear
    /// Since when a sleeping car is shown X1.
    var wakingSince: Int64?
    /// True once the car was woken during the present offer.
    var isWoken = false

    // What is going on.
    let bootedAt: Int64
    var isReady = false
    /// Set by the operator.
    var isOperative: Bool
    /// The board itself lets nothing new begin for a while, such as before an update. Unlike out of
    /// service it takes nothing back that was promised.
    var isHeld = false
    /// The program is about to end: nothing new begins, and what runs ends.
    var isEnding = false
    /// False while nobody could read for whom this connector may be kept.
    var areReservationsKnown = true
    /// Why the journal could not keep a new charge; what runs goes on.
    var journalTrouble: JournalTrouble?
    var permission: Permission = .none
    /// A charge has started since the car was plugged in.
    var isVended = false
    /// Why the last charge ended by itself; shown until the car is unplugged.
    var ending: String?
    package internal(set) var transaction: Transaction?
    package internal(set) var reservation: Reservation?
    /// Since when a fault keeps the driver of the reservation away.
    var reservationFaultySince: Int64?
    var faults: Set<Fault> = []
    var latched: Set<Fault>
    var windDownSince: Int64?
    var overCurrentSince: Int64?
    var mirrorUnreadableSince: Int64?
    /// Nothing closes before this: a fault was there.
    var restsUntil = Int64.min

    // What was told.
    var lastStatus: ConnectorStatus?
    var reported: Status?
    var candidate: Status?
    var candidateSince: Int64

    package init(
        number: ConnectorNumber, board: BoardCapabilities, rules: ConnectorRules = ConnectorRules(),
        isOperative: Bool = true, latched: Set<Fault> = [], recovering: Recovered? = nil,
        wear: ContactorWear = ContactorWear(), lastClosing: Int64? = nil, at now: Instant
    ) {
        self.number = number
        self.board = board
        self.rules = rules
        self.isOperative = isOperative
        self.latched = latched
        self.wear = wear
        pilotSince = now.milliseconds
        contactor = Contactor(commandedAt: now.milliseconds)
        signalSince = now.milliseconds
        lockCommandedAt = now.milliseconds
        bootedAt = now.milliseconds
        candidateSince = now.milliseconds
        contactor.lastClosing = lastClosing
        if let recovering {
            transaction = Transaction(
                recovering,
                resumes: rules.afterPowerLoss != .close && recovering.areLimitsKnown, at: now)
            // It may have been closed until a moment ago; that closing counts.
            contactor.lastClosing = now.milliseconds
        }
    }

    /// The outputs a connector starts from, to be set before anything is read.
    package static let safeOutputs: [Output] = [.contactor(closed: false), .pilot(.x1)]

    /// Takes in one input and says what is to be done, in order.
    package mutating func handle(_ input: Input, at now: Instant) -> [Effect] {
        var effects = Effects()
        absorb(input, now, &effects)
        settle(now, &effects)
        return effects.inOrder
    }

    /// Derives all that follows from the state. Nothing else decides about outputs.
    private mutating func settle(_ now: Instant, _ effects: inout Effects) {
        updateSiteLimit(now, &effects)
        superviseMirror(now, &effects)
        updateFaults(now)
        updateReadiness(now)
        updateReservation(now, &effects)
        advanceTransaction(now, &effects)
        driveContactor(now, &effects)
        driveSignal(now, &effects)
        driveLock(now, &effects)
        driveSelfTest(now, &effects)
        // An opening that is confirmed at once ends a transaction in this very step.
        advanceTransaction(now, &effects)
        updateStatus(now, &effects)
    }

    /// Effects sorted as they arise: outputs, journal, the rest.
    struct Effects {
        var outputs: [Output] = []
        var journal: [JournalEntry] = []
        var others: [Effect] = []

        var inOrder: [Effect] {
            // An opening is first of all, a closing last of the outputs.
            let opening = outputs.filter { $0 == .contactor(closed: false) }
            let closing = outputs.filter { $0 == .contactor(closed: true) }
            let rest = outputs.filter {
                $0 != .contactor(closed: true) && $0 != .contactor(closed: false)
            }
            return (opening + rest + closing).map(Effect.output) + journal.map(Effect.journal)
                + others
        }
    }

    /// What the board senses, besides the meter, whose readings carry their own age.
    enum Sensor: Hashable, CaseIterable {
        case pilot, proximity, mirror, lock, residualCurrent, emergencyStop, door
        case protectiveEarth, temperature
    }

    struct Contactor: Hashable {
        var isClosed = false
        var commandedAt: Int64
        var lastClosing: Int64?
        /// The mirror has agreed with the present command.
        var isConfirmed = false
        /// When the relay was known, or had to be taken, to be open.
        var openSince: Int64?

        init(commandedAt: Int64) { self.commandedAt = commandedAt }
    }

    enum Permission: Hashable {
        case none
        case asking(token: String, isRemote: Bool, since: Int64)
        case granted(token: String, group: String?, isRemote: Bool, since: Int64)
    }

    package struct Transaction: Hashable, Sendable {
        package enum Phase: Hashable, Sendable {
            /// The start is on its way to the disk.
            case starting
            case running
            /// Found open after a restart; it may go on.
            case resuming(since: Int64)
            /// The car winds down, the relay opens.
            case stopping
            /// The relay is open; the closing register is awaited.
            case opened(since: Int64)
            /// The stop is on its way to the disk.
            case committing
            /// The disk refused; tried again at this time.
            case retrying(at: Int64)
        }

        package var phase: Phase
        /// The board's own number; nil until the start is durable.
        package var id: Int64?
        package var token: String
        package var group: String?
        package var isAccepted = true
        package var startRegister: WattHours
        package var startedAt: Timestamp
        package var lastRegister: WattHours
        package var stopReason: StopReason?
        package var stopToken: String?
        var stoppedAt: Timestamp?
        var isRecovered = false
        /// Of one found open where nothing opens the contactor when the program ends: when it was last
        /// known to run, by the monotonic clock if that has run on.
        var isUnguarded = false
        var aliveMilliseconds: Int64?
        /// After a restart: when the operator was asked about the token, and whether he accepted it.
        var askedAt: Int64?
        var isKnown = false
        package internal(set) var limits = ChargeLimits.none
        package internal(set) var reachedLimit: ChargeLimits.Kind?
        /// The start on the monotonic clock, for the limit of time.
        var startedMilliseconds: Int64
        /// What this start uses up once it is durable.
        var reservation: Reservation?
        /// How often the contactor fell by itself.
        var falls = 0
        var lastSample: Int64 = 0
        var registerKeptAt: Int64 = 0
        var registerKept: WattHours
        var watch = RegisterWatch()
        /// What was said of its meter.
        var concerns: Set<MeterConcern> = []

        /// True while energy may be asked for under this transaction.
        var isRunning: Bool { phase == .running && stopReason == nil }

        /// True once its relay is open for good and only its bill is not done.
        var isOver: Bool {
            switch phase {
            case .starting, .running, .resuming, .stopping: false
            case .opened, .committing, .retrying: true
            }
        }

        init(
            token: String, group: String?, register: WattHours, at now: Instant
        ) {
            phase = .starting
            self.token = token
            self.group = group
            startRegister = register
            lastRegister = register
            registerKept = register
            startedAt = now.wall
            startedMilliseconds = now.milliseconds
            lastSample = now.milliseconds
            registerKeptAt = now.milliseconds
        }

        init(_ recovered: Recovered, resumes: Bool, at now: Instant) {
            phase = resumes ? .resuming(since: now.milliseconds) : .stopping
            id = recovered.transaction
            token = recovered.token
            startRegister = recovered.startRegister ?? recovered.lastRegister
            lastRegister = recovered.lastRegister
            registerKept = recovered.lastRegister
            startedAt = recovered.startedAt ?? recovered.lastAlive
            startedMilliseconds = now.milliseconds
            limits = recovered.limits
            stoppedAt = recovered.lastAlive
            stopReason = recovered.reason
            isRecovered = true
            isUnguarded = !recovered.hasDeadMan
            // What damage made of a time must not be reckoned with.
            aliveMilliseconds = recovered.aliveMilliseconds.flatMap {
                (0...max(0, now.milliseconds)).contains($0) ? $0 : nil
            }
        }
    }
}
