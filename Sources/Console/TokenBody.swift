import Charging
import JSON

/// What the API says of a token besides OCPI's fields: only the house knows it.
enum TokenBody {
    /// OCPI's that are kept, and the house's own.
    static let members: Set = [
        "country_code", "party_id", "uid", "type", "contract_id", "visual_number", "issuer",
        "group_id", "valid", "whitelist", "language", "last_updated", "expires", "max_charges",
    ]
    static let charges = 0...10_000
    static let chargesText = "must be a whole number from 0 to 10000; 0 is no bound"

    /// The house's own fields of a token's body, put into what OCPI's said.
    static func own(_ body: JSONValue, into token: inout Token) throws(APIProblem) {
        if let expires = body["expires"], !expires.isNull {
            guard let moment = expires.time else {
                throw .field("expires", "must be a time like 2026-12-31T23:00:00Z, or null")
            }
            token.expires = moment
        }
        if let most = body["max_charges"], !most.isNull {
            guard let count = most.int, charges.contains(count) else {
                throw .field("max_charges", chargesText)
            }
            token.mostCharges = count
        }
    }

    static func shown(_ token: Token, _ shape: (Token) -> JSONValue) -> JSONValue {
        var value = shape(token).object ?? [:]
        value["expires"] = token.expires.map { .time($0) }
        value["max_charges"] = token.mostCharges.map { .number($0) }
        return .object(value)
    }

    /// What decides whether it may charge; of its driver no more than the line's subject says.
    static func noted(_ token: Token) -> JSONValue {
        .members([
            "valid": .bool(token.isValid), "whitelist": .string(token.whitelist.rawValue),
            "expires": token.expires.map { .time($0) },
            "max_charges": token.mostCharges.map { .number($0) },
        ])
    }
}
