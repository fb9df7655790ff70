import Charging
import HAL

extension ConnectorMachine {
    package enum Question: Hashable, Sendable {
        /// May an open contactor close?
        case close
        /// May a closed contactor stay closed?
        case stay
    }

    /// The one gate: everything that forbids energy now, in the order a technician would look.
    ///
    /// - Source: the interlock of IEC 61851-1 §6.3.1 and Annex A, with what the board can sense.
    package func mayEnergise(_ question: Question, at now: Instant) -> Verdict {
        var hindrances: [Hindrance] = []
        if !isReady { hindrances.append(.starting) }
        hindrances += faults.sorted().map(Hindrance.fault)
        hindrances += safetyInputHindrances
        hindrances += transactionHindrances
        hindrances += pilotHindrances(question, now)
        hindrances += meterHindrances(question, now)
        if available < board.minimum {
            hindrances.append(.limitBelowMinimum(milliamperes: available.milliamperes))
        }
        if question == .close { hindrances += switchHindrances(now) }
        return Verdict(hindrances: hindrances)
    }

    /// The least of all limits, the cable's and the board's included.
    package var available: Amperes {
        var least = board.maximum
        for limit in limits.values where limit < least { least = limit }
        if board.hasProximity, let cable, cable < least { least = cable }
        return least
    }

    private var safetyInputHindrances: [Hindrance] {
        var hindrances: [Hindrance] = []
        if board.hasResidualCurrentDevice, residualCurrent != .healthy {
            hindrances.append(.residualCurrentNotReady)
        }
        if board.hasEmergencyStop, isEmergencyStopActive == nil {
            hindrances.append(.emergencyStopUnread)
        }
        if board.hasDoor, isDoorOpen == nil { hindrances.append(.doorUnread) }
        if board.hasTemperature, degrees == nil { hindrances.append(.temperatureUnread) }
        if board.hasLock, isLocked != true { hindrances.append(.lockNotConfirmed) }
        if board.hasProximity, cable == nil { hindrances.append(.proximityLost) }
        return hindrances
    }

    private var transactionHindrances: [Hindrance] {
        guard let transaction else {
            let journal = journalTrouble.map { [Hindrance.journal($0)] } ?? []
            if !isOperative { return journal + [.inoperative] }
            return journal + [.notAuthorized] + (reservation == nil ? [] : [.reserved])
        }
        switch transaction.phase {
        case .starting: return [.startNotJournalled]
        case .stopping, .opened, .committing, .retrying: return [.stopping]
        case .running:
            if transaction.stopReason != nil { return [.stopping] }
            return transaction.isAccepted ? [] : [.tokenRefused]
        }
    }

    private func pilotHindrances(_ question: Question, _ now: Instant) -> [Hindrance] {
        var hindrances: [Hindrance] = []
        switch pilot {
        case .c: break
        case .d: if !board.hasVentilation { hindrances.append(.ventilationMissing) }
        case nil, .a, .b, .e, .f: hindrances.append(.pilotState(pilot))
        }
        if board.reportsDiode, !isDiodePassed { hindrances.append(.diodeNotChecked) }
        guard question == .close else { return hindrances }
        guard case .pwm = signal else { return hindrances + [.noCurrentOffered] }
        // Temperature is read seldom and changes slowly; the mirror has its own rule.
        let isOutdated = !outdated.subtracting([.temperature, .mirror]).isEmpty
        if hindrances.isEmpty,
            isOutdated
                || now.since(max(pilotSince, offeredSince ?? signalSince))
                    < ConnectorTimings.pilotSettles
        {
            hindrances.append(.pilotSettling)
        }
        return hindrances
    }

    private func meterHindrances(_ question: Question, _ now: Instant) -> [Hindrance] {
        guard let meter else { return [.meterNeverRead] }
        let age = now.since(meter.askedAt)
        let most =
            question == .close ? ConnectorTimings.meterIsFresh : ConnectorTimings.meterIsLost
        return age > most ? [.meterStale(ageMilliseconds: age)] : []
    }

    private func switchHindrances(_ now: Instant) -> [Hindrance] {
        var hindrances: [Hindrance] = []
        if board.hasMirror, mirror != .open || !contactor.isConfirmed {
            hindrances.append(.mirrorNotOpen(mirror ?? .unknown))
        }
        if let last = contactor.lastClosing, now.since(last) < ConnectorTimings.betweenClosings {
            hindrances.append(.closedTooRecently)
        }
        return hindrances
    }
}
