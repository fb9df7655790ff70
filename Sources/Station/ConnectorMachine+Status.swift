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
        if !isOperative, transaction == nil { return Status(.unavailable) }
        if let journalTrouble, transaction == nil {
            return Status(
                .unavailable, errorCode: "InternalError",
                info: String(journalTrouble.description.prefix(50)))
        }
        // Another driver's car or token does not show: the connector stays kept.
        if reservation != nil, transaction == nil, !isGranted { return Status(.reserved) }
        let isWanted = permission != .none || transaction != nil
        if !isPlugged { return Status(isWanted ? .preparing : .available) }
        if isWanted { return Status(.preparing) }
        switch lastStatus {
        case .charging, .suspendedEV, .suspendedEVSE, .finishing: return Status(.finishing)
        case nil, .available, .preparing, .reserved, .unavailable, .faulted:
            return Status(.preparing)
        }
    }

    private var isGranted: Bool {
        if case .granted = permission { true } else { false }
    }

    private func status(in transaction: Transaction, _ now: Instant) -> Status {
        guard transaction.isRunning else {
            // Winding down: the last state stands until the stop is on disk.
            if contactor.isClosed { return Status(.charging) }
            return Status(transaction.isRecovered ? .finishing : .suspendedEVSE)
        }
        if pilot == .a { return Status(.suspendedEV) }
        if !transaction.isAccepted || available < board.minimum { return Status(.suspendedEVSE) }
        switch pilot {
        case .c, .d:
            if pilot == .d, !board.hasVentilation {
                return Status(
                    .suspendedEVSE, errorCode: "OtherError", info: "ventilation not available",
                    vendorErrorCode: "VentilationNotAvailable")
            }
            return Status(contactor.isClosed ? .charging : .suspendedEVSE)
        case nil, .a, .b, .e, .f: return Status(.suspendedEV)
        }
    }

    /// The fault a technician should see first where there are several.
    private static func rank(_ fault: Fault) -> Int { Fault.allCases.firstIndex(of: fault) ?? 0 }

    /// Reports a status that has stood long enough; faults and ends at once.
    mutating func updateStatus(_ now: Instant, _ effects: inout Effects) {
        guard isReady else { return }
        let present = status(at: now)
        if present != candidate {
            candidate = present
            candidateSince = now.milliseconds
        }
        if present != reported, now.since(candidateSince) >= settleTime(of: present.status) {
            reported = present
            if present.status != .faulted, present.status != .unavailable {
                lastStatus = present.status
            }
            effects.others.append(.report(.status(present)))
            showIndication(of: present.status, &effects)
        }
    }

    private func settleTime(of status: ConnectorStatus) -> Int64 {
        switch status {
        case .suspendedEV, .suspendedEVSE:
            max(rules.minimumStatusMilliseconds, ConnectorTimings.suspensionSettles)
        case .charging, .preparing, .finishing: rules.minimumStatusMilliseconds
        case .available, .reserved, .unavailable, .faulted: 0
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
