import Charging
import Simulation
import Testing

@testable import Simulation

private let second: Int64 = 1_000_000_000

/// An EVSE with a car that is ready and a contactor that is closed, 32 A offered.
private func charging(
    _ model: SimulatedCar.Model = .init(), phases: Int = 3, startWattHours: Int64 = 1000
) -> SimulatedEVSE {
    var evse = SimulatedEVSE(name: "1", phases: phases, startWattHours: startWattHours, at: 0)
    evse.plugIn(model)
    evse.offer(milliamperes: 32_000)
    evse.advance(to: second)
    evse.energise(forNanoseconds: nil)
    evse.advance(to: 3 * second)
    return evse
}

@Suite struct `A simulated car` {
    @Test func `goes from B to C once it is offered current, and back when it is not`() {
        var evse = SimulatedEVSE(name: "1", phases: 3, startWattHours: 0, at: 0)
        #expect(evse.pilot == .a)
        evse.plugIn(.init())
        evse.advance(to: 10 * second)
        #expect(evse.pilot == .b)
        evse.offer(milliamperes: 16_000)
        evse.advance(to: 10 * second + second / 5)
        #expect(evse.pilot == .b)
        evse.advance(to: 11 * second)
        #expect(evse.pilot == .c)
        evse.offer(milliamperes: 0)
        evse.advance(to: 12 * second)
        #expect(evse.pilot == .b)
        evse.unplug()
        #expect(evse.pilot == .a)
    }

    @Test func `draws nothing while the contactor is open`() {
        var evse = SimulatedEVSE(name: "1", phases: 3, startWattHours: 5, at: 0)
        evse.plugIn(.init())
        evse.offer(milliamperes: 32_000)
        evse.advance(to: 60 * second)
        #expect(evse.milliwatts == 0)
        #expect(evse.registerWattHours == 5)
    }

    @Test func `draws what it is offered and no more`() {
        var evse = charging()
        #expect(evse.milliamperes == 32_000)
        #expect(evse.milliwatts == 3 * 230_000 * 32)
        evse.offer(milliamperes: 13_000)
        evse.advance(to: 4 * second)
        #expect(evse.milliamperes == 13_000)
        evse.offer(milliamperes: 5900)
        evse.advance(to: 5 * second)
        #expect(evse.milliamperes == 0)
    }

    @Test func `stops drawing within its reaction time when the square wave goes`() {
        var evse = charging()
        evse.offer(milliamperes: 0)
        evse.advance(to: 3 * second + 290_000_000)
        #expect(evse.milliamperes == 32_000)
        evse.advance(to: 3 * second + 320_000_000)
        #expect(evse.milliamperes == 0)
    }

    @Test func `follows its curve by what it has taken and is full at its end`() {
        let curve = ChargingCurve([
            .init(untilWattHours: 20, milliamperes: 32_000),
            .init(untilWattHours: 30, milliamperes: 10_000),
        ])
        var evse = charging(.init(curve: curve))
        #expect(evse.milliamperes == 32_000)
        evse.advance(to: 8 * second)
        #expect(evse.milliamperes == 10_000)
        evse.advance(to: 60 * second)
        #expect(evse.milliamperes == 0)
        #expect(evse.pilot == .b)
        #expect(evse.wattHoursOfCar == 30)
    }

    @Test func `with one phase takes a third on a three-phase outlet`() {
        let evse = charging(.init(phases: 1))
        #expect(evse.milliwatts == 230_000 * 32)
    }
}

@Suite struct `A simulated meter's register` {
    @Test func `moves by the car's own integral to the watt-hour`() {
        var evse = charging()
        for step in 4...60 {
            evse.advance(to: Int64(step) * second + 123_456)
            #expect(evse.registerWattHours - 1000 == evse.wattHoursOfCar)
        }
        // 22.08 kW for 57 s and a ramp before.
        #expect((350...370).contains(evse.wattHoursOfCar))
    }

    @Test func `does not depend on how often it is looked at`() {
        var (often, seldom) = (charging(), charging())
        for step in 1...3000 { often.advance(to: 3 * second + Int64(step) * 10_000_000) }
        seldom.advance(to: 33 * second)
        #expect(abs(often.meter.microWattHours - seldom.meter.microWattHours) < 10)
    }

    @Test func `keeps its fraction for the next car, and the sums still agree`() {
        var evse = charging()
        evse.advance(to: 4 * second + 777)
        evse.unplug()
        let first = evse.registerWattHours
        #expect(evse.lastCar?.wattHours == first - 1000)
        evse.plugIn(.init())
        evse.offer(milliamperes: 0)
        evse.offer(milliamperes: 32_000)
        evse.advance(to: 30 * second)
        #expect(evse.registerWattHours - first == evse.wattHoursOfCar)
        #expect(evse.wattHoursOfCar > 100)
    }

    @Test func `stands still when it is frozen while the car goes on`() {
        var evse = charging()
        evse.freeze(true)
        let before = evse.registerWattHours
        evse.advance(to: 20 * second)
        #expect(evse.registerWattHours == before)
        #expect(evse.wattHoursOfCar > before - 1000)
    }

    @Test(arguments: [Int64(0), 1, 999, 1000, 123_456, 654_321, 999_999, 7_999_999])
    func `in float32 is the same watt-hour again when it is rounded down`(wattHours: Int64) {
        let float = Float(bitPattern: EastronMeter.kilowattHours(wattHours))
        #expect(Int64((Double(float) * 1000).rounded(.down)) == wattHours)
        #expect(abs(Double(float) * 1000 - Double(wattHours)) < 1)
    }

    @Test func `in float32 is exact for a hundred thousand neighbours`() {
        for wattHours in Int64(900_000)..<1_000_000 {
            let float = Float(bitPattern: EastronMeter.kilowattHours(wattHours))
            guard Int64((Double(float) * 1000).rounded(.down)) == wattHours else {
                Issue.record("\(wattHours)")
                return
            }
        }
    }
}

@Suite struct `A simulated contactor on its card` {
    @Test func `falls at the end of its pulse, to the nanosecond`() {
        var evse = SimulatedEVSE(name: "1", phases: 3, startWattHours: 0, at: 0)
        evse.plugIn(.init())
        evse.energise(forNanoseconds: second)
        evse.advance(to: 10 * second)
        #expect(evse.contactor.closedAt == 15_000_000)
        #expect(evse.contactor.openedAt == second + 15_000_000)
        #expect(evse.contactor.closings == 1)
        #expect(evse.contactor.hotOpenings == 0)
    }

    @Test func `counts an opening under current`() {
        var evse = charging()
        evse.energise(forNanoseconds: 0)
        evse.advance(to: 4 * second)
        #expect(evse.contactor.hotOpenings == 1)
        #expect(evse.milliamperes == 0)
        #expect(evse.contactor.openedAt == 3 * second + 15_000_000)
    }

    @Test func `welded stays closed, stuck stays open`() {
        var evse = charging()
        evse.contactor.isWelded = true
        evse.energise(forNanoseconds: 0)
        evse.advance(to: 5 * second)
        #expect(evse.contactor.isClosed)
        #expect(evse.milliamperes > 0)
        var other = SimulatedEVSE(name: "2", phases: 3, startWattHours: 0, at: 0)
        other.contactor.isStuck = true
        other.energise(forNanoseconds: nil)
        other.advance(to: second)
        #expect(!other.contactor.isClosed)
    }
}
