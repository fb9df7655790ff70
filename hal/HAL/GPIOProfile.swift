import Service

/// What a GPIO line is for. The raw value is the key in a board's file and in `edge.yaml`.
package enum LineRole: String, Hashable, Sendable, CaseIterable, Comparable {
    /// Energises the contactor's relay; on a split board: allows the safety controller to.
    case contactor
    /// Toggled while the contactor may stay closed; a circuit or a safety controller opens without.
    case kick
    /// The contactor's feedback contact.
    case mirror
    case residualCurrentTrip
    /// The trip of a 6 mA d.c. sensor that has a line of its own.
    case directCurrentTrip
    /// Makes `directCurrentTrip` active where there is one, else `residualCurrentTrip`.
    case residualCurrentTest
    case emergencyStop
    case door
    /// Active while the protective earth is lost.
    case protectiveEarth
    /// Drives the bolt out; without an `unlock` line it holds a solenoid.
    case lock
    case unlock
    /// The bolt's feedback.
    case locked
    case lightRed
    case lightGreen
    case lightBlue
    case buzzer
    /// A safety controller's word: a car is connected (B, C or D).
    case pilotConnected
    /// A safety controller's word: the car is ready (C).
    case pilotReady
    /// A safety controller's word: pilot out of range, diode missing, or its own trouble.
    case pilotFault
    /// The code of the current that the safety controller is to offer, lowest bit first.
    case offer0
    case offer1
    case offer2

    package var isOutput: Bool {
        switch self {
        case .contactor, .kick, .residualCurrentTest, .lock, .unlock, .lightRed, .lightGreen,
            .lightBlue, .buzzer, .offer0, .offer1, .offer2:
            true
        case .mirror, .residualCurrentTrip, .directCurrentTrip, .emergencyStop, .door,
            .protectiveEarth, .locked, .pilotConnected, .pilotReady, .pilotFault:
            false
        }
    }

    /// An input that opens contactors at its very edge, before anybody decides anything.
    package var opensAtEdge: Bool {
        switch self {
        case .residualCurrentTrip, .directCurrentTrip, .emergencyStop, .door, .protectiveEarth,
            .pilotFault:
            true
        default: false
        }
    }

    /// Inputs that several outlets may share.
    package var isShareable: Bool {
        switch self {
        case .residualCurrentTrip, .directCurrentTrip, .emergencyStop, .door, .protectiveEarth:
            true
        default: false
        }
    }

    /// Lights and the buzzer: an outlet may do without, and nothing is less safe.
    package var isForShow: Bool {
        switch self {
        case .lightRed, .lightGreen, .lightBlue, .buzzer: true
        default: false
        }
    }

    package static let offers: [LineRole] = [.offer0, .offer1, .offer2]

    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// One line as the board's file describes it.
package struct LineProfile: Hashable, Sendable {
    package enum Bias: String, Hashable, Sendable, CaseIterable {
        case asIs, none, pullUp, pullDown
    }
    package enum Drive: String, Hashable, Sendable, CaseIterable {
        case pushPull, openDrain, openSource
    }

    /// The kernel's name of the line; `{n}` stands for the connector's number.
    package var name: String
    package var isActiveLow: Bool
    package var bias: Bias
    package var drive: Drive
    /// Kernel debounce of an input. Delays its edge by as much.
    package var debounceMicroseconds: Int

    package init(
        name: String, isActiveLow: Bool = false, bias: Bias = .asIs, drive: Drive = .pushPull,
        debounceMicroseconds: Int = 0
    ) {
        self.name = name
        self.isActiveLow = isActiveLow
        self.bias = bias
        self.drive = drive
        self.debounceMicroseconds = debounceMicroseconds
    }

    package func name(connector: Int) -> String {
        name.replacing(text: "{n}", with: String(connector))
    }
}

/// The lines of a board and the times of what hangs on them.
package struct GPIOProfile: Hashable, Sendable {
    /// The label of the chip; nil looks on all chips, whose names must then differ.
    package var chip: String?
    package var lines: [LineRole: LineProfile]
    package var residualCurrentTest: ResidualCurrentTest
    package var lockPulseMilliseconds: Int

    /// The self-test of an RCD's sensor. A board whose sensor's data sheet says otherwise gives its own.
    ///
    /// - Source: the test of the WARP charger's 6 mA sensor (Tinkerforge evse-v2-bricklet,
    ///   `dc_fault.c`) goes in steps of 250, 740, 660 and 400 ms.
    package struct ResidualCurrentTest: Hashable, Sendable {
        /// How long the test line is held.
        package var pulseMilliseconds: Int
        /// By then the trip line must be active.
        package var tripsWithinMilliseconds: Int
        /// By then, counted from the end of the pulse, it must be inactive again.
        package var recoversWithinMilliseconds: Int

        /// `dc_fault.c`: 250 ms, and a poll of 50 ms.
        package static let usualPulse = 300
        /// `dc_fault.c`: 740 ms.
        package static let usualTrip = 740
        /// `dc_fault.c`: 660 ms, and most of a poll.
        package static let usualRecovery = 700

        package init(
            pulseMilliseconds: Int = usualPulse, tripsWithinMilliseconds: Int = usualTrip,
            recoversWithinMilliseconds: Int = usualRecovery
        ) {
            self.pulseMilliseconds = pulseMilliseconds
            self.tripsWithinMilliseconds = tripsWithinMilliseconds
            self.recoversWithinMilliseconds = recoversWithinMilliseconds
        }
    }

    package init(
        chip: String? = nil, lines: [LineRole: LineProfile],
        residualCurrentTest: ResidualCurrentTest = ResidualCurrentTest(),
        lockPulseMilliseconds: Int = 600
    ) {
        self.chip = chip
        self.lines = lines
        self.residualCurrentTest = residualCurrentTest
        self.lockPulseMilliseconds = lockPulseMilliseconds
    }
}

/// A contactor behind a GPIO line, and how its dead-man is kept alive.
package struct GPIOContactorProfile: Hashable, Sendable {
    /// Half a period of the kicked line.
    package var kickMilliseconds: Int
    /// How long the circuit or the safety controller holds the contactor without a kick.
    package var kickHoldMilliseconds: Int

    package init(kickMilliseconds: Int = 50, kickHoldMilliseconds: Int = 200) {
        self.kickMilliseconds = kickMilliseconds
        self.kickHoldMilliseconds = kickHoldMilliseconds
    }
}

/// An analogue input behind `iio`: `millivolts = raw × microvoltsPerCount / 1000 + offsetMillivolts`.
package struct ADCScale: Hashable, Sendable {
    package var microvoltsPerCount: Int
    package var offsetMillivolts: Int

    package init(microvoltsPerCount: Int, offsetMillivolts: Int = 0) {
        self.microvoltsPerCount = microvoltsPerCount
        self.offsetMillivolts = offsetMillivolts
    }

    package func millivolts(raw: Int) -> Int {
        let (product, overflow) = raw.multipliedReportingOverflow(by: microvoltsPerCount)
        // A count no ADC can give is as far off as a level can be.
        guard !overflow else { return raw < 0 ? -1_000_000 : 1_000_000 }
        return product / 1000 + offsetMillivolts
    }
}

/// The pilot made by the processor's own PWM and read through its ADC.
package struct PWMPilotProfile: Hashable, Sendable {
    /// Part of the device's path in sysfs, `fe20c000.pwm`; numbers of pwmchips move between boots.
    package var pwmDevice: String
    /// Of connector 1; the next ones follow.
    package var pwmChannel: Int
    /// True where the output stage turns the wave round.
    package var isInverted: Bool
    /// The ADC's name in its `name` file.
    package var adcDevice: String
    /// Of connector 1's two peaks; those of connector n are `(n − 1) × adcStep` further.
    package var positiveChannel: Int
    package var negativeChannel: Int
    package var adcStep: Int
    package var positive: ADCScale
    package var negative: ADCScale

    package init(
        pwmDevice: String, pwmChannel: Int = 0, isInverted: Bool = false, adcDevice: String,
        positiveChannel: Int = 0, negativeChannel: Int = 1, adcStep: Int = 2, positive: ADCScale,
        negative: ADCScale
    ) {
        self.pwmDevice = pwmDevice
        self.pwmChannel = pwmChannel
        self.isInverted = isInverted
        self.adcDevice = adcDevice
        self.positiveChannel = positiveChannel
        self.negativeChannel = negativeChannel
        self.adcStep = adcStep
        self.positive = positive
        self.negative = negative
    }
}

/// The pilot made by a safety controller; state and offer are lines.
package struct SplitPilotProfile: Hashable, Sendable {
    /// The current of each code on the offer lines, ascending; code 0 is X1, code 1 the first.
    package var offers: [Int]

    package init(offers: [Int]) { self.offers = offers }
}

/// The proximity resistor below a divider, behind `iio`.
package struct ADCProximityProfile: Hashable, Sendable {
    package var adcDevice: String
    /// Of connector 1; those of connector n are `(n − 1) × adcStep` further.
    package var channel: Int
    package var adcStep: Int
    package var scale: ADCScale
    package var referenceMillivolts: Int
    package var pullUpOhms: Int

    package init(
        adcDevice: String, channel: Int, adcStep: Int = 1, scale: ADCScale,
        referenceMillivolts: Int, pullUpOhms: Int
    ) {
        self.adcDevice = adcDevice
        self.channel = channel
        self.adcStep = adcStep
        self.scale = scale
        self.referenceMillivolts = referenceMillivolts
        self.pullUpOhms = pullUpOhms
    }
}
