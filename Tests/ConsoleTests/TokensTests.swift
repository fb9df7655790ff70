import CPO
import Charging
import JSON
import TestSupport
import Testing
import Web

@testable import Console

@Suite(.timeLimit(.minutes(2))) struct `Tokens over the API` {
    private func body(_ more: JSONValue = [:]) -> JSONValue {
        var body: [String: JSONValue] = [
            "type": "RFID", "contract_id": "C", "issuer": "Kerb", "valid": true,
            "whitelist": "ALLOWED",
        ]
        for (key, value) in more.object ?? [:] { body[key] = value }
        return .object(body)
    }

    @Test func `carry an end and a bound of the house's own`() async throws {
        let test = try await TestConsole()
        let put = try await test.call(
            "PUT", "/api/v1/tokens/T-1", key: test.admin,
            body: body(["expires": "2027-06-01T00:00:00Z", "max_charges": 2]))
        #expect(put.status == 200)
        #expect(put["expires"] == "2027-06-01T00:00:00Z")
        let shown = try await test.get("/tokens/T-1")
        #expect(shown["max_charges"]?.int == 2)
        let stored = try await test.house.read { [house = test.house] in
            try house.tokens.candidates(idTag: "T-1", in: $0)
        }
        #expect(stored.first?.mostCharges == 2)
        let line = try await test.get("/audit")["items"]?[0]
        #expect(line?["action"] == "token.put")
        #expect(
            line?["detail"] == [
                "valid": true, "whitelist": "ALLOWED", "expires": "2027-06-01T00:00:00Z",
                "max_charges": 2,
            ])
        for (field, value) in [
            ("expires", "soon" as JSONValue), ("max_charges", -1), ("max_charges", "many"),
        ] {
            let refused = try await test.call(
                "PUT", "/api/v1/tokens/T-1", key: test.admin, body: body([field: value]))
            #expect(refused.status == 422)
            #expect(refused["field"]?.string == field)
        }
        await test.server.stop()
    }

    @Test func `are our own before a partner's of the same uid`() async throws {
        let test = try await TestConsole()
        let put = try await test.call(
            "PUT", "/api/v1/tokens/TWO", key: test.admin,
            body: body(["valid": false, "max_charges": 7]))
        #expect(put.status == 200)
        _ = try await test.house.write { [house = test.house, now = test.clock.now] transaction in
            try house.tokens.put(
                Token(
                    party: PartyID(country: "DE", party: "EMS"), uid: "TWO", kind: .rfid,
                    contractID: "C", issuer: "EMS", whitelist: .allowed, lastUpdated: now),
                at: now, in: transaction)
        }
        #expect(try await test.get("/tokens/two")["max_charges"]?.int == 7)
        await test.server.stop()
    }

    @Test func `have bounds for their groups`() async throws {
        let test = try await TestConsole()
        let path = "/api/v1/token-groups/FLEET"
        #expect(
            try await test.call("PUT", path, key: test.operator, body: ["max_charges": 3]).status
                == 403)
        for (body, field) in [
            (["max_charges": 3, "party_id": "EMS"] as JSONValue, "country_code"),
            (["max_charges": -3], "max_charges"), ([:], "max_charges"),
        ] {
            let refused = try await test.call("PUT", path, key: test.admin, body: body)
            #expect(refused["field"]?.string == field)
        }
        let put = try await test.call("PUT", path, key: test.admin, body: ["max_charges": 3])
        #expect(put.status == 200)
        let other = try await test.call(
            "PUT", path, key: test.admin,
            body: ["max_charges": 1, "country_code": "NL", "party_id": "EMS"])
        #expect(other.status == 200)
        let shown = try await test.get("/token-groups")["items"]?.array ?? []
        #expect(shown.map { $0["party_id"]?.string } == ["KRB", "EMS"])
        #expect(try await test.call("DELETE", path, key: test.admin).status == 204)
        #expect(try await test.call("DELETE", path, key: test.admin).status == 404)
        #expect(try await test.get("/token-groups")["items"]?.array?.count == 1)
        await test.server.stop()
    }

    @Test func `are imported with both`() async throws {
        let test = try await TestConsole()
        func send(_ text: String) async throws -> TestConsole.Answer {
            try await test.call(
                "POST", "/api/v1/import/tokens", key: test.admin, bytes: Array(text.utf8),
                headers: ["Content-Type": "text/csv"])
        }
        let wrong = try await send("uid,expires,max_charges\nA,soon,\nB,,many\n")
        #expect(wrong.status == 422)
        #expect(
            wrong["problems"]?.array?.map { $0["field"]?.string } == ["expires", "max_charges"])
        let table = "uid,expires,max_charges\nA,2027-06-01T00:00:00Z,1\nB,,\n"
        #expect(try await send(table)["created"]?.int == 2)
        #expect(try await send(table)["unchanged"]?.int == 2)
        #expect(try await test.get("/tokens/A")["max_charges"]?.int == 1)
        await test.server.stop()
    }
}
