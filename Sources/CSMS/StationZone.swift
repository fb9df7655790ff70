import Charging
import Service

/// Reads what a station told without a zone as its own local time, where somebody said which zone it is in.
///
/// Of one message all times are taken for local that are read with it, as no station writes both.
struct StationZone: Sendable {
    let rules: LocalTimeRules

    /// - Parameter name: as the zone database has it, like `Asia/Kolkata`.
    /// - Throws: `ZoneInfoError`, `LocalTimeRules.Flaw`.
    init(_ name: String) throws { rules = try LocalTimeRules(tzif: ZoneInfo.load(name)) }

    /// The moment at which clocks there showed what was read as UTC. Of an hour that is twice in the year
    /// the later one; of one that is not, what a clock shows that was not set.
    func moment(_ told: Timestamp) -> Timestamp {
        let near = told.advanced(bySeconds: -Int64(rules.offsetSeconds(at: told)))
        return told.advanced(bySeconds: -Int64(rules.offsetSeconds(at: near)))
    }

    func applied(to event: StationEvent) -> StationEvent {
        switch event {
        case .statusChanged(var report):
            report.at = report.at.map(moment)
            return .statusChanged(report)
        case .sessionStarted(var start):
            start.at = start.at.map(moment)
            return .sessionStarted(start)
        case .metered(var report):
            report.readings = report.readings.map(reading)
            return .metered(report)
        case .sessionStopped(var stop):
            stop.at = stop.at.map(moment)
            stop.readings = stop.readings.map(reading)
            return .sessionStopped(stop)
        case .maintenance(.security(var event)):
            event.at = event.at.map(moment)
            return .maintenance(.security(event))
        case .booted, .alive, .authorizing, .data, .maintenance, .foreign: return event
        }
    }

    private func reading(_ reading: MeterReading) -> MeterReading {
        var reading = reading
        reading.at = reading.at.map(moment)
        return reading
    }
}

/// The zones that stations are in, each read once.
final class StationZones: Sendable {
    private let known = Lock([String: StationZone]())

    /// nil where it cannot be read any more: then times are read as UTC, as of any other station.
    subscript(name: String?) -> StationZone? {
        guard let name else { return nil }
        return known.withLock { known in
            if let zone = known[name] { return zone }
            // Checked when it was set; the database of zones may have lost it since.
            guard let zone = try? StationZone(name) else { return nil }
            known[name] = zone
            return zone
        }
    }
}
