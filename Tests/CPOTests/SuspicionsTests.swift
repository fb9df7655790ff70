import CPO
import Charging
import SQL
import Service
import TestSupport
import Testing

@Suite struct `What looks wrong` {
    @Test(arguments: [
        (Suspicion.Code.stopOfUnknownTransaction, House.stop(77, 60, 1100)),
        (.meterValuesOfUnknownTransaction, House.meter(77, 60, 1100)),
        (
            .stationClockWrong,
            .sessionStarted(
                SessionStart(
                    connector: 1, token: "DRIVER-1", meterStart: WattHours(0),
                    at: Timestamp(seconds: 0)))
        ),
        (.connectorOutOfRange, House.start(0, connector: 99)),
    ])
    func `is answered, kept and shown`(code: Suspicion.Code, event: StationEvent) async throws {
        let house = try await House()
        switch try await house.apply(event, at: 60) {
        case .started(_, let info): #expect(info.status == .accepted)
        case .noted, .stopped: break
        case .booted, .alive, .authorization, .data, .foreign, .certificateRequested:
            Issue.record("wrong reply")
        }
        #expect(try await house.cpo.suspicions.list().map(\.code) == [code])
    }

    @Test(arguments: [true, false])
    func `of another station's transaction names both and leaves its charge alone`(
        isStop: Bool
    ) async throws {
        let lines = Lock([String]())
        let house = try await House(
            log: Log(level: .warning, sink: { line in lines.withLock { $0.append("\(line)") } }))
        let (number, _) = try await house.started(House.start(0), at: 0)
        let id = try #require(house.cpo.sessions.running().first?.id)
        let now = House.noon
        try await house.cpo.write { [cpo = house.cpo] in
            _ = try cpo.stations.register("CS-2", .accepted, at: now, in: $0)
        }
        let event = isStop ? House.stop(number, 600, 9000) : House.meter(number, 600, 9000)
        // Told again, it is shown and logged once.
        for seconds in [600, 601] as [Int64] {
            _ = try await house.cpo.sessions.apply(
                event, from: "CS-2", receivedAt: now.advanced(bySeconds: seconds))
        }
        let charge = try #require(house.cpo.sessions.running(id))
        #expect(charge.station == "CS-1")
        #expect(charge.meterLast == WattHours(1000))
        #expect(charge.suspicions.isEmpty)
        #expect(try await house.cpo.sessions.readings(of: id).isEmpty)
        #expect(try await house.cpo.cdrs.list().total == 0)
        let found = try await house.cpo.suspicions.list()
        #expect(found.map(\.station) == ["CS-2"])
        #expect(found.first?.session == nil)
        #expect(found.first?.detail.contains("that transaction is of station CS-1") == true)
        let told = lines.withLock { $0.filter { $0.contains("transaction of another station") } }
        #expect(told.count == 1)
        #expect(told.first?.contains("CS-1") == true)
        #expect(told.first?.contains("CS-2") == true)
        // The one it is of goes on with it.
        _ = try await house.apply(House.stop(number, 700, 1500), at: 700)
        #expect(try await house.cpo.cdrs.list().cdrs.first?.session.energy == WattHours(500))
    }

    @Test(arguments: [
        (Suspicion.Code.stopBeforeStart, Int64(-60), Int64(1500), Int64(500)),
        (.stopRegisterBelowStart, 600, 10, 0),
        (.registerFellOrJumped, 600, 1050, 50),
    ])
    func `at the stop is billed on the safe side`(
        code: Suspicion.Code, seconds: Int64, register: Int64, billed: Int64
    ) async throws {
        let house = try await House()
        let (transaction, _) = try await house.started(House.start(0))
        if code == .registerFellOrJumped {
            _ = try await house.apply(House.meter(transaction, 60, 1100), at: 60)
        }
        _ = try await house.apply(House.stop(transaction, seconds, register), at: 600)
        #expect(try await house.cpo.suspicions.list().map(\.code) == [code])
        let cdr = try #require(try await house.cpo.cdrs.list().cdrs.first)
        #expect(cdr.session.energy == WattHours(billed))
        #expect(cdr.session.usage.energy == WattHours(billed))
    }

    @Test func `in a register that counts kWh as Wh is flagged`() async throws {
        let house = try await House()
        let (transaction, _) = try await house.started(House.start(0))
        for minute in 1...10 {
            _ = try await house.apply(
                House.meter(transaction, Int64(minute) * 60, 1000 + Int64(minute) / 8),
                at: Int64(minute) * 60)
        }
        _ = try await house.apply(House.stop(transaction, 660, 1001), at: 660)
        #expect(try await house.cpo.suspicions.list().map(\.code) == [.implausibleUnit])
    }

    @Test func `in sample times that run back inside a message is flagged once`() async throws {
        let house = try await House()
        let (transaction, _) = try await house.started(House.start(0))
        let readings = [120, 60, 30].map { second in
            MeterReading(
                at: House.noon.advanced(bySeconds: second),
                samples: [MeterSample(.energyImport, Decimal(1000 + second))])
        }
        _ = try await house.apply(
            .metered(
                MeterReport(
                    connector: 1, transaction: .number(transaction), readings: readings)), at: 130)
        #expect(try await house.cpo.suspicions.list().map(\.code) == [.samplesOutOfOrder])
        #expect(house.cpo.sessions.running().first?.meterLast == WattHours(1120))
    }

    @Test func `in a reading after the bill is flagged`() async throws {
        let house = try await House()
        let (transaction, _) = try await house.started(House.start(0))
        _ = try await house.apply(House.stop(transaction, 600, 1500), at: 600)
        _ = try await house.apply(House.meter(transaction, 300, 1200), at: 700)
        #expect(try await house.cpo.suspicions.list().isEmpty)
        _ = try await house.apply(House.meter(transaction, 660, 1900), at: 700)
        #expect(try await house.cpo.suspicions.list().map(\.code) == [.laterThanCDR])
    }

    @Test func `in a register that jumps is flagged once`() async throws {
        let house = try await House()
        let (transaction, _) = try await house.started(House.start(0))
        _ = try await house.apply(House.meter(transaction, 10, 90_000), at: 10)
        _ = try await house.apply(House.meter(transaction, 20, 190_000), at: 20)
        #expect(try await house.cpo.suspicions.list().map(\.code) == [.registerFellOrJumped])
    }

    @Test func `between two sessions is a gap in the register`() async throws {
        let house = try await House()
        _ = try await house.apply(House.status(-10, .available), at: 0)
        let (transaction, _) = try await house.started(House.start(0))
        _ = try await house.apply(House.stop(transaction, 600, 2000), at: 600)
        _ = try await house.started(House.start(900, register: 2500), at: 900)
        #expect(try await house.cpo.suspicions.list().map(\.code) == [.registerGapBetweenSessions])
    }

    @Test func `like a start of a charger without clock is another session`() async throws {
        let house = try await House()
        let start = StationEvent.sessionStarted(
            SessionStart(connector: 1, token: "DRIVER-1", meterStart: .zero, at: nil))
        let (first, _) = try await house.started(start, at: 0)
        #expect(try await house.started(start, at: 5).0 == first)
        _ = try await house.apply(House.stop(first, 600, 900), at: 600)
        let (second, _) = try await house.started(start, at: 1000)
        #expect(second != first)
        let codes = Set(try await house.cpo.suspicions.list().map(\.code))
        #expect(codes == [.stationClockWrong, .repeatedStartWithUnsetClock])
    }

    @Test func `like a start of a charger without clock is the same where its register went on`()
        async throws
    {
        let house = try await House()
        let start = StationEvent.sessionStarted(
            SessionStart(connector: 1, token: "DRIVER-1", meterStart: WattHours(1000), at: nil))
        let (first, _) = try await house.started(start, at: 0)
        _ = try await house.apply(House.stop(first, 600, 1900), at: 600)
        // Its answer was lost, and the stop overtook it.
        #expect(try await house.started(start, at: 700).0 == first)
        #expect(house.cpo.sessions.running().isEmpty)
        #expect(try await house.cpo.suspicions.list().map(\.code) == [.stationClockWrong])
    }

    @Test func `because the station never learnt its number is matched by tag and register`()
        async throws
    {
        let house = try await House()
        _ = try await house.started(House.start(0))
        _ = try await house.apply(House.meter(-1, 60, 1100), at: 60)
        _ = try await house.apply(
            .sessionStopped(
                SessionStop(
                    transaction: .number(-1), meterStop: WattHours(1500),
                    at: House.noon.advanced(bySeconds: 600), reason: .local, token: "DRIVER-1")),
            at: 600)
        let cdr = try #require(try await house.cpo.cdrs.list().cdrs.first)
        #expect(cdr.session.energy == WattHours(500))
        #expect(try await house.cpo.suspicions.list().isEmpty)
    }
}
