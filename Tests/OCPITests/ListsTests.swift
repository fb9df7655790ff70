import CPO
import Charging
import JSON
import OCPI
import Service
import TestSupport
import Testing
import Web

@Suite struct `An OCPI list` {
    /// A house with five places and a registered partner.
    static func furnished(pageLimit: Int = 200) async throws -> (OCPIHouse, Partner, String) {
        let clock = ManualClock(OCPIHouse.noon)
        let house = try await OCPIHouse(pageLimit: pageLimit, clock: clock)
        let partner = try Partner()
        let token = try await house.registered(partner)
        for (index, id) in ["L-9", "L-2", "L-7", "L-4"].enumerated() {
            clock.advance(milliseconds: 60_000)
            let now = clock.now
            _ = try await house.cpo.write { transaction in
                try house.cpo.locations.put(
                    OCPIHouse.location(id, at: now, publish: index != 3), at: now, in: transaction)
            }
            // Seen once, so that the order of appearance is theirs.
            _ = await house.ask("GET", "/ocpi/2.2.1/locations", token: token)
        }
        return (house, partner, token)
    }

    @Test func `pages by offset and limit, oldest first, and says what is next`() async throws {
        let (house, partner, token) = try await Self.furnished()
        let first = await house.ask(
            "GET", "/ocpi/2.2.1/locations", token: token, query: [("limit", "3")])
        #expect(first.ids == ["L-1", "L-9", "L-2"])
        #expect(first.headers["X-Total-Count"] == "4")
        #expect(first.headers["X-Limit"] == "200")
        #expect(
            first.headers["Link"]
                == "<http://127.0.0.1:1/ocpi/2.2.1/locations?offset=3&limit=3>; rel=\"next\"")
        let last = await house.ask(
            "GET", "/ocpi/2.2.1/locations", token: token, query: [("offset", "3"), ("limit", "3")])
        #expect(last.ids == ["L-7"])
        #expect(last.headers["Link"] == nil)
        let beyond = await house.ask(
            "GET", "/ocpi/2.2.1/locations/", token: token,
            query: [("offset", "\(Int.max)"), ("limit", "\(Int.max)")])
        #expect(beyond.ids == [])
        #expect(beyond.headers["Link"] == nil)
        #expect(beyond.headers["X-Total-Count"] == "4")
        await partner.stop()
    }

    @Test func `takes date_from inclusive and date_to exclusive, and keeps them in Link`()
        async throws
    {
        let (house, partner, token) = try await Self.furnished()
        let (from, until) = (
            OCPIHouse.noon.advanced(bySeconds: 60), OCPIHouse.noon.advanced(bySeconds: 180)
        )
        let page = await house.ask(
            "GET", "/ocpi/2.2.1/locations", token: token,
            query: [("date_from", from.rfc3339), ("date_to", until.rfc3339), ("limit", "1")])
        #expect(page.ids == ["L-9"])
        #expect(page.headers["X-Total-Count"] == "2")
        let link = try #require(page.headers["Link"])
        #expect(
            link.contains("date_from=2027-01-15T12%3A01%3A00Z&date_to=2027-01-15T12%3A03%3A00Z"))
        await partner.stop()
    }

    @Test func `lowers a limit that is too high and refuses one that is none`() async throws {
        let (house, partner, token) = try await Self.furnished(pageLimit: 2)
        let page = await house.ask(
            "GET", "/ocpi/2.2.1/locations", token: token, query: [("limit", "5000")])
        #expect(page.ids.count == 2)
        #expect(page.headers["X-Limit"] == "2")
        #expect(page.headers["Link"]?.contains("limit=2") == true)
        for (name, value) in [
            ("limit", "0"), ("limit", "-1"), ("limit", "x"), ("offset", "-1"),
            ("date_from", "None"), ("date_to", "2027-02-30T00:00:00Z"),
        ] {
            let answer = await house.ask(
                "GET", "/ocpi/2.2.1/locations", token: token, query: [(name, value)])
            #expect(answer.status == 200)
            #expect(answer.code == 2001)
            #expect(answer.envelope?["status_message"]?.string?.hasPrefix(name) == true)
        }
        await partner.stop()
    }

    @Test func `of sessions needs date_from and shows a partner its own only`() async throws {
        let (house, partner, token) = try await Self.furnished()
        _ = try await house.cpo.write { transaction in
            try house.cpo.tokens.put(
                OCPIHouse.token("OTHER", party: PartyID(country: "BE", party: "XYZ")),
                at: OCPIHouse.noon, in: transaction)
        }
        let mine = try await house.start(at: house.cpo.clock.now)
        let other = try await house.start(
            token: "OTHER", connector: 2, at: house.cpo.clock.now)
        #expect(await house.ask("GET", "/ocpi/2.2.1/sessions", token: token).code == 2001)
        let query = [("date_from", "2020-01-01T00:00:00Z")]
        let list = await house.ask("GET", "/ocpi/2.2.1/sessions", token: token, query: query)
        #expect(list.ids == [mine.session])
        #expect(list.headers["X-Total-Count"] == "1")
        let end = house.cpo.clock.now.advanced(bySeconds: 60)
        try await house.stop(mine.transaction, at: end, 3000)
        try await house.stop(other.transaction, at: end, 3000)
        let bills = await house.ask("GET", "/ocpi/2.2.1/cdrs", token: token)
        #expect(bills.ids == [mine.session])
        await partner.stop()
    }

    @Test func `gives a location, an EVSE and a connector alone, ids in any case`() async throws {
        let (house, partner, token) = try await Self.furnished()
        func get(_ path: String) async -> Answer {
            await house.ask("GET", "/ocpi/2.2.1/\(path)", token: token)
        }
        let location = await get("locations/l-1")
        #expect(location.data?["id"] == "L-1")
        #expect(location.data?["coordinates"]?["latitude"] == "52.50000")
        #expect(location.data?["coordinates"]?["longitude"] == "13.40567")
        #expect(await get("locations/L-1/l-1-e2").data?["evse_id"] == "DE*KRB*EL-1*2")
        #expect(await get("locations/L-1/L-1-E2/1/").data?["tariff_ids"] == ["T-1"])
        for path in ["locations/NO", "locations/L-1/NO", "locations/L-1/L-1-E1/9", "locations/L-4"]
        {
            let answer = await get(path)
            #expect(answer.status == 404)
            #expect(answer.code == 2003)
        }
        await partner.stop()
    }

    @Test func `answers in the envelope whatever goes wrong`() async throws {
        let (house, partner, token) = try await Self.furnished()
        for (method, path, status) in [
            ("GET", "/ocpi/2.1.1", 404), ("GET", "/ocpi/2.2.1/nothing", 404),
            ("PUT", "/ocpi/2.2.1/locations/L-1", 405), ("POST", "/ocpi/versions", 405),
            ("DELETE", "/ocpi/2.2.1/tokens/NL/EMS/CARD-1", 405),
            ("GET", "/ocpi/2.2.1/commands/START_SESSION", 405),
        ] {
            let answer = await house.ask(method, path, token: token)
            #expect(answer.status == status)
            #expect(answer.code == 2000)
            #expect(answer.envelope?["timestamp"]?.time != nil)
        }
        await partner.stop()
    }

    @Test func `echoes the ids of a request and turns its route round`() async throws {
        let (house, partner, token) = try await Self.furnished()
        let headers = [
            ("X-Request-ID", "r-1"), ("X-Correlation-ID", "c-1"),
            ("OCPI-from-country-code", "NL"), ("OCPI-from-party-id", "EMS"),
            ("OCPI-to-country-code", "de"), ("OCPI-to-party-id", "krb"),
        ]
        let answer = await house.ask(
            "GET", "/ocpi/2.2.1/tariffs", token: token, headers: headers)
        #expect(answer.status == 200)
        #expect(answer.headers["X-Request-ID"] == "r-1")
        #expect(answer.headers["X-Correlation-ID"] == "c-1")
        #expect(answer.headers["OCPI-to-party-id"] == "EMS")
        #expect(answer.headers["OCPI-from-party-id"] == "KRB")
        let versions = await house.ask("GET", "/ocpi/versions", token: token, headers: headers)
        #expect(versions.headers["OCPI-from-party-id"] == nil)
        let stranger = await house.ask(
            "GET", "/ocpi/2.2.1/tariffs", token: token,
            headers: [("OCPI-to-country-code", "FR"), ("OCPI-to-party-id", "XXX")])
        #expect(stranger.status == 404)
        await partner.stop()
    }
}

@Suite struct `Tokens of a partner` {
    static let path = "/ocpi/2.2.1/tokens/NL/EMS/APP-7"
    static let token: JSONValue = [
        "country_code": "NL", "party_id": "EMS", "uid": "APP-7", "type": "APP_USER",
        "contract_id": "NL-EMS-7", "issuer": "EMS", "valid": true, "whitelist": "ALLOWED",
        "last_updated": "2027-01-01T00:00:00Z",
    ]

    @Test func `are put, read and patched`() async throws {
        let (house, partner) = (try await OCPIHouse(), try Partner())
        let key = try await house.registered(partner)
        let query = [("type", "APP_USER")]
        func ask(_ method: String, _ body: JSONValue? = nil) async -> Answer {
            await house.ask(method, Self.path, token: key, query: query, body: body)
        }
        #expect(await ask("GET").status == 404)
        #expect(await ask("GET").code == 2004)
        #expect(await ask("PUT", Self.token).status == 201)
        #expect(await ask("PUT", Self.token).status == 200)
        #expect(await ask("GET").data == Self.token)
        let patch: JSONValue = ["valid": false, "last_updated": "2027-01-02T00:00:00Z"]
        #expect(await ask("PATCH", patch).code == 1000)
        #expect(await ask("GET").data?["valid"] == false)
        #expect(await ask("PATCH", ["valid": true]).code == 2001)
        #expect(
            await ask("PATCH", ["uid": "X", "last_updated": "2027-01-02T00:00:00Z"]).code == 2001)
        await partner.stop()
    }

    @Test func `must be its own and what the URL says`() async throws {
        let (house, partner) = (try await OCPIHouse(), try Partner())
        let key = try await house.registered(partner)
        func put(_ path: String, _ type: String = "APP_USER", _ body: JSONValue = Self.token)
            async -> Answer
        {
            await house.ask("PUT", path, token: key, query: [("type", type)], body: body)
        }
        #expect(await put("/ocpi/2.2.1/tokens/BE/XYZ/APP-7").status == 404)
        #expect(await put("/ocpi/2.2.1/tokens/NL/EMS/APP-8").code == 2001)
        #expect(await put(Self.path, "RFID").code == 2001)
        #expect(await put(Self.path, "MOON").code == 2001)
        var bad = Self.token
        bad["whitelist"] = "SOMETIMES"
        #expect(await put(Self.path, "APP_USER", bad).code == 2001)
        #expect(
            await house.ask(
                "PATCH", Self.path, token: key, body: ["last_updated": "2027-01-02T00:00:00Z"]
            )
            .status == 404)
        await partner.stop()
    }

    @Test func `are pulled page by page, a broken one among them or not`() async throws {
        let (house, partner) = (try await OCPIHouse(clock: .system), try Partner())
        _ = try await house.registered(partner)
        let all = (0..<5).map { index in
            var token = Self.token
            token["uid"] = .string("APP-\(index)")
            if index == 1 { token["whitelist"] = nil }
            if index == 2 { token["party_id"] = "XYZ" }
            return token
        }
        partner.script { request in
            guard request.path == "/emsp/2.2.1/tokens/" else { return nil }
            let offset = request.query("offset").flatMap { Int($0) } ?? 0
            return Partner.envelope(
                .array(Array(all.dropFirst(offset).prefix(2))), headers: ["X-Total-Count": "5"])
        }
        try await `A registered partner is sent`.running(house) {
            var known: [Token] = []
            while known.count < 4 {
                await Task.yield()
                known = try await house.cpo.tokens.list(party: OCPIHouse.emsp)
            }
            #expect(known.map(\.uid) == ["APP-0", "APP-3", "APP-4", "CARD-1"])
        }
        #expect(partner.received.filter { $0.path.contains("tokens") }.count == 3)
        await partner.stop()
    }
}
