import Charging
import SQL
import Service
import TestSupport
import Testing

@testable import CPO

/// Readings that come after their charge was closed for want of a stop.
@Suite struct `A charge without a stop` {
    private func settle(_ house: House) async throws {
        let late = House.noon.advanced(bySeconds: 200_000)
        try await house.cpo.write { try house.cpo.sessions.settleOrphans(at: late, in: $0) }
    }

    @Test func `is billed with the readings that came after it was closed`() async throws {
        let house = try await House()
        let (old, _) = try await house.started(House.start(0))
        _ = try await house.apply(House.meter(old, 300, 1200), at: 300)
        _ = try await house.started(House.start(900, register: 1500), at: 900)
        // Out of the board's backlog, in the wrong order.
        _ = try await house.apply(House.meter(old, 800, 1480), at: 901)
        _ = try await house.apply(House.meter(old, 600, 1400), at: 902)
        try await settle(house)
        let bill = try #require(
            try await house.cpo.cdrs.list().cdrs.first { $0.session.meterStart.value == 1000 })
        #expect(bill.session.energy == WattHours(480))
        #expect(bill.session.endedAt == House.noon.advanced(bySeconds: 800))
    }

    @Test func `that was told while a later one runs is billed with its readings`() async throws {
        let house = try await House()
        _ = try await house.started(House.start(900, register: 1500), at: 900)
        let (old, _) = try await house.started(House.start(0), at: 910)
        _ = try await house.apply(House.meter(old, 600, 1400), at: 911)
        try await settle(house)
        let bill = try #require(
            try await house.cpo.cdrs.list().cdrs.first { $0.session.meterStart.value == 1000 })
        #expect(bill.session.energy == WattHours(400))
    }

    @Test func `waits for nobody once its stop came`() async throws {
        let house = try await House()
        let (old, _) = try await house.started(House.start(0))
        _ = try await house.started(House.start(900, register: 1500), at: 900)
        #expect(try await house.cpo.suspicions.list().map(\.code) == [.orphanClosed])
        _ = try await house.apply(House.stop(old, 800, 1500), at: 905)
        #expect(try await house.cpo.suspicions.list().isEmpty)
        let decided = try await house.cpo.suspicions.list(state: .accepted)
        #expect(decided.map(\.decidedBy) == ["its stop came"])
    }

    @Test(arguments: [
        (ConnectorStatus.finishing, false), (.faulted, false), (.preparing, false),
        (.unavailable, false), (.suspendedEV, true), (.suspendedEVSE, true),
    ])
    func `goes on only where its connector says so`(status: ConnectorStatus, goesOn: Bool)
        async throws
    {
        let house = try await House()
        _ = try await house.started(House.start(0))
        _ = try await house.apply(House.status(70, status), at: 70)
        try await settle(house)
        #expect(house.cpo.sessions.running().count == (goesOn ? 1 : 0))
    }

    @Test func `shows what came after its bill in one line`() async throws {
        let house = try await House()
        let (number, _) = try await house.started(House.start(0))
        _ = try await house.apply(House.stop(number, 60, 1100), at: 60)
        for second in 1...20 as ClosedRange<Int64> {
            _ = try await house.apply(House.meter(number, 60 + second, 1100 + second), at: 100)
        }
        #expect(try await house.cpo.suspicions.list().map(\.code) == [.laterThanCDR])
    }

    @Test func `has two readings of one second in any order, and nothing fell`() async throws {
        let house = try await House()
        let (number, _) = try await house.started(House.start(0))
        _ = try await house.apply(House.meter(number, 60, 1100), at: 60)
        func clock(_ register: Int64) -> StationEvent {
            let sample = MeterSample(.energyImport, Decimal(register), context: .sampleClock)
            let reading = MeterReading(at: House.noon.advanced(bySeconds: 120), samples: [sample])
            return .metered(
                MeterReport(connector: 1, transaction: .number(number), readings: [reading]))
        }
        _ = try await house.apply(House.meter(number, 120, 1201), at: 120)
        _ = try await house.apply(clock(1199), at: 120)
        #expect(try await house.cpo.suspicions.list().isEmpty)
        #expect(house.cpo.sessions.running().first?.meterLast == WattHours(1201))
        _ = try await house.apply(House.meter(number, 180, 1200), at: 180)
        #expect(try await house.cpo.suspicions.list().map(\.code) == [.registerFellOrJumped])
    }

    @Test func `plays a message of falling times again once`() async throws {
        let engine = CountingEngine()
        let house = try await House(
            database: Database(engine: engine, readers: 0, limits: DatabaseLimits()))
        let (number, _) = try await house.started(House.start(0))
        func statements(_ count: Int64, _ from: Int64) async throws -> Int {
            let readings = (0..<count).map { index in
                MeterReading(
                    at: House.noon.advanced(bySeconds: from - index),
                    samples: [MeterSample(.energyImport, Decimal(1000 + from - index))])
            }
            let report = MeterReport(
                connector: 1, transaction: .number(number), readings: readings)
            return try await engine.count { _ = try await house.apply(.metered(report), at: from) }
        }
        _ = try await statements(1, 1000)
        let (few, many) = (try await statements(10, 900), try await statements(110, 800))
        // An insert for each more, and the whole is read again as often as before.
        #expect((90...110).contains(many - few))
        #expect(house.cpo.sessions.running().first?.energy == WattHours(1000))
    }
}

/// What a stop says, and a charge cannot have been.
@Suite struct `A register at the stop` {
    @Test func `beyond any charge is not billed`() async throws {
        let house = try await House()
        let (number, _) = try await house.started(House.start(0))
        _ = try await house.apply(House.meter(number, 60, 1400), at: 60)
        _ = try await house.apply(House.stop(number, 120, 1_000_000_000), at: 120)
        let bill = try #require(try await house.cpo.cdrs.list().cdrs.first)
        #expect(bill.session.energy == WattHours(400))
        let line = try #require(try await house.cpo.suspicions.list().first)
        #expect(line.code == .registerFellOrJumped)
        #expect(line.detail.contains("1000000000"))
        // A person may say what it was.
        let corrected = try await house.cpo.write {
            try house.cpo.sessions.correct(
                bill.session.id,
                Correction(
                    .figures(.init(meterStop: WattHours(1600))), by: "ann", reason: "photo"),
                at: House.noon.advanced(bySeconds: 300), in: $0)
        }
        #expect(corrected.session.energy == WattHours(600))
        #expect(corrected.credit != nil)
    }

    @Test(arguments: [(Int64(1_300), false), (2_500, true), (900_000, true)])
    func `that its plug cannot have given is billed and shown`(register: Int64, isShown: Bool)
        async throws
    {
        let house = try await House()
        let (number, _) = try await house.started(House.start(0))
        // 22 kW give 368 Wh in a minute.
        _ = try await house.apply(House.stop(number, 60, register + 150), at: 60)
        let bill = try #require(try await house.cpo.cdrs.list().cdrs.first)
        #expect(bill.session.energy.value == register - 850)
        #expect(
            try await house.cpo.suspicions.list().map(\.code)
                == (isShown ? [.registerFellOrJumped] : []))
    }
}

@Suite struct `A station that nobody took in` {
    private func pending() async throws -> House {
        let house = try await House()
        _ = try await house.cpo.write {
            try house.cpo.stations.register("CS-1", .pending, at: House.noon, in: $0)
        }
        return house
    }

    @Test func `is believed so many charges, and served when it was taken in`() async throws {
        let house = try await pending()
        func start(_ second: Int64) -> StationEvent { House.start(second, register: 1000 + second) }
        for second in 0..<Int64(Sessions.mostSessionsOfPending) {
            _ = try await house.started(start(second), at: second)
        }
        await #expect(throws: StationError.tooMuchOfPending) {
            try await house.started(start(60), at: 60)
        }
        // What it was told once it is told again.
        _ = try await house.started(start(3), at: 61)
        _ = try await house.cpo.write {
            try house.cpo.stations.register("CS-1", .accepted, at: House.noon, in: $0)
        }
        _ = try await house.started(start(60), at: 62)
    }

    @Test func `is believed as many the next day`() async throws {
        let house = try await pending()
        for second in 0..<Int64(Sessions.mostSessionsOfPending) {
            _ = try await house.started(House.start(second, register: second), at: second)
        }
        _ = try await house.started(House.start(90_000, register: 70_000), at: 90_000)
    }

    @Test func `fills no table with readings`() async throws {
        let house = try await pending()
        func rows() async throws -> Int {
            try await house.cpo.read { try $0.query("SELECT at FROM meter_reading") }.count
        }
        let loose = MeterReport(
            connector: 1, transaction: nil,
            readings: [
                MeterReading(at: House.noon, samples: [MeterSample(.energyImport, Decimal(5))])
            ])
        _ = try await house.apply(.metered(loose), at: 1)
        #expect(try await rows() == 0)
        let (number, _) = try await house.started(House.start(0))
        for part in 0..<4 as Range<Int64> {
            let readings = (0..<1000 as Range<Int64>).map { second in
                MeterReading(
                    at: House.noon.advanced(bySeconds: part * 1000 + second),
                    samples: [MeterSample(.energyImport, Decimal(1000 + part * 1000 + second))])
            }
            let report = MeterReport(
                connector: 1, transaction: .number(number), readings: readings)
            _ = try await house.apply(.metered(report), at: part * 1000 + 999)
        }
        #expect(try await rows() == Sessions.mostReadingsOfPending)
    }

    @Test func `has one place for connectors that cannot be`() async throws {
        let house = try await House()
        for number in [65, 4000, -7, 1_000_000] {
            _ = try await house.started(
                House.start(Int64(abs(number)) % 100, connector: number), at: 200)
        }
        let running = house.cpo.sessions.running()
        #expect(running.map(\.connector) == [65])
    }
}
