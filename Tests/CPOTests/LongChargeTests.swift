import Charging
import SQL
import Service
import TestSupport
import Testing

@testable import CPO

/// Charges of more readings than a query gives, and those that are heard of again.
@Suite struct `A charge that does not end` {
    /// So many more readings, a second apart and all of one register, as rows.
    private func grow(_ house: House, by count: Int) async throws {
        try await house.cpo.write { transaction in
            try transaction.execute(
                """
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
                INSERT INTO meter_reading (session, at, finger, register_wh, samples, received_at)
                SELECT session, at + i * 1000, finger, register_wh, samples, received_at
                FROM meter_reading, n
                """, count)
            house.cpo.sessions.distrust()
        }
    }

    @Test func `is read page by page, and stops`() async throws {
        let house = try await House()
        let (number, _) = try await house.started(House.start(0))
        _ = try await house.apply(House.meter(number, 1, 1500), at: 1)
        try await grow(house, by: 5100)
        // Another one's words are heard while the book is read anew.
        let other = try await house.started(House.start(5200, connector: 2), at: 5200)
        #expect(other.1 == .accepted)
        _ = try await house.apply(House.stop(number, 5300, 2500), at: 5300)
        let bill = try #require(try await house.cpo.cdrs.list().cdrs.first)
        #expect(bill.session.energy == WattHours(1500))
        // As many stretches as readings, and the one up to the stop.
        #expect(bill.session.usage.segments.count == 5102)
    }

    @Test func `keeps one reading a minute beyond so many`() async throws {
        let house = try await House()
        let (number, _) = try await house.started(House.start(0))
        _ = try await house.apply(House.meter(number, 1, 1500), at: 1)
        try await grow(house, by: Sessions.mostReadings - 1)
        let last: Int64 = Int64(Sessions.mostReadings)
        for (seconds, register) in [(last + 10, 1600), (last + 59, 1700), (last + 60, 1800)] {
            _ = try await house.apply(
                House.meter(number, seconds, Int64(register)), at: seconds)
        }
        let kept = try await house.cpo.read { transaction in
            try transaction.query(
                "SELECT register_wh FROM meter_reading WHERE at > ? ORDER BY at",
                House.noon.advanced(bySeconds: last)
            ).map { try $0.int64("register_wh") }
        }
        #expect(kept == [1800])
    }

    @Test func `goes on where it is heard of after it was closed for want of its stop`()
        async throws
    {
        let house = try await House()
        let (number, _) = try await house.started(House.start(0))
        _ = try await house.apply(House.meter(number, 60, 1500), at: 60)
        try await lose(house, at: 200_000)
        #expect(house.cpo.sessions.running().isEmpty)
        // Out of its backlog first: that alone says nothing of now.
        _ = try await house.apply(House.meter(number, 120, 1700), at: 200_000)
        #expect(house.cpo.sessions.running().isEmpty)
        _ = try await house.apply(House.meter(number, 200_000, 9000), at: 200_001)
        let running = try #require(house.cpo.sessions.running().first)
        #expect(running.energy == WattHours(8000))
        #expect(running.endedAt == nil)
        #expect(try await house.cpo.suspicions.list().isEmpty)
        _ = try await house.apply(House.stop(number, 200_100, 9500), at: 200_100)
        #expect(
            try await house.cpo.cdrs.list().cdrs.map(\.session.energy) == [WattHours(8500)])
    }

    @Test func `stays over where its plug is free, or another began there`() async throws {
        for event in [House.status(200_005, .available), House.start(200_005, register: 5000)] {
            let house = try await House()
            let (number, _) = try await house.started(House.start(0))
            try await lose(house, at: 200_000)
            _ = try await house.apply(event, at: 200_005)
            _ = try await house.apply(House.meter(number, 200_004, 1700), at: 200_006)
            #expect(!house.cpo.sessions.running().contains { $0.meterStart.value == 1000 })
        }
    }

    /// Its station is gone, and the grace period too; the bill by rule is still to come.
    private func lose(_ house: House, at seconds: Int64) async throws {
        let now = House.noon.advanced(bySeconds: seconds)
        try await house.cpo.write { transaction in
            _ = try house.cpo.stations.detached("CS-1", epoch: 1, at: now, in: transaction)
            try house.cpo.sessions.settleOrphans(at: now, in: transaction)
        }
    }

    @Test func `takes no driver's place once its plug is free`() async throws {
        let house = try await House(
            settings: {
                var settings = OperatorSettings(party: House.party, name: "Kerb", currency: "INR")
                settings.chargesPerToken = 1
                return settings
            }())
        _ = try await house.started(House.start(0))
        #expect(
            try await house.started(House.start(30, connector: 2), at: 30).1
                == .concurrentTransaction)
        _ = try await house.apply(House.status(60, .available), at: 60)
        #expect(try await house.started(House.start(90, connector: 2), at: 90).1 == .accepted)
    }

    @Test func `whose start comes again after its connector is known is one`() async throws {
        let house = try await House()
        let first = try await house.started(House.start(0, connector: 0))
        _ = try await house.apply(House.status(5, .charging, connector: 1), at: 5)
        let again = try await house.started(House.start(0, connector: 0), at: 10)
        #expect(again.0 == first.0)
    }

    @Test func `keeps all readings of a message that has no clock`() async throws {
        let house = try await House()
        let (number, _) = try await house.started(House.start(0))
        let readings = [1000, 2000, 3000, 4000, 5000].map { (register: Int64) in
            MeterReading(
                at: Timestamp(seconds: 5), samples: [MeterSample(.energyImport, Decimal(register))])
        }
        _ = try await house.apply(
            .metered(
                MeterReport(connector: 1, transaction: .number(number), readings: readings)),
            at: 3600)
        let id = try #require(house.cpo.sessions.running().first?.id)
        #expect(try await house.cpo.sessions.readings(of: id).count == 5)
        #expect(house.cpo.sessions.running().first?.energy == WattHours(4000))
    }

    @Test func `gets few second stops, and leaves room for those of others`() async throws {
        let house = try await House()
        let (number, _) = try await house.started(House.start(0))
        _ = try await house.apply(House.stop(number, 60, 1500), at: 60)
        for second in 1...Int64(Sessions.mostSecondStops + 5) {
            _ = try await house.apply(House.stop(number, 60 + second, 1500), at: 100)
        }
        let lines = try await house.cpo.suspicions.list()
        #expect(lines.count { $0.code == .secondStopDiffers } == Sessions.mostSecondStops)
    }
}
