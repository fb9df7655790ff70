import Charging
import JSON
import SQL

/// An OCPI partner: an eMSP or a hub, with what it told us of itself.
package struct Peer: Hashable, Sendable {
    package enum State: String, Hashable, Sendable {
        /// An operator made a TOKEN_A for it; it has not called yet.
        case invited
        /// We are calling it right now: its TOKEN_B is valid already.
        case calling
        case registered
        /// Credentials were deleted by either side; kept for the record.
        case gone
    }

    /// OCPI 2.2.1 §7.3.2.
    package struct Role: Hashable, Sendable {
        package var role: String
        package var party: PartyID
        package var name: String
    }

    /// OCPI 2.2.1 §6.2.3.
    package struct Endpoint: Hashable, Sendable {
        package var identifier: String
        package var role: String
        package var url: String
    }

    package var id: String
    package var state: State
    /// What the operator called it.
    package var name: String
    package var versionsURL: String?
    package var roles: [Role]
    package var endpoints: [Endpoint]
    /// It wants our token raw, as OCPI 2.1.1 has it, and not in Base64.
    package var wantsRawToken: Bool
    package var createdAt: Timestamp
    package var updatedAt: Timestamp
    /// SHA-256 of the tokens it may show us: TOKEN_A, the present one, the one before.
    var invitationHash: String?
    var tokenHash: String?
    var previousHash: String?
    var previousUntil: Timestamp?
    /// The token we are just giving it; the partner may use it before it has answered.
    var pendingHash: String?
    /// What we show it.
    var outgoingToken: String?

    init(id: String, state: State, name: String, at: Timestamp) {
        self.id = id
        self.state = state
        self.name = name
        roles = []
        endpoints = []
        wantsRawToken = false
        createdAt = at
        updatedAt = at
    }

    package var parties: [PartyID] { roles.map(\.party) }

    /// The endpoint for a module in the wanted role. The role of credentials is irrelevant.
    package func url(of module: String, role: String) -> String? {
        let found = endpoints.filter { $0.identifier.lowercased() == module }
        if module == "credentials" { return found.first?.url }
        return found.first { $0.role.uppercased() == role }?.url
    }

    /// Hosts the partner itself named: where a `response_url` may point.
    var hosts: Set<String> {
        Set(
            ([versionsURL].compactMap(\.self) + endpoints.map(\.url)).compactMap {
                PeerURL($0)?.host
            })
    }
}

extension Peer {
    init(row: Row) throws {
        let body = try JSONValue(parsing: row.text("body"))
        self.init(
            id: try row.text("id"), state: State(rawValue: try row.text("state")) ?? .gone,
            name: body["name"]?.string ?? "", at: try row.timestamp("created_at"))
        versionsURL = body["versionsURL"]?.string
        wantsRawToken = body["wantsRawToken"]?.bool ?? false
        roles = (body["roles"]?.array ?? []).map { role in
            Role(
                role: role["role"]?.string ?? "",
                party: PartyID(
                    country: role["country"]?.string ?? "", party: role["party"]?.string ?? ""),
                name: role["name"]?.string ?? "")
        }
        endpoints = (body["endpoints"]?.array ?? []).map { endpoint in
            Endpoint(
                identifier: endpoint["identifier"]?.string ?? "",
                role: endpoint["role"]?.string ?? "", url: endpoint["url"]?.string ?? "")
        }
        updatedAt = try row.timestamp("updated_at")
        invitationHash = try row.textOrNil("invitation_hash")
        tokenHash = try row.textOrNil("token_hash")
        previousHash = try row.textOrNil("previous_hash")
        previousUntil = try row.timestampOrNil("previous_until")
        pendingHash = try row.textOrNil("pending_hash")
        outgoingToken = try row.textOrNil("outgoing_token")
    }

    var storedBody: String {
        JSONValue.members([
            "name": .string(name), "versionsURL": versionsURL.map { .string($0) },
            "wantsRawToken": .bool(wantsRawToken),
            "roles": .array(
                roles.map {
                    [
                        "role": .string($0.role), "country": .string($0.party.country),
                        "party": .string($0.party.party), "name": .string($0.name),
                    ]
                }),
            "endpoints": .array(
                endpoints.map {
                    [
                        "identifier": .string($0.identifier), "role": .string($0.role),
                        "url": .string($0.url),
                    ]
                }),
        ]).text
    }
}
