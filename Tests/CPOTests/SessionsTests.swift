import CPO
import Charging
import SQL
import TestSupport
import Testing

@Suite struct `A session` {
    @Test func `goes from start to bill, with parking where the car asks for nothing`() async throws
    {
        let house = try await House()
        let (transaction, status) = try await house.started(House.start(0))
        #expect(status == .accepted)
        #expect(transaction > 0 && transaction <= Int(Int32.max))
        _ = try await house.apply(House.status(1, .charging), at: 1)
        _ = try await house.apply(House.meter(transaction, 600, 2000), at: 600)
        _ = try await house.apply(House.status(1200, .suspendedEV), at: 1200)
        _ = try await house.apply(House.stop(transaction, 3000, 3000), at: 3000)

        let page = try await house.cpo.cdrs.list()
        let cdr = try #require(page.cdrs.first)
        #expect(page.total == 1)
        #expect(cdr.session.energy == WattHours(2000))
        #expect(cdr.session.usage.energy == WattHours(2000))
        // The second kilowatt-hour was charged before the car let go at 1200 s.
        #expect(
            cdr.session.usage.segments.filter { $0.state == .parking }.map(\.energy) == [.zero])
        // 2 kWh at 18 and half an hour at 60.
        #expect(cdr.cost.total.exclVAT == Decimal(66))
        #expect(cdr.cost.billedParkingSeconds == 1800)
        #expect(cdr.session.tariff?.id == "T-1")
        #expect(cdr.session.location.evses.map(\.uid) == ["E-1"])
        #expect(try await house.cpo.suspicions.list().isEmpty)
    }

    @Test func `counts a pause by the station as charging time`() async throws {
        let house = try await House()
        let (transaction, _) = try await house.started(House.start(0))
        _ = try await house.apply(House.status(600, .suspendedEVSE), at: 600)
        _ = try await house.apply(House.stop(transaction, 1200, 2000), at: 1200)
        let cdr = try #require(try await house.cpo.cdrs.list().cdrs.first)
        #expect(cdr.cost.billedParkingSeconds == 0)
    }

    @Test func `that is told twice is stored once`() async throws {
        let house = try await House()
        let first = try await house.started(House.start(0))
        let again = try await house.started(House.start(0, token: " driver-1 "), at: 90)
        #expect(first == again)
        let (transaction, _) = first
        _ = try await house.apply(House.meter(transaction, 60, 1100), at: 60)
        _ = try await house.apply(House.meter(transaction, 60, 1100), at: 61)
        #expect(try await house.cpo.sessions.list().total == 1)
        let id = try #require(house.cpo.sessions.running().first?.id)
        #expect(try await house.cpo.sessions.readings(of: id).count == 1)

        let answer = try await house.apply(House.stop(transaction, 600, 1500), at: 600)
        #expect(try await house.apply(House.stop(transaction, 600, 1500), at: 700) == answer)
        // A start that is repeated after all that is still the same one.
        #expect(try await house.started(House.start(0), at: 800) == first)
        #expect(try await house.cpo.cdrs.list().total == 1)
        #expect(try await house.cpo.suspicions.list().isEmpty)
    }

    @Test func `with a second stop that differs keeps the first and shows the second`() async throws
    {
        let house = try await House()
        let (transaction, _) = try await house.started(House.start(0))
        _ = try await house.apply(House.stop(transaction, 600, 1500), at: 600)
        _ = try await house.apply(House.stop(transaction, 600, 1700), at: 700)
        #expect(
            try await house.cpo.cdrs.list().cdrs.map(\.session.meterLast) == [WattHours(1500)])
        #expect(try await house.cpo.suspicions.list().map(\.code) == [.secondStopDiffers])
    }

    @Test func `of an unknown tag gets a real transaction and is kept`() async throws {
        let house = try await House()
        let (unknown, invalid) = try await house.started(House.start(0, token: "STRANGER"))
        let (_, blocked) = try await house.started(
            House.start(0, connector: 2, token: "BLOCKED-1"))
        #expect(invalid == .invalid)
        #expect(blocked == .blocked)
        #expect(unknown > 0)
        _ = try await house.apply(House.stop(unknown, 60, 1300, reason: .deAuthorized), at: 60)
        // Energy flowed all the same, so there is a bill and a question.
        #expect(try await house.cpo.cdrs.list().total == 1)
        let codes = Set(try await house.cpo.suspicions.list().map(\.code))
        #expect(codes == [.unknownToken, .refusedToken, .chargedWhileRefused])
    }

    @Test func `that was refused and gave nothing has no bill`() async throws {
        let house = try await House()
        let (transaction, _) = try await house.started(House.start(0, token: "STRANGER"))
        _ = try await house.apply(
            House.stop(transaction, 5, 1000, reason: .deAuthorized), at: 5)
        #expect(try await house.cpo.cdrs.list().total == 0)
        #expect(try await house.cpo.sessions.list().sessions.map(\.status) == [.invalid])
    }

    @Test func `is kept over a restart with everything that was measured`() async throws {
        let folder = TemporaryFolder()
        do {
            let path = folder.file("cpo.sqlite")
            let before = try await House(path: path)
            let (transaction, _) = try await before.started(House.start(0))
            _ = try await before.apply(House.status(300, .suspendedEV), at: 300)
            _ = try await before.apply(House.meter(transaction, 600, 2000), at: 600)
            let old = try #require(before.cpo.sessions.running().first)
            await before.cpo.database.close()

            let after = try await House(path: path, isNew: false)
            #expect(after.cpo.sessions.running() == [old])
            #expect(try await after.started(House.start(0), at: 900).0 == transaction)
            _ = try await after.apply(House.stop(transaction, 1200, 2000), at: 1200)
            let cdr = try #require(try await after.cpo.cdrs.list().cdrs.first)
            #expect(cdr.cost.billedParkingSeconds == 900)
            #expect(cdr.session.energy == WattHours(1000))
        }
    }

    @Test func `takes late readings where they belong`() async throws {
        let house = try await House()
        let (transaction, _) = try await house.started(House.start(0))
        _ = try await house.apply(House.meter(transaction, 1200, 3000), at: 1200)
        _ = try await house.apply(House.meter(transaction, 600, 1200), at: 1300)
        let session = try #require(house.cpo.sessions.running().first)
        #expect(session.usage.segments.map(\.energy) == [WattHours(200), WattHours(1800), .zero])
        #expect(session.meterLast == WattHours(3000))
    }

    @Test func `loses its connector to a newer one and is completed by its late stop`() async throws
    {
        let house = try await House()
        let (old, _) = try await house.started(House.start(0))
        _ = try await house.apply(House.meter(old, 600, 1500), at: 600)
        let (new, _) = try await house.started(House.start(900, register: 1800), at: 900)
        #expect(old != new)
        #expect(try await house.cpo.suspicions.list().map(\.code) == [.orphanClosed])
        #expect(try await house.cpo.cdrs.list().total == 0)
        _ = try await house.apply(House.stop(old, 800, 1800), at: 1000)
        let cdr = try #require(try await house.cpo.cdrs.list().cdrs.first)
        #expect(cdr.session.energy == WattHours(800))
        #expect(house.cpo.sessions.running().count == 1)
    }

    @Test func `runs on when a backlog brings an older charge of its connector`() async throws {
        let house = try await House()
        let (new, _) = try await house.started(House.start(9000, register: 5000), at: 9000)
        let running = try #require(house.cpo.sessions.running().first?.id)
        // Told late: a whole charge of the morning.
        let (old, _) = try await house.started(House.start(0), at: 9100)
        #expect(house.cpo.sessions.running().map(\.id) == [running])
        _ = try await house.apply(House.meter(old, 600, 1500), at: 9101)
        _ = try await house.apply(House.stop(old, 900, 1700), at: 9102)
        let first = try #require(try await house.cpo.cdrs.list().cdrs.first)
        #expect(first.session.energy == WattHours(700))
        _ = try await house.apply(House.stop(new, 9900, 5400), at: 9900)
        let bills = try await house.cpo.cdrs.list().cdrs.map(\.session.energy)
        #expect(bills.sorted() == [WattHours(400), WattHours(700)])
    }

    @Test func `whose stop never comes is billed as it stands after the grace`() async throws {
        let house = try await House()
        let (old, _) = try await house.started(House.start(0))
        _ = try await house.apply(House.meter(old, 600, 1500), at: 600)
        _ = try await house.started(House.start(900, register: 1500), at: 900)
        for days in [Int64(0), 2] {
            let now = House.noon.advanced(bySeconds: 1000 + days * 86_400)
            try await house.cpo.write {
                try house.cpo.sessions.settleOrphans(at: now, in: $0)
            }
            #expect(try await house.cpo.cdrs.list().total == (days == 0 ? 0 : 1))
        }
        let cdr = try #require(try await house.cpo.cdrs.list().cdrs.first)
        #expect(cdr.session.energy == WattHours(500))
    }

    /// A charge away from the operator, whose plug was last heard of a charge before.
    @Test(arguments: [
        (Int64(-600), ConnectorStatus.finishing, false), (-10, .finishing, false),
        (-600, .suspendedEV, false), (-10, .suspendedEV, true), (10, .finishing, true),
    ])
    func `is parking only by what was said of itself`(
        second: Int64, status: ConnectorStatus, isParking: Bool
    ) async throws {
        for isLate in [false, true] {
            let house = try await House()
            if !isLate { _ = try await house.apply(House.status(second, status)) }
            let (number, _) = try await house.started(House.start(0), at: 700)
            if isLate { _ = try await house.apply(House.status(second, status), at: 701) }
            _ = try await house.apply(House.stop(number, 600, 1060), at: 702)
            let bill = try #require(try await house.cpo.cdrs.list().cdrs.first)
            let parked = bill.session.usage.segments.contains { $0.state == .parking }
            #expect(parked == isParking)
        }
    }

    @Test func `keeps its tariff when the tariff changes`() async throws {
        let house = try await House()
        let (transaction, _) = try await house.started(House.start(0))
        var dearer = House.tariff()
        dearer.elements[0].components[0].price = Decimal(99)
        let changed = dearer
        _ = try await house.cpo.write { transaction in
            try house.cpo.tariffs.put(changed, at: House.noon, in: transaction)
        }
        _ = try await house.apply(House.stop(transaction, 600, 2000), at: 600)
        let cdr = try #require(try await house.cpo.cdrs.list().cdrs.first)
        #expect(cdr.cost.total.exclVAT == Decimal(18))
    }

    @Test func `tells its journal in the order of commits`() async throws {
        let house = try await House()
        let begin = try await house.cpo.journal.newest()
        let (transaction, _) = try await house.started(House.start(0))
        _ = try await house.apply(House.meter(transaction, 60, 1100), at: 60)
        _ = try await house.apply(House.stop(transaction, 600, 2000), at: 600)
        let lines = try await house.cpo.journal.lines(after: begin)
        #expect(
            lines.map(\.kind) == [.sessionStarted, .sessionUpdated, .sessionEnded, .cdrCreated])
    }
}
