import Charging
import HAL
import TestSupport
import Testing

@testable import Station

/// A car and the meter before it; what the meter tells is set by the test.
private struct Outlet {
    var step: Int64 = 1
    /// How often the register is written anew.
    var updates: Int64 = 1
    var isFrozen = false
    var tells: Tells = .everything
    /// −1: wired the other way round.
    var direction: Int64 = 1
    var watts: Int64 = 0
    var wattSeconds: Int64 = 0
    var shown: Int64 = 5_000
    var second: Int64 = 0

    enum Tells: CaseIterable { case everything, power, currents }

    mutating func pass(_ seconds: Int64) -> MeterSnapshot {
        for _ in 0..<seconds {
            second += 1
            wattSeconds += watts
            if second % updates == 0, !isFrozen { shown = 5_000 + wattSeconds / 3600 / step * step }
        }
        var snapshot = MeterSnapshot(
            register: WattHours(shown), askedAt: second * 1000,
            at: BenchBoard.start.advanced(bySeconds: second))
        snapshot.registerStep = WattHours(step)
        if tells != .currents { snapshot.power = Watts(direction * watts) }
        if tells != .power {
            // Nine tenths of it active, which is less than any charger's.
            snapshot.currents = [Amperes(milliamperes: direction * watts * 10_000 / 9 / 230)]
        }
        if tells == .everything { snapshot.voltages = [Volts(millivolts: 230_000)] }
        return snapshot
    }
}

@Suite struct `The watch on a charge's register` {
    @Test(arguments: 0..<60)
    func `takes no meter that counts for one that stands still`(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        var outlet = Outlet()
        outlet.step = [1, 10, 100, 1_000].randomElement(using: &random) ?? 1
        outlet.updates = .random(in: 1...60, using: &random)
        outlet.tells = Outlet.Tells.allCases.randomElement(using: &random) ?? .power
        var watch = RegisterWatch()
        var holdsUntil: Int64 = 0
        for second in stride(from: Int64(2), through: 3_600, by: 2) {
            if second >= holdsUntil {
                outlet.watts =
                    [0, 5, 1_380, 3_680, 7_360, 22_000].randomElement(using: &random) ?? 0
                holdsUntil = second + .random(in: 2...300, using: &random)
            }
            #expect(watch.take(outlet.pass(2)) == nil, "after \(second) s, \(outlet)")
        }
    }

    @Test(arguments: [Int64(1_380), 3_680, 7_130, 22_000], [Int64(1), 100, 1_000])
    func `finds one that stands still, whatever it tells and whichever way it is wired`(
        watts: Int64, step: Int64
    ) {
        for tells in Outlet.Tells.allCases {
            for direction in [Int64(1), -1] {
                var outlet = Outlet(
                    step: step, isFrozen: true, tells: tells, direction: direction, watts: watts)
                var watch = RegisterWatch()
                var found: RegisterWatch.Finding?
                var seconds: Int64 = 0
                // Two windows of its steps, the lag and the slack, and some more.
                let most = 2 * (2 * step + 60) * 3_600 / watts + 2 * 80
                while found == nil, seconds <= most {
                    seconds += 1
                    found = watch.take(outlet.pass(1))
                }
                #expect(found?.grew == .zero, "\(outlet)")
                #expect(seconds > 120, "the lag of twice a minute is by right")
            }
        }
    }

    @Test func `begins anew after a window in which the register counted`() {
        var outlet = Outlet(watts: 7_130)
        var watch = RegisterWatch()
        for _ in 0..<3 {
            outlet.isFrozen = true
            // One window stands still, and nearly all of a second one.
            for _ in 0..<150 { #expect(watch.take(outlet.pass(1)) == nil) }
            outlet.isFrozen = false
            for _ in 0..<900 { #expect(watch.take(outlet.pass(1)) == nil) }
        }
    }

    @Test func `reckons with the worst that a meter may say`() {
        var watch = RegisterWatch()
        for (index, value) in [Int64.min, .max, .min, .max, 0, .max].enumerated() {
            var snapshot = MeterSnapshot(
                register: WattHours(value), currents: [Amperes(milliamperes: value)],
                voltages: [Volts(millivolts: .max)], power: Watts(value),
                askedAt: Int64(index) * 1_000, at: BenchBoard.start)
            snapshot.registerStep = WattHours(value)
            #expect(watch.take(snapshot) == nil)
        }
    }

    @Test func `believes the current beside a power in the wrong unit, and no reactive current`() {
        func watts(_ power: Int64?, _ milliamperes: Int64) -> Int64 {
            RegisterWatch.watts(
                of: MeterSnapshot(
                    register: .zero, currents: [Amperes(milliamperes: milliamperes)],
                    voltages: [Volts(millivolts: 230_000)], power: power.map { Watts($0) },
                    askedAt: 0, at: BenchBoard.start))
        }
        #expect(watts(7_360_000, 32_000) == 7_360)
        #expect(watts(7, 32_000) == 7_360)
        #expect(watts(5, 1_000) == 5)
        #expect(watts(nil, 1_000) == 0)
        #expect(watts(-7_360, -32_000) == 7_360)
    }
}

@Suite struct `A charge whose meter is doubted` {
    private func concerns(_ bench: BenchBoard) -> [ConnectorMachine.MeterConcern] {
        bench.effects.compactMap {
            if case .report(.meterDoubted(let concern, _)) = $0 { concern } else { nil }
        }
    }

    @Test func `ends where the register does not count, and bills what it did`() {
        var bench = BenchBoard.charging()
        bench.milliamperes = 31_000
        for _ in 0..<200 {
            bench.register += 2
            bench.pass(1_000)
        }
        // The window in which it counted is to be filled first.
        bench.pass(230_000)
        #expect(bench.stops.isEmpty)
        bench.pass(200_000)
        #expect(bench.machine.faults == [.meterAbsurd])
        #expect(!bench.isRelayClosed)
        #expect(bench.stops.map(\.register) == [WattHours(10_400)])
        #expect(bench.stops.map(\.reason) == [.other])
        #expect(bench.stops.first?.isLastGood == true)
        #expect(bench.machine.status(at: bench.now).errorCode == "PowerMeterFailure")
        #expect(concerns(bench) == [.standsStill])
    }

    @Test func `ends where the meter is wired the other way round and counts nothing`() {
        var bench = BenchBoard.charging()
        bench.milliamperes = -31_000
        bench.watts = -7_130
        bench.pass(5_000)
        #expect(concerns(bench) == [.feedsBack])
        guard case .suspect(let why)? = bench.machine.meter?.quality else {
            Issue.record("not doubted")
            return
        }
        #expect(why.contains("-7130 W"))
        bench.pass(200_000)
        #expect(bench.machine.faults == [.meterAbsurd])
        #expect(concerns(bench) == [.feedsBack, .standsStill])
    }

    @Test func `goes on where a wrongly wired meter counts, and where little comes back`() {
        for (watts, expected) in [
            (Int64(-7_130), [ConnectorMachine.MeterConcern.feedsBack]), (-200, []),
        ] {
            var bench = BenchBoard.charging()
            bench.milliamperes = watts * 1000 / 230
            bench.watts = watts
            for _ in 0..<200 {
                bench.register += 2
                bench.pass(1_000)
            }
            #expect(bench.stops.isEmpty)
            #expect(concerns(bench) == expected)
        }
    }

    @Test func `says once what the driver doubts of the register`() {
        var bench = BenchBoard.charging()
        bench.registerDoubt = "grew by 0 Wh"
        bench.pass(10_000)
        #expect(concerns(bench) == [.register])
        #expect(bench.stops.isEmpty)
    }
}
