import Charging
import JSON

// Token as OCPI 2.2.1 §12.3.2 has it, both ways.

extension Token {
    /// - Throws: `WireError`. A token type we do not know is OTHER: newer versions have more.
    package init(ocpi value: JSONValue, at path: String = "") throws(WireError) {
        let fields = try WireFields(value, at: path)
        self.init(
            party: PartyID(
                country: try fields.text("country_code", max: 2),
                party: try fields.text("party_id", max: 3)),
            uid: try fields.text("uid", max: 36),
            kind: Token.Kind(rawValue: try fields.text("type", max: 40).uppercased()) ?? .other,
            contractID: try fields.text("contract_id", max: 36),
            visualNumber: try fields.optionalText("visual_number", max: 64),
            issuer: try fields.text("issuer", max: 64),
            groupID: try fields.optionalText("group_id", max: 36),
            isValid: try fields.bool("valid"),
            whitelist: try fields.choice("whitelist", Whitelist.self),
            language: try fields.optionalText("language", max: 2),
            lastUpdated: try fields.time("last_updated"))
    }

    package var ocpi221: JSONValue {
        .members([
            "country_code": .string(party.country), "party_id": .string(party.party),
            "uid": .string(uid), "type": .string(kind.rawValue),
            "contract_id": .string(contractID),
            "visual_number": visualNumber.map { .string($0) }, "issuer": .string(issuer),
            "group_id": groupID.map { .string($0) }, "valid": .bool(isValid),
            "whitelist": .string(whitelist.rawValue), "language": language.map { .string($0) },
            "last_updated": .time(lastUpdated),
        ])
    }
}
