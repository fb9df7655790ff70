import Charging
import HAL

extension ConnectorMachine {
    /// What the meter's voltages say of the supply, over time.
    struct Supply: Hashable {
        /// Since when each fault's condition is met without a break.
        var badSince: [Fault: Int64] = [:]
        /// Since when each standing fault's condition is over.
        var goodSince: [Fault: Int64] = [:]
        var standing: Set<Fault> = []

        static let faults: [Fault] = [.overVoltage, .phaseLost, .underVoltage]
    }

    /// Judges the phase voltages of a new reading.
    ///
    /// A meter may sit behind the contactor and read nothing while that is open, so that a missing or
    /// low voltage counts only under a closed one. Such a fault ends when the voltages are seen to be
    /// good, or with the next unplugging.
    mutating func checkSupply(_ snapshot: MeterSnapshot) {
        let volts = snapshot.voltages.prefix(board.phases).map(\.millivolts)
        guard let lowest = volts.min(), let highest = volts.max() else {
            supply.badSince = [:]
            return
        }
        let isFed =
            contactor.isClosed && contactor.isConfirmed
            && snapshot.askedAt - contactor.commandedAt >= ConnectorTimings.supplySettles
        for fault in Supply.faults {
            let isSeen = fault == .overVoltage || isFed
            judge(
                fault, isBad: isSeen && isBroken(fault, lowest, highest),
                isGood: isMended(fault, lowest, highest), askedAt: snapshot.askedAt)
        }
    }

    private func isBroken(_ fault: Fault, _ lowest: Int64, _ highest: Int64) -> Bool {
        if fault == .overVoltage { return highest > volts(ConnectorBounds.overVoltagePercent) }
        let missing = volts(ConnectorBounds.phaseMissingPercent)
        let isLost =
            lowest < missing && highest >= missing
            || highest - lowest > volts(ConnectorBounds.unbalancePercent)
        return fault == .phaseLost
            ? isLost : !isLost && lowest < volts(ConnectorBounds.underVoltagePercent)
    }

    private func isMended(_ fault: Fault, _ lowest: Int64, _ highest: Int64) -> Bool {
        let good = ConnectorBounds.goodVoltagePercent
        let isLowEnough = highest <= volts(good.upperBound)
        return fault == .overVoltage
            ? isLowEnough : isLowEnough && lowest >= volts(good.lowerBound)
    }

    private func volts(_ percent: Int64) -> Int64 { rules.nominalMillivolts * percent / 100 }

    private mutating func judge(_ fault: Fault, isBad: Bool, isGood: Bool, askedAt: Int64) {
        let bad = isBad ? supply.badSince[fault] ?? askedAt : nil
        let good = isGood ? supply.goodSince[fault] ?? askedAt : nil
        supply.badSince[fault] = bad
        supply.goodSince[fault] = good
        if let bad, askedAt - bad >= ConnectorTimings.supplyLasts {
            supply.standing.insert(fault)
        } else if let good, askedAt - good >= ConnectorTimings.supplyRecovers {
            supply.standing.remove(fault)
        }
    }

    /// Unplugged, nothing can be seen of the supply any more where the meter sits behind the relay.
    mutating func forgetSupply() {
        supply.standing.formIntersection([.overVoltage])
        supply.badSince = supply.badSince.filter { $0.key == .overVoltage }
    }
}
