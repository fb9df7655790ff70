import Charging
import HAL

extension ConnectorMachine {
    /// The connector's status, by one function in the order of OCPP 1.6 §4.9.
    package func status(at now: Instant) -> Status {
        if let fault = faults.min(by: { Self.rank($0) < Self.rank($1) }) {
            return Status(
                .faulted, errorCode: fault.errorCode, info: fault.text,
                vendorErrorCode: fault.vendorErrorCode)
        }
        if let transaction, transaction.phase != .starting {
            return status(in: transaction, now)
        }
        if !isInService, transaction == nil { return Status(.unavailable) }
        if let why = journalHindrance, transaction == nil {
            return Status(
                .unavailable, errorCode: "InternalError", info: String(why.description.prefix(50)))
        }
        // Another driver's car or token does not show: the connector stays kept.
        if reservation != nil, transaction == nil, !isGranted { return Status(.reserved) }
        let isWanted = permission != .none || transaction != nil
        if !isPlugged { return Status(isWanted ? .preparing : .available) }
        if isWanted { return Status(.preparing) }
        switch lastStatus {
        case .charging, .suspendedEV, .suspendedEVSE, .finishing:
            return Status(.finishing, info: ending)
        case nil, .available, .preparing, .reserved, .unavailable, .faulted:
            return Status(.preparing)
        }
    }

    /// What of the journal keeps every new charge away.
    private var journalHindrance: Hindrance? {
        journalTrouble.map(Hindrance.journal) ?? (areReservationsKnown ? nil : .reservationsUnread)
    }

    private var isGranted: Bool {
        if case .granted = permission { true } else { false }
    }

    private func status(in transaction: Transaction, _ now: Instant) -> Status {
        guard transaction.isRunning else {
            // Winding down: the last state stands until the stop is on disk.
            if contactor.isClosed { return Status(.charging) }
            if case .resuming = transaction.phase { return suspended(now) }
            return transaction.isRecovered ? Status(.finishing) : suspended(now)
        }
        if pilot == .a { return Status(.suspendedEV) }
        if !mayDraw(transaction) || available < board.minimum { return suspended(now) }
        if !rules.schedule.isOpen(at: now.wall) { return suspended(now) }
        switch pilot {
        case .c, .d:
            if pilot == .d, !board.hasVentilation {
                return Status(
                    .suspendedEVSE, errorCode: "OtherError", info: "ventilation not available",
                    vendorErrorCode: "VentilationNotAvailable")
            }
            return contactor.isClosed ? Status(.charging) : suspended(now)
        case nil, .a, .b, .e, .f:
            return mayCloseSoon(now) ? Status(.suspendedEV) : suspended(now)
        }
    }

    /// With the first thing that stands in the way, in the 50 characters of `info`. OCPP 1.6 §6.47.
    private func suspended(_ now: Instant) -> Status {
        let verdict = mayEnergise(contactor.isClosed ? .stay : .close, at: now)
        let first = verdict.hindrances.first { !$0.isPassing }
        return Status(.suspendedEVSE, info: first.map { String($0.topic.prefix(50)) })
    }

    /// The fault a technician should see first where there are several.
    private static func rank(_ fault: Fault) -> Int { Fault.allCases.firstIndex(of: fault) ?? 0 }

    /// Shows a status that is no passing one, and reports it once it has stood as long as the operator
    /// wants: `MinimumStatusDuration` is about what he is told, not about the lights of the board.
    mutating func updateStatus(_ now: Instant, _ effects: inout Effects) {
        guard isReady else { return }
        let present = status(at: now)
        if present != candidate {
            candidate = present
            candidateSince = now.milliseconds
        }
        let stands = now.since(candidateSince)
        guard stands >= settleTime(of: present.status) else { return }
        if present.status != .faulted, present.status != .unavailable {
            lastStatus = present.status
        }
        showIndication(of: present.status, &effects)
        guard present != reported, stands >= reportTime(of: present.status) else { return }
        reported = present
        effects.others.append(.report(.status(present)))
    }

    /// Every start passes through a suspended state.
    private func settleTime(of status: ConnectorStatus) -> Int64 {
        switch status {
        case .suspendedEV, .suspendedEVSE: ConnectorTimings.suspensionSettles
        case .available, .preparing, .charging, .finishing, .reserved, .unavailable, .faulted: 0
        }
    }

    /// The key names no exception. Ours are the first status, which follows the boot, and faults,
    /// which are news however short they are. OCPP 1.6 §4.9, §9.1 MinimumStatusDuration.
    private func reportTime(of status: ConnectorStatus) -> Int64 {
        switch status {
        case .faulted: 0
        case .available, .preparing, .charging, .suspendedEV, .suspendedEVSE, .finishing,
            .reserved, .unavailable:
            reported == nil ? 0 : rules.minimumStatusMilliseconds
        }
    }

    private mutating func showIndication(of status: ConnectorStatus, _ effects: inout Effects) {
        let wanted: Indication =
            switch status {
            case .available: .available
            case .preparing, .reserved: .preparing
            case .charging: .charging
            case .suspendedEV, .suspendedEVSE: .suspended
            case .finishing: .finishing
            case .unavailable: .unavailable
            case .faulted: .faulted
            }
        guard wanted != indication else { return }
        indication = wanted
        effects.outputs.append(.indicator(wanted))
    }
}
