import CPO
import Charging
import Crypto
import JSON
import OCPI
import SQL
import Service
import StoreSupport
import TestSupport
import Testing
import Web

@Suite struct `A partner that registers` {
    @Test func `gets a token of its own and the invitation dies`() async throws {
        let (house, partner) = (try await OCPIHouse(), try Partner())
        let invitation = try await house.door.invite("EMS")
        let tokenA = invitation.tokenA
        let versions = await house.ask("GET", "/ocpi/versions", token: tokenA)
        #expect(versions.data?[0]?["version"] == "2.2.1")
        #expect(versions.data?[0]?["url"] == "http://127.0.0.1:1/ocpi/2.2.1")
        let details = await house.ask("GET", "/ocpi/2.2.1/", token: tokenA)
        #expect(details.data?["endpoints"]?.array?.count == 8)
        #expect(await house.ask("GET", "/ocpi/2.2.1/locations", token: tokenA).status == 401)

        let answer = await house.ask(
            "POST", "/ocpi/2.2.1/credentials", token: tokenA, body: partner.credentials)
        #expect(answer.status == 200)
        #expect(answer.code == 1000)
        let tokenC = try #require(answer.data?["token"]?.string)
        #expect(tokenC != tokenA)
        #expect(answer.data?["url"] == "http://127.0.0.1:1/ocpi/versions")
        #expect(answer.data?["roles"]?[0]?["role"] == "CPO")
        // It was called back with its own token, in Base64, before it got its answer.
        let called = partner.received.map(\.path)
        #expect(called == ["/emsp/versions", "/emsp/2.2.1"])
        #expect(
            partner.received[0].headers["Authorization"]
                == "Token \(Base64.encode(Array(partner.token.utf8)))")

        #expect(await house.ask("GET", "/ocpi/versions", token: tokenA).status == 401)
        #expect(await house.ask("GET", "/ocpi/2.2.1/locations", token: tokenC).status == 200)
        let own = await house.ask("GET", "/ocpi/2.2.1/credentials", token: tokenC)
        #expect(own.data?["token"]?.string == tokenC)
        await partner.stop()
    }

    @Test func `may show its token raw, in Base64, twice so, or with a line feed`() async throws {
        let (house, partner) = (try await OCPIHouse(), try Partner())
        let token = try await house.registered(partner)
        func base64(_ text: String) -> String { Base64.encode(Array(text.utf8)) }
        for shown in [token, base64(token), base64(base64(token)), base64(token + "\n")] {
            #expect(await house.ask("GET", "/ocpi/versions", token: shown).status == 200)
        }
        for shown in ["", "x", base64("x"), "%%%", String(repeating: "A", count: 5000)] {
            #expect(await house.ask("GET", "/ocpi/versions", token: shown).status == 401)
        }
        #expect(await house.ask("GET", "/ocpi/versions", token: nil).status == 401)
        await partner.stop()
    }

    @Test func `cannot register twice, nor change what it has not`() async throws {
        let (house, partner) = (try await OCPIHouse(), try Partner())
        let invitation = try await house.door.invite("EMS")
        for method in ["PUT", "DELETE"] {
            let answer = await house.ask(
                method, "/ocpi/2.2.1/credentials", token: invitation.tokenA,
                body: partner.credentials)
            #expect(answer.status == 405)
        }
        let token = try await house.registered(partner)
        let again = await house.ask(
            "POST", "/ocpi/2.2.1/credentials", token: token, body: partner.credentials)
        #expect(again.status == 405)
        #expect(again.code == 2000)
        await partner.stop()
    }

    @Test(arguments: [
        ("/emsp/versions", 500, "null", 3001), ("/emsp/versions", 200, "{}", 3001),
        ("/emsp/versions", 200, "[{\"version\": \"2.1.1\", \"url\": \"http://h/x\"}]", 3002),
        ("/emsp/2.2.1", 200, "{\"version\": \"2.2.1\", \"endpoints\": []}", 3003),
    ])
    func `is refused with the right code when it cannot be called back`(
        path: String, status: Int, text: String, code: Int
    ) async throws {
        let (house, partner) = (try await OCPIHouse(), try Partner())
        let data = try JSONValue(parsing: text)
        partner.script { request in
            request.path == path ? Partner.envelope(data, status: status) : nil
        }
        let invitation = try await house.door.invite("EMS")
        let answer = await house.ask(
            "POST", "/ocpi/2.2.1/credentials", token: invitation.tokenA, body: partner.credentials)
        #expect(answer.status == 200)
        #expect(answer.code == code)
        // Nothing was stored: the invitation is still good.
        partner.script(nil)
        let second = await house.ask(
            "POST", "/ocpi/2.2.1/credentials", token: invitation.tokenA, body: partner.credentials)
        #expect(second.code == 1000)
        await partner.stop()
    }

    @Test func `is told what its credentials lack`() async throws {
        let (house, partner) = (try await OCPIHouse(), try Partner())
        let tokenA = try await house.door.invite("EMS").tokenA
        var bad = partner.credentials
        bad["roles"] = []
        let answer = await house.ask(
            "POST", "/ocpi/2.2.1/credentials", token: tokenA, body: bad)
        #expect(answer.status == 200)
        #expect(answer.code == 2001)
        #expect(answer.envelope?["status_message"]?.string?.contains("roles") == true)
        let noBody = await house.ask("POST", "/ocpi/2.2.1/credentials", token: tokenA)
        #expect(noBody.status == 400)
        await partner.stop()
    }

    @Test func `cannot take a party that is another's or ours`() async throws {
        let house = try await OCPIHouse()
        let (first, second) = (try Partner(), try Partner())
        _ = try await house.registered(first)
        for party in [OCPIHouse.emsp, OCPIHouse.party] {
            let tokenA = try await house.door.invite("Thief").tokenA
            var claim = second.credentials
            claim["roles"] = [
                [
                    "role": "EMSP", "party_id": .string(party.party.lowercased()),
                    "country_code": .string(party.country), "business_details": ["name": "T"],
                ]
            ]
            let answer = await house.ask(
                "POST", "/ocpi/2.2.1/credentials", token: tokenA, body: claim)
            #expect(answer.code == 2001)
        }
        await first.stop()
        await second.stop()
    }

    @Test func `rotates both tokens, the old one good until the new one is used`() async throws {
        let (house, partner) = (try await OCPIHouse(), try Partner())
        let old = try await house.registered(partner)
        let answer = await house.ask(
            "PUT", "/ocpi/2.2.1/credentials", token: old, body: partner.credentials)
        let new = try #require(answer.data?["token"]?.string)
        #expect(new != old)
        #expect(await house.ask("GET", "/ocpi/versions", token: old).status == 200)
        #expect(await house.ask("GET", "/ocpi/versions", token: new).status == 200)
        #expect(await house.ask("GET", "/ocpi/versions", token: old).status == 401)
        await partner.stop()
    }

    @Test func `leaves in both directions`() async throws {
        let (house, partner) = (try await OCPIHouse(), try Partner())
        let token = try await house.registered(partner)
        #expect(
            await house.ask("DELETE", "/ocpi/2.2.1/credentials", token: token).code == 1000)
        #expect(await house.ask("GET", "/ocpi/versions", token: token).status == 401)
        #expect(house.door.peers.all().allSatisfy { $0.state == .gone })
        await partner.stop()
    }

    @Test func `is still known after a restart, and its token nowhere in the store`() async throws {
        let folder = TemporaryFolder()
        let path = folder.file("kerb.sqlite")
        let partner = try Partner()
        let first = try await OCPIHouse(path: path)
        let token = try await first.registered(partner)
        await first.cpo.database.close()
        let second = try await OCPIHouse(path: path, isNew: false)
        #expect(await second.ask("GET", "/ocpi/2.2.1/tariffs", token: token).code == 1000)
        let rows = try await second.cpo.read { transaction in
            try transaction.query("SELECT * FROM ocpi_peer").flatMap(\.values)
        }
        #expect(rows.contains(.text(partner.credentials["token"]?.string ?? "")))
        #expect(!rows.contains(.text(token)))
        await second.cpo.database.close()
        if TestStore.server == nil {
            let bytes = try FileSystem.read(path, limitBytes: 64 << 20)
            #expect(!String(decoding: bytes, as: UTF8.self).contains(token))
        }
        await partner.stop()
    }
}

@Suite struct `A partner we register with` {
    @Test func `can call us with our token before it has answered`() async throws {
        let (house, partner) = (try await OCPIHouse(), try Partner())
        let seen = Lock<[Int]>([])
        let credentials = partner.credentials
        partner.script { request in
            guard request.method == "POST", request.path == "/emsp/2.2.1/credentials/" else {
                return nil
            }
            let body = try? JSONValue(parsing: request.body)
            let answer = await house.ask(
                "GET", "/ocpi/versions", token: body?["token"]?.string ?? "")
            seen.withLock { $0.append(answer.status) }
            return Partner.envelope([credentials])
        }
        let peer = try await house.door.register(
            "EMS", versionsURL: "\(partner.base)/versions", tokenA: "token-a")
        #expect(seen.withLock { $0 } == [200])
        #expect(peer.state == .registered)
        #expect(peer.parties == [OCPIHouse.emsp])
        await partner.stop()
    }

    @Test func `leaves nothing behind when it refuses`() async throws {
        let (house, partner) = (try await OCPIHouse(), try Partner())
        let token = Lock<String?>(nil)
        partner.script { request in
            guard request.method == "POST" else { return nil }
            let body = try? JSONValue(parsing: request.body)
            token.withLock { $0 = body?["token"]?.string }
            return Partner.envelope(nil, code: 3001)
        }
        await #expect(throws: OCPIDoor.DiscoveryError.self) {
            try await house.door.register(
                "EMS", versionsURL: "\(partner.base)/versions", tokenA: "token-a")
        }
        let given = try #require(token.withLock { $0 })
        #expect(await house.ask("GET", "/ocpi/versions", token: given).status == 401)
        await partner.stop()
    }

    @Test func `is left with a DELETE, and ours dies even if it does not answer well`() async throws
    {
        let (house, partner) = (try await OCPIHouse(), try Partner())
        let token = try await house.registered(partner)
        let peer = try #require(house.door.peers.all().first { $0.state == .registered })
        partner.script { $0.method == "DELETE" ? Partner.envelope(nil, status: 500) : nil }
        try await house.door.leave(peer.id)
        #expect(partner.received.contains { $0.method == "DELETE" })
        #expect(await house.ask("GET", "/ocpi/versions", token: token).status == 401)
        await partner.stop()
    }

    @Test func `gets new tokens by PUT`() async throws {
        let (house, partner) = (try await OCPIHouse(), try Partner())
        let old = try await house.registered(partner)
        let peer = try #require(house.door.peers.all().first { $0.state == .registered })
        let given = Lock<String?>(nil)
        let credentials = partner.credentials
        partner.script { request in
            guard request.method == "PUT" else { return nil }
            given.withLock { $0 = (try? JSONValue(parsing: request.body))?["token"]?.string }
            return Partner.envelope(credentials)
        }
        try await house.door.rotate(peer.id)
        let new = try #require(given.withLock { $0 })
        #expect(await house.ask("GET", "/ocpi/versions", token: old).status == 200)
        #expect(await house.ask("GET", "/ocpi/versions", token: new).status == 200)
        #expect(await house.ask("GET", "/ocpi/versions", token: old).status == 401)
        await partner.stop()
    }

    @Test func `cannot take another's party while we rotate`() async throws {
        let house = try await OCPIHouse()
        let (victim, thief) = (try Partner(), try Partner(PartyID(country: "NL", party: "THF")))
        _ = try await house.registered(victim)
        _ = try await house.registered(thief)
        let peer = try #require(house.door.peers.all().first { $0.parties == [thief.party] })
        var claim = thief.credentials
        claim["roles"] = victim.credentials["roles"]
        let given = Lock<String?>(nil)
        let answer = claim
        thief.script { request in
            guard request.method == "PUT" else { return nil }
            given.withLock { $0 = (try? JSONValue(parsing: request.body))?["token"]?.string }
            return Partner.envelope(answer)
        }
        await #expect(throws: OCPIDoor.DiscoveryError.self) {
            try await house.door.rotate(peer.id)
        }
        #expect(house.door.peers.peer(peer.id)?.parties == [thief.party])
        // The tokens are exchanged all the same: the connection goes on as what it was.
        let token = try #require(given.withLock { $0 })
        #expect(await house.ask("GET", "/ocpi/versions", token: token).status == 200)
        await victim.stop()
        await thief.stop()
    }
}
