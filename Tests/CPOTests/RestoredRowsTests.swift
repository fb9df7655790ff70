import CPO
import Charging
import SQL
import Service
import TestSupport
import Testing

/// A backup is a SQLite file whichever engine it is of, and is made ready as one.
@Suite struct `A restored database` {
    private let folder = TemporaryFolder()

    private func house() async throws -> House {
        try await House(database: Database(path: folder.file("lost.sqlite"), readers: 1))
    }

    private func backup(_ house: House) async throws {
        try await house.cpo.database.backup(to: folder.file("copy.sqlite"))
    }

    /// The house that goes on from the backup.
    private func restored(_ house: House) async throws -> ChargePointOperator {
        let (file, now) = (folder.file("copy.sqlite"), house.clock.now)
        try Database.once(file, forWriting: true) { transaction in
            try transaction.skipNumbers(RestoredRows.settle(at: now, in: transaction))
        }
        return try await ChargePointOperator(
            database: Database(path: file, readers: 1), settings: house.cpo.settings,
            clock: house.clock, log: .silent)
    }

    private func run(
        _ cpo: ChargePointOperator, _ clock: ManualClock, _ station: HoldingStation, seconds: Int
    ) async throws {
        for _ in 0..<seconds {
            try await cpo.grid.once(cpo, over: station)
            clock.advance(milliseconds: 1000)
        }
    }

    @Test func `gives nobody what a connector took since the backup`() async throws {
        let (house, station) = (try await house(), HoldingStation())
        let now = house.clock.now
        _ = try await house.cpo.write { [cpo = house.cpo] in
            try cpo.sites.put(`Sharing by the house`.tree(32), at: now, in: $0)
        }
        try await run(house.cpo, house.clock, station, seconds: 5)
        #expect([station.limit(1), station.limit(2)] == [0, 0])
        try await backup(house)
        _ = try await house.apply(House.start())
        try await run(house.cpo, house.clock, station, seconds: 30)
        #expect([station.limit(1), station.limit(2)] == [32, 0])

        let again = try await restored(house)
        _ = try await again.sessions.apply(
            House.start(connector: 2, register: 5), from: "CS-1", receivedAt: house.clock.now)
        try await run(again, house.clock, station, seconds: 60)
        #expect([station.limit(1), station.limit(2)] == [0, 32])
    }

    @Test func `counts with all of a connector that does not answer`() async throws {
        let (house, station) = (try await house(), HoldingStation())
        let now = house.clock.now
        _ = try await house.cpo.write { [cpo = house.cpo] in
            try cpo.sites.put(`Sharing by the house`.tree(32), at: now, in: $0)
        }
        try await run(house.cpo, house.clock, station, seconds: 5)
        try await backup(house)
        let again = try await restored(house)
        station.answer(.failure(.timedOut))
        try await run(again, house.clock, station, seconds: 30)
        #expect(again.grid.view(of: "yard")?.outlets.map(\.counted) == [Amperes(32), Amperes(32)])
    }

    @Test func `tells profiles anew that were changed since the backup`() async throws {
        let (house, station) = (try await house(), HoldingStation())
        try await put("night", in: house.cpo, house.clock)
        try await run(house.cpo, house.clock, station, seconds: 3)
        #expect(station.limit(1) == 10)
        try await backup(house)
        let now = house.clock.now
        _ = try await house.cpo.write { [cpo = house.cpo] in
            try cpo.profiles.withdraw("CS-1", name: "night", at: now, in: $0)
        }
        try await run(house.cpo, house.clock, station, seconds: 3)
        #expect(station.held.isEmpty)
        let again = try await restored(house)
        try await run(again, house.clock, station, seconds: 3)
        #expect(station.limit(1) == 10)
    }

    @discardableResult
    private func put(
        _ name: String, in cpo: ChargePointOperator, _ clock: ManualClock
    ) async throws -> Int {
        let plan = ProfilePlan(
            purpose: .transactionDefault,
            content: .schedule(
                .absolute,
                ChargingSchedule(
                    unit: .amperes, periods: [.init(start: 0, tenths: 100)],
                    start: House.noon.advanced(bySeconds: -60))))
        let now = clock.now
        return try await cpo.write { transaction in
            try cpo.profiles.put(
                plan, name: name, station: "CS-1", connector: 1, source: "test", at: now,
                in: transaction
            ).number
        }
    }

    /// `isFirst`: the backup is of before the first charge and the first profile.
    @Test(arguments: [false, true])
    func `gives no number twice`(isFirst: Bool) async throws {
        let house = try await house()
        if !isFirst {
            let (number, _) = try await house.started(House.start())
            _ = try await house.apply(House.stop(number, 90, 1500))
        }
        try await backup(house)
        // Made since, and still there when the backup is put in place.
        let (running, _) = try await house.started(House.start(600, register: 1500))
        let profile = try await put("night", in: house.cpo, house.clock)

        let again = try await restored(house)
        let reply = try await again.sessions.apply(
            House.start(660, connector: 2), from: "CS-1", receivedAt: house.clock.now)
        guard case .started(.number(let other), _) = reply else {
            Issue.record("\(reply)")
            return
        }
        #expect(other > running)
        for event in [House.meter(running, 700, 9000), House.stop(running, 800, 9999)] {
            _ = try await again.sessions.apply(
                event, from: "CS-1", receivedAt: house.clock.now)
        }
        let row = try await again.read {
            try $0.queryOne("SELECT closure, meter_last_wh FROM session WHERE key = ?", other)
        }
        #expect(try row?.text("closure") == "open")
        #expect(try row?.int64("meter_last_wh") == 1000)
        #expect(try await put("night", in: again, house.clock) > profile)
    }

    @Test func `leaves numbers for more restores`() async throws {
        let house = try await house()
        _ = try await house.started(House.start())
        try await backup(house)
        try Database.once(folder.file("copy.sqlite"), forWriting: true) { transaction in
            _ = try transaction.execute("UPDATE sequence SET value = ?", Int64(Int32.max) - 1000)
        }
        let again = try await restored(house)
        let reply = try await again.sessions.apply(
            House.start(660, connector: 2), from: "CS-1", receivedAt: house.clock.now)
        guard case .started(.number(let number), _) = reply else {
            Issue.record("\(reply)")
            return
        }
        #expect(number == Int(Int32.max) - 499)
    }
}
