import Charging
import HAL

/// Holds the import register of a charge against what flows to the car.
///
/// `MeterSanity` doubts a register sooner; here it is decided that a charge must not go on. So it is
/// slower, and no meter that counts at all is taken for one that stands still: not one with steps of
/// 1 kWh, nor one that tells its register once a minute.
struct RegisterWatch: Hashable, Sendable {
    /// So many windows in a row end the charge. Ours: one may be a slip.
    static let windowsBeforeEnd = 2
    /// A register may be this much older than the values beside it: meters behind a gateway, and some
    /// with a display, write it once a minute.
    static let registerLags: Int64 = 60_000
    /// A longer silence between two readings does not count: nobody knows what flowed meanwhile.
    static let longestStep: Int64 = MeterSanity.longestStepMilliseconds
    /// What a register must lag behind beyond its own steps. As `MeterSanity`.
    static let slackWattHours: Int64 = 50
    /// So many slacks make a window in which it has counted well enough to begin anew.
    static let slacksOfFullWindow: Int64 = 5
    /// Less current may be reactive, as that of a sleeping charger's filters; the least that is offered
    /// is 6 A.
    static let leastMilliamperes: Int64 = 5_000
    /// Where a meter tells neither power nor voltage.
    static let nominalMillivolts: Int64 = 230_000
    /// No outlet gives more; what a meter says beyond does not make the reckoning overflow.
    static let mostWatts: Int64 = 1_000_000

    /// What a window that stood still saw.
    struct Finding: Hashable, Sendable {
        var grew: WattHours
        var expected: WattHours
    }

    private var register: WattHours?
    private var lastWatts: Int64 = 0
    private var lastAt: Int64 = 0
    private var wattMilliseconds: Int64 = 0
    private var peakWatts: Int64 = 0
    private var standing = 0

    /// Takes the next reading of the charge.
    ///
    /// - Returns: what the last window saw, where it is the last of so many that the charge must end.
    mutating func take(_ snapshot: MeterSnapshot) -> Finding? {
        let watts = Self.watts(of: snapshot)
        let step = snapshot.askedAt - lastAt
        defer { (lastWatts, lastAt) = (watts, snapshot.askedAt) }
        guard let register else {
            self.register = snapshot.register
            return nil
        }
        if (0...Self.longestStep).contains(step) {
            wattMilliseconds += (lastWatts + watts) / 2 * step
            peakWatts = max(peakWatts, lastWatts, watts)
        }
        let seen = Finding(
            grew: snapshot.register - register,
            expected: WattHours(wattMilliseconds / 3_600_000))
        let slack = slack(snapshot)
        let isStanding = min(seen.grew.value, .max / 4) * 2 + slack < seen.expected.value
        let isFull = seen.expected.value >= Self.slacksOfFullWindow * slack
        guard isStanding || isFull else { return nil }
        standing = isStanding ? standing + 1 : 0
        self.register = snapshot.register
        (wattMilliseconds, peakWatts) = (0, 0)
        return standing >= Self.windowsBeforeEnd ? seen : nil
    }

    /// Two steps of the register, and what can flow while it lags.
    private func slack(_ snapshot: MeterSnapshot) -> Int64 {
        let step = min(max(1, snapshot.registerStep.value), Self.mostWatts)
        return 2 * step + Self.slackWattHours + peakWatts * Self.registerLags / 3_600_000
    }

    /// What flows, whichever way the meter was wired. Where the power is more than voltage and current
    /// give, as one in the wrong unit is, these are believed.
    static func watts(of snapshot: MeterSnapshot) -> Int64 {
        var apparent: Int64 = 0
        var surely: Int64 = 0
        let isVoltageKnown = snapshot.voltages.count >= snapshot.currents.count
        for (index, current) in snapshot.currents.enumerated() {
            let most = mostWatts * 1_000
            let milliamperes = min(current.magnitude.milliamperes, most)
            let millivolts =
                isVoltageKnown
                ? min(max(0, snapshot.voltages[index].millivolts), most) : nominalMillivolts
            let watts = min(milliamperes * millivolts / 1_000_000, mostWatts)
            apparent += watts
            if milliamperes >= leastMilliamperes { surely += watts }
        }
        guard let power = snapshot.power else { return min(surely, mostWatts) }
        let told = min(Int64(clamping: power.value.magnitude), mostWatts)
        guard isVoltageKnown, apparent > 0 else { return told }
        return min(max(told, surely), apparent, mostWatts)
    }
}
