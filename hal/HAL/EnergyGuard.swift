import Charging

/// Watches one import register: it never falls, and it never runs faster than the wires carry.
///
/// The last line of defence against a swapped answer: one of another register, of another meter, or
/// of a moment long gone.
package struct EnergyGuard: Hashable, Sendable {
    /// More than any connector can carry; together with `slack` it bounds a step.
    package let maximumWatts: Int64
    /// Registers of 100 Wh resolution, and readings that are not quite as old as they say.
    package static let slackWattHours: Int64 = 250

    private var last: (energy: WattHours, askedAt: Int64)? {
        get { lastEnergy.map { ($0, lastAskedAt) } }
        set {
            lastEnergy = newValue?.energy
            lastAskedAt = newValue?.askedAt ?? 0
        }
    }
    private var lastEnergy: WattHours?
    private var lastAskedAt: Int64 = 0

    package init(maximumWatts: Int64) { self.maximumWatts = maximumWatts }

    /// Takes the next reading in, or says why it cannot be.
    package mutating func check(_ energy: WattHours, askedAt: Int64) throws(MeterError) {
        if let last {
            guard energy >= last.energy else { throw .ranBackwards(was: last.energy, now: energy) }
            let elapsed = max(0, askedAt - last.askedAt)
            let most = maximumWatts * elapsed / 3_600_000 + Self.slackWattHours
            guard (energy - last.energy).value <= most else {
                throw .implausible(
                    .energyImport,
                    found: "\(energy) after \(last.energy) \(elapsed) ms before")
            }
        }
        last = (energy, askedAt)
    }
}
