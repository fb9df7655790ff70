import Charging
import HAL

extension ConnectorMachine {
    /// Takes an input into the state. Decides nothing about outputs; `settle` does.
    mutating func absorb(_ input: Input, _ now: Instant, _ effects: inout Effects) {
        if let sensor = input.sensor {
            heardAt[sensor] = now.milliseconds
            // After an absence the car's state is a new one, even if it is the same.
            if outdated.remove(sensor) != nil, sensor == .pilot { pilotSince = now.milliseconds }
        }
        switch input {
        case .pilot(let state, let diode): absorbPilot(state, diode, now, &effects)
        case .proximity(let rating): cable = rating
        case .mirror(let state): mirror = state
        case .locked(let locked): isLocked = locked
        case .residualCurrent(let state):
            residualCurrent = state
            // The test trips it on purpose.
            if state.isTripped, !isSelfTesting {
                latch(state == .tripped ? .residualCurrent : .directCurrent, &effects)
            }
        case .emergencyStop(let isActive): isEmergencyStopActive = isActive
        case .door(let isOpen): isDoorOpen = isOpen
        case .protectiveEarth(let isLost): isProtectiveEarthLost = isLost
        case .temperature(let value): absorbTemperature(value)
        case .meter(let snapshot): absorbMeter(snapshot, now, &effects)
        case .meterFailed: break  // Its age tells.
        case .selfTest(let result): absorbSelfTest(result, now, &effects)
        case .lapsed: takeFall(now, &effects)
        case .resumed:
            for sensor in heardAt.keys { heardAt[sensor] = now.milliseconds }
            outdated.formUnion(heardAt.keys)
            resumedAt = now.milliseconds
            takeFall(now, &effects)
        case .outputs(let areWorking): areOutputsWorking = areWorking
        case .token(let token): absorbToken(token, now, &effects)
        case .authorization(let token, let info): absorbAuthorization(token, info, now, &effects)
        case .transactionToken(let info): absorbTransactionToken(info)
        case .remoteStart(let token, let needsAuthorization):
            absorbRemoteStart(token, needsAuthorization, now, &effects)
        case .stop(let reason): requestStop(reason, now)
        case .operative(let operative): isOperative = operative
        case .held(let held): isHeld = held
        case .ending(let ending): isEnding = ending
        case .limit(let whose, let amperes):
            limits[whose] = amperes
            if whose == .site { siteHeardAt = now.milliseconds }
        case .safeShare(let share): safeShare = share
        case .reserve(let wanted): absorbReservation(wanted, &effects)
        case .reservations(let areKnown): areReservationsKnown = areKnown
        case .chargeLimit(let charge, let limits): absorbLimits(charge, limits, &effects)
        case .rules(let rules): self.rules = rules
        case .clock(let isTrusted): isClockTrusted = isTrusted
        case .latchedFaultsCleared: clearLatched(&effects)
        case .journal(let answer): absorbJournal(answer, now, &effects)
        case .journalTrouble(let trouble): journalTrouble = trouble
        case .tick: break
        }
    }

    private mutating func absorbPilot(
        _ state: PilotState, _ diode: DiodeCheck, _ now: Instant, _ effects: inout Effects
    ) {
        if state != pilot {
            pilot = state
            pilotSince = now.milliseconds
        }
        if state == .a {
            isDiodePassed = false
            unlatchUnplugged(&effects)
            forgetSupply()
            isVended = false
            ending = nil
        } else {
            switch diode {
            case .unknown: break
            case .passed: isDiodePassed = true
            case .failed:
                isDiodePassed = false
                if board.reportsDiode { latch(.diode, &effects) }
            }
        }
    }

    private mutating func absorbTemperature(_ value: Int) {
        degrees = value
        if value > board.maximumDegrees { isHot = true }
        if value <= board.maximumDegrees - ConnectorBounds.hotHysteresisDegrees { isHot = false }
        let derating = deratingDegrees ?? value
        if value > derating || value <= derating - ConnectorBounds.deratingHysteresisDegrees {
            deratingDegrees = value
        } else {
            deratingDegrees = derating
        }
    }

    mutating func latch(_ fault: Fault, _ effects: inout Effects) {
        guard latched.insert(fault).inserted else { return }
        effects.journal.append(.latched(latched.sorted()))
    }

    /// What holds until the car is unplugged holds over a restart as well: it is the same car.
    private mutating func unlatchUnplugged(_ effects: inout Effects) {
        let kept = latched.filter { $0.latch != .unplugged }
        guard kept != latched else { return }
        latched = kept
        effects.journal.append(.latched(kept.sorted()))
    }

    private mutating func clearLatched(_ effects: inout Effects) {
        latched = []
        effects.journal.append(.latched([]))
    }

    // MARK: Tokens and orders

    private mutating func absorbToken(
        _ token: String, _ now: Instant, _ effects: inout Effects
    ) {
        if isEnding { return }
        if let transaction {
            guard transaction.isRunning else { return }
            if transaction.token.lowercased() == token.lowercased() {
                requestStop(.local, now, token: token)
            } else {
                // Perhaps of the same group: only the operator or the cache knows.
                effects.others.append(.authorize(token: token))
            }
            return
        }
        if case .granted(let held, _, _, _) = permission, held.lowercased() == token.lowercased() {
            permission = .none  // Shown twice before plugging in: taken back.
            return
        }
        guard isInService, faults.isEmpty else {
            effects.others.append(.report(.startAbandoned(.inoperative)))
            return
        }
        guard areReservationsKnown else {
            effects.others.append(.report(.startAbandoned(.journalFailed)))
            return
        }
        guard reservation?.mayAdmit(token: token) ?? true else {
            effects.others.append(.report(.startAbandoned(.reserved)))
            return
        }
        guard journalTrouble == nil else {
            effects.others.append(.report(.startAbandoned(.journalFailed)))
            return
        }
        // Who shows it again while it is asked about asks no second question.
        if case .asking(token, _, _) = permission { return }
        permission = .asking(token: token, isRemote: false, since: now.milliseconds)
        effects.others.append(.authorize(token: token))
    }

    private mutating func absorbAuthorization(
        _ token: String, _ info: AuthorizationInfo, _ now: Instant, _ effects: inout Effects
    ) {
        if let running = transaction {
            if case .resuming = running.phase { return absorbResumption(token, info) }
            guard running.isRunning else { return }
            if info.status == .accepted, let group = running.group, group == info.group {
                requestStop(.local, now, token: token)
            } else {
                effects.others.append(.report(.tokenRefused(info.status)))
            }
            return
        }
        guard case .asking(let asked, let isRemote, _) = permission, asked == token else { return }
        if info.status == .accepted, !isAdmitted(token: token, group: info.group) {
            permission = .none
            effects.others.append(.report(.startAbandoned(.reserved)))
        } else if info.status == .accepted {
            permission = .granted(
                token: token, group: info.group, isRemote: isRemote, since: now.milliseconds)
        } else {
            permission = .none
            effects.others.append(.report(.tokenRefused(info.status)))
        }
    }

    private mutating func absorbTransactionToken(_ info: AuthorizationInfo) {
        guard var running = transaction else { return }
        if let group = info.group { running.group = group }
        running.isAccepted = info.status == .accepted
        if !running.isAccepted, rules.stopsOnInvalidToken, running.stopReason == nil {
            running.stopReason = .deAuthorized
        }
        transaction = running
    }

    private mutating func absorbRemoteStart(
        _ token: String, _ needsAuthorization: Bool, _ now: Instant, _ effects: inout Effects
    ) {
        guard refusalOfRemoteStart(token: token) == nil else { return }
        // Whether it is of the group a reservation names, only the operator's answer tells.
        if needsAuthorization || !isAdmitted(token: token, group: nil) {
            permission = .asking(token: token, isRemote: true, since: now.milliseconds)
            effects.others.append(.authorize(token: token))
        } else {
            permission = .granted(
                token: token, group: nil, isRemote: true, since: now.milliseconds)
        }
    }

    /// Why a remote start would be refused now; nil when it would be taken.
    package func refusalOfRemoteStart(token: String) -> String? {
        if !TellableToken.isTellable(token) { return "no message could carry the token" }
        if transaction != nil { return "a transaction is running" }
        if isEnding { return "the program is ending" }
        if !isInService { return "set out of operation" }
        if !areReservationsKnown { return Hindrance.reservationsUnread.description }
        if let fault = faults.min() { return fault.text }
        if !isReady { return "the board is starting" }
        if reservation?.mayAdmit(token: token) == false { return "reserved for another token" }
        if let journalTrouble { return journalTrouble.description }
        switch permission {
        case .none: return nil
        case .asking(let held, _, _), .granted(let held, _, _, _):
            return held == token ? nil : "another token is waiting"
        }
    }

    mutating func requestStop(_ reason: StopReason, _ now: Instant, token: String? = nil) {
        permission = .none
        // One that might have gone on keeps the reason for which it was interrupted.
        if case .resuming = transaction?.phase { transaction?.phase = .stopping }
        guard var running = transaction, running.stopReason == nil else { return }
        running.stopReason = reason
        running.stopToken = token
        transaction = running
    }

    private mutating func absorbJournal(
        _ answer: JournalAnswer, _ now: Instant, _ effects: inout Effects
    ) {
        guard var running = transaction else { return }
        switch (answer, running.phase) {
        case (.started(let id), .starting):
            running.id = id
            running.phase = .running
            if let used = running.reservation {
                effects.others.append(.report(.reservationEnded(id: used.id, .used)))
            }
            running.reservation = nil
            transaction = running
        case (.startFailed, .starting):
            // Nothing flowed and nothing is on disk: there is no transaction.
            transaction = nil
            // The driver may try again, and still nobody else.
            reservation = reservation ?? running.reservation
            effects.others.append(.report(.startAbandoned(.journalFailed)))
        case (.stopped, .committing):
            transaction = nil
            selfTest = .due
        case (.stopFailed, .committing):
            running.phase = .retrying(at: now.milliseconds + ConnectorTimings.journalRetries)
            transaction = running
        case (.started, _), (.startFailed, _), (.stopped, _), (.stopFailed, _):
            break
        }
    }
}

extension ConnectorMachine.Input {
    /// True for what forbids energy whenever it was: a pulse that is over is told once.
    var isAlarm: Bool {
        switch self {
        case .pilot(let state, let diode): state == .e || state == .f || diode == .failed
        case .residualCurrent(let state): state.isTripped
        case .emergencyStop(let isActive): isActive
        case .door(let isOpen): isOpen
        case .protectiveEarth(let isLost): isLost
        default: false
        }
    }

    /// The sensor that spoke; nil for people, disk, meter and time.
    var sensor: ConnectorMachine.Sensor? {
        switch self {
        case .pilot: .pilot
        case .proximity: .proximity
        case .mirror: .mirror
        case .locked: .lock
        case .residualCurrent: .residualCurrent
        case .emergencyStop: .emergencyStop
        case .door: .door
        case .protectiveEarth: .protectiveEarth
        case .temperature: .temperature
        case .meter, .meterFailed, .selfTest, .lapsed, .resumed, .outputs, .token, .authorization,
            .transactionToken,
            .remoteStart, .stop, .operative, .held, .ending, .limit, .safeShare, .reserve,
            .reservations, .chargeLimit, .rules, .clock, .latchedFaultsCleared,
            .journal, .journalTrouble,
            .tick:
            nil
        }
    }
}
