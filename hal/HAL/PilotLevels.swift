import Charging

/// What the voltages of the control pilot mean: a pure reading of both half-waves.
///
/// The car loads the positive half-wave through a resistor and a diode; the negative one stays at
/// −12 V as long as there is a diode. IEC 61851-1 Annex A, Table A.4.
package struct PilotLevels: Hashable, Sendable {
    /// The last state that was told; what lies between two states stays with it.
    package private(set) var state: PilotState?

    package init() {}

    /// At nominal duty a negative peak above this has no diode behind it.
    package static let diodeReachesMillivolts = -10_000
    /// Below this, positive and negative half-wave together are those of a load without diode.
    package static let symmetryMillivolts = 1_200
    /// Only a positive half-wave above this can tell anything about a diode.
    package static let shortMillivolts = 2_000

    /// The state and the diode behind one pair of peaks.
    ///
    /// - `positive`, `negative`: millivolts of the two half-waves' peaks; a negative one that has
    ///   not settled after a change of the signal is nil.
    /// - `signal`: what the board puts on the line; only a square wave has two half-waves.
    package mutating func read(
        positive: Int, negative: Int?, signal: PilotSignal
    ) -> (state: PilotState, diode: DiodeCheck) {
        let last = state
        var found = Self.state(positive, after: last)
        // A peak detector shows about 0 V for E and for F; the negative side tells them apart.
        if found == .e, let negative {
            switch negative {
            case -13_000 ... -11_000: found = .f
            case -10_999 ... -10_000: found = last == .f ? .f : .e
            default: break
            }
        }
        state = found
        guard case .pwm = signal, let negative else { return (found, .unknown) }
        return (found, Self.diode(positive: positive, negative: negative, state: found))
    }

    /// The state of a positive peak; F also for a level that no state has.
    static func state(_ positive: Int, after last: PilotState?) -> PilotState {
        switch positive {
        case 11_000...13_000: .a
        // Between two states the last one stands, so that noise does not switch.
        case 10_001..<11_000: last == .a ? .a : .b
        case 8_000...10_000: .b
        case 7_001..<8_000: last == .a || last == .b ? .b : .c
        case 5_000...7_000: .c
        case 4_001..<5_000: last == .a || last == .b || last == .c ? .c : .d
        case 2_000...4_000: .d
        case -1_000..<2_000: .e
        case -2_000 ..< -1_000: last == nil || last == .f ? .f : .e
        default: .f
        }
    }

    private static func diode(
        positive: Int, negative: Int, state: PilotState
    ) -> DiodeCheck {
        switch state {
        case .a, .e, .f: return .unknown
        case .b, .c, .d: break
        }
        guard positive > shortMillivolts else { return .unknown }
        if abs(positive + negative) <= symmetryMillivolts || negative > diodeReachesMillivolts {
            return .failed
        }
        // Lower than any supply of the pilot: the measurement itself is wrong.
        return negative < -13_000 ? .unknown : .passed
    }
}

/// Believes a reading only when it comes twice in a row. IEC 61851-1 Annex A asks for no more than
/// 100 ms from C to the open contactor, so two samples have to be close together.
package struct PilotFilter: Hashable, Sendable {
    private var levels = PilotLevels()
    private var candidate: PilotState?
    private var diodeCandidate = DiodeCheck.unknown
    package private(set) var state: PilotState?
    package private(set) var diode = DiodeCheck.unknown

    package init() {}

    /// Takes one pair of peaks in millivolts; nil for a negative one that has not settled yet.
    package mutating func take(positive: Int, negative: Int?, signal: PilotSignal) {
        let (found, check) = levels.read(positive: positive, negative: negative, signal: signal)
        if found == candidate { state = found }
        candidate = found
        if negative == nil || check == diodeCandidate { diode = check }
        diodeCandidate = check
        // What was known of the diode belongs to the car that has left.
        if state == .a { diode = .unknown }
    }
}

/// The duty of the square wave and the current it offers. IEC 61851-1 Annex A, Table A.7.
package enum PilotDuty {
    /// 1 kHz.
    package static let periodNanoseconds = 1_000_000

    /// How long the line is high in each period for a current per phase, rounded down to the
    /// nanosecond so that no more is offered than may be drawn.
    ///
    /// - Returns: nil below 6 A, which no duty can say: the pilot pauses with X1 then.
    package static func highNanoseconds(_ current: Amperes) -> Int? {
        let milliamperes = Int(min(max(0, current.milliamperes), 80_000))
        switch milliamperes {
        case ..<6_000: return nil
        // 10 % to 85 %: 0.6 A for each percent.
        case ..<51_000: return milliamperes * 100 / 6
        // No code exists between 51 A and 52.5 A.
        case ..<52_500: return 850_000
        // 85 % to 96 %: 2.5 A for each percent above 64 %.
        default: return milliamperes * 4 + 640_000
        }
    }

    /// What the car reads from a duty; nil where it must not draw.
    package static func current(highNanoseconds: Int) -> Amperes? {
        let milliamperes: Int
        switch highNanoseconds {
        case 80_000..<100_000: milliamperes = 6_000
        case 100_000...850_000: milliamperes = highNanoseconds * 6 / 100
        case 850_001...960_000: milliamperes = (highNanoseconds - 640_000) / 4
        case 960_001...970_000: milliamperes = 80_000
        default: return nil
        }
        return Amperes(milliamperes: Int64(milliamperes))
    }
}

/// What the resistor of a cable's proximity pin says. IEC 61851-1 Annex B.
package enum CableRating: Hashable, Sendable {
    case none
    case rated(Amperes)
    /// No cable has this: a short, or water.
    case impossible

    /// Above this no plug is in the socket.
    package static let openOhms = 4_000
    /// Below this the pin is shorted; the smallest resistor is 100 Ω.
    package static let shortOhms = 50

    package init(ohms: Int) {
        switch ohms {
        case ..<Self.shortOhms: self = .impossible
        // 100 Ω. A three-phase cable carries 63 A by it; a single-phase one would carry 70.
        case ..<150: self = .rated(Amperes(63))
        case ..<330: self = .rated(Amperes(32))
        case ..<1_000: self = .rated(Amperes(20))
        case ..<Self.openOhms: self = .rated(Amperes(13))
        default: self = .none
        }
    }

    /// The resistor below a divider: `pullUpOhms` to a reference, the pin measured in millivolts.
    ///
    /// - Returns: nil when the pin is not below the reference, which is an open pin.
    package static func ohms(
        millivolts: Int, referenceMillivolts: Int, pullUpOhms: Int
    ) -> Int? {
        guard millivolts < referenceMillivolts else { return nil }
        return max(0, millivolts) * pullUpOhms / (referenceMillivolts - max(0, millivolts))
    }
}
