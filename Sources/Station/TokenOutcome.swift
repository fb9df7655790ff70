import Charging

/// What came of a token that was shown at the board.
package enum TokenOutcome: Hashable, Sendable {
    case taken(ConnectorNumber)
    /// Nobody has answered yet.
    case waiting(ConnectorNumber)
    case refused(ConnectorNumber, TokenRefusal)
}

/// Why a token started or stopped nothing.
package enum TokenRefusal: Hashable, Sendable {
    /// Of the operator, his list or what is remembered of him.
    case byOperator(AuthorizationStatus)
    case byConnector(ConnectorMachine.StartFailure)

    package var reason: String {
        switch self {
        case .byOperator(let status): "the operator or his list says \(status.rawValue)"
        case .byConnector(.inoperative): "the connector is out of service or faulted"
        case .byConnector(.reserved): "it is reserved for somebody else"
        case .byConnector(.timedOut): "nothing was plugged in or answered in time"
        case .byConnector(.journalFailed): "the journal takes no new charge"
        }
    }

    package var mend: String {
        switch self {
        case .byOperator(.invalid):
            "have the operator add the token, or, where he cannot be reached, see "
                + "`allowUnknownTokensOffline`"
        case .byOperator: "ask the operator about this token"
        case .byConnector(.timedOut): "plug the car in and show it again"
        case .byConnector: "`kerb-edge status` says why"
        }
    }
}
