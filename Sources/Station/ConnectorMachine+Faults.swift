import Charging
import HAL

extension ConnectorMachine {
    /// Compares the mirror contact with the command, at boot, after each switch, and always.
    mutating func superviseMirror(_ now: Instant, _ effects: inout Effects) {
        let commanded: MirrorState = contactor.isClosed ? .closed : .open
        guard board.hasMirror else {
            if now.since(contactor.commandedAt) >= board.mirrorFollows { confirm(now) }
            return
        }
        switch mirror {
        case _ where outdated.contains(.mirror): break
        case nil, .unknown:
            if mirrorUnreadableSince == nil { mirrorUnreadableSince = now.milliseconds }
        case commanded:
            mirrorUnreadableSince = nil
            confirm(now)
        case .open, .closed:
            mirrorUnreadableSince = nil
            // After it agreed once, a stray edge counts at once; before, it has time to follow.
            if contactor.isClosed, contactor.isConfirmed {
                takeFall(now, &effects)
            } else if contactor.isConfirmed
                || now.since(contactor.commandedAt) >= board.mirrorFollows
            {
                contactor.isConfirmed = false
                latch(contactor.isClosed ? .stuckContact : .weldedContact, &effects)
            }
        }
        if !contactor.isClosed, contactor.openSince == nil,
            now.since(contactor.commandedAt) >= ConnectorTimings.openingIsAssumed
        {
            contactor.openSince = now.milliseconds
        }
    }

    /// The contacts opened without being told: safe, but not for ever without a person.
    mutating func takeFall(_ now: Instant, _ effects: inout Effects) {
        guard contactor.isClosed else { return }
        setContactor(closed: false, now, &effects)
        // Whatever opened it (a protection that only acts in hardware, a dip) has its time to pass.
        contactor.lastClosing = now.milliseconds
        transaction?.falls += 1
        if (transaction?.falls ?? 0) >= ConnectorTimings.fallsPerCharge {
            latch(.stuckContact, &effects)
        }
    }

    private mutating func confirm(_ now: Instant) {
        contactor.isConfirmed = true
        if !contactor.isClosed, contactor.openSince == nil {
            contactor.openSince = now.milliseconds
        }
    }

    /// Every fault there is now, latched ones included.
    mutating func updateFaults(_ now: Instant) {
        let before = faults
        faults = latched
        for fault in Fault.allCases where isPresent(fault, now) { faults.insert(fault) }
        rest(now, new: faults.subtracting(before))
    }

    /// Keeps the contactor open for a while after a fault: from its appearance, from the opening it
    /// demanded, and as long as its cause is there to see.
    private mutating func rest(_ now: Instant, new: Set<Fault>) {
        rest(now, after: new)
        rest(now, after: faults.filter { $0.latch == .none })
    }

    /// Nothing closes for a while from now on because of these faults.
    mutating func rest(_ now: Instant, after causes: Set<Fault>) {
        guard !causes.isEmpty else { return }
        let rest =
            causes.contains(.overCurrent)
            ? ConnectorTimings.afterOverCurrent : ConnectorTimings.afterFault
        restsUntil = max(restsUntil, now.milliseconds + rest)
    }

    private func isPresent(_ fault: Fault, _ now: Instant) -> Bool {
        switch fault {
        case .emergencyStop: isEmergencyStopActive == true
        case .doorOpen: isDoorOpen == true
        case .protectiveEarthLost: isProtectiveEarthLost == true
        case .overTemperature: isHot
        case .outputFailed: !areOutputsWorking
        case .mirrorUnreadable: isMirrorUnreadable(now)
        case .pilot: isPilotFaulty(now)
        case .proximity: board.hasProximity && cable == nil && (pilot == .c || pilot == .d)
        case .lock: isLockMissing(now)
        case .meterLost: isMeterLost(now)
        case .inputMissing: isInputMissing(now)
        case .overVoltage, .phaseLost, .underVoltage: supply.standing.contains(fault)
        case .residualCurrent, .directCurrent, .selfTestFailed, .weldedContact, .stuckContact,
            .diode, .overCurrent, .meterAbsurd:
            false  // Latched where they are found.
        }
    }

    private func isMirrorUnreadable(_ now: Instant) -> Bool {
        guard board.hasMirror, let since = mirrorUnreadableSince else { return false }
        if mirror == nil { return now.since(bootedAt) >= ConnectorTimings.firstReadings }
        return now.since(since) >= board.mirrorFollows
    }

    private func isPilotFaulty(_ now: Instant) -> Bool {
        switch pilot {
        case .e, .f:
            // While the board itself shows F the car cannot be seen.
            signal != .f
                && now.since(max(pilotSince, signalSince)) >= ConnectorTimings.pilotFaultSettles
        case nil: now.since(bootedAt) >= ConnectorTimings.firstReadings
        case .a, .b, .c, .d: false
        }
    }

    private func isLockMissing(_ now: Instant) -> Bool {
        board.hasLock && isLockCommanded && isLocked != true
            && now.since(lockCommandedAt) >= ConnectorTimings.lockConfirms
    }

    private func isMeterLost(_ now: Instant) -> Bool {
        guard let meter else { return now.since(bootedAt) >= ConnectorTimings.firstReadings }
        // While the control was absent nobody asked it.
        return now.since(max(meter.askedAt, resumedAt)) > ConnectorTimings.meterIsLost
    }

    private func isInputMissing(_ now: Instant) -> Bool {
        let isWaitingOver = now.since(bootedAt) >= ConnectorTimings.firstReadings
        return Sensor.allCases.contains { sensor in
            guard isFitted(sensor) else { return false }
            if sensor == .residualCurrent, isSelfTesting { return false }
            guard let heard = heardAt[sensor] else { return isWaitingOver }
            let most =
                sensor == .temperature
                ? ConnectorTimings.temperatureIsLost : ConnectorTimings.inputIsLost
            return now.since(heard) > most
        }
    }

    private func isFitted(_ sensor: Sensor) -> Bool {
        switch sensor {
        case .pilot: true
        case .proximity: board.hasProximity
        case .mirror: board.hasMirror
        case .lock: board.hasLock
        case .residualCurrent: board.hasResidualCurrentDevice
        case .emergencyStop: board.hasEmergencyStop
        case .door: board.hasDoor
        case .protectiveEarth: board.hasProtectiveEarth
        case .temperature: board.hasTemperature
        }
    }

    /// Ready when every input was read once, or when waiting for it is over (then it is a fault).
    mutating func updateReadiness(_ now: Instant) {
        guard !isReady else { return }
        let isMirrorRead =
            !board.hasMirror || mirror != nil && (contactor.isConfirmed || !faults.isEmpty)
        isReady =
            meter != nil && isMirrorRead
            && Sensor.allCases.allSatisfy { !isFitted($0) || heardAt[$0] != nil }
            || now.since(bootedAt) >= ConnectorTimings.firstReadings
    }
}
