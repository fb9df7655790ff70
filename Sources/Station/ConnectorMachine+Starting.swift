import Charging
import HAL

/// How a charge starts: by a granted token, by plugging in where energy is free, or by going on after
/// a loss of power. None of it closes anything; it only makes the transaction the gate asks for.
extension ConnectorMachine {
    struct Grant {
        var token: String
        var group: String?
        var isRemote = false
        var limits = ChargeLimits.none
    }

    /// Whose charge would start now: the one who waits, or whoever plugged in at a free connector.
    private func grant(at now: Instant) -> Grant? {
        switch permission {
        case .granted(let token, let group, let isRemote, _):
            return Grant(token: token, group: group, isRemote: isRemote)
        case .asking: return nil
        case .none: break
        }
        // Once per plugging in: who stopped a free charge does not want the next one at once.
        guard let free = rules.freeVend, !isVended,
            now.since(pilotSince) >= ConnectorTimings.pilotSettles, !outdated.contains(.pilot)
        else { return nil }
        return Grant(token: free.token, limits: free.limits)
    }

    /// A transaction starts when a token is granted, a car is there, and the register can be read
    /// with the relay open. Its start goes to disk before anything else happens.
    mutating func startIfPossible(_ now: Instant, _ effects: inout Effects) {
        guard let grant = grant(at: now), isReady, isInService, !isEnding,
            areReservationsKnown, journalTrouble == nil, faults.isEmpty, isPlugged,
            TellableToken.isTellable(grant.token),
            isAdmitted(token: grant.token, group: grant.group), let meter, !contactor.isClosed,
            let openSince = contactor.openSince, meter.askedAt >= openSince,
            now.since(meter.askedAt) <= ConnectorTimings.meterIsFresh
        else { return }
        permission = .none
        isVended = true
        ending = nil
        var starting = Transaction(
            token: grant.token, group: grant.group, register: meter.register, at: now)
        starting.limits = grant.limits
        starting.reservation = reservation
        transaction = starting
        effects.journal.append(
            .start(
                Start(
                    token: grant.token, isRemote: grant.isRemote, register: meter.register,
                    at: now.wall, decidedAt: now.milliseconds, reservation: reservation?.id,
                    limits: grant.limits)))
        reservation = nil
    }

    // MARK: After a loss of power

    /// Decides whether a charge that was found open goes on. Everything has to be as it was: the same
    /// car as far as the pilot can tell, a token that is still accepted, a register that did not move
    /// by itself. Anything else, and any wait that takes too long, closes it as it was found.
    mutating func resumeIfPossible(_ now: Instant, _ effects: inout Effects) {
        guard var found = transaction, case .resuming(let since) = found.phase else { return }
        guard case .resume(let longest) = rules.afterPowerLoss, isInService, faults.isEmpty,
            found.isAccepted, TellableToken.isTellable(found.token), pilot != .a,
            let alive = found.stoppedAt,
            now.wall.milliseconds(since: alive) <= longest * 1000,
            now.since(since) < ConnectorTimings.recoveredRegisterWaits
        else {
            transaction?.phase = .stopping
            return
        }
        // A clock that reads less than it did has not been set yet; one that nobody set since the power
        // came back would call any outage short.
        guard isReady, isPlugged, isClockTrusted, now.wall >= alive, let meter,
            let open = contactor.openSince,
            meter.askedAt >= open
        else { return }
        if rules.freeVend?.token == found.token { found.isKnown = true }
        if !found.isKnown {
            // The link may not be up yet: who cannot be asked is asked again.
            if now.since(found.askedAt ?? .min / 2) >= ConnectorTimings.resumptionAsks {
                transaction?.askedAt = now.milliseconds
                effects.others.append(.authorize(token: found.token))
            }
            return
        }
        guard meter.register >= found.registerKept,
            meter.register - found.registerKept
                <= mostEnergy(inMilliseconds: ConnectorTimings.registerLags)
        else {
            transaction?.phase = .stopping
            return
        }
        found.phase = .running
        found.lastRegister = meter.register
        found.stopReason = nil
        found.stoppedAt = nil
        found.isRecovered = false
        found.startedMilliseconds =
            now.milliseconds - max(0, now.wall.milliseconds(since: found.startedAt))
        found.lastSample = now.milliseconds
        found.registerKeptAt = now.milliseconds
        isVended = true
        transaction = found
        effects.others.append(.report(.resumed))
    }

    /// The operator's answer about the token of a charge that may go on.
    mutating func absorbResumption(_ token: String, _ info: AuthorizationInfo) {
        guard transaction?.token == token, transaction?.askedAt != nil else { return }
        switch info.status {
        case .accepted, .concurrentTransaction:
            // The one transaction that it is in is this one.
            transaction?.isKnown = true
            transaction?.group = info.group
        case .blocked, .expired: transaction?.isAccepted = false
        case .invalid: break  // Also the answer of a board that could ask nobody.
        }
    }

    // MARK: Limits

    /// Asks for the stop where a limit is reached; X1 goes out in the same step.
    mutating func checkLimits(_ now: Instant) {
        guard let running = transaction, running.isRunning,
            let reached = running.limits.reached(
                energy: running.lastRegister - running.startRegister,
                milliseconds: now.since(running.startedMilliseconds))
        else { return }
        requestStop(.local, now)
        transaction?.reachedLimit = reached
    }

    mutating func absorbLimits(
        _ charge: Int64, _ limits: ChargeLimits?, _ effects: inout Effects
    ) {
        guard transaction?.id == charge, transaction?.stopReason == nil else { return }
        transaction?.limits = limits ?? .none
        effects.journal.append(.limits(transaction: charge, limits ?? .none))
    }
}
