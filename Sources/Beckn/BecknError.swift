import JSON

/// What is wrong with a request, in the numbers of BECKN-005.
package struct BecknError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Code: Int, Hashable, Sendable, Codable {
        case invalidRequest = 30000
        case providerUnknown = 30001
        case itemUnknown = 30004
        case fulfilmentUnknown = 30008
        case orderUnknown = 30010
        case cancellationReasonUnknown = 30011
        case updateTargetUnknown = 30012
        case changedOutsideTarget = 30013
        case ratedEntityUnknown = 30014
        case ratingWrong = 30015
        case business = 40000
        case notImplemented = 40001
        case notAvailable = 40002
        case quoteGone = 40003
        case paymentNotSupported = 40004
        case trackingNotSupported = 40005
        case agentUnavailable = 40006
        case policy = 50000
        case cancelNotPossible = 50001
        case updateNotPossible = 50002
        case ratingNotSupported = 50003
        case supportUnavailable = 50004
    }

    package var code: Code
    package var message: String
    /// Where in the message, as a JSON path; only for what the sender wrote wrongly.
    package var path: String?
    /// The seeds' word beside the number: `EVSE_UNAVAILABLE`.
    package var symbol: String?

    package init(_ code: Code, _ message: String, path: String? = nil, symbol: String? = nil) {
        self.code = code
        self.message = message
        self.path = path
        self.symbol = symbol
    }

    /// A field that is missing or of the wrong form: refused with NACK, never with a callback.
    static func field(_ path: String, _ message: String) -> BecknError {
        BecknError(.invalidRequest, message, path: path)
    }

    package var description: String { "\(code.rawValue) \(path.map { "\($0): " } ?? "")\(message)" }

    /// The `error` member of a NACK or a callback. All strings.
    var json: JSONValue {
        .members([
            "code": .string(String(code.rawValue)), "message": .string(message),
            "paths": path.map { .string($0) },
        ])
    }
}
