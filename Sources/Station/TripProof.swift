import HAL
import JSON

/// Holds a person's word that a residual current device tripped against what the board sees.
///
/// A word is no proof: who pressed the button of another outlet's device, or of one that does not trip,
/// says yes as well. Pure, part of `CommissioningMachine`.
struct TripProof: Hashable, Sendable {
    enum Finding: Hashable, Sendable {
        /// Nothing speaks for it yet; a contradiction may only be late. With what speaks against it.
        case wait(String)
        case against(String)
        /// With what was seen; `isTold` where an input of the board heard it, which latches a fault.
        case seen(String, isTold: Bool)
    }

    /// A reading of after the person's word: several polls of a meter.
    static let flowsMilliseconds: Int64 = 3_000
    /// A meter that lost its supply is known to be silent by then, and its outlet's contactor open.
    static let patienceMilliseconds: Int64 = 20_000

    /// - Parameters:
    ///   - own: the outlet as the status shows it.
    ///   - waited: since the person's word.
    func see(_ own: JSONValue, after waited: Int64) -> Finding {
        let mirror = own["mirror"]?.string
        let isClosed =
            mirror.map { $0 != MirrorState.open.rawValue } ?? (own["contactor"]?.string != "open")
        let isOver = waited >= Self.patienceMilliseconds
        func lacks(_ what: String) -> Finding { isOver ? .against(what) : .wait(what) }

        let meter = own["meter"] ?? .null
        let age = meter["ageMilliseconds"]?.int64 ?? .max
        let isFresh = meter["error"] == nil && age < waited
        let isSilent = meter["error"] != nil || age >= Self.patienceMilliseconds
        let power = isFresh ? meter["powerW"]?.int64 : nil
        let stray = CommissioningMachine.mostStrayWatts
        if let power, !(-stray...stray).contains(power) {
            let what = "its meter reads \(power) W"
            return waited >= Self.flowsMilliseconds ? .against(what) : .wait(what)
        }
        if own["pilot"]?.string == "A" {
            return lacks("the vehicle is gone, so nothing was tripped")
        }
        if hears(own) {
            guard !isClosed else {
                return lacks("its contactor is still closed, though its input heard the trip")
            }
            return .seen("its input heard it, its contactor opened", isTold: true)
        }
        // A charge that ended for another reason opens the contactor and takes the power away as well; one
        // that lost its meter or its voltages ends by just that.
        guard own["charge"] != nil || isHindered(own, by: [.meterLost, .phaseLost, .underVoltage])
        else {
            return lacks("its charge has ended, and no input heard a trip")
        }
        if let power { return .seen("its meter reads \(power) W", isTold: false) }
        guard !isClosed else { return lacks("its meter says nothing and its contactor is closed") }
        if isFresh { return .seen("its contactor opened", isTold: false) }
        // One that is merely slow may still read what flows.
        return isSilent
            ? .seen("its meter fell silent, its contactor opened", isTold: false)
            : .wait("its meter has not been read since")
    }

    /// Now, or since: a trip stays latched.
    private func hears(_ own: JSONValue) -> Bool {
        let state = own["residualCurrent"]?.string.flatMap(ResidualCurrentState.init(rawValue:))
        return state?.isTripped ?? false
            || isHindered(own, by: [.residualCurrent, .directCurrent])
    }

    private func isHindered(_ own: JSONValue, by faults: [Fault]) -> Bool {
        let texts = faults.map(\.text)
        return (own["hindrances"]?.array ?? []).compactMap(\.string).contains(
            where: texts.contains)
    }
}
