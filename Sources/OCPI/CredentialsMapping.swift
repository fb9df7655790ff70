import CPO
import Charging
import JSON

/// The credentials object of a partner. OCPI 2.2.1 §7.3.1.
struct PeerCredentials: Hashable, Sendable {
    var token: String
    /// Its versions URL.
    var url: String
    var roles: [Peer.Role]

    init(ocpi value: JSONValue) throws(WireError) {
        let fields = try WireFields(value, at: "")
        token = try fields.required("token", "1 to 64 printable characters without blanks") {
            $0.string.flatMap { PeerToken.isUsable($0) ? $0 : nil }
        }
        url = try fields.required("url", "an http or https URL") { value in
            value.string.flatMap { PeerURL($0)?.text }
        }
        roles = try fields.list("roles", atLeast: 1) { value, path throws(WireError) in
            let role = try WireFields(value, at: path)
            return Peer.Role(
                role: try role.text("role", max: 40).uppercased(),
                party: PartyID(
                    country: try role.text("country_code", max: 2),
                    party: try role.text("party_id", max: 3)),
                name: try role.optionalFields("business_details")?.optionalText("name", max: 100)
                    ?? "")
        }
    }
}

extension OCPIDoor {
    /// Our credentials as the partner that holds `token` has to use them.
    func ourCredentials(token: String) -> JSONValue {
        let party = house.settings.party
        return [
            "token": .string(token), "url": .string(versionsURL),
            "roles": [
                [
                    "role": "CPO", "party_id": .string(party.party),
                    "country_code": .string(party.country),
                    "business_details": .members([
                        "name": .string(house.settings.name),
                        "website": settings.website.map { .string($0) },
                    ]),
                ]
            ],
        ]
    }
}
