import Charging
import HAL

extension ConnectorMachine {
    /// Opens and closes; the only place that does.
    mutating func driveContactor(_ now: Instant, _ effects: inout Effects) {
        guard contactor.isClosed else {
            windDownSince = nil
            if mayEnergise(.close, at: now).allows { setContactor(closed: true, now, &effects) }
            return
        }
        let verdict = mayEnergise(.stay, at: now)
        if verdict.allows {
            windDownSince = nil
            return
        }
        // The car is asked by X1 to stop drawing first, unless someone is in danger.
        let since = windDownSince ?? now.milliseconds
        windDownSince = since
        let isCarIdle = meter.map { $0.askedAt > since && isIdle($0) } ?? false
        if verdict.isUrgent || isCarIdle || now.since(since) >= ConnectorTimings.windDownEnds {
            setContactor(closed: false, now, &effects)
        }
    }

    private func isIdle(_ snapshot: MeterSnapshot) -> Bool {
        !snapshot.currents.isEmpty
            && snapshot.currents.allSatisfy {
                $0.magnitude.milliamperes < ConnectorTimings.idleMilliamperes
            }
    }

    mutating func setContactor(
        closed: Bool, _ now: Instant, _ effects: inout Effects
    ) {
        if closed {
            wear.closings += 1
        } else if contactor.isClosed {
            wear.openings += 1
            if isDrawing(now) { wear.hotOpenings += 1 }
            rest(now, after: faults)
        }
        contactor.isClosed = closed
        contactor.commandedAt = now.milliseconds
        contactor.isConfirmed = false
        contactor.openSince = nil
        // Only a reading from after the switch can confirm it, or call it a weld.
        outdated.insert(.mirror)
        windDownSince = nil
        overCurrentSince = nil
        if closed { contactor.lastClosing = now.milliseconds }
        effects.outputs.append(.contactor(closed: closed))
        // At the switch, not at the charge's end: a crash under a closed contactor wears it most.
        effects.journal.append(.wear(wear))
    }

    /// True where the last reading under the closed contactor saw current, and the car has not said
    /// since that it opened its own switch.
    private func isDrawing(_ now: Instant) -> Bool {
        guard let meter, meter.askedAt >= contactor.commandedAt,
            now.since(meter.askedAt) <= ConnectorTimings.meterIsFresh, pilot != .b
        else { return false }
        return meter.currents.contains {
            $0.magnitude.milliamperes >= ConnectorTimings.idleMilliamperes
        }
    }

    /// Shows a car X1 for a moment where it sleeps in B although current is offered: some wake up only
    /// by a change of the pilot. Once per offer, and nothing closes meanwhile.
    private mutating func updateWaking(_ now: Instant) {
        if let since = wakingSince {
            let isOver = now.since(since) >= ConnectorTimings.wakeShows
            if isOver || pilot != .b { wakingSince = nil }
            return
        }
        guard rules.wakesCar, !isWoken, pilot == .b, !contactor.isClosed, case .pwm = signal,
            let offeredSince,
            now.since(max(pilotSince, offeredSince)) >= rules.wakeAfterMilliseconds
        else { return }
        wakingSince = now.milliseconds
        isWoken = true
    }

    /// What the pilot shows: F for dangers, current while a transaction may have it, else X1.
    mutating func driveSignal(_ now: Instant, _ effects: inout Effects) {
        updateWaking(now)
        let wanted = wantedSignal(now)
        // The next offer is another one, and may wake the car once more.
        if wanted == .x1, wakingSince == nil { isWoken = false }
        guard wanted != signal else { return }
        switch (signal, wanted) {
        case (.f, _):
            guard now.since(signalSince) >= ConnectorTimings.faultSignalLasts else { return }
        case (.pwm, .pwm):
            guard now.since(signalSince) >= ConnectorTimings.betweenDutyChanges else { return }
        case (.x1, _), (.pwm, _): break
        }
        if case .pwm = wanted {
            if case .pwm = signal {} else { offeredSince = now.milliseconds }
        } else {
            offeredSince = nil
        }
        formerOffers.removeAll { now.since($0.until) >= ConnectorTimings.betweenDutyChanges }
        if case .pwm(let offered) = signal {
            formerOffers.append((amperes: offered, until: now.milliseconds))
        }
        signal = wanted
        signalSince = now.milliseconds
        effects.outputs.append(.pilot(wanted))
    }

    private func wantedSignal(_ now: Instant) -> PilotSignal {
        if board.canSignalF, faults.contains(where: { $0.signalsF }) { return .f }
        guard isReady, faults.isEmpty, windDownSince == nil, let transaction,
            transaction.isRunning, mayDraw(transaction), available >= board.minimum,
            wakingSince == nil, rules.schedule.isOpen(at: now.wall), mayCloseSoon(now)
        else { return .x1 }
        return .pwm(available)
    }

    /// False while something keeps the contactor open that no car can change. A car that is offered
    /// current closes its own switch and waits for ours: it must not wait longer than 3 s.
    /// IEC 61851-1 Table A.6 sequence 4.
    func mayCloseSoon(_ now: Instant) -> Bool {
        guard !contactor.isClosed else { return true }
        // So that the contactor closes at the very end of its rest.
        let then = now.milliseconds + ConnectorTimings.pilotSettles
        if then < restsUntil { return false }
        if let last = contactor.lastClosing, then - last < ConnectorTimings.betweenClosings {
            return false
        }
        if board.hasResidualCurrentDevice, residualCurrent != .healthy || selfTest != .passed {
            return false
        }
        return !board.hasLock || isLocked == true
    }

    /// Locked from the token to the open relay, however long the disk takes for the stop; a welded
    /// contact keeps the plug locked, after a restart too.
    mutating func driveLock(_ now: Instant, _ effects: inout Effects) {
        guard board.hasLock else { return }
        let isRelayOpen = !contactor.isClosed && contactor.isConfirmed
        let wanted: Bool
        if let transaction {
            let isUnplugged = pilot == .a && rules.unlocksOnDisconnect
            wanted = !(isRelayOpen && (isUnplugged || transaction.isOver))
        } else if isRelayOpen {
            wanted = false
        } else {
            wanted = isLockCommanded || latched.contains(.weldedContact) && isCableIn
        }
        guard wanted != isLockCommanded else { return }
        isLockCommanded = wanted
        lockCommandedAt = now.milliseconds
        effects.outputs.append(.lock(wanted))
    }

    private var isCableIn: Bool { isPlugged || board.hasProximity && cable != nil }
}
