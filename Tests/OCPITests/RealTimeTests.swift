import CPO
import Charging
import JSON
import SQL
import Service
import TestSupport
import Testing
import Web

@testable import OCPI

@Suite(.timeLimit(.minutes(1))) struct `An eMSP is asked for its driver` {
    private func house(
        _ partner: Partner, clock: any ServiceClock = ManualClock(OCPIHouse.noon),
        asksForUnknownTokens: Bool = false
    ) async throws -> OCPIHouse {
        let house = try await OCPIHouse(
            clock: clock, asksForUnknownTokens: asksForUnknownTokens)
        _ = try await house.registered(partner)
        let cpo = house.cpo
        var (never, offline) = (OCPIHouse.token("NEVER 1"), OCPIHouse.token("OFFLINE-1"))
        never.whitelist = .never
        offline.whitelist = .allowedOffline
        let tokens = [never, offline]
        try await cpo.write { transaction in
            for token in tokens { try cpo.tokens.put(token, at: clock.now, in: transaction) }
        }
        return house
    }

    private func shown(_ tag: String, _ house: OCPIHouse) async throws -> AuthorizationInfo {
        guard case .authorization(let info) = try await house.apply(.authorizing(token: tag))
        else { throw OCPIHouse.Unexpected() }
        return info
    }

    private static func answer(_ uid: String, _ allowed: String, _ more: JSONValue = [:])
        -> HTTPResponse
    {
        var data = more.object ?? [:]
        data["allowed"] = .string(allowed)
        data["token"] = [
            "country_code": "NL", "party_id": "EMS", "uid": .string(uid), "type": "RFID",
            "contract_id": "NL-EMS-1", "issuer": "EMS", "valid": true, "whitelist": "NEVER",
            "group_id": "FAMILY", "last_updated": "2027-01-15T12:00:00Z",
        ]
        return Partner.envelope(.object(data))
    }

    @Test func `with the place he stands at, and the answer goes into session and bill`()
        async throws
    {
        let partner = try Partner()
        let house = try await house(partner)
        partner.script { request in
            guard request.path.hasSuffix("/authorize") else { return nil }
            // Some partners put a list of one around, and write in lower case.
            guard request.query("type") == "RFID" else { return Partner.envelope(nil, code: 2001) }
            return Self.answer("never 1", "ALLOWED", ["authorization_reference": "REF-1"])
        }
        let info = try await shown("NEVER 1", house)
        #expect(info.status == .accepted)
        #expect(info.group == "FAMILY")
        let asked = await partner.first { $0.path.hasSuffix("/authorize") }
        #expect(
            asked.path == "/emsp/2.2.1/tokens/NEVER%201/authorize"
                || asked.path
                    == "/emsp/2.2.1/tokens/NEVER 1/authorize"
        )
        #expect(asked.body["location_id"] == "L-1")
        #expect(asked.body["evse_uids"] == ["L-1-E1", "L-1-E2"])
        #expect(asked.headers["OCPI-to-party-id"] == "EMS")
        let charge = try await house.start(token: "NEVER 1")
        try await house.stop(charge.transaction, at: OCPIHouse.noon.advanced(bySeconds: 60), 1500)
        let cdr = try #require(try await house.cpo.cdrs.list().cdrs.first)
        #expect(cdr.session.authMethod == .authRequest)
        #expect(cdr.session.authorizationReference == "REF-1")
        #expect(partner.received.count { $0.path.hasSuffix("/authorize") } == 1)
        await partner.stop()
    }

    @Test func `and what it says counts`() async throws {
        let partner = try Partner()
        let house = try await house(partner)
        let cases: [(HTTPResponse, AuthorizationStatus)] = [
            (Self.answer("NEVER 1", "BLOCKED"), .blocked),
            (Self.answer("NEVER 1", "EXPIRED"), .expired),
            (Self.answer("NEVER 1", "NO_CREDIT"), .blocked),
            (Self.answer("NEVER 1", "NOT_ALLOWED"), .invalid),
            (Partner.envelope(nil, status: 404, code: 2004), .invalid),
            (Partner.envelope(nil, code: 2004), .invalid),
            (
                Self.answer(
                    "NEVER 1", "ALLOWED", ["location": ["location_id": "ELSEWHERE"]]), .invalid
            ),
            (
                Self.answer(
                    "NEVER 1", "ALLOWED",
                    ["location": ["location_id": "l-1", "evse_uids": ["l-1-e2"]]]), .accepted
            ),
        ]
        for (response, expected) in cases {
            partner.script { $0.path.hasSuffix("/authorize") ? response : nil }
            // A change of the token lets it be asked for again.
            let cpo = house.cpo
            try await cpo.write { transaction in
                var token = OCPIHouse.token("NEVER 1")
                token.whitelist = .never
                token.lastUpdated = OCPIHouse.noon.advanced(bySeconds: 86_400)
                token.visualNumber = "\(partner.received.count)"
                try cpo.tokens.put(token, at: OCPIHouse.noon, in: transaction)
            }
            #expect(try await shown("NEVER 1", house).status == expected)
        }
        await partner.stop()
    }

    @Test func `and one that is down or talks nonsense leaves it to the whitelist`() async throws {
        let partner = try Partner()
        let house = try await house(partner)
        for response in [
            Partner.envelope(nil, status: 500, code: 3000), Partner.envelope(["allowed": "YES"]),
            Partner.envelope(nil, status: 405, code: 2000),
            Self.answer("SOMEBODY-ELSE", "ALLOWED"),
        ] {
            partner.script { $0.path.hasSuffix("/authorize") ? response : nil }
            #expect(try await shown("NEVER 1", house).status == .invalid)
            #expect(try await shown("OFFLINE-1", house).status == .accepted)
        }
        // Silent several times in a row, it is left alone.
        partner.script { _ in Partner.envelope(nil, status: 503, code: 3000) }
        for _ in 1...Breaker.failures { _ = try await shown("NEVER 1", house) }
        let count = partner.received.count
        #expect(try await shown("OFFLINE-1", house).status == .accepted)
        #expect(partner.received.count == count)
        await partner.stop()
    }

    @Test func `and the driver waits no longer than the deadline`() async throws {
        let (clock, partner) = (ManualClock(OCPIHouse.noon), try Partner())
        let house = try await house(partner, clock: clock)
        let (gate, open) = AsyncStream.makeStream(of: Void.self)
        partner.script { request in
            guard request.path.hasSuffix("/authorize") else { return nil }
            for await _ in gate {}
            return nil
        }
        async let info = shown("OFFLINE-1", house)
        await clock.sleepers(atLeast: 1)
        clock.advance(milliseconds: 5000)
        #expect(try await info.status == .accepted)
        open.finish()
        await partner.stop()
    }

    @Test func `and never elsewhere, whatever a card says`() async throws {
        let partner = try Partner()
        let house = try await house(partner, asksForUnknownTokens: true)
        partner.script { _ in Self.answer("X", "ALLOWED") }
        for tag in ["..", ".", "../..", "a/../../b", "?x#y", "a%2Fb", "GOOD-1"] {
            _ = try await shown(tag, house)
        }
        let asked = partner.received.filter { $0.method == "POST" }.map(\.path)
        #expect(asked == ["/emsp/2.2.1/tokens/GOOD-1/authorize"])
        #expect(
            PeerURL.join("https://x/tokens", "..", "authorize")
                == "https://x/tokens/%2E%2E/authorize")
        await partner.stop()
    }

    @Test func `for unknown cards no more often than a reader sees them`() async throws {
        let partner = try Partner()
        let clock = ManualClock(OCPIHouse.noon)
        let house = try await house(partner, clock: clock, asksForUnknownTokens: true)
        partner.script { request in
            request.path.hasSuffix("/authorize")
                ? Partner.envelope(nil, status: 404, code: 2004) : nil
        }
        func asked() -> Int { partner.received.count { $0.path.hasSuffix("/authorize") } }
        for number in 0..<40 {
            #expect(try await shown("GUESS-\(number)", house).status == .invalid)
        }
        #expect(asked() == 10)
        // The same card again is answered from memory and counts for nothing.
        _ = try await shown("GUESS-1", house)
        #expect(asked() == 10)
        clock.advance(milliseconds: 6000)
        for number in 40..<50 { _ = try await shown("GUESS-\(number)", house) }
        #expect(asked() == 11)
        await partner.stop()
    }

    @Test func `whom nobody knows only where the operator wants it`() async throws {
        for isWanted in [false, true] {
            let partner = try Partner()
            let house = try await house(partner, asksForUnknownTokens: isWanted)
            partner.script { request in
                request.path.hasSuffix("/authorize") ? Self.answer("NEW-1", "ALLOWED") : nil
            }
            #expect(
                try await shown("NEW-1", house).status == (isWanted ? .accepted : .invalid))
            let known = try await house.cpo.tokens.list(party: OCPIHouse.emsp).map(\.uid)
            #expect(known.contains("NEW-1") == isWanted)
            await partner.stop()
        }
    }
}
