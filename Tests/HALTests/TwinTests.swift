import Charging
import HAL
import TestSupport
import Testing

@Suite struct `A simulated contactor` {
    @Test func `falls when nobody renews its closing`() async throws {
        let clock = ManualClock()
        let contactor = SimulatedContactor(clock: clock)
        contactor.set(closed: true)
        clock.advance(milliseconds: 900)
        #expect(try await contactor.state().value == .closed)
        contactor.set(closed: true)
        clock.advance(milliseconds: 999)
        #expect(contactor.isClosed)
        clock.advance(milliseconds: 1)
        #expect(try await contactor.state().value == .open)
        #expect(contactor.closings == 1)
    }

    @Test func `shows a weld in its mirror`() async throws {
        let contactor = SimulatedContactor(clock: ManualClock())
        contactor.suffer(.welded)
        #expect(try await contactor.state().value == .closed)
        #expect(!contactor.isClosed)
    }
}

@Suite struct `A simulated meter` {
    @Test func `fails as it is told and never shows a zero instead`() async throws {
        let meter = SimulatedMeter(energy: WattHours(5))
        meter.fail(.noAnswer)
        await #expect(throws: MeterError.noAnswer) { try await meter.readings() }
        meter.fail(nil)
        #expect(try await meter.readings().energy == WattHours(5))
    }
}

@Suite struct `The guard of an import register` {
    @Test func `takes a register that stands or rises as fast as the wires carry`() throws {
        var energy = EnergyGuard(maximumWatts: 22_000)
        try energy.check(WattHours(1000), askedAt: 0)
        try energy.check(WattHours(1000), askedAt: 1000)
        try energy.check(WattHours(1000 + 22_000 + 250), askedAt: 3_601_000)
    }

    @Test func `refuses one that falls, and goes on refusing it`() throws {
        var energy = EnergyGuard(maximumWatts: 22_000)
        try energy.check(WattHours(1000), askedAt: 0)
        for at in [1000, 2000] {
            #expect(throws: MeterError.ranBackwards(was: WattHours(1000), now: WattHours(999))) {
                try energy.check(WattHours(999), askedAt: Int64(at))
            }
        }
        try energy.check(WattHours(1001), askedAt: 3000)
    }

    @Test func `refuses a leap, so that another meter's answer is not billed`() throws {
        var energy = EnergyGuard(maximumWatts: 22_000)
        try energy.check(WattHours(1000), askedAt: 0)
        #expect(throws: MeterError.self) {
            try energy.check(WattHours(1_000_000), askedAt: 1000)
        }
        try energy.check(WattHours(1001), askedAt: 2000)
    }
}
