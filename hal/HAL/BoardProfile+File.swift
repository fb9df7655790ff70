import Charging
import Service

extension BoardProfile {
    /// Reads a board's file; what is wrong is noted in the section.
    init(name: String, _ section: ConfigSection) {
        let deadMan = section.section("deadMan")
        let contactor = section.section("contactor")
        let pilot = section.section("pilot")
        self.init(
            name: name,
            title: section.text("title"),
            deadMan: DeadMan(
                deadMan.choice("kind", default: nil),
                opensWithinMilliseconds: deadMan.int("opensWithinMilliseconds", in: 0...60_000),
                renewMilliseconds: deadMan.int("renewMilliseconds", in: 50...60_000)),
            capabilities: BoardCapabilities(section.section("capabilities")),
            contactor: ContactorDriver(contactor),
            pilot: PilotDriver(pilot),
            gpio: section.sectionOrNil("gpio").map(GPIOProfile.init),
            proximity: section.sectionOrNil("proximity").map(ADCProximityProfile.init),
            temperature: section.sectionOrNil("temperature").map(TemperatureProfile.init),
            protectiveEarth: section.sectionOrNil("protectiveEarth").map(ModbusInputProfile.init))
        if case .modbusRelay(let relay) = self.contactor, self.deadMan.kind == .modbusPulse,
            relay.pulseAddressOffset == nil
        {
            contactor.problem(
                "pulseAddressOffset", "a modbus-pulse dead-man needs `pulseAddressOffset: 0x0200`")
        }
        if case .modbusRelay(let relay) = self.contactor, self.deadMan.kind == .modbusPulse,
            relay.pulseMilliseconds > self.deadMan.opensWithinMilliseconds
        {
            contactor.problem(
                "pulseMilliseconds",
                "the pulse is the dead-man: no longer than `opensWithinMilliseconds`")
        }
        if case .modbusRelay = self.contactor, ![.modbusPulse, .none].contains(self.deadMan.kind) {
            deadMan.problem(
                "kind",
                "a relay card has no \(self.deadMan.kind.rawValue) dead-man; say modbus-pulse or none"
            )
        }
        if self.deadMan.kind == .modbusPulse, self.deadMan.opensWithinMilliseconds > 1000 {
            deadMan.problem("opensWithinMilliseconds", "a dead-man opens within 1000 ms")
        }
        if self.deadMan.kind == .modbusPulse,
            self.deadMan.renewMilliseconds * 2 > self.deadMan.opensWithinMilliseconds
        {
            deadMan.problem(
                "renewMilliseconds",
                "one lost renewal would open the contactor; renew at least twice within `opensWithinMilliseconds`"
            )
        }
        checkLines(section)
    }
}

extension BoardProfile.ContactorDriver {
    private enum Name: String, CaseIterable, Sendable {
        case simulated
        case modbusRelay = "modbus-relay"
        case gpio
    }

    private enum Feedback: String, CaseIterable, Sendable { case none, coil, input }

    fileprivate init(_ section: ConfigSection) {
        let name: Name = section.choice("driver", default: nil)
        if name == .gpio {
            self = .gpio(GPIOContactorProfile(section))
            return
        }
        guard name == .modbusRelay || section.isSchema else {
            self = .simulated
            return
        }
        let offset = section.intOrNil("feedbackOffset", in: -65_535...65_535) ?? 0
        let feedback: RelayProfile.Feedback =
            switch section.choice("feedback", default: Feedback.coil) {
            case .none: .none
            case .coil: .coil
            case .input: .input(offset: offset)
            }
        self = .modbusRelay(
            RelayProfile(
                pulseAddressOffset: section.textOrNil("pulseAddressOffset") == nil
                    ? nil : section.register("pulseAddressOffset"),
                pulseMilliseconds: section.int(
                    "pulseMilliseconds", default: 1000, in: 100...10_000),
                feedback: feedback,
                gapMilliseconds: section.int("gapMilliseconds", default: 5, in: 0...1000),
                timeoutMilliseconds: section.int("timeoutMilliseconds", default: 200, in: 50...2000)
            ))
    }
}

extension BoardProfile.PilotDriver {
    private enum Name: String, CaseIterable, Sendable {
        case simulated
        case modbusEVSE = "modbus-evse"
        case pwm, split
    }

    fileprivate init(_ section: ConfigSection) {
        let name: Name = section.choice("driver", default: nil)
        switch name {
        case .simulated where !section.isSchema: self = .simulated
        case .pwm: self = .pwm(PWMPilotProfile(section))
        case .split: self = .split(SplitPilotProfile(section))
        case .simulated, .modbusEVSE: self = .modbusEVSE(EVSEControllerProfile(section))
        }
    }
}

extension EVSEControllerProfile {
    private enum Switch: String, CaseIterable, Sendable { case none, coil, register }

    fileprivate init(_ section: ConfigSection) {
        self.init()
        let registers = 0...0xFFFF
        currentRegister = section.int("currentRegister", default: currentRegister, in: registers)
        unitsPerAmpere = section.int("unitsPerAmpere", default: unitsPerAmpere, in: 1...1000)
        writeFunction = section.int("writeFunction", default: writeFunction, in: 6...16)
        stateRegister = section.int("stateRegister", default: stateRegister, in: registers)
        stateFunction = section.int("stateFunction", default: stateFunction, in: 3...4)
        stateCode = section.choice("stateCode", default: stateCode)
        let kind = section.choice("enable", default: Switch.none)
        let address = section.intOrNil("enableAddress", in: registers)
        switch (kind, address) {
        case (.coil, let address?): enable = .coil(address)
        case (.register, let address?): enable = .register(address)
        case (.none, nil): break
        case (.none, _): section.problem("enableAddress", "goes with `enable: coil` or `register`")
        case (_, nil): section.problem("enable", "needs `enableAddress` beside it")
        }
        connectorStep = section.int("connectorStep", default: 0, in: 0...10_000)
        // The bit that makes hundredths is EVSE-WB-DIN's own.
        if !section.bool("hasHundredthsBit", default: stateCode == .number) { hundredthsBit = nil }
        gapMilliseconds = section.int("gapMilliseconds", default: gapMilliseconds, in: 0...5000)
        timeoutMilliseconds = section.int(
            "timeoutMilliseconds", default: timeoutMilliseconds, in: 50...5000)
        if writeFunction != 6, writeFunction != 16 {
            section.problem("writeFunction", "6 writes one register, 16 a list of one")
        }
    }
}

extension BoardCapabilities {
    fileprivate init(_ section: ConfigSection) {
        self.init(
            minimum: Amperes(Int64(section.int("minimumAmperes", default: 6, in: 6...80))),
            maximum: Amperes(Int64(section.int("maximumAmperes", in: 6...80))),
            phases: section.int("phases", in: 1...3),
            feedback: section.choice("feedback", default: nil),
            feedbackFollowsMilliseconds: section.int(
                "feedbackFollowsMilliseconds", default: 250, in: 10...5000),
            hasSocket: section.bool("hasSocket", default: false),
            hasLock: section.bool("hasLock", default: false),
            hasProximity: section.bool("hasProximity", default: false),
            reportsDiode: section.bool("reportsDiode", default: false),
            hasVentilation: section.bool("hasVentilation", default: false),
            hasResidualCurrentDevice: section.bool("hasResidualCurrentDevice", default: false),
            hasEmergencyStop: section.bool("hasEmergencyStop", default: false),
            hasDoor: section.bool("hasDoor", default: false),
            hasProtectiveEarth: section.bool("hasProtectiveEarth", default: false),
            hasTemperature: section.bool("hasTemperature", default: false),
            maximumDegrees: section.int("maximumDegrees", default: 80, in: 40...120),
            canSignalF: section.bool("canSignalF", default: false))
        if !hasTemperature, section.intOrNil("maximumDegrees", in: 40...120) != nil {
            section.problem(
                "maximumDegrees",
                "nothing derates by a temperature that nobody reads; add `hasTemperature: true`")
        }
        if hasLock, !hasSocket {
            section.problem(
                "hasLock", "a tethered cable has no lock; set `hasSocket: true` or remove it")
        }
    }
}
