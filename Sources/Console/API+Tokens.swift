import CPO
import Charging
import JSON
import SQL
import Service
import Web

extension Console {
    func tokenRoutes(_ shape: @escaping @Sendable (Token) -> JSONValue) -> [APIRoute] {
        [
            APIRoute(
                method: "GET", path: "/tokens", need: .role(.viewer),
                summary:
                    "Tokens by uid, as OCPI has them, with `expires` and `max_charges` of our own",
                query: [.limit, .cursor]
            ) { request in
                let limit = try request.limit()
                let found = try await self.house.tokens.list(
                    after: request.http.query("cursor") ?? "", limit: limit)
                return .page(
                    found.map { TokenBody.shown($0, shape) },
                    next: found.count == limit ? found.last?.uid : nil)
            },
            APIRoute(
                method: "GET", path: "/tokens/{uid}", need: .role(.viewer),
                summary: "The token of this uid: our own before a partner's"
            ) { request in
                let uid = request[parameter: "uid"]
                let found = try await self.house.read { transaction in
                    try self.house.tokens.candidates(
                        idTag: Tokens.idTag(of: uid), in: transaction)
                }
                let own = self.house.settings.party
                guard let first = found.first(where: { $0.party == own }) ?? found.first else {
                    throw APIProblem.notFound("token", uid)
                }
                return .json(TokenBody.shown(first, shape))
            },
            APIRoute(
                method: "PUT", path: "/tokens/{uid}", need: .role(.admin),
                summary:
                    "Puts a token; stations that may remember one that is blocked get ClearCache",
                body:
                    "an OCPI Token; also `expires` (RFC 3339) and `max_charges` at a time (0: no bound)"
            ) { try await self.putToken($0, shape) },
            APIRoute(
                method: "DELETE", path: "/tokens/{uid}", need: .role(.admin),
                summary: "Takes away a token of our own drivers"
            ) { request in
                let uid = request[parameter: "uid"]
                let now = self.house.clock.now
                let party = self.house.settings.party
                let found = try await self.house.write { transaction in
                    try self.audit.note(request.caller, "token.delete", uid, in: transaction)
                    return try self.house.tokens.delete(
                        uid: uid, party: party, at: now, in: transaction)
                }
                guard found else { throw APIProblem.notFound("token", uid) }
                return .noContent
            },
        ] + groupRoutes
    }

    private func putToken(
        _ request: APIRequest, _ shape: @Sendable (Token) -> JSONValue
    ) async throws -> HTTPResponse {
        let uid = request[parameter: "uid"]
        let now = house.clock.now
        let body = try own(request, "uid", uid, at: now)
        try body.refuseStrangers(TokenBody.members)
        var token = try read(body, connections.readToken)
        try TokenBody.own(body, into: &token)
        let put = token
        try await house.write { transaction in
            try self.house.tokens.put(put, at: now, in: transaction)
            try self.audit.note(
                request.caller, "token.put", uid, TokenBody.noted(put), in: transaction)
        }
        return .json(TokenBody.shown(token, shape))
    }

    /// Groups are named by tokens' `group_id`; here they get their bounds.
    private var groupRoutes: [APIRoute] {
        [
            APIRoute(
                method: "GET", path: "/token-groups", need: .role(.viewer),
                summary: "Groups of tokens that have a bound of their own"
            ) { _ in
                .page(try await self.house.tokens.groups().map(Self.shown), next: nil)
            },
            APIRoute(
                method: "PUT", path: "/token-groups/{id}", need: .role(.admin),
                summary: "Bounds the charges at a time of all tokens of a group",
                body:
                    "{\"max_charges\": 0 is no bound, \"country_code\"?, \"party_id\"?: the owner}"
            ) { request in
                let id = request[parameter: "id"]
                let body = try request.object(only: [
                    "max_charges", "country_code", "party_id", "id",
                ])
                guard let most = body["max_charges"]?.int, TokenBody.charges.contains(most) else {
                    throw APIProblem.field("max_charges", TokenBody.chargesText)
                }
                guard (1...36).contains(id.count) else {
                    throw APIProblem.field("id", "has 1 to 36 characters")
                }
                let group = Tokens.Group(
                    party: try self.owner(
                        country: body["country_code"]?.string, party: body["party_id"]?.string),
                    id: id, mostCharges: most)
                try await self.house.write { transaction in
                    try self.house.tokens.put(group, in: transaction)
                    try self.audit.note(
                        request.caller, "tokenGroup.put", id, ["max_charges": .number(most)],
                        in: transaction)
                }
                return .json(Self.shown(group))
            },
            APIRoute(
                method: "DELETE", path: "/token-groups/{id}", need: .role(.admin),
                summary: "Takes a group's bound away: the configuration's counts again",
                query: [
                    .init(name: "country_code", about: "the owner; left out: ourselves"),
                    .init(name: "party_id", about: "the owner; left out: ourselves"),
                ]
            ) { request in
                let id = request[parameter: "id"]
                let party = try self.owner(
                    country: request.http.query("country_code"),
                    party: request.http.query("party_id"))
                let found = try await self.house.write { transaction in
                    try self.audit.note(request.caller, "tokenGroup.delete", id, in: transaction)
                    return try self.house.tokens.deleteGroup(party, id, in: transaction)
                }
                guard found else { throw APIProblem.notFound("group", id) }
                return .noContent
            },
        ]
    }

    private func owner(country: String?, party: String?) throws(APIProblem) -> PartyID {
        guard country != nil || party != nil else { return house.settings.party }
        guard let country, country.utf8.count == 2 else {
            throw .field("country_code", "must be two letters, and comes with `party_id`")
        }
        guard let party, party.utf8.count == 3 else {
            throw .field("party_id", "must be three characters, and comes with `country_code`")
        }
        return PartyID(country: country, party: party)
    }

    private static func shown(_ group: Tokens.Group) -> JSONValue {
        [
            "id": .string(group.id), "country_code": .string(group.party.country),
            "party_id": .string(group.party.party), "max_charges": .number(group.mostCharges),
        ]
    }
}
