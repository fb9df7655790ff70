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

    /// Opens nothing that could move anything: buses connect by themselves, outputs are set by
    /// `makeSafe`, which the caller does first of all.
    init(_ settings: EdgeSettings, clock: any ServiceClock = .system) throws {
        let library =
            settings.profileDirectory.map(ProfileLibrary.init(folder:)) ?? ProfileLibrary.standard
        board = try library.board(settings.board)
        guard case .modbusRelay(let relay) = board.contactor,
            case .modbusEVSE(let controller) = board.pilot
        else {
            throw Program.Failure(
                code: .usage,
                text: "board: \(settings.board) has no hardware; choose one that drives Modbus")
        }
        if board.deadMan.kind == .none, !settings.acceptNoDeadman {
            throw Program.Failure(
                code: .usage,
                text: "board: \(settings.board) has no dead-man, so a crash would leave contactors "
                    + "closed; choose another board or say `acceptNoDeadman: true`")
        }
        var buses: [String: ModbusBus] = [:]
        for bus in settings.buses {
            buses[bus.name] = ModbusBus(
                name: bus.name, address: bus.address, clock: clock)
        }
        func bus(_ name: String) throws -> ModbusBus {
            guard let bus = buses[name] else {
                throw Program.Failure(code: .usage, text: "no bus is called \(name)")
            }
            return bus
        }
        outlets = []
        for evse in settings.evses {
            var capabilities = board.capabilities
            if evse.maximum < capabilities.maximum { capabilities.maximum = evse.maximum }
            let phases = min(capabilities.phases, settings.phases)
            let meter = ModbusMeter(
                name: "meter \(evse.connector)", profile: try library.meter(evse.meterProfile),
                bus: try bus(evse.meterBus), unit: evse.meterUnit,
                // 300 V is above every mains tolerance, and a tenth more for the meter's own error.
                maximumWatts: capabilities.maximum.milliamperes * Int64(phases) * 330 / 1000)
            let contactor = ModbusContactor(
                name: "contactor \(evse.connector)", deadMan: board.deadMan,
                bus: try bus(evse.contactorBus), unit: evse.contactorUnit,
                coil: evse.contactorCoil, profile: relay)
            let pilot = ModbusEVSE(
                name: "pilot \(evse.connector)", bus: try bus(evse.pilotBus), unit: evse.pilotUnit,
                profile: controller)
            outlets.append(
                Outlet(
                    connector: evse.connector, capabilities: capabilities,
                    devices: ConnectorDevices(contactor: contactor, pilot: pilot, meter: meter)))
        }
        self.buses = buses
    }

    func makeSafe() { for outlet in outlets { outlet.devices.makeSafe() } }
}
