import CPO
import Charging
import SQL
import TestSupport
import Testing

@Suite struct `What belongs to no known transaction` {
    private static func stop(
        _ transaction: Int, _ seconds: Int64?, _ register: Int64, token: String? = "DRIVER-1",
        readings: [MeterReading] = []
    ) -> StationEvent {
        .sessionStopped(
            SessionStop(
                transaction: .number(transaction), meterStop: WattHours(register),
                at: seconds.map { House.noon.advanced(bySeconds: $0) }, reason: .local,
                token: token, readings: readings))
    }

    private func bind(
        _ house: House, _ suspicion: Int64, to session: String, at seconds: Int64 = 900
    ) async throws {
        let at = House.noon.advanced(bySeconds: seconds)
        try await house.cpo.write {
            try house.cpo.sessions.bindParked(
                suspicion, to: session, by: "user anna", at: at, in: $0)
        }
    }

    @Test(arguments: [0, -1, 4711])
    func `goes into its session once the start turns up`(transaction: Int) async throws {
        let house = try await House()
        _ = try await house.apply(House.meter(transaction, 300, 1400), at: 610)
        _ = try await house.apply(Self.stop(transaction, 600, 1500), at: 611)
        #expect(
            try await house.cpo.suspicions.list().map(\.code)
                == [.stopOfUnknownTransaction, .meterValuesOfUnknownTransaction])
        let (number, _) = try await house.started(House.start(0), at: 620)
        let bill = try #require(try await house.cpo.cdrs.list().cdrs.first)
        #expect(bill.session.transaction == .number(number))
        #expect(bill.session.energy == WattHours(500))
        #expect(bill.session.endedAt == House.noon.advanced(bySeconds: 600))
        #expect(try await house.cpo.sessions.readings(of: bill.session.id).count == 1)
        // Nothing waits for a person, and both lines say why.
        #expect(try await house.cpo.suspicions.list().isEmpty)
        let decided = try await house.cpo.suspicions.list(state: .accepted)
        #expect(decided.map(\.session) == [bill.session.id, bill.session.id])
        #expect(decided.map(\.decidedBy) == ["its start came", "its start came"])
    }

    @Test func `is stored once, however often it comes, before and after its start`() async throws {
        let house = try await House()
        for _ in 1...3 { _ = try await house.apply(Self.stop(-1, 600, 1500), at: 611) }
        #expect(try await house.cpo.suspicions.list().count == 1)
        _ = try await house.started(House.start(0), at: 620)
        // The next charge of the same driver runs when the stop is repeated.
        _ = try await house.started(House.start(610, register: 1500), at: 630)
        _ = try await house.apply(Self.stop(-1, 600, 1500), at: 640)
        #expect(try await house.cpo.cdrs.list().total == 1)
        #expect(house.cpo.sessions.running().count == 1)
        #expect(try await house.cpo.suspicions.list().isEmpty)
    }

    @Test func `is told from a repeated stop of a charge that had no number`() async throws {
        let house = try await House()
        _ = try await house.started(House.start(0), at: 10)
        for second in [611, 612] as [Int64] {
            _ = try await house.apply(Self.stop(-1, 600, 1500), at: second)
        }
        #expect(try await house.cpo.cdrs.list().total == 1)
        #expect(try await house.cpo.suspicions.list().isEmpty)
    }

    @Test(
        arguments: [
            // Another tag, a register below the start, a stop before the start.
            (Int(-1), "DRIVER-2", Int64(1500), Int64(600)), (-1, "DRIVER-1", 900, 600),
            (-1, "DRIVER-1", 1500, -5),
            // A number of the station's own making is not believed without the tag.
            (4711, nil, 1500, 600),
        ] as [(Int, String?, Int64, Int64)])
    func `waits where the start does not fit`(
        transaction: Int, token: String?, register: Int64, seconds: Int64
    ) async throws {
        let house = try await House()
        _ = try await house.apply(
            Self.stop(transaction, seconds, register, token: token), at: 611)
        _ = try await house.started(House.start(0), at: 620)
        #expect(house.cpo.sessions.running().count == 1)
        #expect(try await house.cpo.suspicions.list().map(\.code) == [.stopOfUnknownTransaction])
    }

    @Test func `waits where another charge began between that start and this end`() async throws {
        let house = try await House()
        let (other, _) = try await house.started(House.start(100, register: 5000), at: 100)
        _ = try await house.apply(House.stop(other, 200, 5100), at: 200)
        _ = try await house.apply(Self.stop(-1, 600, 1500), at: 611)
        // Its clock was set back: what ended before cannot be the end of this.
        _ = try await house.started(House.start(0), at: 620)
        #expect(house.cpo.sessions.running().count == 1)
        #expect(
            try await house.cpo.suspicions.list().map(\.code).contains(.stopOfUnknownTransaction))
    }

    @Test func `waits where another charge was heard of before this end`() async throws {
        let house = try await House()
        let (other, _) = try await house.started(House.start(700, register: 5000), at: 700)
        _ = try await house.apply(House.stop(other, 710, 5100), at: 710)
        // Its clock was behind then, and is set back by more now.
        _ = try await house.apply(Self.stop(-1, 600, 1500), at: 711)
        _ = try await house.started(House.start(0), at: 720)
        #expect(house.cpo.sessions.running().count == 1)
    }

    @Test func `ends no charge before which another began in between`() async throws {
        let house = try await House()
        let (other, _) = try await house.started(House.start(100, register: 5000), at: 100)
        _ = try await house.apply(House.stop(other, 200, 5100), at: 200)
        _ = try await house.started(House.start(0), at: 610)
        _ = try await house.apply(Self.stop(-1, 600, 1500), at: 620)
        #expect(house.cpo.sessions.running().count == 1)
        #expect(
            try await house.cpo.suspicions.list().map(\.code).contains(.stopOfUnknownTransaction))
    }

    @Test func `waits where two stops fit one start`() async throws {
        let house = try await House()
        _ = try await house.apply(Self.stop(-1, 600, 1500), at: 611)
        _ = try await house.apply(Self.stop(0, 700, 1600), at: 711)
        _ = try await house.started(House.start(0), at: 720)
        #expect(house.cpo.sessions.running().count == 1)
        #expect(try await house.cpo.suspicions.list().count == 2)
    }

    @Test func `is given to a running session by a person, with its bill`() async throws {
        let house = try await House()
        _ = try await house.started(House.start(0), at: 10)
        _ = try await house.apply(House.meter(77, 300, 1400), at: 610)
        _ = try await house.apply(House.stop(77, 600, 1500), at: 611)
        let session = try #require(house.cpo.sessions.running().first?.id)
        let line = try #require(
            try await house.cpo.suspicions.list().first { $0.code == .stopOfUnknownTransaction })
        try await bind(house, line.id, to: session)
        let bill = try #require(try await house.cpo.cdrs.list().cdrs.first)
        #expect(bill.session.energy == WattHours(500))
        // What came of the same transaction went along.
        #expect(try await house.cpo.sessions.readings(of: session).count == 1)
        #expect(try await house.cpo.suspicions.list().isEmpty)
        await #expect(throws: Sessions.BindingRefusal.nothingParked) {
            try await bind(house, line.id, to: session)
        }
    }

    @Test func `corrects what was billed by rule when it is given to it`() async throws {
        let house = try await House()
        _ = try await house.started(House.start(0), at: 10)
        _ = try await house.started(House.start(700, register: 1500), at: 710)
        let late = House.noon.advanced(bySeconds: 200_000)
        try await house.cpo.write { try house.cpo.sessions.settleOrphans(at: late, in: $0) }
        _ = try await house.apply(House.stop(77, 600, 1500), at: 200_010)
        let ruled = try #require(try await house.cpo.cdrs.list().cdrs.first)
        #expect(ruled.session.energy == .zero)
        let line = try #require(
            try await house.cpo.suspicions.list().first { $0.code == .stopOfUnknownTransaction })
        try await bind(house, line.id, to: ruled.session.id, at: 200_020)
        let bills = try await house.cpo.cdrs.list().cdrs
        #expect(bills.map(\.creditOf) == [nil, ruled.id, nil])
        #expect(bills.last?.session.energy == WattHours(500))
    }

    @Test func `is refused where the session has its stop or is another station's`() async throws {
        let house = try await House()
        let (transaction, _) = try await house.started(House.start(0), at: 10)
        _ = try await house.apply(House.stop(transaction, 600, 1500), at: 610)
        _ = try await house.apply(House.stop(77, 600, 1600), at: 611)
        let line = try #require(try await house.cpo.suspicions.list().first)
        let session = try #require(try await house.cpo.cdrs.list().cdrs.first?.session.id)
        await #expect(throws: Sessions.BindingRefusal.hasItsStop) {
            try await bind(house, line.id, to: session)
        }
        await #expect(throws: Sessions.BindingRefusal.unknownSession) {
            try await bind(house, line.id, to: "nobody's")
        }
        #expect(try await house.cpo.suspicions.list().first?.state == .open)
    }

    @Test func `shows its readings as one line, whatever their number`() async throws {
        let house = try await House()
        for minute in 1...5 as ClosedRange<Int64> {
            _ = try await house.apply(
                House.meter(77, minute * 60, 1000 + minute), at: minute * 60)
        }
        let lines = try await house.cpo.suspicions.list()
        #expect(lines.map(\.code) == [.meterValuesOfUnknownTransaction])
        #expect(try await house.cpo.sessions.parked(suspicion: lines[0].id).total == 5)
    }

    @Test func `keeps a second stop with its readings beside the first`() async throws {
        let house = try await House()
        let (transaction, _) = try await house.started(House.start(0), at: 10)
        _ = try await house.apply(House.stop(transaction, 600, 1500), at: 610)
        let second = Self.stop(
            transaction, 660, 1600, readings: [MeterReading(at: House.noon, samples: [])])
        for _ in 1...2 { _ = try await house.apply(second, at: 670) }
        let lines = try await house.cpo.suspicions.list()
        #expect(lines.map(\.code) == [.secondStopDiffers])
        let kept = try await house.cpo.sessions.parked(suspicion: lines[0].id).messages
        #expect(kept.map(\.state) == [.kept])
        guard case .stop(let stop)? = kept.first?.content else {
            Issue.record("no stop was kept")
            return
        }
        #expect(stop.readings.count == 1)
    }
}

@Suite struct `A charger's clock` {
    @Test func `is measured by its newest word`() async throws {
        let house = try await House()
        _ = try await house.apply(House.status(40, .available), at: 100)
        #expect(try await house.cpo.sessions.skew(of: "CS-1")?.milliseconds == -60_000)
        // A backlog says nothing of it.
        _ = try await house.started(House.start(-86_400), at: 101)
        #expect(try await house.cpo.sessions.skew(of: "CS-1")?.milliseconds == -60_000)
        _ = try await house.apply(House.status(130, .preparing), at: 102)
        #expect(try await house.cpo.sessions.skew(of: "CS-1")?.milliseconds == 28_000)
    }

    @Test func `is believed to be right again after two windows, and not by a backlog`()
        async throws
    {
        let house = try await House()
        _ = try await house.apply(House.status(200, .available), at: 0)
        // Days later a backlog comes first.
        _ = try await house.apply(House.status(7200, .preparing), at: 200_000)
        #expect(try await house.cpo.sessions.skew(of: "CS-1")?.milliseconds == 200_000)
        _ = try await house.apply(House.status(200_001, .charging), at: 200_001)
        _ = try await house.apply(House.status(203_602, .finishing), at: 203_602)
        #expect(try await house.cpo.sessions.skew(of: "CS-1")?.milliseconds == 0)
    }

    @Test func `stands beside ours in what is stored`() async throws {
        let house = try await House()
        let (transaction, _) = try await house.started(House.start(0), at: 100)
        _ = try await house.apply(House.meter(transaction, 60, 1100), at: 160)
        _ = try await house.apply(House.stop(transaction, 600, 1500), at: 700)
        let rows = try await house.cpo.read { transaction in
            (
                try transaction.queryOne("SELECT at, received_at FROM meter_reading"),
                try transaction.queryOne(
                    "SELECT started_at, created_at, ended_at, stop_received_at FROM session")
            )
        }
        let (reading, session) = (try #require(rows.0), try #require(rows.1))
        func second(_ row: Row, _ column: String) throws -> Int64 {
            try row.timestamp(column).seconds(since: House.noon)
        }
        #expect(try second(reading, "at") == 60)
        #expect(try second(reading, "received_at") == 160)
        #expect(
            try ["started_at", "created_at", "ended_at", "stop_received_at"].map {
                try second(session, $0)
            } == [0, 100, 600, 700])
    }
}

@Suite struct `A remote start` {
    @Test(arguments: [(Int64(5), true), (-250, true), (-86_400, false)])
    func `is not for a charge out of a backlog`(second: Int64, joins: Bool) async throws {
        let house = try await House()
        let command = try await house.cpo.start(
            .station("CS-1", connector: 1), token: House.token("STRANGER-1"),
            origin: CommandOrigin(door: "api", reference: "test"))
        let (_, status) = try await house.started(
            House.start(second, token: "STRANGER-1"), at: 10)
        #expect(status == (joins ? .accepted : .invalid))
        #expect(
            try await house.cpo.commands.command(command.id)?.state == (joins ? .seen : .queued))
    }

    @Test func `is for the charge of a station whose clock lags`() async throws {
        let house = try await House()
        _ = try await house.apply(House.status(-7200, .preparing), at: 0)
        let command = try await house.cpo.start(
            .station("CS-1", connector: 1), token: House.token("STRANGER-1"),
            origin: CommandOrigin(door: "api", reference: "test"))
        _ = try await house.started(House.start(-7195, token: "STRANGER-1"), at: 10)
        #expect(try await house.cpo.commands.command(command.id)?.state == .seen)
    }
}
