import Charging
import JSON
import SQL
import Service
import StoreSupport
import TestSupport
import Testing

@testable import CPO

@Suite struct `Personal data past its days` {
    private func traces(readings: Int = 0, drivers: Int = 0) async throws -> Traces {
        try await Traces {
            $0.retention.readingsDays = readings
            $0.retention.driversDays = drivers
        }
    }

    private func readings(_ traces: Traces) async throws -> Int {
        try await traces.cpo.read {
            try $0.queryOne("SELECT COUNT(*) AS n FROM meter_reading")?.int("n") ?? 0
        }
    }

    @Test func `of a billed charge are its readings; the bill stands, and can be voided`()
        async throws
    {
        let traces = try await traces(readings: 400)
        try await traces.charge()
        let before = try await traces.bills()
        traces.pass(days: 399)
        #expect(try await traces.cpo.privacy.look().isEmpty)
        #expect(try await readings(traces) == 1)
        traces.pass(days: 2)
        #expect(try await traces.cpo.privacy.look() == ["readings": 1])
        #expect(try await readings(traces) == 0)
        #expect(try await traces.bills() == before)
        // Counting anew would find nothing to count.
        let id = before[0].session.id
        let now = traces.house.clock.now
        await #expect(throws: CorrectionRefusal.readingsGone) {
            _ = try await traces.cpo.write { [cpo = traces.cpo] in
                try cpo.sessions.correct(
                    id,
                    .init(.figures(.init(meterStop: WattHours(2500))), by: "anna", reason: "x"),
                    at: now, in: $0)
            }
        }
        let voided = try await traces.cpo.write { [cpo = traces.cpo] in
            try cpo.sessions.correct(
                id, .init(.void, by: "anna", reason: "x"), at: now, in: $0)
        }
        #expect(voided.credit != nil)
        #expect(try await traces.cpo.privacy.look().isEmpty)
        let counted = try await traces.cpo.read {
            try $0.queryOne("SELECT total FROM retention_count WHERE kind = 'readings'")?
                .int("total")
        }
        #expect(counted == 1)
    }

    @Test func `of an ended charge is its driver; amounts, energies and times stay`() async throws {
        let traces = try await traces(drivers: 1461)
        try await traces.charge()
        let before = try await traces.bills()
        traces.pass(days: 1460)
        #expect(try await traces.cpo.privacy.look().isEmpty)
        traces.pass(days: 2)
        let gone = try await traces.cpo.privacy.look()
        #expect(gone["sessions"] == 1)
        let after = try await traces.bills()
        #expect(after[0].session.token.uid == "ERASED")
        #expect(Traces.figures(after) == Traces.figures(before))
        #expect(try await traces.cpo.privacy.look().isEmpty)
        // Readings have their own days.
        #expect(try await readings(traces) == 1)
    }

    @Test func `stay for ever where the operator says so`() async throws {
        let traces = try await traces()
        try await traces.charge()
        traces.pass(days: 10_000)
        #expect(try await traces.cpo.privacy.look().isEmpty)
        #expect(try await traces.bills()[0].session.token.uid == "DRIVER-1")
    }

    @Test func `stay while a charge runs, or something about it waits in the review list`()
        async throws
    {
        let traces = try await traces(readings: 30, drivers: 30)
        let (number, _) = try await traces.house.started(House.start())
        _ = try await traces.house.apply(House.meter(number, 60, 1500), at: 60)
        traces.pass(days: 60)
        #expect(try await traces.cpo.privacy.look()["sessions"] == nil)
        #expect(try await readings(traces) == 1)
        _ = try await traces.house.apply(House.stop(number, 1200, 3000))
        try await traces.charge("STRANGER-9", at: 86_400 * 60, register: 3000)
        traces.pass(days: 60)
        // The stranger's waits for a person; the other's end is the stop's time, long past.
        #expect(try await traces.cpo.privacy.look()["sessions"] == 1)
        #expect(
            try await Set(traces.bills().map(\.session.token.uid)) == ["ERASED", "STRANGER-9"])
        try await traces.decideAll()
        #expect(try await traces.cpo.privacy.look()["sessions"] == 1)
    }

    @Test func `of plugs are past statuses and readings of no charge, but for charges that wait`()
        async throws
    {
        let traces = try await traces(readings: 30)
        let house = traces.house
        func count(_ table: String, _ condition: String) async throws -> Int {
            try await traces.cpo.read {
                try $0.queryOne("SELECT COUNT(*) AS n FROM \(table) WHERE \(condition)")?.int("n")
                    ?? 0
            }
        }
        // More than a page of one moment, and of moments.
        for index in 0..<450 as Range<Int64> {
            let idle = MeterReport(
                connector: 1, transaction: nil,
                readings: [
                    MeterReading(
                        at: House.noon.advanced(bySeconds: index / 2),
                        samples: [
                            MeterSample(
                                .energyImport, Decimal(1000), phase: index % 2 == 0 ? "L1" : nil)
                        ])
                ])
            _ = try await house.apply(.metered(idle), at: 300)
            _ = try await house.apply(
                House.status(index, index % 2 == 0 ? .preparing : .available), at: 300)
        }
        _ = try await house.started(House.start(500), at: 500)
        traces.pass(days: 31)
        #expect(try await traces.cpo.privacy.look()["looseReadings"] == 450)
        #expect(try await count("meter_reading", "session = 0") == 0)
        traces.pass(days: 60)
        // The charge runs: it may have to be counted anew, with what was told since a minute before it.
        let told = try await count("status_change", "connector = 1")
        #expect(told >= 450)
        let needed = try await count(
            "status_change", "at >= \(House.noon.advanced(bySeconds: 440).milliseconds)")
        #expect(needed >= 10)
        #expect(try await traces.cpo.privacy.look()["statuses"] == told - needed)
        let later = try #require(house.cpo.sessions.running().first?.transaction)
        guard case .number(let number) = later else { return }
        _ = try await house.apply(House.stop(number, 600, 1500), at: 600)
        try await traces.decideAll()
        traces.pass(days: 31)
        let gone = try await traces.cpo.privacy.look()
        #expect(gone["statuses"] == needed)
        #expect(try await count("status_change", "1 = 1") == 0)
        #expect(try await traces.cpo.privacy.look().isEmpty)
    }

    @Test func `stay while a late stop may still correct the bill`() async throws {
        let traces = try await traces(drivers: 30)
        _ = try await traces.house.started(House.start())
        // A new start closes it provisionally; the grace bills it by rule.
        let (next, _) = try await traces.house.started(
            House.start(4000, register: 2000), at: 4000)
        _ = try await traces.house.apply(House.stop(next, 5000, 3000), at: 5000)
        try await traces.decideAll()
        traces.pass(days: 40)
        #expect(try await traces.cpo.privacy.look()["sessions"] == 1)
        let now = traces.house.clock.now
        try await traces.cpo.write { [cpo = traces.cpo] in
            try cpo.sessions.settleOrphans(at: now, in: $0)
        }
        try await traces.decideAll()
        #expect(try await traces.cpo.privacy.look()["sessions"] == nil)
        traces.pass(days: 366)
        #expect(try await traces.cpo.privacy.look()["sessions"] == 1)
    }

    @Test func `go page by page, past those that are held`() async throws {
        let traces = try await traces(drivers: 30)
        // More than a page, with the first page held as a whole.
        for index in 0..<52 {
            try await traces.charge(
                "STRANGER-9", at: Int64(index) * 4000, register: 1000 + Int64(index) * 2000)
        }
        try await traces.charge(at: 52 * 4000, register: 1000 + 52 * 2000)
        traces.pass(days: 90)
        #expect(try await traces.cpo.privacy.look()["sessions"] == 1)
        try await traces.decideAll()
        #expect(try await traces.cpo.privacy.look()["sessions"] == 52)
    }

    @Test func `are also in commands, reservations, parked messages, caches and old lines`()
        async throws
    {
        let traces = try await traces(drivers: 30)
        let (house, cpo) = (traces.house, traces.cpo)
        let now = house.clock.now
        _ = try await house.apply(.authorizing(token: "DRIVER-1"))
        try await cpo.write { transaction in
            let origin = CommandOrigin(door: "api", reference: "anna")
            for connector in 1...2 {
                _ = try cpo.start(
                    .station("CS-1", connector: connector), token: House.token("DRIVER-1"),
                    authorizationReference: "their-DRIVER-1", origin: origin, at: now,
                    in: transaction)
            }
            _ = try cpo.reserve(
                .station("CS-1", connector: 2),
                .init(
                    token: House.token("DRIVER-1"), expires: now.advanced(bySeconds: 60),
                    partnerID: "R-1"), origin: origin, at: now, in: transaction)
            try transaction.execute("UPDATE command SET state = 'rejected' WHERE name = 'start'")
            _ = try cpo.tokens.delete(
                uid: "DRIVER-1", party: House.party, at: now, in: transaction)
        }
        _ = try await house.apply(
            .sessionStopped(
                SessionStop(
                    transaction: .number(4711), meterStop: WattHours(9000), at: now,
                    reason: .local, token: "DRIVER-1")))
        traces.pass(days: 31)
        _ = try await cpo.write { try $0.execute("UPDATE parked SET state = 'kept'") }
        let gone = try await cpo.privacy.look()
        // The reservation's order is still under way.
        #expect(gone["commands"] == 2)
        #expect(gone["reservations"] == 1)
        #expect(gone["parkedMessages"] == 1)
        #expect(gone["shownTags"] == 1)
        #expect(gone["journalLines"] ?? 0 > 0)
        _ = try await cpo.write { try $0.execute("UPDATE command SET state = 'rejected'") }
        #expect(try await cpo.privacy.look() == ["commands": 1])
        #expect(try await !cpo.database.everyText().contains("DRIVER-1"))
        #expect(try await cpo.commands.list(limit: 10).count == 3)
        #expect(try await cpo.tokens.cachesToClear().map(\.station) == ["CS-1"])
    }

    @Test func `of one kind that cannot be read keep no other from going`() async throws {
        let traces = try await traces(readings: 30, drivers: 30)
        try await traces.charge()
        traces.pass(days: 60)
        _ = try await traces.cpo.write { try $0.execute("UPDATE session SET sealed = '{}'") }
        #expect(try await traces.cpo.privacy.look()["readings"] == 1)
    }
}
