import CPO
import Charging
import TestSupport
import Testing

@Suite struct `Sharing a site` {
    private static func site(
        _ amperes: Int64, outlets count: Int = 2, watts: Int64? = nil, fallback: Amperes? = nil,
        wiring: PhaseWiring = .rst, unit: ChargingSchedule.Unit = .amperes
    ) -> GridSite {
        GridSite(
            FuseTree(
                id: "T",
                nodes: [
                    .init(
                        id: "main",
                        limit: .init(
                            phases: PhaseCurrents(Amperes(amperes)), watts: watts.map { Watts($0) })
                    )
                ],
                outlets: (1...count).map {
                    .init(
                        id: OutletID("S\($0)", 1), node: "main", wiring: wiring, fallback: fallback,
                        unit: unit)
                }))
    }

    private static func charge(_ site: inout GridSite, _ stations: String...) {
        for station in stations { site.stations[OutletID(station, 1)]?.isActive = true }
    }

    private static func run(_ site: inout GridSite, _ seconds: Int) {
        for _ in 0..<seconds { _ = site.tick() }
    }

    private static func allowed(_ site: GridSite) -> [Int64] {
        site.tree.outlets.map { site.allowed($0).milliamperes / 1000 }
    }

    @Test func `gives one that charges alone all its fuse, and the idle nothing`() {
        var site = Self.site(32)
        Self.charge(&site, "S1")
        Self.run(&site, 60)
        #expect(Self.allowed(site) == [32, 0])
    }

    @Test func `lowers first, and raises once that is confirmed and the car has followed`() {
        var site = Self.site(32)
        Self.charge(&site, "S1")
        Self.run(&site, 60)
        Self.charge(&site, "S2")
        // S1's answer takes three seconds.
        var orders = site.tick { _ in (3, 0) }
        #expect(orders.map(\.id.station) == ["S1"])
        #expect(orders.map(\.limit) == [Amperes(16)])
        for _ in 0..<3 { #expect(site.tick().isEmpty) }
        #expect(Self.allowed(site) == [16, 0])
        for _ in 0..<11 { #expect(site.tick().isEmpty) }
        orders = site.tick() + site.tick()
        #expect(orders.map(\.id.station) == ["S2"])
        #expect(Self.allowed(site) == [16, 16])
    }

    @Test func `counts one that is silent with the most it may have been told`() {
        var site = Self.site(32)
        Self.charge(&site, "S1")
        Self.run(&site, 60)
        site.stations[OutletID("S1", 1)]?.isOnline = false
        Self.charge(&site, "S2")
        Self.run(&site, 3600)
        #expect(Self.allowed(site) == [32, 0])
        #expect(site.machine.view(at: site.now).outlets[0].standing == .offline)
        site.stations[OutletID("S1", 1)]?.isOnline = true
        Self.run(&site, 120)
        #expect(Self.allowed(site) == [16, 16])
    }

    @Test func `counts one that refuses with all its connector carries`() {
        var site = Self.site(32)
        site.stations[OutletID("S1", 1)]?.refuses = true
        Self.charge(&site, "S1", "S2")
        Self.run(&site, 600)
        #expect(Self.allowed(site) == [32, 0])
        let view = site.machine.view(at: site.now)
        #expect(view.outlets[0].standing == .refused)
        #expect(view.outlets[0].counted == Amperes(32))
        site.stations[OutletID("S1", 1)]?.refuses = false
        Self.run(&site, 900)
        #expect(Self.allowed(site) == [16, 16])
    }

    @Test func `counts one that takes no lower limit any more with all its connector carries`() {
        var site = Self.site(40)
        Self.charge(&site, "S1", "S2")
        Self.run(&site, 60)
        #expect(Self.allowed(site) == [20, 20])
        site.stations[OutletID("S1", 1)]?.refuses = true
        site.limits = [
            GridLimit(
                node: "main", limit: .init(phases: PhaseCurrents(Amperes(38))), source: "DSO",
                from: site.now.time, until: site.now.time.advanced(bySeconds: 3600))
        ]
        Self.run(&site, 30)
        // What a no means for what it holds, nobody knows: 32 A are left out of the 38.
        #expect(site.machine.held(OutletID("S1", 1), site.now) == Amperes(32))
        #expect(site.allowed(site.tree.outlets[1]) == Amperes(6))
    }

    @Test func `believes that a limit with a fallback runs out, once the clock cannot be wrong`() {
        var site = Self.site(32, fallback: Amperes(6))
        Self.charge(&site, "S1")
        Self.run(&site, 60)
        #expect(Self.allowed(site) == [26, 6])
        site.stations[OutletID("S1", 1)]?.isOnline = false
        Self.charge(&site, "S2")
        Self.run(&site, 600)
        #expect(site.machine.held(OutletID("S1", 1), site.now) == Amperes(26))
        // 900 s of the limit, from its last renewal, and 300 s for the clock.
        Self.run(&site, 700)
        #expect(Self.allowed(site) == [6, 26])
    }

    @Test func `renews a limit that runs out while the charge goes on`() {
        var site = Self.site(32, fallback: Amperes(6))
        Self.charge(&site, "S1")
        Self.run(&site, 4000)
        #expect(Self.allowed(site) == [26, 6])
    }

    @Test func `clears a fallback that is taken away, and tells it again when it is given again`() {
        var site = Self.site(32, fallback: Amperes(6))
        Self.charge(&site, "S1")
        Self.run(&site, 60)
        #expect(Self.allowed(site) == [26, 6])
        site.configure { for index in $0.outlets.indices { $0.outlets[index].fallback = nil } }
        #expect(site.told[OutletID("S1", 1)]?.fallback == GridMachine.Slot())
        let orders = site.tick()
        #expect(orders.count == 2 && orders.allSatisfy { $0.takesOver && $0.part == .present })
        Self.run(&site, 60)
        #expect(Self.allowed(site) == [32, 0])
        site.configure {
            for index in $0.outlets.indices { $0.outlets[index].fallback = Amperes(6) }
        }
        #expect(site.tick().map(\.part) == [.fallback, .fallback])
        Self.run(&site, 60)
        #expect(Self.allowed(site) == [26, 6])
        #expect(site.stations[OutletID("S1", 1)]?.base == Amperes(6))
    }

    @Test func `raises nobody while a node is over by what is measured`() {
        var site = Self.site(32)
        Self.charge(&site, "S1", "S2")
        site.stations[OutletID("S1", 1)]?.cap = Amperes(8)
        Self.run(&site, 60)
        #expect(Self.allowed(site) == [8, 24])
        // Both draw more than they may, and the one may now have more.
        site.stations[OutletID("S1", 1)]?.measured = Amperes(16)
        site.stations[OutletID("S2", 1)]?.measured = Amperes(28)
        site.stations[OutletID("S1", 1)]?.cap = nil
        Self.run(&site, 60)
        #expect(Self.allowed(site) == [8, 16])
        site.stations[OutletID("S2", 1)]?.measured = Amperes(16)
        Self.run(&site, 60)
        #expect(Self.allowed(site) == [16, 16])
    }

    @Test func `takes a boot for the loss of all it was told, and tells it again`() {
        var site = Self.site(32)
        Self.charge(&site, "S1", "S2")
        Self.run(&site, 60)
        #expect(Self.allowed(site) == [16, 16])
        site.stations[OutletID("S1", 1)]?.base = nil
        let boot = site.now.time
        site.stations[OutletID("S1", 1)]?.bootedAt = boot
        _ = site.tick()
        #expect(site.machine.held(OutletID("S1", 1), site.now) == Amperes(32))
        Self.run(&site, 30)
        #expect(Self.allowed(site) == [16, 16])
    }

    @Test func `follows a limit from outside, and its end`() {
        var site = Self.site(32)
        Self.charge(&site, "S1", "S2")
        Self.run(&site, 60)
        site.limits = [
            GridLimit(
                node: "main", limit: .init(phases: PhaseCurrents(Amperes(14))), source: "DSO",
                from: site.now.time, until: site.now.time.advanced(bySeconds: 120))
        ]
        Self.run(&site, 2)
        #expect(Self.allowed(site) == [7, 7])
        Self.run(&site, 180)
        #expect(Self.allowed(site) == [16, 16])
    }

    @Test func `keeps a limit in watts over all phases`() {
        // 11.04 kW are 48 A over the phases: one of three phases gets 16 A on each of them.
        var site = Self.site(63, outlets: 1, watts: 11_040)
        Self.charge(&site, "S1")
        Self.run(&site, 60)
        #expect(Self.allowed(site) == [16])
        var single = Self.site(63, outlets: 2, watts: 11_040, wiring: .l1)
        Self.charge(&single, "S1", "S2")
        Self.run(&single, 60)
        #expect(Self.allowed(single) == [24, 24])
    }

    @Test func `counts a limit in watts as if one phase carried all of it`() {
        var site = Self.site(40, unit: .watts)
        Self.charge(&site, "S1")
        Self.run(&site, 60)
        // Alone it may have all that its connector carries on each phase: no phase can see more.
        #expect(Self.allowed(site) == [32, 0])
        Self.charge(&site, "S2")
        Self.run(&site, 60)
        // 20 A for each on the worst phase are 4,554 W: 6.6 A on each of three.
        #expect(site.tree.outlets.map { site.allowed($0).milliamperes } == [6_600, 6_600])
        #expect(
            site.machine.view(at: site.now).nodes[0].counted
                == PhaseCurrents(Amperes(milliamperes: 39_600)))
        // One phase, one meaning.
        var single = Self.site(40, wiring: .l2, unit: .watts)
        Self.charge(&single, "S1", "S2")
        Self.run(&single, 60)
        #expect(Self.allowed(single) == [20, 20])
    }

    @Test func `counts a limit in watts as the power it is where the power is limited`() {
        // 22.08 kW are 96 A over the phases.
        var site = Self.site(200, watts: 22_080, unit: .watts)
        Self.charge(&site, "S1", "S2")
        Self.run(&site, 60)
        #expect(Self.allowed(site) == [16, 16])
    }

    @Test func `takes what one phase draws for the power it is, behind a limit in watts`() {
        var site = Self.site(40, unit: .watts)
        Self.charge(&site, "S1", "S2")
        Self.run(&site, 60)
        let id = OutletID("S1", 1)
        // 19.5 A on one phase of 6.6 A on three: as much as it may.
        site.stations[id]?.phases = [Amperes(milliamperes: 19_500), .zero, .zero]
        Self.run(&site, 5)
        #expect(site.machine.held(id, site.now) == Amperes(milliamperes: 6_600))
        site.stations[id]?.phases = [Amperes(30), .zero, .zero]
        Self.run(&site, 5)
        #expect(site.machine.held(id, site.now) == Amperes(10))
    }

    @Test func `gives what a car does not draw to others, and back once it wants it`() {
        var site = Self.site(32)
        Self.charge(&site, "S1", "S2")
        site.stations[OutletID("S1", 1)]?.measured = Amperes(8)
        site.stations[OutletID("S2", 1)]?.measured = Amperes(16)
        Self.run(&site, 1500)
        #expect(Self.allowed(site) == [13, 19])
        site.stations[OutletID("S1", 1)]?.measured = Amperes(13)
        Self.run(&site, 60)
        #expect(Self.allowed(site) == [16, 16])
    }

    @Test func `lets those take turns for whom there is not the minimum`() {
        var site = Self.site(8)
        Self.charge(&site, "S1", "S2")
        Self.run(&site, 60)
        #expect(Self.allowed(site) == [8, 0])
        Self.run(&site, 900)
        #expect(Self.allowed(site) == [0, 8])
    }

    @Test func `needs no turns where the fuse carries all at once`() {
        var site = Self.site(64)
        Self.run(&site, 30)
        #expect(Self.allowed(site) == [32, 32])
    }

    @Test func `keeps what profiles leave, and gives the rest to others`() {
        var site = Self.site(32)
        Self.charge(&site, "S1", "S2")
        site.stations[OutletID("S1", 1)]?.cap = Amperes(8)
        Self.run(&site, 60)
        #expect(Self.allowed(site) == [8, 24])
    }

    @Test func `remembers over the death of the server what it gave away`() {
        var site = Self.site(32)
        Self.charge(&site, "S1")
        Self.run(&site, 60)
        site.stations[OutletID("S1", 1)]?.isOnline = false
        site.machine = GridMachine(site.tree, zone: .utc, told: site.told)
        Self.charge(&site, "S2")
        Self.run(&site, 120)
        #expect(Self.allowed(site) == [32, 0])
    }
}
