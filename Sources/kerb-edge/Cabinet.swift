import Charging
import HAL
import LinuxHAL
import Service
import Station

/// The hardware as the configuration describes it: buses, and the drivers of every outlet.
struct Cabinet: Sendable {
    struct Outlet: Sendable {
        var connector: ConnectorNumber
        var capabilities: BoardCapabilities
        var devices: ConnectorDevices
    }

    var board: BoardProfile
    var buses: [String: ModbusBus]
    var outlets: [Outlet]
    /// The GPIO lines; nil on a board without.
    var lines: GPIOBoard?
    /// False when this machine has no GPIO chip on which the names could be looked up.
    var areLinesChecked = true

    /// What is done with the GPIO lines.
    enum LineUse: Sendable {
        /// Names are looked up, nothing is taken: the agent may be running.
        case look
        /// Lines are taken, held ones taken over.
        case drive(HeldLines, tell: @Sendable (GPIOFall) -> Void)
    }

    /// Opens nothing that could move anything but to its safe level: buses connect by themselves,
    /// outputs are set by `makeSafe`, which the caller does first of all.
    init(
        _ settings: EdgeSettings, clock: any ServiceClock = .system, lines use: LineUse = .look
    ) throws {
        let library = settings.library
        board = try library.board(settings.board)
        if board.deadMan.kind == .none, !settings.acceptNoDeadman {
            throw Program.Failure(
                code: .usage,
                text: "board: \(settings.board) has no dead-man, so a crash would leave contactors "
                    + "closed; choose another board or say `acceptNoDeadman: true`")
        }
        buses = [:]
        for bus in settings.buses {
            buses[bus.name] = ModbusBus(
                name: bus.name, address: bus.address, clock: clock)
        }
        outlets = []
        (lines, areLinesChecked) = try Self.lines(board, settings, use, clock)
        for evse in settings.evses {
            var capabilities = board.capabilities
            if evse.maximum < capabilities.maximum { capabilities.maximum = evse.maximum }
            let phases = min(capabilities.phases, settings.phases)
            // What the supply does not have cannot be lost.
            capabilities.phases = phases
            let meter = ModbusMeter(
                name: "meter \(evse.connector)", profile: try library.meter(evse.meterProfile),
                bus: try bus(evse.meterBus), unit: evse.meterUnit,
                // 300 V is above every mains tolerance, and a tenth more for the meter's own error.
                maximumWatts: capabilities.maximum.milliamperes * Int64(phases) * 330 / 1000)
            var devices = ConnectorDevices(
                contactor: try contactor(evse), pilot: try pilot(evse, clock), meter: meter)
            if let lines { addLineDevices(evse.connector, lines, to: &devices) }
            try addSensors(evse, clock, to: &devices)
            outlets.append(
                Outlet(connector: evse.connector, capabilities: capabilities, devices: devices))
        }
        if case .drive = use { start() }
    }

    func bus(_ name: String) throws -> ModbusBus {
        guard let bus = buses[name] else {
            throw Program.Failure(code: .usage, text: "no bus is called \(name)")
        }
        return bus
    }

    private func contactor(_ evse: EdgeSettings.EVSE) throws -> any Contactor {
        switch board.contactor {
        case .simulated:
            throw Program.Failure(
                code: .usage,
                text: "board: \(board.name) has no hardware; choose one that drives something")
        case .modbusRelay(let relay):
            guard let name = evse.contactorBus, let coil = evse.contactorCoil else {
                throw Program.Failure(
                    code: .usage,
                    text: "evses: connector \(evse.connector)'s contactor hangs on a relay card on "
                        + "board \(board.name); give its `bus:`, `unit:` and `coil:`")
            }
            return ModbusContactor(
                name: "contactor \(evse.connector)", deadMan: board.deadMan,
                bus: try bus(name), unit: evse.contactorUnit, coil: coil, profile: relay,
                feedback: board.capabilities.feedback)
        case .gpio(let driver):
            guard let lines else { preconditionFailure("a GPIO board has lines") }
            if evse.contactorBus != nil || evse.contactorCoil != nil {
                throw Program.Failure(
                    code: .usage,
                    text: "evses: connector \(evse.connector)'s contactor hangs on lines on board "
                        + "\(board.name); remove its `bus:` and `coil:`")
            }
            return lineContactor(evse.connector, driver, lines)
        }
    }

    private func pilot(
        _ evse: EdgeSettings.EVSE, _ clock: any ServiceClock
    ) throws -> any Pilot {
        let name = "pilot \(evse.connector)"
        switch board.pilot {
        case .simulated:
            throw Program.Failure(
                code: .usage,
                text: "board: \(board.name) has no hardware; choose one that drives something")
        case .modbusEVSE(let controller):
            guard let busName = evse.pilotBus else {
                throw Program.Failure(
                    code: .usage,
                    text: "evses: connector \(evse.connector)'s pilot has a controller on board "
                        + "\(board.name); give its `bus:` and `unit:`")
            }
            return ModbusEVSE(
                name: name, bus: try bus(busName), unit: evse.pilotUnit,
                port: evse.pilotPort ?? evse.connector, profile: controller)
        case .pwm(let profile):
            return PWMPilot(
                name: name, profile: profile, connector: evse.connector, clock: clock)
        case .split(let profile):
            return try splitPilot(name, evse.connector, profile)
        }
    }

    func makeSafe() { for outlet in outlets { outlet.devices.makeSafe() } }

    /// Starts what runs on threads of its own, when every driver is made.
    private func start() {
        lines?.start()
        for outlet in outlets {
            (outlet.devices.pilot as? PWMPilot)?.start()
            (outlet.devices.proximity as? ADCProximity)?.start()
            (outlet.devices.temperature as? SysfsTemperatureSensor)?.start()
        }
    }
}

extension EdgeSettings {
    /// Where the profiles lie.
    var library: ProfileLibrary {
        profileDirectory.map(ProfileLibrary.init(folder:)) ?? ProfileLibrary.standard
    }
}
