import Charging
import JSON
import SQL
import Service
import TestSupport
import Testing

@testable import CPO

@Suite struct `A profile a station shall hold` {
    private static func plan(_ amperes: Int64) -> ProfilePlan {
        ProfilePlan(
            purpose: .transactionDefault,
            content: .schedule(
                .absolute,
                ChargingSchedule(
                    unit: .amperes, periods: [.init(start: 0, tenths: amperes * 10)],
                    start: House.noon.advanced(bySeconds: -60))))
    }

    private func put(
        _ plan: ProfilePlan, _ house: House, connector: Int = 1, session: String? = nil
    ) async throws {
        let now = house.clock.now
        _ = try await house.cpo.write { [cpo = house.cpo] transaction in
            try cpo.profiles.put(
                plan, name: "night", station: "CS-1", connector: connector, session: session,
                source: "test", at: now, in: transaction)
        }
    }

    private func run(_ house: House, _ station: HoldingStation, seconds: Int) async throws {
        for _ in 0..<seconds {
            try await house.cpo.grid.once(house.cpo, over: station)
            house.clock.advance(milliseconds: 1000)
        }
    }

    private func state(_ house: House) async throws -> StationProfiles.State? {
        try await house.cpo.read { [cpo = house.cpo] in
            try cpo.profiles.find("CS-1", name: "night", in: $0)?.state
        }
    }

    @Test func `is told until it is taken, again after a boot, and cleared in the end`()
        async throws
    {
        let (house, station) = (try await House(), HoldingStation())
        station.answer(.failure(.timedOut))
        try await put(Self.plan(10), house)
        try await run(house, station, seconds: 3)
        #expect(try await state(house) == .wanted)
        station.answer(.success(.status("Accepted")))
        try await run(house, station, seconds: 65)
        #expect(try await state(house) == .told)
        #expect(station.limit(1) == 10)
        station.forget()
        _ = try await house.apply(.booted(StationIdentity(vendor: "V", model: "M")))
        try await run(house, station, seconds: 15)
        #expect(station.limit(1) == 10)
        let now = house.clock.now
        _ = try await house.cpo.write { [cpo = house.cpo] in
            try cpo.profiles.withdraw("CS-1", name: "night", at: now, in: $0)
        }
        try await run(house, station, seconds: 3)
        #expect(station.held.isEmpty)
        #expect(try await state(house) == nil)
    }

    @Test func `that the station refuses is shown, and not sent again and again`() async throws {
        let (house, station) = (try await House(), HoldingStation())
        station.answer(.success(.status("Rejected")))
        try await put(Self.plan(10), house)
        try await run(house, station, seconds: 100)
        #expect(try await state(house) == .refused)
        #expect(station.asked.count == 1)
    }

    @Test func `of a charge goes with it`() async throws {
        let (house, station) = (try await House(), HoldingStation())
        guard case .started(.number(let number), _) = try await house.apply(House.start()) else {
            Issue.record("not started")
            return
        }
        let session = try #require(house.cpo.sessions.running().first)
        var plan = Self.plan(9)
        plan.purpose = .transaction
        try await put(plan, house, session: session.id)
        try await run(house, station, seconds: 2)
        #expect(station.held.first?.profile.transaction == .number(number))
        _ = try await house.apply(House.stop(number, 30, 1500))
        try await run(house, station, seconds: 2)
        #expect(try await state(house) == nil)
    }

    @Test func `on a shared connector bounds its share and is not sent`() async throws {
        let (house, station) = (try await House(), HoldingStation())
        let now = house.clock.now
        try await house.cpo.write { [cpo = house.cpo] transaction in
            _ = try cpo.sites.put(`Sharing by the house`.tree(), at: now, in: transaction)
        }
        _ = try await house.apply(House.start())
        try await put(Self.plan(9), house)
        try await run(house, station, seconds: 30)
        #expect(try await state(house) == .kept)
        #expect(station.limit(1) == 9)
        #expect(station.held.allSatisfy { (991_000..<993_000).contains($0.profile.id) })
    }

    @Test(arguments: [0, 1])
    func `that was told is cleared before it bounds a share`(connector: Int) async throws {
        let (house, station) = (try await House(), HoldingStation())
        try await put(Self.plan(9), house, connector: connector)
        try await run(house, station, seconds: 3)
        #expect(try await state(house) == .told)
        let id = try #require(station.held.first?.profile.id)
        station.answerClears("Rejected")
        let now = house.clock.now
        try await house.cpo.write { [cpo = house.cpo] transaction in
            _ = try cpo.sites.put(`Sharing by the house`.tree(), at: now, in: transaction)
        }
        _ = try await house.apply(House.start())
        try await run(house, station, seconds: 30)
        #expect(try await state(house) == .keeping)
        #expect(station.asked.contains(.clearProfiles(ProfileFilter(id: id))))
        station.answerClears(nil)
        try await run(house, station, seconds: 90)
        #expect(try await state(house) == .kept)
        #expect(station.limit(1) == 9)
        #expect(!station.held.contains { $0.profile.id == id })
        // Put again it need not be cleared again: it is not there.
        try await put(Self.plan(7), house, connector: connector)
        #expect(try await state(house) == .kept)
        try await run(house, station, seconds: 30)
        #expect(station.limit(1) == 7)
    }

    @Test func `of a station that is shared in part holds on its other connectors, too`()
        async throws
    {
        let (house, station) = (try await House(), HoldingStation())
        let now = house.clock.now
        var tree = `Sharing by the house`.tree()
        tree.outlets.removeLast()
        let part = tree
        try await house.cpo.write { [cpo = house.cpo] transaction in
            _ = try cpo.sites.put(part, at: now, in: transaction)
        }
        for connector in 0...2 {
            _ = try await house.apply(House.status(0, .available, connector: connector))
        }
        _ = try await house.apply(House.start())
        try await put(Self.plan(9), house, connector: 0)
        try await run(house, station, seconds: 40)
        #expect(try await state(house) == .kept)
        #expect([station.limit(1), station.limit(2)] == [9, 9])
        #expect(!station.held.contains { $0.connector == 0 })
        try await put(Self.plan(12), house, connector: 0)
        try await run(house, station, seconds: 40)
        #expect([station.limit(1), station.limit(2)] == [12, 12])
        // One of its own stands in its place, and gives it back.
        let later = house.clock.now
        _ = try await house.cpo.write { [cpo = house.cpo] transaction in
            try cpo.profiles.put(
                Self.plan(20), name: "own", station: "CS-1", connector: 2, source: "test",
                at: later, in: transaction)
        }
        try await run(house, station, seconds: 5)
        #expect(station.held.filter { $0.connector == 2 }.count == 1)
        #expect(station.limit(2) == 20)
        _ = try await house.cpo.write { [cpo = house.cpo] transaction in
            try cpo.profiles.withdraw("CS-1", name: "own", at: later, in: transaction)
        }
        try await run(house, station, seconds: 5)
        #expect(station.limit(2) == 12)
        _ = try await house.cpo.write { [cpo = house.cpo] transaction in
            try cpo.profiles.withdraw("CS-1", name: "night", at: later, in: transaction)
        }
        try await run(house, station, seconds: 40)
        #expect(!station.held.contains { $0.connector == 2 })
        #expect(station.limit(1) == 32)
    }

    /// 48 changes a day; its lowest hour is the only one that is below 10 A.
    private static let fast = ProfilePlan(
        purpose: .transactionDefault,
        content: .windows(
            (0..<24).map { hour in
                .init(
                    from: hour * 60 + 20, until: hour * 60 + 50,
                    limit: .init(phases: PhaseCurrents(Amperes(hour == 9 ? 6 : 10))))
            }, unit: .amperes, otherwiseTenths: 320))

    /// What the held schedule says at a moment.
    private func held(_ station: HoldingStation, at now: Timestamp) -> Int64? {
        guard let schedule = station.held.first?.profile.schedule, let start = schedule.start
        else { return nil }
        let second = now.seconds(since: start)
        return schedule.periods.last { Int64($0.start) <= second }?.tenths
    }

    private func wanted(at now: Timestamp) throws -> Int64? {
        let zone = try LocalTimeRules(tzif: ZoneInfo.load("Asia/Kolkata"))
        return Self.fast.profile(id: 1, in: zone, at: now, ahead: 60).schedule.periods.first?.tenths
    }

    @Test func `with more changes than a schedule has periods is told anew before they are over`()
        async throws
    {
        let (house, station) = (try await House(), HoldingStation())
        try await put(Self.fast, house)
        try await run(house, station, seconds: 2)
        var wrong: [Timestamp] = []
        for _ in 0..<(30 * 12) {
            house.clock.advance(milliseconds: 300_000)
            try await house.cpo.grid.once(house.cpo, over: station)
            try await house.cpo.grid.once(house.cpo, over: station)
            let now = house.clock.now
            if held(station, at: now) != (try wanted(at: now)) { wrong.append(now) }
        }
        #expect(wrong.isEmpty)
        #expect((2...10).contains(station.asked.count), "not with every change")
        #expect(station.held.first?.profile.schedule.periods.count == 24)
    }

    @Test func `with more changes than a schedule has periods never allows too much`() async throws
    {
        let (house, station) = (try await House(), HoldingStation())
        try await put(Self.fast, house)
        try await run(house, station, seconds: 2)
        // Nobody reaches it any more.
        for minute in stride(from: Int64(0), to: 3 * 1440, by: 10) {
            let now = house.clock.now.advanced(bySeconds: minute * 60)
            let (told, limit) = (try #require(held(station, at: now)), try wanted(at: now))
            #expect(told <= limit ?? 0, "after \(minute) minutes")
        }
    }

    @Test func `told by an earlier version is told anew`() async throws {
        let (house, station) = (try await House(), HoldingStation())
        try await put(Self.fast, house)
        try await run(house, station, seconds: 2)
        #expect(station.asked.count == 1)
        _ = try await house.cpo.write { transaction in
            try transaction.execute("UPDATE charging_profile SET renew_at = NULL")
        }
        house.clock.advance(milliseconds: 900_000)
        try await run(house, station, seconds: 2)
        #expect(station.asked.count == 2)
    }

    @Test(arguments: [true, false])
    func `goes when its time is over`(isOnline: Bool) async throws {
        let (house, station) = (try await House(), HoldingStation())
        var plan = Self.plan(9)
        plan.validTo = house.clock.now.advanced(bySeconds: 100)
        try await put(plan, house)
        try await run(house, station, seconds: 5)
        #expect(try await state(house) == .told)
        if !isOnline {
            try await house.cpo.write { transaction in
                try transaction.execute("UPDATE station SET is_online = 0 WHERE id = 'CS-1'")
                house.cpo.grid.news.note(.station("CS-1"))
            }
        }
        try await run(house, station, seconds: 95)
        #expect(try await state(house) == .told)
        try await run(house, station, seconds: 2)
        #expect(try await state(house) == nil)
        #expect(station.asked.count == 1)
        await #expect(throws: FuseTreeProblem.self) { try await put(plan, house) }
    }

    @Test func `whose time is over stands in nobody's way before anybody has looked`() async throws
    {
        let (house, station) = (try await House(), HoldingStation())
        var plan = Self.plan(9)
        plan.validTo = house.clock.now.advanced(bySeconds: 100)
        try await put(plan, house)
        try await run(house, station, seconds: 5)
        func other() async throws {
            let now = house.clock.now
            _ = try await house.cpo.write { [cpo = house.cpo] transaction in
                try cpo.profiles.put(
                    Self.plan(7), name: "other", station: "CS-1", connector: 1, source: "test",
                    at: now, in: transaction)
            }
        }
        await #expect(throws: FuseTreeProblem.self) { try await other() }
        house.clock.advance(milliseconds: 95_000)
        try await other()
        try await run(house, station, seconds: 3)
        #expect(try await state(house) == nil)
        #expect(station.held.last?.profile.schedule.periods.map(\.tenths) == [70])
    }

    @Test func `of a charge is not told for another`() async throws {
        let (house, station) = (try await House(), HoldingStation())
        _ = try await house.apply(House.start())
        let session = try #require(house.cpo.sessions.running().first)
        _ = try await house.apply(House.start(connector: 2, register: 5))
        var plan = Self.plan(9)
        plan.purpose = .transaction
        try await put(plan, house, connector: 2, session: session.id)
        try await run(house, station, seconds: 3)
        #expect(station.asked.isEmpty)
        #expect(try await state(house) == .wanted)
    }

    @Test func `by the time of the day follows the clock of its place over a change of it`() throws
    {
        let berlin = try LocalTimeRules(tzif: ZoneInfo.load("Europe/Berlin"))
        let window = FuseTree.Window(
            from: 60, until: 240, limit: .init(phases: PhaseCurrents(Amperes(16))))
        let plan = ProfilePlan(
            purpose: .transactionDefault,
            content: .windows([window], unit: .amperes, otherwiseTenths: 320))
        // 2026-03-29: 02:00 becomes 03:00, so 01:00 to 04:00 lasts two hours.
        let start = try #require(Timestamp(rfc3339: "2026-03-28T23:00:00Z"))
        let schedule = plan.profile(id: 1, in: berlin, at: start).schedule
        #expect(
            Array(schedule.periods.prefix(3)) == [
                .init(start: 0, tenths: 320), .init(start: 3600, tenths: 160),
                .init(start: 3 * 3600, tenths: 320),
            ])
        #expect(plan.profile(id: 1, in: berlin, at: start, ahead: 1).schedule.periods.count == 1)
    }

    @Test func `is part of what its connector is expected to be allowed`() async throws {
        let (house, station) = (try await House(), HoldingStation())
        try await put(Self.plan(10), house)
        try await run(house, station, seconds: 2)
        let expected = try await house.cpo.grid.expected(
            house.cpo, station: "CS-1", connector: 1, seconds: 600, unit: nil, at: house.clock.now)
        #expect(expected.schedule.periods.map(\.tenths) == [100])
        var reported = expected
        reported.start = expected.start.advanced(bySeconds: 2)
        #expect(expected.differences(from: reported) == [])
        reported.schedule.periods.append(.init(start: 300, tenths: 320))
        #expect(
            expected.differences(from: reported) == [
                .init(from: 302, until: 600, expected: 100, reported: 320)
            ])
        // A clock that is anywhere cannot be compared with.
        reported.start = Timestamp(seconds: 250_000_000_000)
        #expect(expected.differences(from: reported) == nil)
    }
}
