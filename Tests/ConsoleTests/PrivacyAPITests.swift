import CPO
import Charging
import JSON
import SQL
import StoreSupport
import TestSupport
import Testing
import Web

@testable import Console

@Suite(.timeLimit(.minutes(2))) struct `Personal data over the API` {
    @Test func `is listed, column by column`() async throws {
        #expect(
            try await PersonalDataInventory.differences(Console.migrations, section: "Console")
                == [])
    }

    private func test() async throws -> TestConsole {
        let test = try await TestConsole()
        test.house.privacy.register(ConsolePersonalRows())
        let put = try await test.call(
            "PUT", "/api/v1/tokens/CARD-77", key: test.admin,
            body: [
                "type": "RFID", "contract_id": "C-77", "issuer": "Kerb", "valid": true,
                "whitelist": "ALLOWED",
            ])
        #expect(put.status == 200)
        return test
    }

    @Test func `is erased after a dry run, and the audit list does not name it`() async throws {
        let test = try await test()
        let dry = try await test.post("/erasure", ["token": "card-77"], key: test.admin)
        #expect(dry.status == 200)
        #expect(dry["dryRun"] == true && dry["waiting"] == false)
        let kinds = dry["items"]?.array?.compactMap { $0["kind"]?.string }
        #expect(kinds == ["journalLines", "auditLines", "tokens"])
        #expect(try await test.get("/tokens/CARD-77").status == 200)

        let report = try await test.post("/erasure/report", ["token": "CARD-77"], key: test.admin)
        #expect(report.status == 200)
        #expect(report.body.contains("C-77"))

        let done = try await test.post(
            "/erasure", ["token": "CARD-77", "dryRun": false], key: test.admin)
        #expect(done.status == 200)
        #expect(done["dryRun"] == false)
        #expect(try await test.get("/tokens/CARD-77").status == 404)
        let audit = try await test.get("/audit")
        let noted = audit["items"]?.array?.first { $0["action"] == "erasure" }
        #expect(noted?["subject"] == "somebody, by token")
        #expect(audit.body.contains("token.put"))
        #expect(!audit.body.contains("CARD-77"))
        #expect(try await !test.house.database.everyText().lowercased().contains("card-77"))
        await test.server.stop()
    }

    @Test func `is refused with the session that runs`() async throws {
        let test = try await test()
        _ = try await test.house.sessions.apply(
            .sessionStarted(
                SessionStart(
                    connector: 1, token: "CARD-77", meterStart: WattHours(0), at: test.clock.now)),
            from: "CS-1", receivedAt: test.clock.now)
        let id = try #require(test.house.sessions.running().first?.id)
        let dry = try await test.post("/erasure", ["token": "CARD-77"], key: test.admin)
        #expect(dry["running"]?.string == id)
        let refused = try await test.post(
            "/erasure", ["token": "CARD-77", "dryRun": false], key: test.admin)
        #expect(refused.status == 409)
        #expect(refused["detail"]?.string?.contains(id) ?? false)
        #expect(try await test.get("/tokens/CARD-77").status == 200)
        await test.server.stop()
    }

    @Test func `is for admins, and for who is named`() async throws {
        let test = try await test()
        for key in [test.viewer, test.operator] {
            #expect(try await test.post("/erasure", ["token": "X"], key: key).status == 403)
            #expect(try await test.post("/erasure/report", ["token": "X"], key: key).status == 403)
        }
        for (body, field) in [
            ([:] as JSONValue, "token"), (["token": ""], "token"), (["token": 7], "token"),
            (["token": "X", "party": "KERB"], "party"), (["token": "X", "dryRun": "no"], "dryRun"),
        ] {
            let refused = try await test.post("/erasure", body, key: test.admin)
            #expect(refused.status == 422)
            #expect(refused["field"]?.string == field)
        }
        await test.server.stop()
    }

    @Test func `of the operator's people goes with the audit list's days`() async throws {
        let test = try await test()
        test.clock.advance(milliseconds: 1462 * 86_400_000)
        _ = try await test.post("/erasure", ["token": "X"], key: test.admin)
        _ = try await test.house.write { transaction in
            try transaction.execute(
                """
                INSERT INTO console_audit (at, who, address, action, subject, detail, status)
                VALUES (?, 'key root', '', 'login', 'x', '{}', 200)
                """, test.clock.now)
        }
        #expect(try await test.house.privacy.look()["auditLines"] == 1)
        let left = try await test.get("/audit")["items"]?.array ?? []
        #expect(left.count == 1)
        await test.server.stop()
    }
}
