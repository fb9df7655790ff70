import CPO
import Charging
import JSON
import SQL
import TestSupport
import Testing
import Web

@testable import Console

@Suite struct `A start that a person orders` {
    private static func token(
        _ uid: String, isValid: Bool = true, _ whitelist: Token.Whitelist = .allowed,
        expires: Int64? = nil, of party: String = "KRB", on test: TestConsole
    ) -> Token {
        let now = test.clock.now
        return Token(
            party: PartyID(country: "IN", party: party), uid: uid, kind: .rfid,
            contractID: "C-\(uid)", issuer: "Kerb", isValid: isValid, whitelist: whitelist,
            expires: expires.map(now.advanced(bySeconds:)), lastUpdated: now)
    }

    /// As long as OCPI lets one be; no station could name it.
    private static let long = "0F2C4B6A-1D3E-4F50-8A9B-0C1D2E3F4A5B"
    private static let longBlocked = "1F2C4B6A-1D3E-4F50-8A9B-0C1D2E3F4A5B"

    private func console() async throws -> TestConsole {
        let test = try await TestConsole()
        let tokens = [
            Self.token("GOOD", on: test), Self.token("BLOCKED", isValid: false, on: test),
            Self.token("OLD", expires: -1, on: test), Self.token("OWN-NEVER", .never, on: test),
            Self.token("THEIR-NEVER", .never, of: "EMS", on: test),
            Self.token("THEIRS", of: "EMS", on: test), Self.token(Self.long, on: test),
            Self.token(Self.longBlocked, isValid: false, on: test),
        ]
        try await test.house.write { [house = test.house, clock = test.clock] transaction in
            for token in tokens { try house.tokens.put(token, at: clock.now, in: transaction) }
        }
        return test
    }

    private func start(
        _ test: TestConsole, _ tag: String, _ more: [String: JSONValue] = [:]
    ) async throws -> TestConsole.Answer {
        var body = more
        body["command"] = "start"
        body["evse"] = 1
        body["token"] = .string(tag)
        return try await test.post("/stations/CS-1/commands", .object(body), key: test.operator)
    }

    @Test(arguments: [
        ("NOBODY", "unknown"), ("BLOCKED", "blocked"), ("OLD", "expired"),
        ("OWN-NEVER", "NEVER"), ("THEIR-NEVER", "NEVER"), ("THEIR-NEVER", "Invalid"),
        (longBlocked, "blocked"),
    ])
    func `is refused of a token that a reader would be told no of`(tag: String, why: String)
        async throws
    {
        let test = try await console()
        let answer = try await start(test, tag)
        #expect(answer.status == 422)
        #expect(answer["field"] == "token")
        #expect(answer["detail"]?.string?.contains(why) == true)
        // Nobody vouches for what is known and refused.
        if tag != "NOBODY" {
            #expect(try await start(test, tag, ["unknownToken": true]).status == 422)
        }
        #expect(try await test.house.commands.list().isEmpty)
        await test.server.stop()
    }

    @Test func `is on the account of a token that is known, or vouched for`() async throws {
        let test = try await console()
        for (tag, more, contract) in [
            ("GOOD", [:], "C-GOOD"), ("THEIRS", [:], "C-THEIRS"),
            (Self.long, [:], "C-\(Self.long)"),
            ("NOBODY", ["unknownToken": true], "NOBODY"),
        ] as [(String, [String: JSONValue], String)] {
            #expect(try await start(test, tag, more).status == 202)
            let command = try #require(
                try await test.house.commands.list().first { $0.token?.contractID == contract })
            #expect(command.token?.kind == (tag == "NOBODY" ? .adHocUser : .rfid))
        }
        let odd = try await start(test, "NOBODY", ["unknownToken": "yes"])
        #expect(odd.status == 422 && odd["field"] == "unknownToken")
        await test.server.stop()
    }
}
