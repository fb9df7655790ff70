import Charging
import Service

/// What a simulated site is made of: the file of `kerb-sim site --config`.
package struct SiteSettings: Sendable {
    package enum BusKind: String, CaseIterable, Sendable { case serial, tcp }

    package struct Bus: Hashable, Sendable {
        package var name: String
        package var kind: BusKind
        /// Name of the pseudo-terminal, as `kerb-edge` opens it.
        package var link: String
        /// 0 lets the kernel choose.
        package var port: Int

        package init(name: String, kind: BusKind, link: String = "", port: Int = 0) {
            self.name = name
            self.kind = kind
            self.link = link
            self.port = port
        }
    }

    /// Where a device answers.
    package struct Place: Hashable, Sendable {
        package var bus: String
        package var unit: Int

        package init(bus: String, unit: Int) {
            self.bus = bus
            self.unit = unit
        }
    }

    package struct EVSE: Sendable {
        package var name: String
        package var phases: Int
        package var millivolts: Int64
        package var meter: Place
        package var meterModel: EastronMeter.Model
        /// Below 8 000 000, where float32 still resolves a watt-hour.
        package var startWattHours: Int64
        package var serial: Int
        package var relay: Place
        package var coil: Int
        package var pilot: Place
        package var pilotFirmware: Int
        package var car: SimulatedCar.Model
        package var isPluggedIn: Bool

        package init(
            name: String, phases: Int, millivolts: Int64 = 230_000, meter: Place,
            meterModel: EastronMeter.Model, startWattHours: Int64, serial: Int = 12_345_678,
            relay: Place, coil: Int, pilot: Place, pilotFirmware: Int = 17,
            car: SimulatedCar.Model = .init(), isPluggedIn: Bool = false
        ) {
            self.name = name
            self.phases = phases
            self.millivolts = millivolts
            self.meter = meter
            self.meterModel = meterModel
            self.startWattHours = startWattHours
            self.serial = serial
            self.relay = relay
            self.coil = coil
            self.pilot = pilot
            self.pilotFirmware = pilotFirmware
            self.car = car
            self.isPluggedIn = isPluggedIn
        }
    }

    /// A fault that strikes by itself, so long after the site's start.
    package struct ScriptedFault: Hashable, Sendable {
        package var afterSeconds: Int
        package var place: Place
        package var fault: SlaveFault

        package init(afterSeconds: Int, place: Place, fault: SlaveFault) {
            self.afterSeconds = afterSeconds
            self.place = place
            self.fault = fault
        }
    }

    package var controlPort: Int
    package var buses: [Bus]
    package var evses: [EVSE]
    package var faults: [ScriptedFault]

    package init(controlPort: Int, buses: [Bus], evses: [EVSE], faults: [ScriptedFault] = []) {
        self.controlPort = controlPort
        self.buses = buses
        self.evses = evses
        self.faults = faults
    }

    /// - Throws: every mistake with file, line, column and mend.
    package static func load(_ file: String) throws(ConfigProblems) -> SiteSettings {
        try Configuration.load(file: file, read).value
    }

    /// Reads the keys; also what `config schema` and the tests use.
    package static func read(_ section: ConfigSection) -> SiteSettings {
        let control = section.section("control", about: "status and control as JSON, loopback only")
        let settings = SiteSettings(
            controlPort: control.int(
                "port", default: 7070, in: 0...65_535, about: "0 lets the kernel choose"),
            buses: section.list("buses", atLeast: 1, atMost: 8, readBus),
            evses: section.list("evses", atLeast: 1, atMost: 16, readEVSE),
            faults: section.list("faults", atMost: 100, about: "what breaks when", readFault))
        settings.check(section)
        return settings
    }

    private static func readBus(_ section: ConfigSection) -> Bus {
        let kind: BusKind = section.choice("kind", about: "a pseudo-terminal, or loopback TCP")
        return Bus(
            name: section.text("name"), kind: kind,
            link: kind == .serial
                ? section.path("link", about: "name of the pseudo-terminal") : "",
            port: kind == .tcp ? section.int("port", in: 0...65_535) : 0)
    }

    private static func readEVSE(_ section: ConfigSection) -> EVSE {
        let meter = section.section("meter")
        let relay = section.section("relay")
        let pilot = section.section("pilot")
        let car = section.section("car")
        let phases = section.int("phases", default: 3, in: 1...3)
        return EVSE(
            name: section.text("name"), phases: phases,
            millivolts: Int64(section.int("volts", default: 230, in: 80...300)) * 1000,
            meter: place(meter), meterModel: meter.choice("model"),
            startWattHours: Int64(
                meter.int(
                    "startWattHours", default: 0, in: 0...7_000_000,
                    about: "float32 resolves a watt-hour below 8 MWh only")),
            serial: meter.int("serial", default: 12_345_678, in: 0...0xFFFF_FFFF),
            relay: place(relay), coil: relay.int("coil", default: 0, in: 0...7),
            pilot: place(pilot),
            pilotFirmware: pilot.int("firmware", default: 17, in: 1...99),
            car: readCar(car, phases: phases),
            isPluggedIn: car.bool("isPluggedIn", default: false))
    }

    private static func readCar(_ section: ConfigSection, phases: Int) -> SimulatedCar.Model {
        let milliamperes = section.int(
            "milliamperes", default: 32_000, in: 6000...80_000, about: "per phase")
        let steps = section.list("curve", atMost: 32, about: "instead of one current") { step in
            ChargingCurve.Step(
                untilWattHours: step.intOrNil("untilWattHours", in: 1...1_000_000).map(Int64.init),
                milliamperes: Int64(step.int("milliamperes", in: 0...80_000)))
        }
        return SimulatedCar.Model(
            phases: section.int("phases", default: phases, in: 1...3),
            curve: steps.isEmpty
                ? .flat(milliamperes: Int64(milliamperes)) : ChargingCurve(steps),
            readyAfterMilliseconds: Int64(
                section.int("readyAfterMilliseconds", default: 300, in: 0...60_000)),
            followsAfterMilliseconds: Int64(
                section.int("followsAfterMilliseconds", default: 300, in: 0...5000)),
            risesMilliamperesPerSecond: Int64(
                section.int("risesMilliamperesPerSecond", default: 20_000, in: 100...1_000_000)),
            hasBrokenDiode: section.bool("hasBrokenDiode", default: false),
            needsVentilation: section.bool("needsVentilation", default: false))
    }

    private static func readFault(_ section: ConfigSection) -> ScriptedFault {
        ScriptedFault(
            afterSeconds: section.int("afterSeconds", in: 0...86_400),
            place: place(section),
            fault: SlaveFault(
                section.choice("kind"),
                requests: section.intOrNil(
                    "requests", in: 1...1_000_000, about: "left out: for ever"),
                milliseconds: section.int("milliseconds", default: 250, in: 1...60_000),
                code: section.int("code", default: 4, in: 1...255)))
    }

    private static func place(_ section: ConfigSection) -> Place {
        Place(bus: section.text("bus"), unit: section.int("unit", in: 1...247))
    }

    /// What no single key shows: names that are used twice or not at all.
    private func check(_ section: ConfigSection) {
        guard !section.isSchema else { return }
        let names = buses.map(\.name)
        if Set(names).count != names.count {
            section.problem("buses", "two buses have one name; rename one")
        }
        if Set(evses.map(\.name)).count != evses.count {
            section.problem("evses", "two EVSEs have one name; rename one")
        }
        for evse in evses {
            for place in [evse.meter, evse.relay, evse.pilot] where !names.contains(place.bus) {
                section.problem(
                    "evses",
                    "\(evse.name) names the bus \(place.bus); known are "
                        + names.joined(separator: ", "))
            }
        }
        let places = evses.flatMap { [$0.meter, $0.pilot, $0.relay] }
        for fault in faults where !places.contains(fault.place) {
            section.problem(
                "faults",
                "nothing answers as unit \(fault.place.unit) on \(fault.place.bus); name a device's place"
            )
        }
        let single = evses.flatMap { [$0.meter, $0.pilot] }
        let taken = single + Set(evses.map(\.relay))
        if Set(taken).count != taken.count {
            section.problem("evses", "two devices have one bus and unit; give each its own unit")
        }
        let coils = evses.map { [$0.relay.bus, "\($0.relay.unit)", "\($0.coil)"] }
        if Set(coils).count != coils.count {
            section.problem("evses", "two EVSEs have one relay coil; give each its own coil")
        }
    }
}
