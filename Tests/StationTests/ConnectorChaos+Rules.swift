import Charging
import HAL

@testable import Station

/// What must hold whatever happens, each rule in the words it is broken with.
extension ConnectorChaos {
    mutating func give(_ input: ConnectorMachine.Input) throws(Broken) {
        if let sensor = input.sensor {
            standing.removeAll { $0.sensor == sensor }
            standing.append(input)
            heardSinceAbsence.insert(sensor)
        }
        notice(input)
        let effects = machine.handle(input, at: now)
        if trace.count >= 400 { trace.removeFirst(300) }
        trace.append((now.milliseconds, input, effects))
        try checkOrder(effects)
        // A reservation whose end comes first is over before a start of the same step.
        for effect in effects {
            if case .report(.reservationEnded) = effect { try apply(effect) }
        }
        for effect in effects { try apply(effect) }
        try checkStanding()
    }

    /// What the world itself makes of an input.
    private mutating func notice(_ input: ConnectorMachine.Input) {
        switch input {
        case .reserve(let wanted): reservation = wanted
        case .chargeLimit(let charge, let limits)
        where charge == nextID - 1 && machine.transaction?.isRunning == true
            && machine.transaction?.id == charge:
            open?.limits = limits ?? .none
        case .authorization(let token, let info) where info.status == .accepted:
            // An answer that nobody waits for says nothing about the start that follows.
            if case .asking(token, _, _) = machine.permission { groups[token] = info.group }
        case .selfTest(.passed): isTested = true
        case .limit(.site, let limit):
            siteLimit = limit
            siteHeardAt = now.milliseconds
        default: break
        }
        if isStopPressed || isDoorOpen || isEarthLost || degrees > board.maximumDegrees {
            dangerAt = now.milliseconds
        }
    }

    private func checkOrder(_ effects: [ConnectorMachine.Effect]) throws(Broken) {
        func rank(_ effect: ConnectorMachine.Effect) -> Int {
            switch effect {
            case .output(.contactor(closed: false)): 0
            case .output: 1
            case .journal: 2
            case .authorize, .selfTest, .report: 3
            }
        }
        let ranks = effects.map(rank)
        if ranks != ranks.sorted() { throw Broken(rule: "outputs, then journal, then reports") }
    }

    private mutating func apply(_ effect: ConnectorMachine.Effect) throws(Broken) {
        switch effect {
        case .output(.contactor(let closed)):
            if closed == commanded { throw Broken(rule: "a command changes something") }
            commanded = closed
            if closed { try checkClosing() } else { noteOpening() }
            if !closed, chance(1) { welds = true } else { welds = false }
            if !welds { relay = closed }
            try give(.mirror(relay ? .closed : .open))
        case .output(.lock(let locked)):
            isLocked = chance(95) ? locked : isLocked
            try give(.locked(isLocked))
        case .journal(let entry): try apply(entry)
        case .selfTest:
            if commanded { throw Broken(rule: "the self-test is run with the contactor open") }
            see("tests")
            try give(.selfTest(chance(95) ? .passed : .notRun))
        case .report(let report): try apply(report)
        case .authorize(let token): if chance(60) { try give(authorization(of: token)) }
        case .output: break
        }
    }

    private mutating func apply(_ entry: ConnectorMachine.JournalEntry) throws(Broken) {
        switch entry {
        case .start(let start):
            let (token, register, number) = (start.token, start.register, start.reservation)
            if open != nil { throw Broken(rule: "one transaction at a time") }
            if let reservation {
                let isOfGroup = reservation.group != nil && groups[token] == reservation.group
                if token != reservation.token, !isOfGroup {
                    throw Broken(rule: "a reservation lets no stranger start")
                }
                if number != reservation.id { throw Broken(rule: "a start tells its reservation") }
                see("reserved starts")
            }
            if register.value > self.register { throw Broken(rule: "a start bills no future") }
            open = Open(
                token: token, startRegister: register.value, startedAt: now,
                keptRegister: register.value, keptAt: now.wall)
            if start.limits != .none {
                if token != rules.freeVend?.token || start.limits != rules.freeVend?.limits {
                    throw Broken(rule: "only a free charge starts with limits")
                }
                see("free starts")
            }
            open?.limits = start.limits
            isStartDurable = false
            pendingStart = true
        case .register(let id, let register, let at):
            if id != nextID - 1 { throw Broken(rule: "keeps what was started") }
            open?.keptRegister = register.value
            open?.keptAt = at
        case .stop(let stop): try apply(stop)
        case .latched(let faults): kept = faults
        case .sample, .limits, .wear: break
        }
    }

    private mutating func apply(_ stop: ConnectorMachine.Stop) throws(Broken) {
        if commanded { throw Broken(rule: "the relay is told to open before the stop") }
        if relay, !machine.faults.contains(.weldedContact) {
            throw Broken(rule: "the relay is open before the stop")
        }
        if stop.transaction != nextID - 1 { throw Broken(rule: "stops what was started") }
        guard let open else { throw Broken(rule: "stops what is open") }
        if stop.register.value > register || stop.register.value < open.keptRegister {
            throw Broken(rule: "the final register is one that was read")
        }
        if billed + stop.register.value - open.startRegister > flowed {
            throw Broken(rule: "bills no more than flowed")
        }
        if stop.limit != nil { see("limited") }
        pendingStop = stop
    }

    private mutating func apply(_ report: ConnectorMachine.Report) throws(Broken) {
        switch report {
        case .status(let status):
            if status.status == .charging, open == nil {
                throw Broken(rule: "Charging has a transaction")
            }
            if status.status == .reserved { see("reservations") }
        case .reservationEnded(let id, let why):
            if why == .expired, let reservation, reservation.expires > now.wall {
                throw Broken(rule: "a reservation ends at its end")
            }
            if reservation?.id == id, why != .replaced { reservation = nil }
        case .siteLimitLost: see("lost sites")
        case .resumed: see("resumed")
        case .tokenRefused, .startAbandoned, .registerRefused, .meterDoubted: break
        }
    }

    // MARK: The contactor

    private mutating func checkClosing() throws(Broken) {
        see("closings")
        if let lastClosing, now.milliseconds - lastClosing < 10_000 {
            throw Broken(rule: "ten seconds between closings")
        }
        if let dangerAt, now.milliseconds - dangerAt < 30_000 {
            throw Broken(rule: "thirty seconds after a fault")
        }
        if let overCurrentOpening, now.milliseconds - overCurrentOpening < 60_000 {
            throw Broken(rule: "sixty seconds after over-current")
        }
        guard let asked = meterAskedAt, now.milliseconds - asked <= 3_000 else {
            throw Broken(rule: "closes on a fresh meter")
        }
        if relay { throw Broken(rule: "closes only from open") }
        if !isTested { throw Broken(rule: "closes only under a tested residual current device") }
        if !machine.mayEnergise(.stay, at: now).allows {
            throw Broken(rule: "never closes while anything hinders")
        }
        var needed: Set<ConnectorMachine.Sensor> = [
            .pilot, .residualCurrent, .emergencyStop, .door, .protectiveEarth,
        ]
        if board.hasLock { needed.insert(.lock) }
        if board.hasProximity { needed.insert(.proximity) }
        if !needed.isSubset(of: heardSinceAbsence) {
            throw Broken(rule: "closes on nothing heard before an absence")
        }
        lastClosing = now.milliseconds
    }

    /// Half a second later it may close: a car that is offered current waits for nothing else.
    private mutating func checkOffering() throws(Broken) {
        see("offers")
        let then = now.milliseconds + 500
        // A car that winds down under the closed contactor may be offered current again at once.
        if let lastClosing, !commanded, then - lastClosing < 10_000 {
            throw Broken(rule: "offers nothing between two closings")
        }
        if let dangerAt, then - dangerAt < 30_000 {
            throw Broken(rule: "offers nothing while it rests after a fault")
        }
        if !isTested { throw Broken(rule: "offers nothing before the self-test") }
        if board.hasLock, !isLocked { throw Broken(rule: "offers nothing to an unlocked plug") }
    }

    private mutating func noteOpening() {
        if machine.faults.contains(.overCurrent) {
            overCurrentOpening = now.milliseconds
            see("over-currents")
        }
    }

    /// Looks at the world only: a closed contactor has all this on its side.
    private mutating func checkStanding() throws(Broken) {
        try checkOffer()
        guard commanded else {
            (windDownSince, badVoltsSince) = (nil, nil)
            return
        }
        switch pilot {
        case .c: break
        case .d: if !board.hasVentilation { throw Broken(rule: "no energy in D unventilated") }
        case .a, .b, .e, .f: throw Broken(rule: "no energy in \(pilot.rawValue)")
        }
        if isStopPressed || isTripped || isDoorOpen || isEarthLost
            || degrees > board.maximumDegrees
        {
            throw Broken(rule: "danger opens")
        }
        if board.hasLock, !isLocked { throw Broken(rule: "energy only through a locked plug") }
        if board.reportsDiode, isDiodeBad { throw Broken(rule: "no energy past a bad diode") }
        if board.hasProximity, cable == nil { throw Broken(rule: "no energy without a cable") }
        if open == nil || !isStartDurable || pendingStart {
            throw Broken(rule: "energy only under a durable start")
        }
        // What may wind down has six seconds.
        if machine.mayEnergise(.stay, at: now).allows, isOffered {
            windDownSince = nil
        } else {
            let since = windDownSince ?? now.milliseconds
            windDownSince = since
            if now.milliseconds - since > 6_000 { throw Broken(rule: "opens within six seconds") }
            if case .pwm = machine.signal { throw Broken(rule: "no offer while winding down") }
        }
    }

    private var isOffered: Bool {
        let minute = now.wall.milliseconds / 60_000 % 1_440
        return rules.schedule == .always || !(856..<858).contains(minute)
    }

    /// The offer follows heat within a duty change, and limits and bad voltage end it.
    private mutating func checkOffer() throws(Broken) {
        guard case .pwm(let offered) = machine.signal else {
            (hotOfferSince, thinCableSince) = (nil, nil)
            isOffering = false
            return
        }
        // Five seconds unheard, five between two changes of the duty, and a tick.
        if let share, offered > share, now.milliseconds - siteHeardAt > 10_200 {
            throw Broken(rule: "a site's limit that nobody repeats falls to the safe share")
        }
        if !isOffering { try checkOffering() }
        isOffering = true
        let over = Int64(max(0, min(degrees, 80) - 65))
        if offered.milliamperes > 32_000 - 26_000 * over / 15 {
            let since = hotOfferSince ?? now.milliseconds
            hotOfferSince = since
            if now.milliseconds - since > 5_000 { throw Broken(rule: "heat lowers the offer") }
            see("derated")
        } else {
            hotOfferSince = nil
        }
        if board.hasProximity, let cable, offered > cable {
            let since = thinCableSince ?? now.milliseconds
            thinCableSince = since
            if now.milliseconds - since > 5_000 {
                throw Broken(rule: "no more is offered than the cable carries")
            }
        } else {
            thinCableSince = nil
        }
        if let seconds = open?.limits.seconds, let started = open?.startedAt,
            now.milliseconds - started.milliseconds > seconds * 1000
        {
            throw Broken(rule: "nothing is offered after its time")
        }
    }

    /// At the very reading that reaches a limit the offer ends: never a sample more.
    mutating func checkMeasured() throws(Broken) {
        if let open, let limit = open.limits.energy, isStartDurable,
            register - open.startRegister >= limit.value, case .pwm = machine.signal
        {
            throw Broken(rule: "a limit is overrun by no more than one sample")
        }
        guard commanded, volts > 264_500, relay else {
            badVoltsSince = nil
            return
        }
        let since = badVoltsSince ?? now.milliseconds
        badVoltsSince = since
        // The last reading before may be this old, then the fault has three seconds.
        if now.milliseconds - since > 6_000 { throw Broken(rule: "over-voltage opens") }
    }
}
