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
        if !rules.schedule.isOpen(at: now.wall) { hindrances.append(.outsideSchedule) }
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
        if let derated, derated < least { least = derated }
        return least
    }

    /// What heat leaves of the board's maximum; nil while it is cool enough. Never below the least
    /// that can be offered: when even that is too much the charge stops (`overTemperature`).
    package var derated: Amperes? {
        guard board.hasTemperature, let deratingDegrees else { return nil }
        let span = ConnectorBounds.deratingDegrees
        let above = deratingDegrees - (board.maximumDegrees - span)
        guard above > 0 else { return nil }
        let range = board.maximum.milliamperes - board.minimum.milliamperes
        let left = board.maximum.milliamperes - range * Int64(min(above, span)) / Int64(span)
        let step = ConnectorBounds.deratingStepMilliamperes
        return max(board.minimum, Amperes(milliamperes: left / step * step))
    }

    /// True while the connector serves drivers.
    var isInService: Bool { isOperative && !isHeld }

    /// The site's limit counts while somebody repeats it. After that the connector takes its safe
    /// share by itself, or keeps what it had where that is less: whoever shares the fuse may hang.
    mutating func updateSiteLimit(_ now: Instant, _ effects: inout Effects) {
        guard let safeShare else { return }
        if let siteHeardAt, now.since(siteHeardAt) <= ConnectorTimings.siteLimitIsLost { return }
        guard limits[.site] ?? board.maximum > safeShare else { return }
        limits[.site] = safeShare
        effects.others.append(.report(.siteLimitLost(safeShare)))
    }

    private var safetyInputHindrances: [Hindrance] {
        var hindrances: [Hindrance] = []
        if board.hasResidualCurrentDevice, residualCurrent != .healthy || selfTest != .passed {
            hindrances.append(.residualCurrentNotReady)
        }
        if board.hasEmergencyStop, isEmergencyStopActive == nil {
            hindrances.append(.emergencyStopUnread)
        }
        if board.hasDoor, isDoorOpen == nil { hindrances.append(.doorUnread) }
        if board.hasProtectiveEarth, isProtectiveEarthLost == nil {
            hindrances.append(.protectiveEarthUnread)
        }
        if board.hasTemperature, degrees == nil { hindrances.append(.temperatureUnread) }
        if board.hasLock, isLocked != true { hindrances.append(.lockNotConfirmed) }
        if board.hasProximity, cable == nil { hindrances.append(.proximityLost) }
        return hindrances
    }

    private var transactionHindrances: [Hindrance] {
        guard let transaction else {
            let journal = journalTrouble.map { [Hindrance.journal($0)] } ?? []
            if !isInService { return journal + [.inoperative] }
            if !areReservationsKnown { return journal + [.reservationsUnread] }
            return journal + [.notAuthorized] + (reservation == nil ? [] : [.reserved])
        }
        switch transaction.phase {
        case .starting: return [.startNotJournalled]
        case .resuming: return [.resuming]
        case .stopping, .opened, .committing, .retrying: return [.stopping]
        case .running:
            if transaction.stopReason != nil { return [.stopping] }
            return mayDraw(transaction) ? [] : [.tokenRefused]
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
        if !outdated.subtracting([.temperature, .mirror]).isEmpty {
            hindrances.append(.controlWasAbsent)
        } else if hindrances.isEmpty,
            now.since(max(pilotSince, offeredSince ?? signalSince)) < ConnectorTimings.pilotSettles
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
        guard age > most else { return [] }
        // Nobody asked it meanwhile: its silence is ours.
        let isOurs = meter.askedAt < resumedAt && now.since(resumedAt) <= most
        return [isOurs ? .controlWasAbsent : .meterStale(ageMilliseconds: age)]
    }

    private func switchHindrances(_ now: Instant) -> [Hindrance] {
        var hindrances: [Hindrance] = []
        if board.hasMirror, mirror != .open || !contactor.isConfirmed {
            hindrances.append(.mirrorNotOpen(mirror ?? .unknown))
        }
        if let last = contactor.lastClosing, now.since(last) < ConnectorTimings.betweenClosings {
            hindrances.append(.closedTooRecently)
        }
        if now.milliseconds < restsUntil {
            hindrances.append(.restsAfterFault(milliseconds: restsUntil - now.milliseconds))
        }
        return hindrances
    }
}
