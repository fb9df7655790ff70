import CPO
import Charging
import JSON
import SQL
import Service
import Web

// Tokens as RECEIVER: who of a partner's drivers may charge. OCPI 2.2.1 §12.2.2.

extension OCPIDoor {
    func tokens(
        _ request: HTTPRequest, _ path: [String], _ caller: Caller
    ) async throws -> OCPIReply {
        guard path.count == 3 else { return .notFound("tokens/{country}/{party}/{uid}") }
        let owner = PartyID(country: path[0], party: path[1])
        guard caller.peer.parties.contains(owner) else {
            return .notFound("\(owner) is no party of yours")
        }
        guard let kind = Token.Kind(rawValue: (request.query("type") ?? "RFID").uppercased()) else {
            return .refusal(StatusCode.invalidParameter, "type: unknown token type")
        }
        let key = TokenKey(owner: owner, uid: path[2], kind: kind)
        switch request.method {
        case "GET":
            guard let token = try await house.read({ [house] in try key.find(in: house, $0) })
            else { return .notFound("no such token", code: StatusCode.unknownToken) }
            return .success(token.ocpi221)
        case "PUT":
            let token = try Token(ocpi: request.json())
            guard token.party == owner, Self.same(token.uid, key.uid), token.kind == kind else {
                return .refusal(
                    StatusCode.invalidParameter, "the ids in the body are not those of the URL")
            }
            return try await put(token, key)
        case "PATCH": return try await patch(try request.json(), key)
        default: return .notAllowed("GET, PUT, PATCH", "a token is made invalid, not deleted")
        }
    }

    private struct TokenKey: Sendable {
        var owner: PartyID
        var uid: String
        var kind: Token.Kind

        func find(in house: ChargePointOperator, _ transaction: Transaction) throws -> Token? {
            try house.tokens.find(uid: uid, party: owner, kind: kind, in: transaction)
        }
    }

    private func put(_ token: Token, _ key: TokenKey) async throws -> OCPIReply {
        let now = house.clock.now
        let isNew = try await house.write { [house] transaction in
            let isNew = try key.find(in: house, transaction) == nil
            try house.tokens.take(token, at: now, in: transaction)
            return isNew
        }
        return .success(created: isNew)
    }

    /// A PATCH replaces members of the stored object, all in one transaction.
    private func patch(_ change: JSONValue, _ key: TokenKey) async throws -> OCPIReply {
        let fields = try WireFields(change, at: "")
        _ = try fields.time("last_updated")
        let now = house.clock.now
        let members = fields.members
        let outcome = try await house.write { [house] transaction -> Result<Bool, WireError> in
            guard let old = try key.find(in: house, transaction) else { return .success(false) }
            var object = old.ocpi221
            for (name, value) in members { object[name] = value }
            let new: Token
            do throws(WireError) {
                new = try Token(ocpi: object)
            } catch { return .failure(error) }
            guard new.party == old.party, Self.same(new.uid, old.uid), new.kind == old.kind else {
                return .failure(WireError("uid", "ids cannot be changed"))
            }
            try house.tokens.take(new, at: now, in: transaction)
            return .success(true)
        }
        guard try outcome.get() else {
            return .notFound("no such token", code: StatusCode.unknownToken)
        }
        return .success()
    }
}
