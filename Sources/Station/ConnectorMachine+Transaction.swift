import Charging
import HAL

extension ConnectorMachine {
    var isPlugged: Bool {
        switch pilot {
        case .b, .c, .d: true
        case nil, .a, .e, .f: false
        }
    }

    /// Moves the transaction on as far as it can go now.
    mutating func advanceTransaction(_ now: Instant, _ effects: inout Effects) {
        dropStalePermission(now, &effects)
        resumeIfPossible(now, &effects)
        checkLimits(now)
        guard let running = transaction else { return startIfPossible(now, &effects) }
        switch running.phase {
        case .starting, .resuming, .committing: break
        case .running: stopIfNeeded(now)
        case .stopping, .opened, .retrying: break
        }
        guard let running = transaction else { return }
        switch running.phase {
        case .starting, .resuming, .running, .committing: break
        case .stopping:
            guard !contactor.isClosed, let since = contactor.openSince else { return }
            transaction?.phase = .opened(since: since)
            finishIfMeasured(now, since: since, &effects)
        case .opened(let since): finishIfMeasured(now, since: since, &effects)
        case .retrying(let time):
            if now.milliseconds >= time { finish(now, &effects) }
        }
    }

    private mutating func dropStalePermission(_ now: Instant, _ effects: inout Effects) {
        switch permission {
        case .none: return
        case .asking(_, _, let since):
            guard now.since(since) >= ConnectorTimings.authorizationWaits else { return }
        case .granted(let token, let group, _, _) where !isAdmitted(token: token, group: group):
            permission = .none
            effects.others.append(.report(.startAbandoned(.reserved)))
            return
        case .granted(_, _, _, let since):
            if isInService, now.since(since) < rules.connectionTimeoutMilliseconds { return }
        }
        permission = .none
        effects.others.append(
            .report(.startAbandoned(isInService ? .timedOut : .inoperative)))
    }

    private mutating func stopIfNeeded(_ now: Instant) {
        guard var running = transaction else { return }
        if running.stopReason == nil {
            if faults.contains(.emergencyStop) {
                running.stopReason = .emergencyStop
            } else if !faults.isEmpty {
                running.stopReason = .other
            } else if pilot == .a, rules.stopsOnDisconnect {
                running.stopReason = .evDisconnected
            }
        }
        if running.stopReason != nil { running.phase = .stopping }
        transaction = running
    }

    /// The closing register is one that was asked for after the relay opened.
    private mutating func finishIfMeasured(
        _ now: Instant, since: Int64, _ effects: inout Effects
    ) {
        guard let running = transaction else { return }
        let patience =
            running.isRecovered
            ? ConnectorTimings.recoveredRegisterWaits : ConnectorTimings.finalRegisterWaits
        let isMeasured = meter.map { $0.askedAt >= since } ?? false
        guard isMeasured || latched.contains(.meterAbsurd) || now.since(since) >= patience
        else { return }
        if running.stoppedAt == nil { transaction?.stoppedAt = now.wall }
        finish(now, &effects)
    }

    private mutating func finish(_ now: Instant, _ effects: inout Effects) {
        guard var running = transaction, let id = running.id, let openSince = contactor.openSince
        else { return }
        let isMeasured = meter.map { $0.askedAt >= openSince } ?? false
        effects.journal.append(
            .stop(
                Stop(
                    transaction: id, register: running.lastRegister,
                    at: running.stoppedAt ?? now.wall, reason: running.stopReason ?? .other,
                    token: running.stopToken,
                    isLastGood: !isMeasured || latched.contains(.meterAbsurd),
                    limit: running.reachedLimit)))
        running.phase = .committing
        ending = running.reachedLimit?.text
        transaction = running
    }
}
