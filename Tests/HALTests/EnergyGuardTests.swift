import Charging
import HAL
import Testing

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
