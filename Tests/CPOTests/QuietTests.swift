import Charging
import SQL
import Service
import TestSupport
import Testing

@testable import CPO

@Suite struct `A quiet fleet` {
    /// Sites of two connectors each, of stations that hold a profile each, settled.
    private struct Fleet {
        let engine = CountingEngine()
        let house: House
        let station = HoldingStation()

        init(sites: Int) async throws {
            house = try await House(database: Database(engine: engine, readers: 0))
            let now = house.clock.now
            try await house.cpo.write { [cpo = house.cpo] transaction in
                for number in 1...sites {
                    let id = "Q-\(number)"
                    try cpo.stations.register(id, .accepted, at: now, in: transaction)
                    _ = try cpo.stations.attached(
                        id, subprotocol: "ocpp1.6", at: now, in: transaction)
                    _ = try cpo.sites.put(Self.tree(id), at: now, in: transaction)
                    _ = try cpo.profiles.put(
                        Self.plan, name: "night", station: id, connector: 1, source: "test",
                        at: now, in: transaction)
                }
                _ = try cpo.profiles.put(
                    Self.plan, name: "night", station: "CS-1", connector: 1, source: "test",
                    at: now, in: transaction)
            }
            try await run(seconds: 60)
        }

        static func tree(_ station: String) -> FuseTree {
            FuseTree(
                id: "site \(station)",
                nodes: [.init(id: "main", limit: .init(phases: PhaseCurrents(Amperes(32))))],
                outlets: (1...2).map { .init(id: OutletID(station, $0), node: "main") })
        }

        static let plan = ProfilePlan(
            purpose: .transactionDefault,
            content: .schedule(
                .absolute,
                ChargingSchedule(
                    unit: .amperes, periods: [.init(start: 0, tenths: 200)],
                    start: House.noon.advanced(bySeconds: -60))))

        func run(seconds: Int) async throws {
            for _ in 0..<seconds {
                try await house.cpo.grid.once(house.cpo, over: station)
                house.clock.advance(milliseconds: 1000)
            }
        }

        var reckoned: Int { house.cpo.grid.state.withLock { $0.reckoned } }
    }

    @Test func `asks nothing of the database and reckons no site`() async throws {
        let fleet = try await Fleet(sites: 8)
        let before = fleet.reckoned
        let count = try await fleet.engine.count { try await fleet.run(seconds: 120) }
        #expect(count == 0)
        #expect(fleet.reckoned == before)
    }

    @Test func `has only that site reckoned at which something happens`() async throws {
        var found: [[Int]] = []
        for sites in [2, 12] {
            let fleet = try await Fleet(sites: sites)
            let before = fleet.reckoned
            let report = StatusReport(connector: 1, status: .preparing, at: fleet.house.clock.now)
            _ = try await fleet.house.cpo.sessions.apply(
                .statusChanged(report), from: "Q-2", receivedAt: fleet.house.clock.now)
            let count = try await fleet.engine.count { try await fleet.run(seconds: 30) }
            found.append([count, fleet.reckoned - before])
        }
        #expect(found[0] == found[1])
        #expect(found[0][0] > 0 && found[0][1] > 0)
    }

    @Test func `is looked at all the same once in a while`() async throws {
        let fleet = try await Fleet(sites: 2)
        // Somebody else changed the rows.
        try await fleet.house.cpo.database.write { transaction in
            try transaction.execute("UPDATE station SET is_online = 0 WHERE id = 'Q-1'")
        }
        try await fleet.run(seconds: 10)
        func standing() -> GridMachine.View.Standing? {
            fleet.house.cpo.grid.view(of: "site Q-1")?.outlets.first?.standing
        }
        #expect(standing() == .governed)
        try await fleet.run(seconds: 900)
        #expect(standing() == .offline)
    }

    @Test func `hears of a change once it is durable, and of one that is undone as well`() {
        let news = HouseNews()
        news.watch(["A", "B"])
        news.note(.station("A"))
        let first = news.mark
        news.note(.station("B"))
        news.note(.station("A"))
        news.note(.station("C"))
        news.committed(first)
        #expect(news.take() == [.station("A")])
        #expect(news.take() == [])
        news.committed(news.mark)
        #expect(news.take() == [.station("A"), .station("B")])
    }

    @Test func `has an agenda that gives what is due, and each once`() {
        var agenda = Agenda<Int>()
        for key in 0..<500 { agenda.hasten(key, at: Int64((key * 37) % 500)) }
        for key in 0..<500 { agenda.hasten(key, at: Int64((key * 37) % 500 / 2)) }
        agenda.hasten(3, at: 400)
        agenda.remove(7)
        #expect(agenda.takeDue(at: -1) == [])
        var last: Int64 = 0
        var seen: [Int] = []
        for now: Int64 in stride(from: 0, through: 250, by: 10) {
            for key in agenda.takeDue(at: now) {
                seen.append(key)
                #expect((last...now).contains(Int64((key * 37) % 500 / 2)))
            }
            last = now
        }
        #expect(seen.count == 499 && Set(seen) == Set(0..<500).subtracting([7]))
    }
}
