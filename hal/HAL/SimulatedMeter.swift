import Charging
import Service

/// A meter without hardware: tells what it is told to tell.
package final class SimulatedMeter: EnergyMeter {
    package let name: String
    private let clock: any ServiceClock
    private let told: Lock<Told>

    private struct Told: Sendable {
        var energy: WattHours
        var currents: [Amperes] = []
        var voltages: [Volts] = []
        var power: Watts?
        var failure: MeterError?
        var doubts: [MeterQuantity: MeterDoubt] = [:]
    }

    package init(
        name: String = "simulated meter", energy: WattHours = .zero,
        clock: any ServiceClock = .system
    ) {
        self.name = name
        self.clock = clock
        told = Lock(Told(energy: energy))
    }

    /// What the next readings show.
    package func show(
        energy: WattHours, currents: [Amperes] = [], voltages: [Volts] = [], power: Watts? = nil,
        doubts: [MeterQuantity: MeterDoubt] = [:]
    ) {
        told.withLock {
            $0 = Told(
                energy: energy, currents: currents, voltages: voltages, power: power,
                failure: $0.failure, doubts: doubts)
        }
    }

    /// From now on every reading fails like this; nil makes the meter well again.
    package func fail(_ failure: MeterError?) { told.withLock { $0.failure = failure } }

    package func readings() async throws(MeterError) -> MeterReadings {
        let told = told.withLock { $0 }
        if let failure = told.failure { throw failure }
        return MeterReadings(
            energy: told.energy, voltages: told.voltages, currents: told.currents,
            power: told.power, doubts: told.doubts, source: name,
            askedAt: clock.monotonicMilliseconds, at: clock.now)
    }

    package func identity() async throws(MeterError) -> MeterIdentity {
        if let failure = told.withLock({ $0.failure }) { throw failure }
        return MeterIdentity(model: "simulated", serial: name)
    }
}
