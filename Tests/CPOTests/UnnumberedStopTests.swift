import CPO
import Charging
import SQL
import StoreSupport
import TestSupport
import Testing

@Suite struct `A stop without a number` {
    private static func stop(
        _ seconds: Int64?, _ register: Int64, token: String? = nil, readings: [MeterReading] = []
    ) -> StationEvent {
        .sessionStopped(
            SessionStop(
                transaction: .number(-1), meterStop: WattHours(register),
                at: seconds.map { House.noon.advanced(bySeconds: $0) }, reason: .local,
                token: token, readings: readings))
    }

    /// Its charge waits, and the next driver's goes on.
    private func leaves(_ house: House) async throws {
        let running = house.cpo.sessions.running()
        #expect(running.count == 1)
        #expect(try await house.cpo.cdrs.list().total == 0)
        #expect(
            try await house.cpo.suspicions.list().map(\.code).contains(.stopOfUnknownTransaction))
        for session in running {
            #expect(try await house.cpo.sessions.readings(of: session.id).isEmpty)
        }
    }

    @Test func `is not the next driver's where the station's clock is ahead`() async throws {
        let house = try await House()
        _ = try await house.apply(House.meter(-1, 3600, 1400), at: 600)
        _ = try await house.apply(Self.stop(3601, 1500), at: 601)
        _ = try await house.started(House.start(4200, register: 0), at: 1200)
        try await leaves(house)
    }

    @Test func `is not the next driver's where the station's clock lags`() async throws {
        let house = try await House()
        _ = try await house.apply(House.status(-3600, .available), at: 0)
        _ = try await house.apply(Self.stop(nil, 1500), at: 600)
        _ = try await house.started(House.start(-2400, register: 0), at: 1200)
        try await leaves(house)
    }

    @Test func `is not of the charge that begins at its register`() async throws {
        let house = try await House()
        _ = try await house.apply(Self.stop(600, 1500), at: 600)
        _ = try await house.started(House.start(600, register: 1500), at: 620)
        try await leaves(house)
    }

    @Test func `is not a later charge's where it is of one of several that ran`() async throws {
        let house = try await House()
        _ = try await house.started(House.start(0), at: 10)
        _ = try await house.started(House.start(0, connector: 2, register: 2000), at: 11)
        _ = try await house.apply(Self.stop(600, 5000), at: 601)
        // Its clock was put back meanwhile.
        _ = try await house.started(House.start(500, register: 3000), at: 620)
        #expect(try await house.cpo.cdrs.list().total == 0)
        let lines = try await house.cpo.suspicions.list()
        #expect(lines.map(\.code).contains(.stopOfUnknownTransaction))
    }

    @Test func `is no later charge's where it tells no tag and the station has two outlets`()
        async throws
    {
        let house = try await House()
        for connector in 1...2 {
            _ = try await house.apply(House.status(0, .available, connector: connector), at: 1)
        }
        _ = try await house.apply(Self.stop(600, 1500), at: 601)
        _ = try await house.started(House.start(0), at: 620)
        try await leaves(house)
    }

    @Test(arguments: [600, -1_800_000_000] as [Int64])
    func `ends the charge that lost its connector to the next one, not the next one`(
        seconds: Int64
    ) async throws {
        let house = try await House()
        let (first, _) = try await house.started(House.start(0), at: 10)
        _ = try await house.started(House.start(700, register: 1500), at: 710)
        _ = try await house.apply(Self.stop(seconds, 1500, token: "DRIVER-1"), at: 720)
        let bills = try await house.cpo.cdrs.list().cdrs
        #expect(bills.map(\.session.transaction) == [.number(first)])
        #expect(bills.map(\.session.energy) == [WattHours(500)])
        #expect(house.cpo.sessions.running().map(\.meterStart) == [WattHours(1500)])
    }

    @Test func `meets its start where the station's clock is seconds ahead`() async throws {
        let house = try await House()
        _ = try await house.apply(Self.stop(602, 1500, token: "DRIVER-1"), at: 600)
        _ = try await house.started(House.start(601), at: 603)
        #expect(try await house.cpo.cdrs.list().cdrs.map(\.session.energy) == [WattHours(500)])
    }

    @Test func `ends no charge whose number the station named`() async throws {
        let folder = TemporaryFolder()
        let path = folder.file("house.sqlite")
        var house = try await House(path: path)
        let (transaction, _) = try await house.started(House.start(0), at: 10)
        _ = try await house.apply(House.meter(transaction, 300, 1400), at: 310)
        await house.cpo.database.close()
        house = try await House(path: path, isNew: false)
        _ = try await house.apply(Self.stop(600, 1500), at: 610)
        #expect(house.cpo.sessions.running().count == 1)
        #expect(
            try await house.cpo.suspicions.list().map(\.code) == [.stopOfUnknownTransaction])
        await house.cpo.database.close()
    }

    @Test func `ends a charge by the time it came where its clock was never set`() async throws {
        let house = try await House()
        _ = try await house.started(House.start(0), at: 10)
        _ = try await house.apply(Self.stop(-1_800_000_000, 1500), at: 610)
        #expect(try await house.cpo.cdrs.list().total == 1)
    }

    /// Whoever has fetched the bills up to yesterday would never see one that is dated before.
    @Test func `has its bill on the day its start turns up`() async throws {
        let house = try await House()
        _ = try await house.apply(Self.stop(600, 1500), at: 610)
        let late: Int64 = 5 * 86_400
        _ = try await house.apply(House.start(0), at: late)
        let bill = try #require(try await house.cpo.cdrs.list().cdrs.first)
        #expect(bill.session.energy == WattHours(500))
        #expect(bill.session.endedAt == House.noon.advanced(bySeconds: 600))
        #expect(bill.createdAt == House.noon.advanced(bySeconds: late))
        #expect(bill.session.lastUpdated == House.noon.advanced(bySeconds: late))
    }

    @Test func `is kept to a number, of a station that nobody took in`() async throws {
        let house = try await House()
        _ = try await house.cpo.write {
            try house.cpo.stations.register("CS-1", .pending, at: House.noon, in: $0)
        }
        for number in 1...25 as ClosedRange<Int64> {
            _ = try await house.apply(Self.stop(600, 1500 + number), at: 610)
        }
        let lines = try await house.cpo.suspicions.list()
        #expect(lines.count == 21)
        #expect(lines.filter { $0.detail.contains("more are not kept") }.count == 1)
        let kept = try await house.cpo.read { try $0.query("SELECT id FROM parked") }
        #expect(kept.count == 20)
    }

    @Test func `is kept with as many readings as one message may carry`() async throws {
        let house = try await House()
        let readings = (0...1000).map {
            MeterReading(at: House.noon.advanced(bySeconds: Int64($0)), samples: [])
        }
        _ = try await house.apply(Self.stop(2000, 1500, readings: readings), at: 2010)
        let line = try #require(try await house.cpo.suspicions.list().first)
        let (messages, total) = try await house.cpo.sessions.parked(suspicion: line.id)
        guard case .stop(let stop)? = messages.first?.content else {
            Issue.record("no stop was kept")
            return
        }
        #expect(stop.readings.count == 1000)
        #expect(total == 1)
    }
}
