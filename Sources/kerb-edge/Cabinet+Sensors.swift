import HAL
import LinuxHAL
import Service
import Station

extension Cabinet {
    /// The sensors that are no lines: cable, temperature, and a monitor of the earth on Modbus.
    func addSensors(
        _ evse: EdgeSettings.EVSE, _ clock: any ServiceClock, to devices: inout ConnectorDevices
    ) throws {
        if let proximity = board.proximity {
            devices.proximity = ADCProximity(
                profile: proximity, connector: evse.connector, clock: clock)
        }
        if let temperature = board.temperature {
            devices.temperature = try sensor(temperature, evse, clock)
        } else if evse.sensors.temperatureBus != nil || evse.sensors.temperatureDevice != nil {
            throw refusal(evse, "temperature", "nothing that board \(board.name) reads; remove it")
        }
        if let earth = board.protectiveEarth {
            guard let name = evse.sensors.protectiveEarthBus,
                let input = evse.sensors.protectiveEarthInput
            else {
                throw refusal(
                    evse, "protectiveEarth",
                    "on Modbus on board \(board.name); give its `bus:`, `unit:` and `input:`")
            }
            devices.protectiveEarth = ModbusProtectiveEarth(
                bus: try bus(name), unit: evse.sensors.protectiveEarthUnit, input: input,
                profile: earth)
        } else if evse.sensors.protectiveEarthBus != nil {
            throw refusal(
                evse, "protectiveEarth", "nothing that board \(board.name) reads; remove it")
        }
    }

    private func sensor(
        _ profile: TemperatureProfile, _ evse: EdgeSettings.EVSE, _ clock: any ServiceClock
    ) throws -> any TemperatureSensor {
        switch profile.driver {
        case .sysfs(var sysfs):
            if evse.sensors.temperatureBus != nil {
                throw refusal(
                    evse, "temperature",
                    "the kernel's on board \(board.name); remove its `bus:`")
            }
            if let device = evse.sensors.temperatureDevice { sysfs.device = device }
            return SysfsTemperatureSensor(
                profile: sysfs, stuckMinutes: profile.stuckMinutes, connector: evse.connector,
                clock: clock)
        case .modbus(let modbus):
            guard let name = evse.sensors.temperatureBus else {
                throw refusal(
                    evse, "temperature",
                    "on Modbus on board \(board.name); give its `bus:` and `unit:`")
            }
            return ModbusTemperatureSensor(
                bus: try bus(name), unit: evse.sensors.temperatureUnit, profile: modbus,
                stuckMinutes: profile.stuckMinutes, connector: evse.connector)
        }
    }

    private func refusal(
        _ evse: EdgeSettings.EVSE, _ key: String, _ why: String
    ) -> Program.Failure {
        Program.Failure(
            code: .usage, text: "evses: connector \(evse.connector)'s `\(key)` is \(why)")
    }
}
