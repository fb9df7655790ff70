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

    /// Where the register begins anew, in watt-hours; nil where it never does in a meter's life.
    package let rollsOverAt: WattHours?

    /// Counted on over every end of the register.
    private var lastEnergy: WattHours?
    private var lastAskedAt: Int64 = 0
    /// What was lost at the register's ends so far.
    private var passed: WattHours = .zero

    package init(maximumWatts: Int64, rollsOverAt: WattHours? = nil) {
        self.maximumWatts = maximumWatts
        self.rollsOverAt = rollsOverAt
    }

    /// Takes the next reading in, or says why it cannot be.
    ///
    /// - Returns: the register, counted on over its end if it passed one.
    @discardableResult
    package mutating func check(
        _ raw: WattHours, askedAt: Int64
    ) throws(MeterError) -> (energy: WattHours, hasRolledOver: Bool) {
        guard let last = lastEnergy else {
            (lastEnergy, lastAskedAt) = (raw, askedAt)
            return (raw, false)
        }
        let elapsed = max(0, askedAt - lastAskedAt)
        let most = maximumWatts * elapsed / 3_600_000 + Self.slackWattHours
        var energy = raw + passed
        // An end that was passed explains a fall only if the way there and on fits the wires.
        if energy < last, let end = rollsOverAt, (energy + end - last).value <= most {
            passed = passed + end
            energy = energy + end
        }
        guard energy >= last else {
            throw Self.isThousandfold(energy, last)
                ? .unitJumped(was: last, now: energy) : .ranBackwards(was: last, now: energy)
        }
        guard (energy - last).value <= most else {
            if Self.isThousandfold(last, energy) { throw .unitJumped(was: last, now: energy) }
            throw .implausible(
                .energyImport, found: "\(energy) after \(last) \(elapsed) ms before")
        }
        (lastEnergy, lastAskedAt) = (energy, askedAt)
        return (energy, passed > .zero)
    }

    /// Whether `large` is a thousand `small`, within a per cent.
    private static func isThousandfold(_ small: WattHours, _ large: WattHours) -> Bool {
        guard small.value >= 10, small.value < Int64.max / 1010 else { return false }
        return (990 * small.value...1010 * small.value).contains(large.value)
    }
}
