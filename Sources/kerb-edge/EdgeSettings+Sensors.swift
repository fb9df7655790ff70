import Charging
import HAL
import LinuxHAL
import Service

extension EdgeSettings {
    /// Where an outlet's sensors on Modbus are; nil for what the board reads otherwise or not at all.
    struct Sensors: Sendable {
        var temperatureBus: String?
        var temperatureUnit: Int
        /// Another device of sysfs than the board's.
        var temperatureDevice: String?
        var protectiveEarthBus: String?
        var protectiveEarthUnit: Int
        var protectiveEarthInput: Int?
    }

    /// Modbus over TCP has one more, for a device that is alone behind its address.
    static func deviceUnit(_ section: ConfigSection) -> Int {
        let unit = section.int("unit", default: 1, in: 1...255, about: "Modbus unit")
        if (248...254).contains(unit), !section.isSchema {
            section.problem("unit", "\(unit) is reserved; give 1 to 247, or 255 on a tcp bus")
        }
        return unit
    }

    static func sensors(_ section: ConfigSection) -> Sensors {
        let temperature = section.section("temperature", about: "what the outlet derates by")
        let earth = section.section("protectiveEarth", about: "the monitor on Modbus")
        return Sensors(
            temperatureBus: temperature.textOrNil("bus", about: "sensor on Modbus: name of a bus"),
            temperatureUnit: deviceUnit(temperature),
            temperatureDevice: temperature.textOrNil(
                "device", about: "sensor of the kernel, if not the board's"),
            protectiveEarthBus: earth.textOrNil("bus", about: "name of a bus"),
            protectiveEarthUnit: deviceUnit(earth),
            protectiveEarthInput: earth.intOrNil(
                "input", in: 0...65_535, about: "digital input, from 0"))
    }

    /// 255 is for a device alone behind its TCP address.
    static func checkUnit(
        _ unit: Int, on bus: String, _ settings: EdgeSettings, _ section: ConfigSection
    ) {
        guard unit == 255,
            case .serial = settings.buses.first(where: { $0.name == bus })?.address
        else { return }
        section.problem("unit", "255 is for a tcp bus; a serial one has 1 to 247")
    }

    /// Notes what would hold up an opening on a contactor's bus, and a bus that is not there.
    static func checkSensors(_ settings: EdgeSettings, _ places: Places) {
        let names = settings.buses.map(\.name)
        let contactorBuses = Set(settings.evses.compactMap(\.contactorBus))
        for (index, bus) in settings.buses.enumerated() where places.buses.indices.contains(index) {
            for other in settings.buses[..<index] {
                guard case .tcp = bus.address, bus.address == other.address,
                    !contactorBuses.isDisjoint(with: [bus.name, other.name])
                else { continue }
                // It would hide what hangs on the contactor's bus.
                places.buses[index].problem(
                    "host",
                    "bus \(other.name) has this address already, and one of them carries a contactor; "
                        + "name one bus for both")
            }
        }
        for (evse, place) in zip(settings.evses, places.evses) {
            for (key, bus, unit) in [
                ("temperature", evse.sensors.temperatureBus, evse.sensors.temperatureUnit),
                (
                    "protectiveEarth", evse.sensors.protectiveEarthBus,
                    evse.sensors.protectiveEarthUnit
                ),
            ] {
                guard let bus else { continue }
                let section = place.own.section(key)
                if !names.contains(bus) {
                    section.problem("bus", "no bus is called \(bus); \(known(settings))")
                }
                checkUnit(unit, on: bus, settings, section)
                let units = settings.evses.flatMap { other in
                    (other.contactorBus == bus ? [other.contactorUnit] : [])
                        + (other.pilotBus == bus ? [other.pilotUnit] : [])
                }
                guard contactorBuses.contains(bus), !units.contains(unit) else { continue }
                section.problem(
                    "bus",
                    "a contactor's bus carries relay cards and pilot controllers only; a slow device "
                        + "would hold up an opening")
            }
        }
    }
}
