import Charging
import HAL

/// A site's meter that answers the same for ever, as one behind a gateway does that hangs.
///
/// Nothing is said about a house in which nothing moves: only what our own outlets draw is known to
/// have changed, and the meter above them must have seen it.
struct MeterStandstill: Hashable, Sendable {
    /// Every value the same for this long, while the outlets moved, is a meter that stands still. Ours:
    /// ten readings; the meters behind the outlets are read as often.
    static let lasts: Int64 = 10_000
    /// Less may be a meter's error, or another consumer that moved against it.
    static let leastMilliamperes: Int64 = 2_000

    private struct Values: Hashable {
        var currents: [Amperes]
        var voltages: [Volts]
        var power: Watts?
        var powers: [Watts]
    }

    private var last: Values?
    private var since: Int64 = 0
    private var outletsThen = PhaseCurrents.zero

    /// Takes one reading, and what the outlets drew on the supply's phases meanwhile.
    ///
    /// - Returns: for how many milliseconds the meter has stood still; nil while it can be believed.
    mutating func take(_ readings: MeterReadings, outlets: PhaseCurrents) -> Int64? {
        let values = Values(
            currents: readings.currents, voltages: readings.voltages, power: readings.power,
            powers: readings.powers)
        guard values == last else {
            last = values
            since = readings.askedAt
            outletsThen = outlets
            return nil
        }
        let stood = readings.askedAt - since
        let moved = (0..<3).contains {
            abs(outlets[$0] - outletsThen[$0]) >= Self.leastMilliamperes
        }
        return stood >= Self.lasts && moved ? stood : nil
    }
}
