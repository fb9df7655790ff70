import Charging
import HAL

/// One good reading of the connector's meter. A failed one has no snapshot, only an error.
package struct MeterSnapshot: Hashable, Sendable {
    /// The lifetime import register.
    package var register: WattHours
    /// Its smallest step.
    package var registerStep = WattHours(1)
    /// What the driver doubts of the register; nil while it counts as it should.
    package var registerDoubt: String?
    /// Per phase, as many as the meter has.
    package var currents: [Amperes]
    package var voltages: [Volts]
    package var power: Watts?
    /// What the driver thinks of it; nothing that is impossible comes this far.
    package var quality: Quality
    /// Monotonic time at which the reading was *asked for*: it cannot be older than that.
    package var askedAt: Int64
    package var at: Timestamp

    package init(
        register: WattHours, currents: [Amperes] = [], voltages: [Volts] = [], power: Watts? = nil,
        quality: Quality = .good, askedAt: Int64, at: Timestamp
    ) {
        self.register = register
        self.currents = currents
        self.voltages = voltages
        self.power = power
        self.quality = quality
        self.askedAt = askedAt
        self.at = at
    }
}
