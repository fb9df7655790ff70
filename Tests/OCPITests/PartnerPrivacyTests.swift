import CPO
import Charging
import JSON
import OCPI
import SQL
import StoreSupport
import TestSupport
import Testing

@Suite struct `Personal data at the partners' door` {
    @Test func `is listed, column by column`() async throws {
        #expect(
            try await PersonalDataInventory.differences(OCPIDoor.migrations, section: "OCPI") == [])
    }

    @Test func `waits until its eMSP has the bill, and is a valid bill afterwards`() async throws {
        let clock = ManualClock(OCPIHouse.noon)
        let house = try await OCPIHouse(clock: clock)
        house.cpo.privacy.register(PartnerPersonalRows())
        let partner = try Partner()
        let token = try await house.registered(partner)
        clock.advance(milliseconds: 1000)
        let charge = try await house.start(at: clock.now)
        clock.advance(milliseconds: 3_600_000)
        try await house.stop(charge.transaction, at: clock.now, 11_000)
        let before = await house.ask("GET", "/ocpi/2.2.1/cdrs", token: token)
        let outcome = try await house.cpo.privacy.erase(.init(token: "CARD-1"), by: "test") { _ in }
        #expect(outcome.findings.first { $0.kind == "sessions" }?.held == [.undelivered: 1])
        #expect(outcome.isWaiting)
        let bills = try await house.cpo.cdrs.list().cdrs
        #expect(bills.map(\.session.token.uid) == ["CARD-1"])

        let (bill, now) = (bills[0].id, clock.now)
        try await house.cpo.write { transaction in
            let peer = try transaction.queryOne("SELECT id FROM ocpi_peer")?.text("id")
            try transaction.execute(
                """
                INSERT INTO ocpi_cdr_receipt (peer, cdr, location, delivered_at)
                VALUES (?, ?, NULL, ?)
                """, peer, bill, now)
        }
        try await house.cpo.privacy.look()
        let after = await house.ask("GET", "/ocpi/2.2.1/cdrs", token: token)
        let (old, new) = (try #require(before.data?[0]), try #require(after.data?[0]))
        #expect(new["cdr_token"]?["uid"] == "ERASED")
        #expect(new["cdr_token"]?["contract_id"] == "ERASED")
        #expect(new["cdr_token"]?["party_id"] == old["cdr_token"]?["party_id"])
        var (oldRest, newRest) = (old, new)
        for key in ["cdr_token", "authorization_reference"] {
            oldRest[key] = nil
            newRest[key] = nil
        }
        #expect(newRest == oldRest)
        #expect(try await !house.cpo.database.everyText().contains("CARD-1"))
        await partner.stop()
    }

    @Test func `does not wait for a partner who came later, nor for one who never takes bills`()
        async throws
    {
        let clock = ManualClock(OCPIHouse.noon)
        let house = try await OCPIHouse(clock: clock)
        house.cpo.privacy.register(PartnerPersonalRows())
        let charge = try await house.start(at: clock.now)
        clock.advance(milliseconds: 3_600_000)
        try await house.stop(charge.transaction, at: clock.now, 11_000)
        clock.advance(milliseconds: 1000)
        let partner = try Partner()
        _ = try await house.registered(partner)
        let outcome = try await house.cpo.privacy.erase(.init(token: "CARD-1"), by: "test") { _ in }
        #expect(!outcome.isWaiting)
        await partner.stop()
    }

    @Test func `of orders goes with their days, but not of those without a result`() async throws {
        let clock = ManualClock(OCPIHouse.noon)
        let house = try await OCPIHouse(clock: clock)
        house.cpo.privacy.register(PartnerPersonalRows())
        try await house.cpo.write { transaction in
            for (id, result) in [("A", "ACCEPTED"), ("B", nil)] {
                try transaction.execute(
                    """
                    INSERT INTO ocpi_command (id, peer, name, response_url, expires_at, result,
                    after_timeout, created_at) VALUES (?, 'p', 'START_SESSION', 'u', 0, ?, 0, ?)
                    """, id, result, OCPIHouse.noon)
            }
        }
        clock.advance(milliseconds: 1462 * 86_400_000)
        #expect(try await house.cpo.privacy.look()["partnerCommands"] == 1)
        #expect(try await house.cpo.privacy.look().isEmpty)
        let left = try await house.cpo.read { transaction in
            try transaction.query("SELECT id FROM ocpi_command").map { try $0.text("id") }
        }
        #expect(left == ["B"])
    }
}
