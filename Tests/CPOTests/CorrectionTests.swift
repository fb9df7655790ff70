import CPO
import Charging
import SQL
import TestSupport
import Testing

@Suite struct `A correction` {
    /// A charge of 500 Wh at 18 a kWh, billed.
    private func billed() async throws -> (House, String) {
        let house = try await House()
        let (transaction, _) = try await house.started(House.start(0))
        _ = try await house.apply(House.meter(transaction, 300, 1200), at: 300)
        _ = try await house.apply(House.stop(transaction, 600, 1500), at: 600)
        let id = try #require(try await house.cpo.cdrs.list().cdrs.first?.session.id)
        return (house, id)
    }

    private func correct(
        _ house: House, _ id: String, _ kind: Correction.Kind, at seconds: Int64 = 700
    ) async throws -> CorrectedBill {
        let at = House.noon.advanced(bySeconds: seconds)
        return try await house.cpo.write {
            try house.cpo.sessions.correct(
                id, Correction(kind, by: "user anna", reason: "meter was read"), at: at, in: $0)
        }
    }

    @Test func `takes the former bill back and makes a new one`() async throws {
        let (house, id) = try await billed()
        let made = try await correct(house, id, .figures(.init(meterStop: WattHours(1700))))
        let bills = try await house.cpo.cdrs.list().cdrs
        #expect(bills.map(\.id) == [id, "\(id)-1C", "\(id)-2"])
        #expect(bills.map(\.creditOf) == [nil, id, nil])
        #expect(bills.map(\.session.energy.value) == [500, 500, 700])
        #expect(
            bills.map(\.cost.total.exclVAT) == [
                Decimal(9), Decimal(9), Decimal(significand: 126, scale: 1),
            ])
        #expect(made.credit == "\(id)-1C")
        #expect(made.bill == "\(id)-2")
        // What the station told between the ends still shapes the usage.
        #expect(bills[2].session.usage.energy == WattHours(700))
        #expect(bills[2].session.usage.segments.count == bills[0].session.usage.segments.count)
    }

    @Test func `of the start's register outlives a restart and a repeated start`() async throws {
        let folder = TemporaryFolder()
        let path = folder.file("house.sqlite")
        var house = try await House(path: path)
        let start = House.start(0, register: 0)
        let (transaction, _) = try await house.started(start)
        _ = try await house.apply(House.stop(transaction, 600, 910_583), at: 600)
        let id = try #require(try await house.cpo.cdrs.list().cdrs.first?.session.id)
        _ = try await correct(house, id, .figures(.init(meterStart: WattHours(910_500))))
        await house.cpo.database.close()
        house = try await House(path: path, isNew: false)
        let session = try #require(try await house.cpo.sessions.session(id))
        #expect(session.energy == WattHours(83))
        // The lost answer's start comes again: it is the same charge still.
        #expect(try await house.started(start, at: 900).0 == transaction)
        #expect(try await house.cpo.sessions.list().total == 1)
        await house.cpo.database.close()
    }

    @Test func `that voids leaves a credit and nothing owed`() async throws {
        let (house, id) = try await billed()
        let made = try await correct(house, id, .void)
        #expect(made.bill == nil)
        #expect(try await house.cpo.cdrs.list().cdrs.map(\.id) == [id, "\(id)-1C"])
        let session = try #require(try await house.cpo.sessions.session(id))
        #expect(session.status == .invalid)
        #expect(session.cost == nil)
        await #expect(throws: CorrectionRefusal.nothingChanges) {
            try await correct(house, id, .void)
        }
        // A person may think again: there is no bill to take back, so only a new one comes.
        let again = try await correct(
            house, id, .figures(.init(meterStop: WattHours(1600))), at: 800)
        #expect(again.credit == nil)
        #expect(again.bill == "\(id)-2")
    }

    @Test func `can be corrected nine times, each bill taken back once`() async throws {
        let (house, id) = try await billed()
        for number in 1...8 {
            _ = try await correct(
                house, id, .figures(.init(meterStop: WattHours(Int64(1500 + number)))))
        }
        await #expect(throws: CorrectionRefusal.tooMany) {
            try await correct(house, id, .figures(.init(meterStop: WattHours(2000))))
        }
        let bills = try await house.cpo.cdrs.list(limit: 100).cdrs
        let credited = bills.compactMap(\.creditOf)
        #expect(Set(credited).count == credited.count)
        #expect(bills.filter { $0.creditOf == nil }.count - credited.count == 1)
        // The refused one left nothing behind.
        #expect(try await house.cpo.sessions.session(id)?.energy == WattHours(508))
    }

    @Test(arguments: [
        (Correction.Figures(meterStop: WattHours(999)), CorrectionRefusal.stopBelowStart),
        (.init(endedAt: House.noon), .endBeforeStart),
        (.init(endedAt: House.noon.advanced(bySeconds: 10_000)), .endInFuture),
        (.init(meterStop: WattHours(10_001_001)), .tooMuch(WattHours(10_000_001))),
        (.init(meterStop: WattHours(1500)), .nothingChanges),
    ])
    func `that cannot be is refused and changes nothing`(
        figures: Correction.Figures, refusal: CorrectionRefusal
    ) async throws {
        let (house, id) = try await billed()
        let before = try await house.cpo.sessions.session(id)
        await #expect(throws: refusal) { try await correct(house, id, .figures(figures)) }
        #expect(try await house.cpo.sessions.session(id) == before)
        #expect(try await house.cpo.cdrs.list().total == 1)
    }

    /// A clock a little ahead of ours, and one that was put back during a charge that gave nothing at first.
    @Test(arguments: [(Int64(820), Int64(1500)), (-100, 1000)])
    func `of the register alone leaves an end that is the station's own`(
        end: Int64, register: Int64
    ) async throws {
        let house = try await House()
        let (transaction, _) = try await house.started(House.start(0), at: 10)
        _ = try await house.apply(House.stop(transaction, end, register), at: 600)
        let id = try #require(try await house.cpo.cdrs.list().cdrs.first?.session.id)
        let made = try await correct(
            house, id, .figures(.init(meterStop: WattHours(1700))), at: 700)
        #expect(made.session.energy == WattHours(700))
        #expect(made.session.endedAt == House.noon.advanced(bySeconds: max(end, 1)))
    }

    @Test func `waits for the end of the charge`() async throws {
        let house = try await House()
        _ = try await house.started(House.start(0))
        let id = try #require(house.cpo.sessions.running().first?.id)
        await #expect(throws: CorrectionRefusal.stillRunning) {
            try await correct(house, id, .void)
        }
    }

    @Test func `settles what was suspicious about the session`() async throws {
        let house = try await House()
        let (transaction, _) = try await house.started(House.start(0))
        _ = try await house.apply(House.stop(transaction, 600, 10), at: 600)
        let id = try #require(try await house.cpo.cdrs.list().cdrs.first?.session.id)
        _ = try await correct(house, id, .figures(.init(meterStop: WattHours(1010))))
        #expect(try await house.cpo.suspicions.list().isEmpty)
        let decided = try await house.cpo.suspicions.list(state: .corrected, session: id)
        #expect(decided.map(\.decidedBy) == ["user anna"])
    }

    @Test func `comes by itself when the stop of a charge billed by rule turns up`() async throws {
        let house = try await House()
        let (first, _) = try await house.started(House.start(0))
        _ = try await house.apply(House.meter(first, 60, 1100), at: 60)
        _ = try await house.started(House.start(120, register: 1400), at: 120)
        let late = House.noon.advanced(bySeconds: 200_000)
        try await house.cpo.write { try house.cpo.sessions.settleOrphans(at: late, in: $0) }
        let ruled = try #require(try await house.cpo.cdrs.list().cdrs.first)
        #expect(ruled.session.energy == WattHours(100))
        let stop = House.stop(first, 110, 1400)
        _ = try await house.apply(stop, at: 200_100)
        let bills = try await house.cpo.cdrs.list().cdrs
        #expect(bills.map(\.session.energy.value) == [100, 100, 400])
        #expect(bills.map(\.creditOf) == [nil, ruled.id, nil])
        // Told twice, billed once.
        _ = try await house.apply(stop, at: 200_200)
        #expect(try await house.cpo.cdrs.list().total == 3)
    }

    @Test func `does not come when the late stop says what was billed`() async throws {
        let house = try await House()
        let (first, _) = try await house.started(House.start(0))
        _ = try await house.apply(House.meter(first, 60, 1100), at: 60)
        _ = try await house.started(House.start(120, register: 1100), at: 120)
        let late = House.noon.advanced(bySeconds: 200_000)
        try await house.cpo.write { try house.cpo.sessions.settleOrphans(at: late, in: $0) }
        _ = try await house.apply(House.stop(first, 60, 1100), at: 200_100)
        #expect(try await house.cpo.cdrs.list().total == 1)
    }
}

@Suite struct `A charge whose station fell silent` {
    @Test(arguments: [false, true])
    func `is closed, then billed by rule, unless it still says it charges`(charges: Bool)
        async throws
    {
        let house = try await House()
        let (transaction, _) = try await house.started(House.start(0))
        _ = try await house.apply(House.meter(transaction, 60, 1100), at: 60)
        _ = try await house.apply(
            House.status(70, charges ? .charging : .available), at: 70)
        func settle(_ seconds: Int64) async throws {
            let at = House.noon.advanced(bySeconds: seconds)
            try await house.cpo.write { try house.cpo.sessions.settleOrphans(at: at, in: $0) }
        }
        try await settle(80_000)
        #expect(house.cpo.sessions.running().count == 1)
        try await settle(100_000)
        #expect(house.cpo.sessions.running().count == (charges ? 1 : 0))
        try await settle(300_000)
        let bills = try await house.cpo.cdrs.list().cdrs
        #expect(bills.map(\.session.energy.value) == (charges ? [] : [100]))
        // Its stop comes after months, and is right.
        _ = try await house.apply(House.stop(transaction, 90, 1130), at: 9_000_000)
        let energy = try await house.cpo.cdrs.list().cdrs
            .reduce(0) { $0 + ($1.creditOf == nil ? 1 : -1) * $1.session.energy.value }
        #expect(energy == 130)
    }

    @Test func `is closed when the station is gone`() async throws {
        let house = try await House()
        let (transaction, _) = try await house.started(House.start(0))
        _ = try await house.apply(House.status(1, .charging), at: 1)
        _ = try await house.apply(House.meter(transaction, 60, 1100), at: 60)
        _ = try await house.cpo.write {
            try house.cpo.stations.detached("CS-1", epoch: 1, at: House.noon, in: $0)
        }
        let late = House.noon.advanced(bySeconds: 100_000)
        try await house.cpo.write { try house.cpo.sessions.settleOrphans(at: late, in: $0) }
        #expect(!house.cpo.sessions.hasOpen(station: "CS-1", connector: 1))
        #expect(try await house.cpo.suspicions.list().map(\.code) == [.orphanClosed])
    }
}
