import Charging
import HAL
import LinuxHAL
import Service
import Station

extension Cabinet {
    /// The meter at the site's fuse; nil where there is none.
    func siteMeter(_ settings: EdgeSettings) throws -> (any EnergyMeter)? {
        guard let place = settings.supply.meter, let bus = buses[place.bus] else { return nil }
        let library =
            settings.profileDirectory.map(ProfileLibrary.init(folder:)) ?? ProfileLibrary.standard
        return ModbusMeter(
            name: "site meter", profile: try library.meter(place.profile), bus: bus,
            unit: place.unit,
            // A supply may be overloaded for a while, but not by a half and at 300 V.
            maximumWatts: settings.fuse.milliamperes * Int64(settings.phases) * 450 / 1000)
    }
}

extension EdgeStation {
    /// `limit AMPERES [SECONDS]` or `limit off`; nil for anything else.
    static func siteLimit(_ words: [String], now: Timestamp) -> SiteLimit?? {
        guard words.first == "limit", (2...3).contains(words.count) else { return nil }
        if words[1] == "off" { return words.count == 2 ? .some(nil) : nil }
        guard let tenths = Decimal(words[1])?.multiplied(by: Decimal(10))?.floor,
            (0...10_000).contains(tenths)
        else { return nil }
        var limit = SiteLimit(currents: PhaseCurrents(Amperes(milliamperes: tenths * 100)))
        if words.count == 3 {
            guard let seconds = Int64(words[2]), (1...2_592_000).contains(seconds) else {
                return nil
            }
            limit.until = now.advanced(bySeconds: seconds)
        }
        return .some(limit)
    }
}
