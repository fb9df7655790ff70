import CPO
import Charging
import Service

/// Stations that connect so often that something is wrong: two devices with one id, or one that
/// restarts without end. They are held off until their time is over or the operator lifts it.
///
/// Kept in memory: after a restart of the server each begins anew, and is held again soon enough.
final class Quarantine: Sendable {
    /// Addresses shown of one station.
    private static let mostAddresses = 8
    private static let hourSeconds: Int64 = 3600
    private static let flapSeconds: Int64 = 300

    private struct Entry {
        var connects: [Timestamp] = []
        /// Newest last.
        var addresses: [String] = []
        /// What it said it was at its boots, newest last, and when that changed.
        var devices: [StationIdentity] = []
        var changes: [Timestamp] = []
        var hold: StationHold?
    }

    private let entries = Lock([String: Entry]())
    private let settings: CentralSystemSettings

    init(settings: CentralSystemSettings) { self.settings = settings }

    /// Why the station is held off now; nil: it may come in.
    func hold(of station: String, at now: Timestamp) -> StationHold? {
        entries.withLock { entries in
            guard let hold = entries[station.lowercased()]?.hold else { return nil }
            guard now < hold.until else {
                entries[station.lowercased()] = nil
                return nil
            }
            return hold
        }
    }

    /// Counts a handshake that was about to be granted.
    ///
    /// - Parameter replacements: how often its address changed lately.
    /// - Returns: the hold it led to; nil: it may come in.
    func connecting(
        _ station: String, from address: String, replacements: Int, at now: Timestamp
    ) -> StationHold? {
        let settings = settings
        return entries.withLock { entries in
            var entry = entries[station.lowercased()] ?? Entry()
            let since = now.advanced(bySeconds: -Self.hourSeconds)
            entry.connects.removeAll { $0 <= since }
            entry.connects.append(now)
            entry.addresses.removeAll { $0 == address }
            entry.addresses.append(address)
            entry.addresses.removeFirst(max(0, entry.addresses.count - Self.mostAddresses))
            var reason: StationHold.Reason?
            if replacements > settings.replacementsInFiveMinutes { reason = .severalDevices }
            if settings.connectsAnHour > 0, entry.connects.count > settings.connectsAnHour {
                reason = .tooManyConnects
            }
            if let reason {
                entry.hold = StationHold(
                    station: station, reason: reason, since: now,
                    until: now.advanced(bySeconds: settings.holdSeconds),
                    addresses: entry.addresses, devices: entry.devices.map(\.words))
                entry.connects = []
            }
            entries[station.lowercased()] = entry
            return entry.hold
        }
    }

    /// Hears what a station says it is at its boot.
    ///
    /// - Parameter device: what a device is told by; one that tells its serial at some boots only is the
    ///   same.
    /// - Returns: the hold it led to; nil: it may stay.
    func booted(
        _ station: String, as device: StationIdentity, from address: String, at now: Timestamp
    ) -> StationHold? {
        let settings = settings
        return entries.withLock { entries in
            var entry = entries[station.lowercased()] ?? Entry()
            guard entry.hold == nil else { return nil }
            let known = entry.devices.last { !device.isAnother(than: $0) }
            // A serial that was told once is known.
            let told = device.serial == nil ? known ?? device : device
            guard let last = entry.devices.last, told.isAnother(than: last) else {
                if !entry.devices.isEmpty { entry.devices.removeLast() }
                entry.devices.append(told)
                entries[station.lowercased()] = entry
                return nil
            }
            let since = now.advanced(bySeconds: -Self.flapSeconds)
            entry.changes.removeAll { $0 <= since }
            entry.changes.append(now)
            entry.devices.removeAll { !told.isAnother(than: $0) }
            entry.devices.append(told)
            entry.devices.removeFirst(max(0, entry.devices.count - Self.mostAddresses))
            if entry.changes.count > settings.replacementsInFiveMinutes {
                entry.hold = StationHold(
                    station: station, reason: .severalDevices, since: now,
                    until: now.advanced(bySeconds: settings.holdSeconds),
                    addresses: entry.addresses.isEmpty ? [address] : entry.addresses,
                    devices: entry.devices.map(\.words))
                entry.changes = []
            }
            entries[station.lowercased()] = entry
            return entry.hold
        }
    }

    /// The operator's word: the station may come again.
    func lift(_ station: String) -> Bool {
        entries.withLock { $0.removeValue(forKey: station.lowercased())?.hold != nil }
    }

    func holds(at now: Timestamp) -> [StationHold] {
        entries.withLock { $0.values.compactMap(\.hold).filter { now < $0.until } }
            .sorted { $0.station < $1.station }
    }
}

/// A station that is held off.
package struct StationHold: Hashable, Sendable {
    package enum Reason: String, Hashable, Sendable {
        case severalDevices = "several devices seem to use this id"
        case tooManyConnects = "it connects too often"
    }

    package var station: String
    package var reason: Reason
    package var since: Timestamp
    package var until: Timestamp
    /// Where it was seen, newest last.
    package var addresses: [String]
    /// What it said it was, newest last.
    package var devices: [String]
}
