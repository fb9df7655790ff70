import Charging
import JSON

// Commands as OCPI 2.2.1 §13.3 has them: what a partner asks, and the two answers it gets.

/// What we say at once: whether we took the command on. OCPI 2.2.1 §13.3.2.
enum CommandResponse: String, Hashable, Sendable {
    case accepted = "ACCEPTED"
    case rejected = "REJECTED"
    case unknownSession = "UNKNOWN_SESSION"

    func wire(timeoutSeconds: Int, _ message: String? = nil) -> JSONValue {
        .members([
            "result": .string(rawValue), "timeout": .number(timeoutSeconds),
            "message": message.map { [["language": "en", "text": .string($0)]] },
        ])
    }
}

/// What we say later: what the station did. OCPI 2.2.1 §13.4.2.
enum CommandResult: String, Hashable, Sendable {
    case accepted = "ACCEPTED"
    case evseInoperative = "EVSE_INOPERATIVE"
    case evseOccupied = "EVSE_OCCUPIED"
    case unknownReservation = "UNKNOWN_RESERVATION"
    case failed = "FAILED"
    case rejected = "REJECTED"
    case timeout = "TIMEOUT"

    func wire(_ message: String?) -> JSONValue {
        .members([
            "result": .string(rawValue),
            "message": message.map { [["language": "en", "text": .string($0)]] },
        ])
    }
}

/// START_SESSION. OCPI 2.2.1 §13.3.4.
struct StartRequest: Hashable, Sendable {
    var responseURL: String
    var token: Token
    var locationID: String
    var evseUID: String?
    var connectorID: String?
    var authorizationReference: String?

    init(ocpi value: JSONValue) throws(WireError) {
        let fields = try WireFields(value, at: "")
        responseURL = try fields.text("response_url", max: 255)
        guard let token = fields.members["token"] else { throw WireError("token", "is missing") }
        self.token = try Token(ocpi: token, at: "token")
        locationID = try fields.text("location_id", max: 36)
        evseUID = try fields.optionalText("evse_uid", max: 36)
        connectorID = try fields.optionalText("connector_id", max: 36)
        authorizationReference = try fields.optionalText("authorization_reference", max: 36)
        if connectorID != nil, evseUID == nil {
            throw WireError("evse_uid", "is missing beside connector_id")
        }
    }
}

/// STOP_SESSION. OCPI 2.2.1 §13.3.5.
struct StopRequest: Hashable, Sendable {
    var responseURL: String
    var sessionID: String

    init(ocpi value: JSONValue) throws(WireError) {
        let fields = try WireFields(value, at: "")
        responseURL = try fields.text("response_url", max: 255)
        sessionID = try fields.text("session_id", max: 36)
    }
}
