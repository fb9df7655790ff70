import Charging

/// How much a car takes by how much it has taken: steps over its own integral.
package struct ChargingCurve: Hashable, Sendable {
    package struct Step: Hashable, Sendable {
        /// The step holds until the car has taken this much; nil: for ever.
        package var untilWattHours: Int64?
        /// Per phase.
        package var milliamperes: Int64

        package init(untilWattHours: Int64?, milliamperes: Int64) {
            self.untilWattHours = untilWattHours
            self.milliamperes = milliamperes
        }
    }

    package var steps: [Step]

    package init(_ steps: [Step]) { self.steps = steps }

    /// One current until the battery is full.
    package static func flat(milliamperes: Int64, untilWattHours: Int64? = nil) -> ChargingCurve {
        ChargingCurve([Step(untilWattHours: untilWattHours, milliamperes: milliamperes)])
    }

    /// What the car would take now; 0 once every step is behind it.
    func milliamperes(at microWattHours: Int64) -> Int64 {
        steps.first { step in
            guard let until = step.untilWattHours else { return true }
            return microWattHours < until * 1_000_000
        }?.milliamperes ?? 0
    }
}

/// Power over time, exact: milliwatts times nanoseconds, carried into whole micro-watt-hours.
package struct EnergyIntegral: Hashable, Sendable {
    package private(set) var microWattHours: Int64
    private var rest: Int64 = 0

    /// One µWh is 3.6 mW·s.
    private static let milliwattNanosecondsPerMicroWattHour: Int64 = 3_600_000_000

    package init(microWattHours: Int64 = 0) { self.microWattHours = microWattHours }

    /// - `nanoseconds` is at most a second a call, so that nothing overflows below 9 MW.
    mutating func add(milliwatts: Int64, nanoseconds: Int64) {
        let sum = milliwatts * nanoseconds + rest
        microWattHours += sum / Self.milliwattNanosecondsPerMicroWattHour
        rest = sum % Self.milliwattNanosecondsPerMicroWattHour
    }
}

/// A car at a connector: how it loads the pilot and what it draws.
package struct SimulatedCar: Hashable, Sendable {
    /// What the car is like; times in milliseconds.
    package struct Model: Hashable, Sendable {
        package var phases: Int
        package var curve: ChargingCurve
        /// How long the car looks at a square wave before it closes S2 (B → C).
        package var readyAfterMilliseconds: Int64
        /// How long the car takes to notice that the offer changed. IEC 61851-1 allows 5 s.
        package var followsAfterMilliseconds: Int64
        /// How fast the current rises.
        package var risesMilliamperesPerSecond: Int64
        /// The diode is shorted: the pilot reads as a fault.
        package var hasBrokenDiode: Bool
        /// The car asks for ventilation: D instead of C.
        package var needsVentilation: Bool

        package init(
            phases: Int = 3, curve: ChargingCurve = .flat(milliamperes: 32_000),
            readyAfterMilliseconds: Int64 = 300, followsAfterMilliseconds: Int64 = 300,
            risesMilliamperesPerSecond: Int64 = 20_000, hasBrokenDiode: Bool = false,
            needsVentilation: Bool = false
        ) {
            self.phases = phases
            self.curve = curve
            self.readyAfterMilliseconds = readyAfterMilliseconds
            self.followsAfterMilliseconds = followsAfterMilliseconds
            self.risesMilliamperesPerSecond = risesMilliamperesPerSecond
            self.hasBrokenDiode = hasBrokenDiode
            self.needsVentilation = needsVentilation
        }
    }

    package var model: Model
    /// The car's own count since it was plugged in, kept apart from every meter's.
    package private(set) var taken = EnergyIntegral()
    /// Per phase.
    package private(set) var milliamperes: Int64 = 0
    private(set) var isReady = false
    private var offerSince: (milliamperes: Int64, at: Int64) {
        get { (offer, offerAt) }
        set { (offer, offerAt) = (newValue.milliamperes, newValue.at) }
    }
    private var offer: Int64 = 0
    private var offerAt: Int64 = 0
    /// The offer the car goes by.
    private var obeyed: Int64 = 0

    static let leastMilliamperes: Int64 = 6000

    package init(_ model: Model, at nanoseconds: Int64) {
        self.model = model
        offerAt = nanoseconds
    }

    /// The pilot as the controller sees it.
    package var pilot: PilotLetter {
        if model.hasBrokenDiode { return .e }
        guard isReady else { return .b }
        return model.needsVentilation ? .d : .c
    }

    package enum PilotLetter: String, Hashable, Sendable { case a, b, c, d, e }

    /// What the car wants to take by its battery alone.
    var wanted: Int64 { model.curve.milliamperes(at: taken.microWattHours) }

    /// One step of the car: looks at the offer, follows it, draws.
    ///
    /// - Parameter phases: how many it draws on.
    /// - Returns: the current that flows during the step, per phase.
    mutating func step(
        offered: Int64, isPowered: Bool, millivolts: Int64, phases: Int, at now: Int64,
        nanoseconds: Int64
    ) -> Int64 {
        if offered != offer { offerSince = (offered, now) }
        let waited = (now - offerAt) / 1_000_000
        if waited >= model.followsAfterMilliseconds { obeyed = offer }
        let isOffered = obeyed >= Self.leastMilliamperes
        if isOffered, wanted > 0 {
            if waited >= model.readyAfterMilliseconds { isReady = true }
        } else if milliamperes == 0 {
            // S2 opens only once no current flows.
            isReady = false
        }
        let allowed = isReady && isOffered ? min(obeyed, wanted) : 0
        if !isPowered || allowed < Self.leastMilliamperes {
            milliamperes = 0
        } else {
            let rise = model.risesMilliamperesPerSecond * (nanoseconds / 1000) / 1_000_000
            let from = max(milliamperes, Self.leastMilliamperes)
            milliamperes = min(allowed, from + rise)
        }
        // mV · mA = µW
        let milliwatts = millivolts * milliamperes * Int64(phases) / 1000
        taken.add(milliwatts: milliwatts, nanoseconds: nanoseconds)
        return milliamperes
    }
}
