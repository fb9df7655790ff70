import Charging
import TestSupport
import Testing

@testable import Station

@Suite struct `A load balancer` {
    private static func load(
        _ connector: Int, _ wiring: PhaseWiring = .rst, wanted: Int64 = 32, isActive: Bool = true,
        priority: Int = 0
    ) -> LoadBalancer.Load {
        .init(
            id: .init(connector: connector),
            share: .init(
                wiring: wiring, circuit: 0, minimum: Amperes(6), wanted: Amperes(wanted),
                priority: priority), isActive: isActive, mayDraw: isActive)
    }

    private static func circuit(_ amperes: Int64) -> [CurrentSharing.Circuit] {
        [.init(id: 0, capacity: .init(Amperes(amperes)))]
    }

    private func whole(_ limits: [LoadBalancer.ID: Amperes]) -> [Int64] {
        limits.sorted { $0.key < $1.key }.map { $0.value.milliamperes / 1000 }
    }

    @Test func `gives nobody what another may still draw`() {
        var balancer = LoadBalancer()
        let fuse = Self.circuit(32)
        #expect(whole(balancer.step([Self.load(1)], fuse, at: 0)) == [32])
        let both = [Self.load(1), Self.load(2)]
        #expect(whole(balancer.step(both, fuse, at: 1_000)) == [16, 0])
        #expect(whole(balancer.step(both, fuse, at: 11_900)) == [16, 0])
        #expect(whole(balancer.step(both, fuse, at: 12_000)) == [16, 16])
    }

    @Test func `lowers at once and raises slowly`() {
        var balancer = LoadBalancer()
        let one = [Self.load(1)]
        #expect(whole(balancer.step(one, Self.circuit(20), at: 0)) == [20])
        #expect(whole(balancer.step(one, Self.circuit(10), at: 1_000)) == [10])
        #expect(whole(balancer.step(one, Self.circuit(20), at: 30_900)) == [10])
        #expect(whole(balancer.step(one, Self.circuit(20), at: 31_000)) == [20])
        #expect(whole(balancer.step(one, Self.circuit(5), at: 32_000)) == [0])
        #expect(whole(balancer.step(one, Self.circuit(20), at: 61_900)) == [0])
        #expect(whole(balancer.step(one, Self.circuit(20), at: 62_000)) == [20])
    }

    @Test func `lets a charge come back at once from its own profile`() {
        var balancer = LoadBalancer()
        _ = balancer.step([Self.load(1)], Self.circuit(20), at: 0)
        _ = balancer.step([Self.load(1, wanted: 0)], Self.circuit(20), at: 40_000)
        #expect(whole(balancer.step([Self.load(1)], Self.circuit(20), at: 41_000)) == [20])
    }

    @Test func `gives what a car does not use to another that does`() {
        var balancer = LoadBalancer()
        func loads(_ drawn: Int64) -> [LoadBalancer.Load] {
            var loads = [Self.load(1), Self.load(2)]
            loads[0].measured = Amperes(drawn)
            loads[1].measured = Amperes(16)
            return loads
        }
        for second in 0..<300 {
            _ = balancer.step(loads(8), Self.circuit(32), at: Int64(second) * 1000)
        }
        #expect(balancer.limit(of: .init(connector: 1)) == Amperes(13))
        #expect(balancer.limit(of: .init(connector: 2)) == Amperes(19))
        for second in 300..<400 {
            _ = balancer.step(loads(13), Self.circuit(32), at: Int64(second) * 1000)
        }
        #expect(balancer.limit(of: .init(connector: 1)) == Amperes(16))
    }

    @Test func `takes turns where there is not enough for all, and starves nobody`() {
        var timings = LoadBalancer.Timings()
        timings.turn = 60_000
        var balancer = LoadBalancer(timings: timings)
        let loads = (1...5).map { Self.load($0, priority: $0 == 1 ? 9 : 0) }
        var served: [LoadBalancer.ID: Int] = [:]
        for second in 0..<3_600 {
            let limits = balancer.step(loads, Self.circuit(13), at: Int64(second) * 1000)
            for (id, limit) in limits where limit > .zero { served[id, default: 0] += 1 }
        }
        #expect(served.count == 5)
        #expect(served.values.allSatisfy { $0 > 3_600 / 5 })
    }

    @Test func `puts a later car with priority before those that wait`() {
        var balancer = LoadBalancer()
        let fuse = Self.circuit(10)
        let early = [Self.load(1), Self.load(2), Self.load(3)]
        _ = balancer.step(early, fuse, at: 0)
        var all = early + [Self.load(4, priority: 5)]
        all[0].isActive = false
        all[0].mayDraw = false
        let limits = balancer.step(all, fuse, at: 1_000)
        #expect(whole(limits) == [0, 0, 0, 10])
    }

    @Test func `counts a silent board with what it was given, then with its safe share`() {
        var balancer = LoadBalancer()
        var remote = Self.load(2)
        remote.id.board = 1
        remote.safe = Amperes(8)
        let fuse = Self.circuit(32)
        _ = balancer.step([remote], fuse, at: 0)
        remote.isSilent = true
        #expect(
            balancer.step([Self.load(1), remote], fuse, at: 1_000)[.init(connector: 1)] == .zero)
        let later = balancer.step([Self.load(1), remote], fuse, at: 17_000)
        #expect(later[.init(connector: 1)] == Amperes(24))
    }

    @Test(arguments: 1...12 as ClosedRange<UInt64>, [false, true])
    func `never exceeds a phase of the fuse for longer than its reaction time`(
        seed: UInt64, hangs: Bool
    ) {
        var site = RandomSite(seed: seed, hangs: hangs)
        while site.now < 900_000 { site.step() }
        #expect(site.longestOver <= LoadBalancer.reactionMilliseconds, "seed \(seed)")
        #expect(site.wattHoursLike > 0)
        #expect((site.hungFor > 0) == hangs)
    }
}

/// A site with a house and cars that do what the standard lets them, as late as it lets them.
private struct RandomSite {
    struct Outlet {
        var load: LoadBalancer.Load
        var wish: Int64 = 0
        var signal: Int64 = 0
        var signalAt: Int64 = 0
        /// What the car may follow until it notices the present signal.
        var before: Int64 = 0
        var follows: Int64 = 0
        var drawn: Int64 = 0
        var isPlugged = false
        /// What the connector itself makes of its limit, and of silence.
        var machine: ConnectorMachine
        var toldAt: Int64 = -1_000
        var told: Amperes?
    }

    var random: SeededGenerator
    var balancer = LoadBalancer()
    var siteLoad = SiteLoad()
    var outlets: [Outlet] = []
    let fuse: Int64
    let safe: Int64
    var house = PhaseCurrents.zero
    var metered = PhaseCurrents.zero
    var silentUntil: Int64 = -1
    var localLimit: Int64
    /// The balancer's loop stands still until then, now and then.
    let hangs: Bool
    var hangsFrom: Int64 = -1
    var hangsUntil: Int64 = -1
    var hungFor: Int64 = 0
    var now: Int64 = 0
    var overSince: [Int64?] = [nil, nil, nil]
    var longestOver: Int64 = 0
    var wattHoursLike: Int64 = 0

    init(seed: UInt64, hangs: Bool) {
        self.hangs = hangs
        random = SeededGenerator(seed: seed)
        fuse = .random(in: 20_000...80_000, using: &random)
        safe = .random(in: 0...fuse / 2, using: &random)
        localLimit = fuse
        for connector in 1...Int.random(in: 2...8, using: &random) {
            let share = CurrentSharing.Load(
                wiring: PhaseWiring.allCases.randomElement(using: &random)!, circuit: 1,
                minimum: Amperes(6), wanted: Amperes(32),
                priority: .random(in: 0...1, using: &random))
            outlets.append(
                Outlet(
                    load: .init(
                        id: .init(connector: connector), share: share, isActive: false,
                        mayDraw: false),
                    machine: ConnectorMachine(
                        number: connector, board: .bench(),
                        at: Instant(milliseconds: 0, wall: BenchBoard.start))))
        }
        let settings = SmartChargingSettings(
            outlets: outlets.map {
                .init(
                    connector: $0.load.id.connector, wiring: $0.load.share.wiring,
                    maximum: Amperes(32))
            }, fuse: Amperes(milliamperes: fuse), safe: Amperes(milliamperes: safe))
        for index in outlets.indices {
            let share = settings.safeShare(of: settings.outlets[index], isShared: true)
            give(.safeShare(share), to: &outlets[index])
        }
    }

    private func give(_ input: ConnectorMachine.Input, to outlet: inout Outlet) {
        _ = outlet.machine.handle(
            input, at: Instant(milliseconds: now, wall: BenchBoard.start))
    }

    private var isHanging: Bool { (hangsFrom..<hangsUntil).contains(now) }

    mutating func step() {
        now += 250
        happen()
        if now % 1_000 == 0, now > silentUntil, !isHanging {
            // The outlets' meters were read up to a second before the site's.
            siteLoad.take(site: house + drawn, outlets: metered, askedAt: now)
        }
        if now % 1_000 == 500 { metered = drawn }
        if isHanging {
            hungFor += 250
        } else {
            let limits = balancer.step(outlets.map(\.load), circuits, at: now)
            for index in outlets.indices { tell(index, limits[outlets[index].load.id] ?? .zero) }
        }
        for index in outlets.indices { drive(index) }
        check()
    }

    private var drawn: PhaseCurrents {
        outlets.reduce(.zero) { sum, outlet in
            let wiring = outlet.load.share.wiring
            return sum
                + wiring.onSupply(
                    wiring.phases.map { _ in Amperes(milliamperes: outlet.drawn) })
        }
    }

    private var circuits: [CurrentSharing.Circuit] {
        var capacity = PhaseCurrents(Amperes(milliamperes: safe))
        if let others = siteLoad.others(at: now) {
            capacity = (PhaseCurrents(Amperes(milliamperes: fuse)) - others).atLeastZero
        }
        return [
            .init(id: 0, capacity: capacity),
            .init(id: 1, parent: 0, capacity: .init(Amperes(milliamperes: localLimit))),
        ]
    }

    private mutating func happen() {
        func chance(_ perMinute: Int) -> Bool {
            Int.random(in: 0..<240, using: &random) < perMinute
        }
        if chance(2) {
            // While the meter is silent the house keeps to what the safe share leaves it.
            // The same while nobody reads it.
            let isBlind = now <= silentUntil || now <= hangsUntil
            let most = isBlind ? fuse - safe : fuse * 11 / 10
            house = PhaseCurrents(
                .random(in: 0...most, using: &random), .random(in: 0...most, using: &random),
                .random(in: 0...most, using: &random))
        }
        if chance(1), Bool.random(using: &random), now > silentUntil + 60_000 {
            silentUntil = now + .random(in: 2_000...90_000, using: &random)
            house = house.least(PhaseCurrents(Amperes(milliamperes: fuse - safe)))
        }
        if chance(1), now > hangsUntil { localLimit = .random(in: 0...fuse, using: &random) }
        if hangs, chance(1), now > hangsUntil + 60_000 {
            hangsFrom = now + 250
            hangsUntil = hangsFrom + .random(in: 2_000...90_000, using: &random)
            house = house.least(PhaseCurrents(Amperes(milliamperes: fuse - safe)))
        }
        for index in outlets.indices where chance(1) {
            if outlets[index].isPlugged {
                outlets[index].isPlugged = Bool.random(using: &random)
            } else {
                outlets[index].isPlugged = true
                outlets[index].wish = .random(in: 6_000...40_000, using: &random)
            }
        }
    }

    /// Each change at once, and the same once a second.
    private mutating func tell(_ index: Int, _ limit: Amperes) {
        guard limit != outlets[index].told || now - outlets[index].toldAt >= 1_000 else { return }
        outlets[index].told = limit
        outlets[index].toldAt = now
        if hangs { give(.limit(.site, limit), to: &outlets[index]) }
    }

    /// What pilot and car make of a limit, as late as they may.
    private mutating func drive(_ index: Int) {
        // Told a moment ago, a tick changes nothing about a limit.
        if hangs, now - outlets[index].toldAt > ConnectorTimings.siteLimitIsLost {
            give(.tick, to: &outlets[index])
        }
        var outlet = outlets[index]
        guard outlet.isPlugged else {
            var idle = Outlet(load: outlet.load, machine: outlet.machine)
            (idle.told, idle.toldAt) = (outlet.told, outlet.toldAt)
            outlets[index] = idle
            outlets[index].load.isActive = false
            outlets[index].load.mayDraw = false
            outlets[index].load.measured = .zero
            return
        }
        let limit = (hangs ? outlet.machine.available : outlet.told ?? .zero).milliamperes
        if limit != outlet.signal,
            limit == 0 || outlet.signal == 0 || now - outlet.signalAt >= 5_000
        {
            outlet.before = max(outlet.drawn, now < outlet.follows ? outlet.before : outlet.signal)
            outlet.signal = limit
            outlet.signalAt = now
            outlet.follows = now + .random(in: 0...5_000, using: &random)
        }
        let most = now < outlet.follows ? max(outlet.before, 0) : outlet.signal
        outlet.drawn = most >= 6_000 ? min(most, outlet.wish) : 0
        outlet.load.isActive = true
        outlet.load.mayDraw = outlet.signal > 0 || outlet.drawn > 0
        outlet.load.measured = Amperes(milliamperes: outlet.drawn)
        outlets[index] = outlet
        wattHoursLike += outlet.drawn
    }

    private mutating func check() {
        let own = drawn
        let bounds = min(fuse, localLimit)
        for phase in 0..<3 {
            let isOver =
                own[phase] > 0 && own[phase] + house[phase] > fuse || own[phase] > bounds
            if isOver {
                let since = overSince[phase] ?? now
                overSince[phase] = since
                longestOver = max(longestOver, now - since)
            } else {
                overSince[phase] = nil
            }
        }
    }
}
