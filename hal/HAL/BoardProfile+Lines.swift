import Service

extension GPIOProfile {
    init(_ section: ConfigSection) {
        let file = section.section("lines")
        var lines: [LineRole: LineProfile] = [:]
        for role in LineRole.allCases {
            guard let line = file.sectionOrNil(role.rawValue) else { continue }
            lines[role] = LineProfile(line, isOutput: role.isOutput)
        }
        let test = section.section("residualCurrentTest")
        let usual = ResidualCurrentTest()
        self.init(
            chip: section.textOrNil("chip"), lines: lines,
            residualCurrentTest: ResidualCurrentTest(
                pulseMilliseconds: test.int(
                    "pulseMilliseconds", default: usual.pulseMilliseconds, in: 1...2_000),
                tripsWithinMilliseconds: test.int(
                    "tripsWithinMilliseconds", default: usual.tripsWithinMilliseconds,
                    in: 1...5_000),
                recoversWithinMilliseconds: test.int(
                    "recoversWithinMilliseconds", default: usual.recoversWithinMilliseconds,
                    in: 1...10_000)),
            lockPulseMilliseconds: section.int(
                "lockPulseMilliseconds", default: 600, in: 50...5_000))
    }
}

extension LineProfile {
    fileprivate init(_ section: ConfigSection, isOutput: Bool) {
        self.init(
            name: section.text("name"),
            isActiveLow: section.bool("activeLow", default: false),
            bias: section.choice("bias", default: Bias.asIs),
            drive: isOutput ? section.choice("drive", default: Drive.pushPull) : .pushPull,
            debounceMicroseconds: isOutput
                ? 0
                : section.int("debounceMilliseconds", default: 0, in: 0...1_000) * 1_000)
    }
}

extension GPIOContactorProfile {
    init(_ section: ConfigSection) {
        let usual = GPIOContactorProfile()
        self.init(
            kickMilliseconds: section.int(
                "kickMilliseconds", default: usual.kickMilliseconds, in: 5...1_000),
            kickHoldMilliseconds: section.int(
                "kickHoldMilliseconds", default: usual.kickHoldMilliseconds, in: 10...2_000))
        if kickMilliseconds * 2 > kickHoldMilliseconds {
            section.problem(
                "kickMilliseconds",
                "one late kick would open the contactor; kick at least twice within `kickHoldMilliseconds`"
            )
        }
    }
}

extension ADCScale {
    fileprivate init(_ section: ConfigSection) {
        self.init(
            microvoltsPerCount: section.int(
                "microvoltsPerCount", in: -10_000_000...10_000_000),
            offsetMillivolts: section.int("offsetMillivolts", default: 0, in: -50_000...50_000))
        if microvoltsPerCount == 0 {
            section.problem(
                "microvoltsPerCount", "0 would show the same voltage whatever the car does")
        }
    }
}

extension PWMPilotProfile {
    init(_ section: ConfigSection) {
        self.init(
            pwmDevice: section.text("pwmDevice"),
            pwmChannel: section.int("pwmChannel", default: 0, in: 0...63),
            isInverted: section.bool("inverted", default: false),
            adcDevice: section.text("adcDevice"),
            positiveChannel: section.int("positiveChannel", default: 0, in: 0...63),
            negativeChannel: section.int("negativeChannel", default: 1, in: 0...63),
            adcStep: section.int("adcStep", default: 2, in: 0...16),
            positive: ADCScale(section.section("positive")),
            negative: ADCScale(section.section("negative")))
        if positiveChannel == negativeChannel {
            section.problem(
                "negativeChannel",
                "each half-wave has its own channel; without both, F and E look alike")
        }
    }
}

extension SplitPilotProfile {
    init(_ section: ConfigSection) {
        let texts = section.texts("offersAmperes")
        let offers = texts.compactMap { Int($0) }
        let isAscending = zip(offers, offers.dropFirst()).allSatisfy { $0 < $1 }
        if offers.count != texts.count || offers.isEmpty || !isAscending
            || !offers.allSatisfy((6...80).contains)
        {
            section.problem("offersAmperes", "a list of whole amperes from 6 to 80, ascending")
        }
        self.init(offers: offers)
    }
}

extension ADCProximityProfile {
    init(_ section: ConfigSection) {
        self.init(
            adcDevice: section.text("adcDevice"),
            channel: section.int("channel", in: 0...63),
            adcStep: section.int("adcStep", default: 1, in: 0...16),
            scale: ADCScale(section.section("scale")),
            referenceMillivolts: section.int("referenceMillivolts", in: 500...24_000),
            pullUpOhms: section.int("pullUpOhms", in: 10...1_000_000))
    }
}

// MARK: What has to go together

extension BoardProfile {
    /// Notes what of a board does not fit together: an input nobody reads, a promise without a line
    /// or a driver, a dead-man without a circuit.
    func checkLines(_ section: ConfigSection) {
        guard !section.isSchema else { return }
        checkContactorLines(section)
        checkPilotLines(section)
        // The simulated board's inputs are nobody's.
        if case .simulated = contactor { return }
        let capable = section.section("capabilities")
        func agree(_ key: String, _ says: Bool, _ role: LineRole) {
            let isThere = gpio?.lines[role] != nil
            if says, !isThere {
                capable.problem(key, "needs the line `gpio.lines.\(role.rawValue)`")
            }
            if !says, isThere {
                capable.problem(
                    key,
                    "`gpio.lines.\(role.rawValue)` would be read by nobody; set `\(key)` to match")
            }
        }
        checkFeedback(capable, agree)
        agree(
            "hasResidualCurrentDevice", capabilities.hasResidualCurrentDevice,
            .residualCurrentTrip)
        checkDirectCurrent(section.section("gpio").section("lines"))
        agree("hasEmergencyStop", capabilities.hasEmergencyStop, .emergencyStop)
        agree("hasDoor", capabilities.hasDoor, .door)
        if protectiveEarth == nil {
            agree("hasProtectiveEarth", capabilities.hasProtectiveEarth, .protectiveEarth)
        } else if !capabilities.hasProtectiveEarth || gpio?.lines[.protectiveEarth] != nil {
            capable.problem(
                "hasProtectiveEarth",
                "goes with the section `protectiveEarth` or the line of this name, one of the two"
            )
        }
        agree("hasLock", capabilities.hasLock, .lock)
        agree("hasLock", capabilities.hasLock, .locked)
        if capabilities.hasProximity != (proximity != nil) {
            capable.problem("hasProximity", "goes with the section `proximity`")
        }
        if capabilities.hasTemperature != (temperature != nil) {
            capable.problem(
                "hasTemperature",
                "goes with the section `temperature`, whose driver reads one (hwmon, thermal-zone, iio, modbus)"
            )
        }
    }

    /// A d.c. sensor beside the residual current device belongs to the same outlets.
    private func checkDirectCurrent(_ section: ConfigSection) {
        guard let direct = gpio?.lines[.directCurrentTrip] else { return }
        let key = LineRole.directCurrentTrip.rawValue
        guard let trip = gpio?.lines[.residualCurrentTrip] else {
            section.problem(key, "a d.c. sensor alone is the line `residualCurrentTrip`")
            return
        }
        if direct.name.contains(text: "{n}") != trip.name.contains(text: "{n}") {
            section.problem(
                key, "shared by all outlets where `residualCurrentTrip` is, else with `{n}` as well"
            )
        }
    }

    /// The mirror is a line, a digital input of the relay card, or its coil read back.
    private func checkFeedback(
        _ capable: ConfigSection, _ agree: (String, Bool, LineRole) -> Void
    ) {
        let hasMirror =
            capabilities.feedback == .normallyOpen || capabilities.feedback == .normallyClosed
        switch contactor {
        case .simulated: break
        case .gpio:
            agree("feedback", hasMirror, .mirror)
            if capabilities.feedback == .coilOnly {
                capable.problem(
                    "feedback", "a line has no coil to read back; none, or a mirror line")
            }
        case .modbusRelay(let relay):
            let fits =
                switch relay.feedback {
                case .none: capabilities.feedback == .none
                case .coil: capabilities.feedback == .coilOnly
                case .input: hasMirror
                }
            if !fits {
                capable.problem(
                    "feedback",
                    "does not fit `contactor.feedback`: input goes with normallyOpen or normallyClosed, coil with coilOnly, none with none"
                )
            }
        }
    }

    private func checkContactorLines(_ section: ConfigSection) {
        let deadMan = section.section("deadMan")
        guard case .gpio(let driver) = contactor else {
            if self.deadMan.kind == .gpioToggle {
                deadMan.problem("kind", "gpio-toggle goes with `contactor: {driver: gpio}`")
            }
            return
        }
        guard gpio?.lines[.contactor] != nil || gpio?.lines[.kick] != nil else {
            section.problem("contactor", "needs the line `gpio.lines.contactor` or `kick`")
            return
        }
        let hasKick = gpio?.lines[.kick] != nil
        switch self.deadMan.kind {
        case .gpioToggle, .safetyController:
            if !hasKick {
                deadMan.problem(
                    "kind", "needs the line `gpio.lines.kick`, which stops when the program dies")
            }
            let lease = self.deadMan.opensWithinMilliseconds - driver.kickHoldMilliseconds
            if self.deadMan.opensWithinMilliseconds > 1000 {
                deadMan.problem("opensWithinMilliseconds", "a dead-man opens within 1000 ms")
            }
            if self.deadMan.renewMilliseconds * 2 > lease {
                deadMan.problem(
                    "renewMilliseconds",
                    "one lost renewal would open the contactor; renew at least twice within `opensWithinMilliseconds` less `kickHoldMilliseconds`"
                )
            }
        case .none:
            if hasKick {
                deadMan.problem(
                    "kind", "a kicked line is a dead-man: say gpio-toggle or safety-mcu")
            }
        case .modbusPulse, .simulated:
            deadMan.problem(
                "kind",
                "lines have no \(self.deadMan.kind.rawValue); say gpio-toggle, safety-mcu or none"
            )
        }
    }

    private func checkPilotLines(_ section: ConfigSection) {
        let pilot = section.section("pilot")
        switch self.pilot {
        case .simulated, .modbusEVSE: break
        case .pwm:
            if !capabilities.reportsDiode {
                section.section("capabilities").problem(
                    "reportsDiode",
                    "this driver checks the diode; true, so that the gate asks for it")
            }
        case .split(let split):
            for role in [LineRole.pilotConnected, .pilotReady] where gpio?.lines[role] == nil {
                pilot.problem("driver", "needs the line `gpio.lines.\(role.rawValue)`")
            }
            var codes = 1
            for role in LineRole.offers {
                guard gpio?.lines[role] != nil else { break }
                codes *= 2
            }
            if split.offers.count >= codes {
                pilot.problem(
                    "offersAmperes",
                    "\(split.offers.count) currents and X1 need more lines `offer0`, `offer1`, `offer2`"
                )
            }
        }
    }
}
