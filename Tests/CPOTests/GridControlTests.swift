import CPO
import Charging
import JSON
import SQL
import Service
import TestSupport
import Testing

@Suite struct `Sharing by the house` {
    static func tree(_ amperes: Int64 = 32, fallback: Amperes? = nil) -> FuseTree {
        FuseTree(
            id: "yard", timeZone: "Asia/Kolkata",
            nodes: [.init(id: "main", limit: .init(phases: PhaseCurrents(Amperes(amperes))))],
            outlets: (1...2).map {
                .init(id: OutletID("CS-1", $0), node: "main", fallback: fallback)
            })
    }

    private func put(_ tree: FuseTree, _ house: House) async throws {
        let now = house.clock.now
        _ = try await house.cpo.write { [cpo = house.cpo] transaction in
            try cpo.sites.put(tree, at: now, in: transaction)
        }
    }

    private func run(_ house: House, _ station: HoldingStation, seconds: Int) async throws {
        for _ in 0..<seconds {
            try await house.cpo.grid.once(house.cpo, over: station)
            house.clock.advance(milliseconds: 1000)
        }
    }

    @Test func `tells connectors their shares as charges come and go`() async throws {
        let (house, station) = (try await House(), HoldingStation())
        try await put(Self.tree(), house)
        try await run(house, station, seconds: 5)
        #expect(station.limit(1) == 0)
        let reply = try await house.apply(House.start())
        guard case .started(.number(let number), _) = reply else {
            Issue.record("\(reply)")
            return
        }
        try await run(house, station, seconds: 30)
        #expect([station.limit(1), station.limit(2)] == [32, 0])
        _ = try await house.apply(House.start(connector: 2, token: "DRIVER-1", register: 5))
        try await run(house, station, seconds: 60)
        #expect([station.limit(1), station.limit(2)] == [16, 16])
        _ = try await house.apply(House.stop(number, 90, 2000))
        try await run(house, station, seconds: 60)
        #expect([station.limit(1), station.limit(2)] == [0, 32])
        // What was set by others on these connectors went first.
        #expect(
            Array(station.asked.prefix(2)) == [
                .clearProfiles(ProfileFilter(connector: 0, purpose: .transactionDefault)),
                .clearProfiles(ProfileFilter(connector: 1)),
            ])
        // A clock that is years behind must not put a limit off.
        #expect(
            station.held.allSatisfy {
                $0.profile.schedule.start == Timestamp(seconds: 1_577_836_800)
            })
    }

    @Test func `tells no limit while what others set is not cleared`() async throws {
        let (house, station) = (try await House(), HoldingStation())
        try await put(Self.tree(), house)
        station.answerClears("Rejected")
        try await run(house, station, seconds: 50)
        #expect(station.held.isEmpty)
        #expect(house.cpo.grid.view(of: "yard")?.outlets.map(\.standing) == [.waiting, .waiting])
        #expect(
            house.cpo.grid.view(of: "yard")?.outlets.map(\.counted) == [Amperes(32), Amperes(32)])
        station.answerClears("Unknown")
        try await run(house, station, seconds: 50)
        #expect([station.limit(1), station.limit(2)] == [0, 0])
    }

    @Test func `a power beyond any connector says nothing`() async throws {
        let (house, station) = (try await House(), HoldingStation())
        try await put(Self.tree(), house)
        let (number, _) = try await house.started(House.start())
        for watts: Int128 in [999_999_999_999_999_999, 100_000_000, 11_040] {
            _ = try await house.apply(
                .metered(
                    MeterReport(
                        connector: 1, transaction: .number(number),
                        readings: [
                            MeterReading(
                                at: house.clock.now,
                                samples: [
                                    MeterSample(
                                        .powerImport, Decimal(significand: watts, scale: 0))
                                ])
                        ])))
            try await run(house, station, seconds: 1)
            let measured = house.cpo.grid.view(of: "yard")?.nodes.first?.measured
            #expect(measured == (watts == 11_040 ? PhaseCurrents(Amperes(16)) : .zero))
        }
    }

    @Test func `remembers over a restart what it told`() async throws {
        let (house, station) = (try await House(), HoldingStation())
        try await put(Self.tree(), house)
        _ = try await house.apply(House.start())
        try await run(house, station, seconds: 30)
        let again = try await ChargePointOperator(
            database: house.cpo.database, settings: house.cpo.settings, clock: house.clock,
            log: .silent)
        let asked = station.asked.count
        for _ in 0..<30 {
            try await again.grid.once(again, over: station)
            house.clock.advance(milliseconds: 1000)
        }
        #expect(station.asked.count == asked)
        #expect(again.grid.view(of: "yard")?.outlets.map(\.present) == [Amperes(32), .zero])
    }

    @Test func `takes back its limits from connectors that leave the site`() async throws {
        let (house, station) = (try await House(), HoldingStation())
        try await put(Self.tree(), house)
        try await run(house, station, seconds: 5)
        var smaller = Self.tree()
        smaller.outlets.removeLast()
        try await put(smaller, house)
        try await run(house, station, seconds: 5)
        #expect(station.held.map(\.connector) == [1])
        let now = house.clock.now
        let removed = try await house.cpo.write { [cpo = house.cpo] in
            try cpo.sites.remove("yard", at: now, in: $0)
        }
        #expect(removed)
        try await run(house, station, seconds: 40)
        #expect(station.held.isEmpty)
    }

    @Test func `a limit on a node ends by itself`() async throws {
        let (house, station) = (try await House(), HoldingStation())
        try await put(Self.tree(), house)
        _ = try await house.apply(House.start())
        try await run(house, station, seconds: 30)
        let now = house.clock.now
        try await house.cpo.write { [cpo = house.cpo] transaction in
            try cpo.sites.limit(
                "yard",
                GridLimit(
                    node: "main", limit: .init(phases: PhaseCurrents(Amperes(10))), source: "DSO",
                    from: now, until: now.advanced(bySeconds: 60)), at: now, in: transaction)
        }
        try await run(house, station, seconds: 5)
        #expect(station.limit(1) == 10)
        try await run(house, station, seconds: 90)
        #expect(station.limit(1) == 32)
    }

    @Test func `shows what is measured, and counts what is above a limit`() async throws {
        let (house, station) = (try await House(), HoldingStation())
        try await put(Self.tree(), house)
        let (number, _) = try await house.started(House.start())
        _ = try await house.apply(House.start(connector: 2, register: 5))
        try await run(house, station, seconds: 60)
        #expect(station.limit(1) == 16)
        func meter(_ milliamperes: Int64...) async throws -> GridMachine.View? {
            let samples = zip(["L1", "L2", "L3"], milliamperes).map { phase, current in
                MeterSample(
                    .currentImport, Decimal(significand: Int128(current), scale: 3), phase: phase)
            }
            _ = try await house.apply(
                .metered(
                    MeterReport(
                        connector: 1, transaction: .number(number),
                        readings: [MeterReading(at: house.clock.now, samples: samples)])))
            try await run(house, station, seconds: 1)
            return house.cpo.grid.view(of: "yard")
        }
        var view = try await meter(15_500, 15_800, 200)
        #expect(view?.nodes.first?.measured == PhaseCurrents(15_500, 15_800, 200))
        #expect(view?.outlets.first?.counted == Amperes(16))
        view = try await meter(31_000, 31_000, 31_000)
        #expect(view?.outlets.first?.counted == Amperes(31))
        #expect(view?.nodes.first?.isOver == true)
    }

    @Test func `refuses what would take a shared connector's limit away`() async throws {
        let (house, station) = (try await House(), HoldingStation())
        try await put(Self.tree(), house)
        try await run(house, station, seconds: 5)
        let profile = ChargingProfile(
            id: 1, stackLevel: 0, purpose: .transactionDefault, kind: .absolute,
            schedule: ChargingSchedule(
                unit: .amperes, periods: [.init(start: 0, tenths: 320)], start: House.noon))
        let raw = #"{"connectorId":1,"csChargingProfiles":{"chargingProfilePurpose":"TxProfile"}}"#
        var taken = profile
        taken.id = 991_002
        taken.purpose = .stationMaximum
        let rawTaken =
            #"{"connectorId":0,"csChargingProfiles":{"chargingProfileId":992001.0,"#
            + #""chargingProfilePurpose":"ChargePointMaxProfile"}}"#
        for command: StationCommand in [
            .setProfile(connector: 1, profile), .setProfile(connector: 0, profile),
            .clearProfiles(ProfileFilter()), .clearProfiles(ProfileFilter(connector: 2)),
            .clearProfiles(ProfileFilter(id: 992_001)),
            .startLimited(connector: 1, token: "X", profile),
            .foreign(action: "SetChargingProfile", payload: raw),
            .foreign(action: "ClearChargingProfile", payload: "{}"),
            .foreign(action: "ClearChargingProfile", payload: #"{"id":"992001"}"#),
            .foreign(action: "ClearChargingProfile", payload: #"{"connectorId":0}"#),
            .clearProfiles(ProfileFilter(connector: 0)),
            .clearProfiles(ProfileFilter(connector: 0, purpose: .transactionDefault)),
            // Ids of ours, wherever they are put.
            .setProfile(connector: 0, taken), .setProfile(connector: 3, taken),
            .startLimited(connector: 3, token: "X", taken),
            .foreign(action: "SetChargingProfile", payload: rawTaken),
            .foreign(
                action: "RemoteStartTransaction",
                payload: #"{"connectorId":3,"chargingProfile":{"chargingProfileId":992002}}"#),
        ] {
            await #expect(throws: CommandRefusal.shared, "\(command)") {
                _ = try await house.cpo.send(
                    command, to: "CS-1", origin: CommandOrigin(door: "api", reference: "t"))
            }
        }
        var maximum = profile
        maximum.purpose = .stationMaximum
        _ = try await house.cpo.send(
            .setProfile(connector: 0, maximum), to: "CS-1",
            origin: CommandOrigin(door: "api", reference: "t"))
        _ = try await house.cpo.send(
            .clearProfiles(ProfileFilter(connector: 0, purpose: .stationMaximum)), to: "CS-1",
            origin: CommandOrigin(door: "api", reference: "t"))
    }

    @Test func `says which member of a site is wrong`() async throws {
        let house = try await House()
        func problem(_ change: (inout FuseTree) -> Void) async throws -> String? {
            var tree = Self.tree()
            change(&tree)
            do {
                try await put(tree, house)
                return nil
            } catch let problem as FuseTreeProblem { return problem.field }
        }
        #expect(try await problem { $0.outlets[1].node = "x" } == "connectors[1].node")
        #expect(
            try await problem { $0.outlets[1].id = OutletID("CS-1", 1) }
                == "connectors[1].connector")
        #expect(try await problem { $0.outlets[0].id.station = "NO" } == "connectors[0].station")
        #expect(
            try await problem { $0.outlets[1].minimum = .zero } == "connectors[1].minimumAmperes")
        #expect(try await problem { $0.timeZone = "Mars/Base" } == "timeZone")
        #expect(try await problem { $0.nodes[0].parent = "main" } == "nodes[0].parent")
        #expect(try await problem { $0.nodes[0].limit = .init() } == "nodes[0].amperes")
        #expect(
            try await problem {
                $0.outlets[0].fallback = Amperes(20); $0.outlets[1].fallback = Amperes(20)
            }
                == "connectors")
        #expect(try await problem { _ in } == nil)
        #expect(try await problem { $0.id = "other" } == "connectors[0].connector")
    }

    @Test func `a site reads back as it was written`() throws {
        var tree = Self.tree(fallback: Amperes(6))
        tree.nodes.append(
            .init(
                id: "hall", name: "Hall", parent: "main",
                limit: .init(phases: PhaseCurrents(16_000, 20_000, 25_500), watts: Watts(11_000)),
                windows: [
                    .init(
                        days: [1, 5], from: 1_050, until: 1_200,
                        limit: .init(phases: PhaseCurrents(Amperes(8))))
                ]))
        tree.outlets[1].wiring = .str
        tree.outlets[1].unit = .watts
        #expect(try FuseTree(json: JSONValue(parsing: tree.json.text), id: "yard") == tree)
    }
}
