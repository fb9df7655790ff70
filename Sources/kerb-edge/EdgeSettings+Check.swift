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
        checkIdentity(settings, file.section("csms"))
        checkPhases(&settings, places)
        checkBuses(settings, places)
        checkOutlets(settings, places)
        checkUnits(settings, places)
        checkReaders(settings, places)
        checkSensors(settings, places)
        checkSupply(settings, places)
        checkProfiles(settings, places)
    }

    static func known(_ settings: EdgeSettings) -> String {
        settings.buses.isEmpty
            ? "there is none" : "known are \(settings.buses.map(\.name).joined(separator: ", "))"
    }

    /// On a supply of one phase there is only one way to hang on it, and nobody needs to say it.
    private static func checkPhases(_ settings: inout EdgeSettings, _ places: Places) {
        guard settings.phases == 1 else { return }
        for (index, place) in zip(settings.evses.indices, places.evses) {
            let wiring = settings.evses[index].wiring
            guard wiring.phases.count > 1 else { continue }
            if place.own.isSet("wiring") {
                place.own.warn(
                    "wiring",
                    "\(wiring.rawValue) needs three phases, and `site.phases` is 1, so it is taken for L1; "
                        + "write L1 or leave it out, or say `phases: 3` there")
            }
            settings.evses[index].wiring = .l1
        }
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
        let lines = settings.lineNames
        for (evse, place) in zip(settings.evses, places.evses) {
            func add(
                _ part: String, _ bus: String?, _ unit: Int, _ detail: Int?, _ key: String,
                _ section: ConfigSection
            ) {
                guard let bus else { return }
                checkUnit(unit, on: bus, settings, section)
                let use = Use(
                    part: part, connector: evse.connector, bus: bus, unit: unit, detail: detail,
                    place: section, key: key)
                for other in uses
                where (lines[other.bus] ?? other.bus) == (lines[bus] ?? bus) && other.unit == unit {
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

    /// A device gives each token to one listener, whichever is faster.
    private static func checkReaders(_ settings: EdgeSettings, _ places: Places) {
        var taken: [String: String] = [:]
        if let shared = settings.tokenReader { taken[resolved(shared)] = "all outlets" }
        for (evse, place) in zip(settings.evses, places.evses) {
            guard let reader = evse.tokenReader else { continue }
            if let other = taken[resolved(reader)] {
                guard settings.evses.count > 1 else {
                    place.own.warn(
                        "tokenReader", "is the reader of \(other) already; one of the two is enough"
                    )
                    continue
                }
                place.own.problem(
                    "tokenReader",
                    "is the reader of \(other) already, and a card would go to one of them by chance; "
                        + "give each its own, or one for all as `tokenReader` outside `evses`")
            }
            taken[resolved(reader)] = "connector \(evse.connector)"
        }
    }

    private static func refuse(_ use: Use, beside other: Use) {
        guard use.part == other.part else {
            let what =
                "unit \(use.unit) of bus \(use.bus) is the \(other.part) of connector "
                + "\(other.connector) already; every device of a bus has its own unit"
            // Two connections to one place: a device there may serve as both.
            if use.bus == other.bus {
                use.place.problem("unit", what)
            } else {
                use.place.warn("unit", "\(what) (\(other.bus) leads to the same place)")
            }
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

extension EdgeSettings {
    /// For each bus the first one that leads to the same place: two names of one line are one line.
    var lineNames: [String: String] {
        var names: [String: String] = [:]
        for bus in buses {
            names[bus.name] =
                names[bus.name] ?? buses.first { $0.address == bus.address }?.name ?? bus.name
        }
        return names
    }
}
