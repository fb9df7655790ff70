import Charging
import HAL
import Service
import Station

extension EdgeSettings {
    /// The supply, what else hangs on it, and how its outlets share it.
    struct Supply: Sendable {
        struct Meter: Sendable {
            var profile: String
            var bus: String
            var unit: Int
        }

        var nominalVolts: Int
        var safe: Amperes?
        var raiseSeconds: Int
        var turnSeconds: Int
        var meter: Meter?
        var limitFile: String?
        var offlineSeconds: Int
        var offlineAmperes: Int
        var zone: LocalTimeRules
        var group: Group?
    }

    static func supply(
        _ file: ConfigSection, _ site: ConfigSection, zone: LocalTimeRules
    ) -> Supply {
        let policy = file.section("smartCharging", about: "the operator's limits")
        let meter = site.sectionOrNil("meter", about: "at the site's fuse, before everything")
        return Supply(
            nominalVolts: site.int(
                "nominalVolts", default: 230, in: 100...300,
                about: "phase to neutral, for limits in watts"),
            safe: site.intOrNil(
                "safeAmperes", in: 0...1000,
                about: "per phase, all outlets together, while nobody knows what the rest draws"
            ).map { Amperes(Int64($0)) },
            raiseSeconds: site.int(
                "raiseSeconds", default: 30, in: 1...600,
                about: "between two rises of an outlet's limit"),
            turnSeconds: site.int(
                "turnSeconds", default: 900, in: 60...86_400,
                about: "how long an outlet keeps its turn where there is not enough for all"),
            meter: meter.map {
                .init(
                    profile: $0.text("profile", about: "hal/profiles/meters/NAME.yaml"),
                    bus: $0.text("bus", about: "name of a bus"),
                    unit: $0.int("unit", default: 1, in: 1...247, about: "Modbus unit"))
            },
            limitFile: site.pathOrNil(
                "limitFile", about: "a JSON file with a limit on all outlets together"),
            offlineSeconds: policy.int(
                "offlineSeconds", default: 0, in: 0...2_592_000,
                about: "after so long without the operator his low limits are lifted; 0 never"),
            offlineAmperes: policy.int(
                "offlineAmperes", default: 6, in: 6...80, about: "what they are lifted to"),
            zone: zone, group: group(site))
    }

    static func zone(_ file: ConfigSection) -> LocalTimeRules {
        let name = file.text(
            "timeZone", default: "UTC",
            about: "of the place, for limits by the time of day and `offer.schedule`")
        guard !file.isSchema, name != "UTC" else { return .utc }
        do {
            return try LocalTimeRules(tzif: ZoneInfo.load(name))
        } catch let error as ZoneInfoError {
            file.problem("timeZone", "\(error)")
        } catch {
            file.problem("timeZone", "the file of the time zone `\(name)` is damaged")
        }
        return .utc
    }

    static func checkSupply(_ settings: EdgeSettings, _ places: Places) {
        let (supply, site) = (settings.supply, places.site)
        if let meter = supply.meter {
            let section = site.section("meter")
            if !settings.buses.contains(where: { $0.name == meter.bus }) {
                section.problem("bus", "no bus is called \(meter.bus); \(known(settings))")
            }
            if settings.evses.contains(where: { $0.contactorBus == meter.bus }) {
                section.problem(
                    "bus",
                    "a contactor's bus carries no meters; a slow meter would hold up an opening")
            }
            let lines = settings.lineNames
            if settings.evses.contains(where: {
                lines[$0.meterBus] == lines[meter.bus] && $0.meterUnit == meter.unit
            }) {
                section.problem("unit", "is an outlet's meter; the site's is another one")
            }
        }
        if supply.meter != nil || supply.limitFile != nil || supply.group != nil,
            supply.safe == nil
        {
            site.problem(
                "safeAmperes",
                "is missing; say what the outlets may draw together, per phase, when the meter, the "
                    + "limit file or the other boards are silent (0 stops them)")
        }
        if let safe = supply.safe, safe > settings.fuse {
            site.problem("safeAmperes", "is above fuseAmperes; lower it")
        }
        checkGroup(settings, site)
        for (evse, place) in zip(settings.evses, places.evses)
        where evse.wiring.phases.count == 1 && evse.wiring.phases[0] >= settings.phases {
            place.own.problem(
                "wiring", "\(evse.wiring.rawValue) needs more phases than `site.phases` has")
        }
    }

    /// Reads the limit file; nil where none is configured.
    var limitSource: (@Sendable () -> SiteLimitReading)? {
        guard let path = supply.limitFile else { return nil }
        return { SiteLimitFile.read(path) }
    }

    /// What smart charging has to know; the outlets as the board can drive them.
    func smartCharging(_ outlets: [Cabinet.Outlet]) -> SmartChargingSettings {
        var charging = SmartChargingSettings(
            outlets: outlets.map { outlet in
                let evse = evses.first { $0.connector == outlet.connector }
                return .init(
                    connector: outlet.connector, wiring: evse?.wiring ?? .rst,
                    minimum: outlet.capabilities.minimum, maximum: outlet.capabilities.maximum,
                    priority: evse?.priority ?? 0)
            },
            fuse: fuse,
            supply: ChargingSupply(
                phases: phases, nominal: Volts(millivolts: Int64(supply.nominalVolts) * 1000)),
            safe: supply.safe ?? fuse)
        charging.zone = supply.zone
        charging.balancing.rises = Int64(supply.raiseSeconds) * 1000
        charging.balancing.turn = Int64(supply.turnSeconds) * 1000
        if supply.offlineSeconds > 0 {
            charging.offlineMilliseconds = Int64(supply.offlineSeconds) * 1000
        }
        charging.offlineAmperes = Amperes(Int64(supply.offlineAmperes))
        return charging
    }
}
