import Charging

/// What opens the contactor when the program no longer runs: crash, SIGKILL, SIGSTOP, hang.
package struct DeadMan: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        /// The program kicks a charge pump or monostable that feeds the relay's coil.
        case gpioToggle = "gpio-toggle"
        /// A relay card with timed pulses: armed for a while, renewed well before it ends.
        case modbusPulse = "modbus-pulse"
        /// A safety controller wants a heartbeat, and opens or falls back without it.
        case safetyController = "safety-mcu"
        /// The process itself is the contactor: the simulated board.
        case simulated
        /// Nothing opens it. Needs `acceptNoDeadman: true`, and every start-up says so.
        case none
    }

    package var kind: Kind
    /// From the last renewal to the open contactor, at most.
    package var opensWithinMilliseconds: Int
    /// How often the agent must renew.
    package var renewMilliseconds: Int

    package init(_ kind: Kind, opensWithinMilliseconds: Int, renewMilliseconds: Int) {
        self.kind = kind
        self.opensWithinMilliseconds = opensWithinMilliseconds
        self.renewMilliseconds = renewMilliseconds
    }
}

/// What a board can do and sense: the facts that decide which rules of the gate apply.
package struct BoardCapabilities: Hashable, Sendable {
    package enum Feedback: String, Hashable, Sendable, CaseIterable {
        case none
        /// The contact follows the main contacts.
        case normallyOpen
        /// A mirror contact proper: closed while the main contacts are open. IEC 60947-4-1 Annex F.
        case normallyClosed
        /// The relay card tells its coil, not the contacts: a weld stays unseen.
        case coilOnly
    }

    /// Below this nothing can be offered; IEC 61851-1: 6 A.
    package var minimum: Amperes
    /// The most the wiring carries, per phase.
    package var maximum: Amperes
    package var phases: Int
    package var feedback: Feedback
    /// The feedback must agree within this after a switch, polling included.
    package var feedbackFollowsMilliseconds: Int
    package var hasSocket: Bool
    package var hasLock: Bool
    package var hasProximity: Bool
    package var reportsDiode: Bool
    package var hasVentilation: Bool
    package var hasResidualCurrentDevice: Bool
    package var hasEmergencyStop: Bool
    package var hasDoor: Bool
    package var hasProtectiveEarth: Bool
    package var hasTemperature: Bool
    package var maximumDegrees: Int
    package var canSignalF: Bool

    package init(
        minimum: Amperes = Amperes(6), maximum: Amperes = Amperes(32), phases: Int = 3,
        feedback: Feedback = .normallyClosed, feedbackFollowsMilliseconds: Int = 250,
        hasSocket: Bool = false, hasLock: Bool = false, hasProximity: Bool = false,
        reportsDiode: Bool = false, hasVentilation: Bool = false,
        hasResidualCurrentDevice: Bool = false, hasEmergencyStop: Bool = false,
        hasDoor: Bool = false, hasProtectiveEarth: Bool = false, hasTemperature: Bool = false,
        maximumDegrees: Int = 80, canSignalF: Bool = false
    ) {
        self.minimum = minimum
        self.maximum = maximum
        self.phases = phases
        self.feedback = feedback
        self.feedbackFollowsMilliseconds = feedbackFollowsMilliseconds
        self.hasSocket = hasSocket
        self.hasLock = hasLock
        self.hasProximity = hasProximity
        self.reportsDiode = reportsDiode
        self.hasVentilation = hasVentilation
        self.hasResidualCurrentDevice = hasResidualCurrentDevice
        self.hasEmergencyStop = hasEmergencyStop
        self.hasDoor = hasDoor
        self.hasProtectiveEarth = hasProtectiveEarth
        self.hasTemperature = hasTemperature
        self.maximumDegrees = maximumDegrees
        self.canSignalF = canSignalF
    }
}

/// A kind of board as its file in `hal/profiles/boards` describes it.
///
/// What is the same for every cabinet of the kind stands here; which bus, unit and coil belongs to
/// which EVSE stands in `edge.yaml`.
package struct BoardProfile: Hashable, Sendable {
    /// The contactor's driver.
    package enum ContactorDriver: Hashable, Sendable {
        case simulated
        case modbusRelay(RelayProfile)
        /// Lines of the kernel's GPIO character device.
        case gpio(GPIOContactorProfile)
    }

    package enum PilotDriver: Hashable, Sendable {
        case simulated
        /// EVSE-WB-DIN register map and its kin.
        case modbusEVSE(EVSEControllerProfile)
        /// The processor's own PWM and ADC.
        case pwm(PWMPilotProfile)
        /// A safety controller behind lines.
        case split(SplitPilotProfile)
    }

    /// The file's name without its ending; what `board:` in `edge.yaml` says.
    package var name: String
    package var title: String
    package var deadMan: DeadMan
    package var capabilities: BoardCapabilities
    package var contactor: ContactorDriver
    package var pilot: PilotDriver
    package var gpio: GPIOProfile?
    package var proximity: ADCProximityProfile?
    package var temperature: TemperatureProfile?
    /// A monitor on Modbus; one on a line is `gpio.lines.protectiveEarth`.
    package var protectiveEarth: ModbusInputProfile?

    package init(
        name: String, title: String, deadMan: DeadMan, capabilities: BoardCapabilities,
        contactor: ContactorDriver, pilot: PilotDriver, gpio: GPIOProfile? = nil,
        proximity: ADCProximityProfile? = nil, temperature: TemperatureProfile? = nil,
        protectiveEarth: ModbusInputProfile? = nil
    ) {
        self.name = name
        self.title = title
        self.deadMan = deadMan
        self.capabilities = capabilities
        self.contactor = contactor
        self.pilot = pilot
        self.gpio = gpio
        self.proximity = proximity
        self.temperature = temperature
        self.protectiveEarth = protectiveEarth
    }
}

/// A relay card on Modbus: how a coil is switched, armed and read back.
package struct RelayProfile: Hashable, Sendable {
    /// Where the card tells what the contacts do, counted from the coil's number.
    package enum Feedback: Hashable, Sendable {
        case none
        /// The coil itself, read back (function 1).
        case coil
        /// A digital input (function 2) at the coil's number plus this offset.
        case input(offset: Int)
    }

    /// Timed pulses ("flash on", Waveshare V2): the coil's address plus this, the value in tenths of
    /// a second; nil for a card without.
    package var pulseAddressOffset: Int?
    package var pulseMilliseconds: Int
    package var feedback: Feedback
    /// Silence wanted between two frames to this card.
    package var gapMilliseconds: Int
    package var timeoutMilliseconds: Int

    package init(
        pulseAddressOffset: Int? = 0x0200, pulseMilliseconds: Int = 1000,
        feedback: Feedback = .coil, gapMilliseconds: Int = 5, timeoutMilliseconds: Int = 200
    ) {
        self.pulseAddressOffset = pulseAddressOffset
        self.pulseMilliseconds = pulseMilliseconds
        self.feedback = feedback
        self.gapMilliseconds = gapMilliseconds
        self.timeoutMilliseconds = timeoutMilliseconds
    }
}
