import Charging
import HAL

/// What smart charging has to know of one connector.
package struct ConnectorLoad: Hashable, Sendable {
    package var number: ConnectorNumber
    /// The charge that is in the machine, ending or not.
    package var charge: Int64?
    package var token: String?
    /// When the charge began, on the monotonic clock.
    package var startedMilliseconds: Int64?
    /// When a charge that was found after a restart began, while it is not decided whether it goes on:
    /// the monotonic clock knows nothing of it, and the wall's may still be set.
    package var foundStartedAt: Timestamp?
    /// Whose charge may begin here without another question.
    package var awaitedToken: String?
    /// A charge runs that may have current.
    package var isActive: Bool
    /// Current may flow: the contactor is not surely open, or current is offered.
    package var mayDraw: Bool
    package var isIdle: Bool
    /// The least of all limits but the site's.
    package var cap: Amperes
    package var currents: [Amperes]
    package var currentsAskedAt: Int64?
}

extension ConnectorMachine {
    var load: ConnectorLoad {
        var unbounded = self
        unbounded.limits[.site] = nil
        var isActive = false
        if let transaction, faults.isEmpty, transaction.isAccepted, transaction.stopReason == nil {
            isActive = transaction.phase == .running || transaction.phase == .starting
        }
        var foundStartedAt: Timestamp?
        if case .resuming = transaction?.phase { foundStartedAt = transaction?.startedAt }
        var isOffering = false
        if case .pwm = signal { isOffering = true }
        return ConnectorLoad(
            number: number, charge: transaction?.id, token: transaction?.token,
            startedMilliseconds: transaction?.startedMilliseconds,
            foundStartedAt: foundStartedAt, awaitedToken: awaitedToken, isActive: isActive,
            mayDraw: contactor.isClosed || contactor.openSince == nil || isOffering,
            isIdle: pilot == .b, cap: unbounded.available, currents: meter?.currents ?? [],
            currentsAskedAt: meter?.askedAt)
    }
}

extension ConnectorMachine {
    private var awaitedToken: String? {
        switch permission {
        case .none: transaction?.phase == .starting ? transaction?.token : nil
        case .asking(let token, _, _), .granted(let token, _, _, _): token
        }
    }
}

extension ConnectorController {
    package func load() -> ConnectorLoad { machine.load }
}
