import Charging
import HAL
import Service

/// What a connector shows of itself, for `kerb-edge status` and the agent.
package struct ConnectorView: Hashable, Sendable {
    package var number: ConnectorNumber
    package var status: ConnectorMachine.Status
    package var isContactorClosed: Bool
    /// nil where the board has no mirror contact, or did not read it yet.
    package var mirror: MirrorState?
    /// nil where the board has no input for it, or did not read it yet.
    package var residualCurrent: ResidualCurrentState?
    package var pilot: PilotState?
    package var signal: PilotSignal
    package var available: Amperes
    /// Everything that forbids energy now; empty while it is allowed.
    package var hindrances: [Hindrance]
    /// What heat leaves of the board's maximum.
    package var derated: Amperes?
    package var degrees: Int?
    /// Everything that bounds the offer, the least of which is `available`.
    package var limits: [ConnectorMachine.Limit: Amperes]
    package var cable: Amperes?
    package var boardMaximum: Amperes
    package var isOfferedNow: Bool
    package var wear: ContactorWear
    package var isOperative: Bool
    package var reservation: ConnectorMachine.Reservation?
    package var charge: Charge?
    package var meter: MeterSnapshot?
    package var meterAgeMilliseconds: Int64?
    package var meterError: String?

    package struct Charge: Hashable, Sendable {
        package var id: Int64?
        package var token: String
        package var startedAt: Timestamp
        package var energy: WattHours
        package var isStopping: Bool
        package var limits: ChargeLimits
    }
}

extension ConnectorMachine {
    var isContactorClosed: Bool { contactor.isClosed }
    var contactorCommandedAt: Int64 { contactor.commandedAt }
    /// Nobody is there, nothing runs, and the contactor has shown that it is open.
    var isResting: Bool {
        pilot == .a && transaction == nil && !contactor.isClosed
            && (contactor.isConfirmed || board.feedback == .none)
    }

    func view(at now: Instant, meterError: String?) -> ConnectorView {
        ConnectorView(
            number: number,
            status: isReady ? status(at: now) : Status(.unavailable, info: "the board is starting"),
            isContactorClosed: contactor.isClosed, mirror: board.hasMirror ? mirror : nil,
            residualCurrent: board.hasResidualCurrentDevice ? residualCurrent : nil,
            pilot: pilot, signal: signal, available: available,
            hindrances: mayEnergise(contactor.isClosed ? .stay : .close, at: now).hindrances,
            derated: derated, degrees: degrees,
            limits: limits, cable: board.hasProximity ? cable : nil, boardMaximum: board.maximum,
            isOfferedNow: rules.schedule.isOpen(at: now.wall), wear: wear,
            isOperative: isInService,
            reservation: reservation,
            charge: transaction.map {
                .init(
                    id: $0.id, token: $0.token, startedAt: $0.startedAt,
                    energy: $0.lastRegister - $0.startRegister,
                    isStopping: !$0.isRunning && $0.phase != .starting, limits: $0.limits)
            },
            meter: meter, meterAgeMilliseconds: meter.map { now.since($0.askedAt) },
            meterError: meterError)
    }
}

extension ConnectorMachine {
    /// Whether a token that was shown waits for the operator's word.
    fileprivate func awaitsWord(on token: String) -> Bool {
        if let transaction {
            // Another's may be of the same group, and then stops it.
            return transaction.isRunning && transaction.token.lowercased() != token.lowercased()
        }
        if case .asking(token, _, _) = permission { return true }
        return false
    }
}

extension ConnectorController {
    private var now: Instant { Instant(milliseconds: clock.monotonicMilliseconds, wall: clock.now) }

    package func view() -> ConnectorView { machine.view(at: now, meterError: lastMeterError) }

    package var hasTransaction: Bool { machine.transaction != nil }

    /// True while a charge runs, or its closing register is still awaited. What is left after that is
    /// the disk's: the next start writes it as well.
    var isCharging: Bool {
        switch machine.transaction?.phase {
        case .starting, .running, .resuming, .stopping, .opened: true
        case nil, .committing, .retrying: false
        }
    }

    /// The token and number of the charge that runs here.
    package func charge() -> (id: Int64, token: String)? {
        guard let transaction = machine.transaction, let id = transaction.id,
            transaction.isRunning
        else { return nil }
        return (id, transaction.token)
    }

    package var isPlugged: Bool { machine.isPlugged }

    /// Shows a token and waits until somebody has said yes or no to it, not for ever.
    package func show(_ token: String, waitsMilliseconds: Int64) async -> TokenOutcome {
        refusal = nil
        take(.token(token))
        let deadline = clock.monotonicMilliseconds + waitsMilliseconds
        while true {
            if let refusal { return .refused(number, refusal) }
            if !machine.awaitsWord(on: token) { return .taken(number) }
            guard clock.monotonicMilliseconds < deadline else { return .waiting(number) }
            do { try await clock.sleep(milliseconds: polls.tick) } catch { return .waiting(number) }
        }
    }

    /// Takes a remote start if the machine would; says why not otherwise.
    package func remoteStart(token: String, needsAuthorization: Bool) -> String? {
        if let why = machine.refusalOfRemoteStart(token: token) { return why }
        take(.remoteStart(token: token, needsAuthorization: needsAuthorization))
        return nil
    }

    /// Takes a reservation if the machine would; says why not otherwise.
    package func reserve(
        _ reservation: ConnectorMachine.Reservation
    ) -> ConnectorMachine.ReservationRefusal? {
        if let why = machine.refusalOfReservation(reservation, at: now) { return why }
        take(.reserve(reservation))
        return nil
    }

    /// The operator's word on the token of a charge, if that charge is still the running one.
    package func transactionToken(_ info: AuthorizationInfo, charge: Int64) {
        guard machine.transaction?.id == charge else { return }
        take(.transactionToken(info))
    }

    /// Sets where a running charge ends by itself; false where it is not the running one.
    package func limit(_ limits: ChargeLimits?, charge: Int64) -> Bool {
        guard let running = self.charge(), running.id == charge else { return false }
        take(.chargeLimit(charge, limits))
        return true
    }

    /// Stops what runs and waits until the stop is on the disk, or gives up.
    package func stop(_ reason: StopReason, withinMilliseconds limit: Int64) async -> Bool {
        switch reason {
        case .reboot, .softReset, .hardReset: take(.ending(true))
        default: break
        }
        take(.stop(reason))
        let deadline = clock.monotonicMilliseconds + limit
        // What a meter still signs at the program's end nobody could ask it for later.
        while machine.transaction != nil || machine.isEnding && isAwaitingRecord {
            guard clock.monotonicMilliseconds < deadline else { return false }
            do { try await clock.sleep(milliseconds: polls.tick) } catch { return false }
        }
        return true
    }
}

extension ConnectorController {
    package nonisolated var hasLock: Bool { devices.lock != nil }

    /// Waits until the lock reads open; false when it does not.
    func waitUnlocked() async -> Bool {
        let deadline = clock.monotonicMilliseconds + ConnectorTimings.lockConfirms
        while machine.isLocked != false {
            guard clock.monotonicMilliseconds < deadline else { return false }
            do { try await clock.sleep(milliseconds: polls.tick) } catch { return false }
        }
        return true
    }
}
