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
            pilot: PilotDriver(pilot))
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
        if case .modbusRelay = self.contactor, self.deadMan.kind == .simulated {
            deadMan.problem("kind", "a real relay card has no simulated dead-man")
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
    }
}

extension BoardProfile.ContactorDriver {
    private enum Name: String, CaseIterable, Sendable {
        case simulated
        case modbusRelay = "modbus-relay"
    }

    private enum Feedback: String, CaseIterable, Sendable { case none, coil, input }

    fileprivate init(_ section: ConfigSection) {
        let name: Name = section.choice("driver", default: nil)
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
    }

    fileprivate init(_ section: ConfigSection) {
        let name: Name = section.choice("driver", default: nil)
        guard name == .modbusEVSE || section.isSchema else {
            self = .simulated
            return
        }
        var profile = EVSEControllerProfile()
        let registers = 0...0xFFFF
        profile.currentRegister = section.int(
            "currentRegister", default: profile.currentRegister, in: registers)
        profile.stateRegister = section.int(
            "stateRegister", default: profile.stateRegister, in: registers)
        profile.gapMilliseconds = section.int(
            "gapMilliseconds", default: profile.gapMilliseconds, in: 0...5000)
        profile.timeoutMilliseconds = section.int(
            "timeoutMilliseconds", default: profile.timeoutMilliseconds, in: 50...5000)
        self = .modbusEVSE(profile)
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
            hasTemperature: section.bool("hasTemperature", default: false),
            maximumDegrees: section.int("maximumDegrees", default: 80, in: 40...120),
            canSignalF: section.bool("canSignalF", default: false))
        if hasLock, !hasSocket {
            section.problem(
                "hasLock", "a tethered cable has no lock; set `hasSocket: true` or remove it")
        }
    }
}
