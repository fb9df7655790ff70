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
