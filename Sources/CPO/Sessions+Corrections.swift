import Charging
import SQL
import Service

// What a model tells otherwise than OCPP has it is put right here, before anything is decided.
extension Sessions {
    /// Corrections by station, as its last boot said what it is.
    typealias Corrections = [String: ModelCorrection?]

    /// The event as it should have been told.
    nonisolated(nonsending) func corrected(
        _ event: StationEvent, from station: String
    ) async throws -> StationEvent {
        guard !settings.corrections.isEmpty else { return event }
        if case .booted = event {
            forgetCorrection(of: station)
            return event
        }
        if let known = corrections.withLock({ $0[station] }) {
            return known?.applied(to: event) ?? event
        }
        let found = try await database.read { try self.correction(of: station, in: $0) }
        return found?.applied(to: event) ?? event
    }

    func correction(
        of station: String, in transaction: Transaction
    ) throws -> ModelCorrection? {
        guard !settings.corrections.isEmpty else { return nil }
        if let known = corrections.withLock({ $0[station] }) { return known }
        let identity = try stores.stations.station(station, in: transaction)?.identity
        let found = settings.corrections.first(for: identity)
        corrections.withLock { $0[station] = .some(found) }
        return found
    }

    /// It may be another model, or have another firmware, after this boot.
    func forgetCorrection(of station: String) {
        corrections.withLock { _ = $0.removeValue(forKey: station) }
    }

    /// A report whose energy counts since its charge began, by the meter's register.
    func byMeter(
        _ report: MeterReport, of key: Int64, at station: String, in transaction: Transaction
    ) throws -> MeterReport {
        guard let correction = try correction(of: station, in: transaction),
            correction.sessionRegister.contains(.readings),
            let row = try transaction.queryOne(
                "SELECT meter_start_wh FROM session WHERE key = ?", key)
        else { return report }
        var report = report
        report.readings = correction.since(
            WattHours(try row.int64("meter_start_wh")), report.readings)
        return report
    }

    /// The same for a stop. By the row's own start: the same stop must stay the same after a person
    /// corrected the session.
    func byMeter(
        _ stop: SessionStop, of row: Row, at station: String, in transaction: Transaction
    ) throws -> SessionStop {
        guard let correction = try correction(of: station, in: transaction) else { return stop }
        let start = WattHours(try row.int64("meter_start_wh"))
        var stop = stop
        stop.meterStop = correction.since(start, stop.meterStop)
        stop.readings = correction.since(start, stop.readings)
        return stop
    }
}
