import Charging
import Glibc
import HAL
import LinuxHAL
import Service
import Station

extension EdgeSettings {
    /// What no key can tell alone: how the parts of a file fit each other, the board and the machine.
    static func check(_ settings: inout EdgeSettings, _ places: Places) {
        let file = places.file
        if settings.stationID.isEmpty || settings.stationID.count > 48
            || settings.stationID.contains(where: { $0 == ":" || $0 == "/" || $0.isWhitespace })
        {
            file.problem(
                "stationID", "1 to 48 characters without blank, colon and slash are an identity")
        }
        for name in settings.meterValues where Measurand(rawValue: name) == nil {
            file.problem("meterValues", "no measurand is called \(name)")
        }
        // On a supply of one phase there is only one way to hang on it.
        if settings.phases == 1 {
            for index in settings.evses.indices where settings.evses[index].wiring == .rst {
                settings.evses[index].wiring = .l1
            }
        }
        checkBuses(settings, places)
        checkOutlets(settings, places)
        checkUnits(settings, places)
        checkSensors(settings, places)
        checkSupply(settings, places)
        checkProfiles(settings, places)
    }

    static func known(_ settings: EdgeSettings) -> String {
        settings.buses.isEmpty
            ? "there is none" : "known are \(settings.buses.map(\.name).joined(separator: ", "))"
    }

    private static func checkBuses(_ settings: EdgeSettings, _ places: Places) {
        for (index, bus) in settings.buses.enumerated() where places.buses.indices.contains(index) {
            for other in settings.buses[..<index] {
                if other.name == bus.name {
                    places.buses[index].problem(
                        "name", "another bus is called \(bus.name) too; give each its own name")
                }
                guard case .serial(let device, _, _, _) = bus.address,
                    case .serial(let taken, _, _, _) = other.address,
                    resolved(device) == resolved(taken)
                else { continue }
                places.buses[index].problem(
                    "device",
                    "bus \(other.name) has this device already, and two speakers garble one line; "
                        + "name one bus for both")
            }
        }
    }

    /// A stable name and the one behind it are one device.
    private static func resolved(_ path: String) -> String {
        guard let found = realpath(path, nil) else { return path }
        defer { free(found) }
        return String(cString: found)
    }

    private static func checkOutlets(_ settings: EdgeSettings, _ places: Places) {
        let numbers = settings.evses.map(\.connector)
        if Set(numbers).count == numbers.count, Set(numbers) != Set(1...max(1, numbers.count)) {
            places.file.problem("evses", "connectors must be numbered 1, 2, … without gap")
        }
        let names = settings.buses.map(\.name)
        for (index, evse) in settings.evses.enumerated() where places.evses.indices.contains(index)
        {
            let place = places.evses[index]
            if numbers[..<index].contains(evse.connector) {
                place.own.problem(
                    "connector", "another outlet is \(evse.connector) too; number them 1, 2, …")
            }
            for (section, name) in [
                (place.meter, evse.meterBus), (place.contactor, evse.contactorBus),
                (place.pilot, evse.pilotBus),
            ] {
                if let name, !names.contains(name) {
                    section.problem("bus", "no bus is called \(name); \(known(settings))")
                }
            }
            if settings.evses.contains(where: { $0.contactorBus == evse.meterBus }) {
                place.meter.problem(
                    "bus",
                    "a contactor's bus carries no meters; a slow meter would hold up an opening")
            }
        }
    }

    // MARK: One unit, one device

    private struct Use {
        /// `meter`, `relay card`, `pilot controller`
        var part: String
        var connector: ConnectorNumber
        var bus: String
        var unit: Int
        /// Coil or port; two outlets may share a device but not this.
        var detail: Int?
        var place: ConfigSection
        var key: String
    }

    /// One would hold closed what the other opens, or bill what the other draws.
    private static func checkUnits(_ settings: EdgeSettings, _ places: Places) {
        var uses: [Use] = []
        for (evse, place) in zip(settings.evses, places.evses) {
            func add(
                _ part: String, _ bus: String?, _ unit: Int, _ detail: Int?, _ key: String,
                _ section: ConfigSection
            ) {
                guard let bus else { return }
                let use = Use(
                    part: part, connector: evse.connector, bus: bus, unit: unit, detail: detail,
                    place: section, key: key)
                for other in uses where other.bus == bus && other.unit == unit {
                    refuse(use, beside: other)
                }
                uses.append(use)
            }
            add("meter", evse.meterBus, evse.meterUnit, nil, "unit", place.meter)
            let coil = evse.contactorCoil ?? -1
            add("relay card", evse.contactorBus, evse.contactorUnit, coil, "coil", place.contactor)
            let port = evse.pilotPort ?? -1
            add("pilot controller", evse.pilotBus, evse.pilotUnit, port, "port", place.pilot)
        }
    }

    private static func refuse(_ use: Use, beside other: Use) {
        guard use.part == other.part else {
            use.place.problem(
                "unit",
                "unit \(use.unit) of bus \(use.bus) is the \(other.part) of connector "
                    + "\(other.connector) already; every device of a bus has its own unit")
            return
        }
        guard use.detail == other.detail else { return }
        let key = use.detail ?? -1 < 0 ? "unit" : use.key
        use.place.problem(
            key,
            "connectors \(other.connector) and \(use.connector) have one \(use.part) with one "
                + "\(key); each outlet has its own")
    }
}
