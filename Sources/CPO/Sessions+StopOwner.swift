import Charging
import SQL
import Service

// Whose a stop is: by its number, or for want of one by what fits.
extension Sessions {
    enum StopOwner {
        case session(Row)
        /// Why none is known, in words.
        case unknown(String)
    }

    func owner(
        of stop: SessionStop, at station: String, _ receivedAt: Timestamp,
        in transaction: Transaction
    ) throws -> StopOwner {
        if let row = try transaction.queryOne(
            "SELECT * FROM session WHERE station = ? AND reference = ?", station,
            stop.transaction.storedText)
        {
            return .session(row)
        }
        // A station that never learnt its number says 0 or -1: by tag, register and time, if only one
        // fits. Of a session whose number it named it would not say so. OCPP 1.6 errata 3.18.
        guard Self.isUnset(stop.transaction) else { return .unknown(Self.noneFits) }
        // Told before: its answer was lost, and the next charge must not be ended by it.
        let again = try transaction.queryOne(
            "SELECT * FROM session WHERE station = ? AND stop_raw = ? ORDER BY key DESC LIMIT 1",
            station, Self.raw(stop))
        if let again { return .session(again) }
        guard try !isParked(.stop(stop), station, in: transaction) else {
            return .unknown(Self.noneFits)
        }
        let keys = try unnumbered(stop, at: station, receivedAt, in: transaction)
        guard keys.count == 1,
            let row = try transaction.queryOne("SELECT * FROM session WHERE key = ?", keys[0])
        else { return .unknown(keys.isEmpty ? Self.noneFits : Self.severalFit) }
        return .session(row)
    }

    /// Sessions without a number at the station that a stop without one could be of.
    ///
    /// The register at which a charge began is the one at which the charge before it ended, so one that
    /// gave energy goes first: one that runs, then one that lost its connector to a newer start.
    private func unnumbered(
        _ stop: SessionStop, at station: String, _ receivedAt: Timestamp,
        in transaction: Transaction
    ) throws -> [Int64] {
        let (at, _) = StationTime.repaired(stop.at, receivedAt: receivedAt)
        let idTag = stop.token.map(Tokens.folded)
        let running = try book.withLock { book in
            book.open(station: station).filter { entry in
                !entry.isAcknowledged && (idTag == nil || entry.idTag == idTag)
                    && entry.session.meterStart <= stop.meterStop && entry.session.startedAt <= at
            }
        }.filter { try !hasOther($0, until: at, heard: receivedAt, in: transaction) }
        let giving = running.filter { $0.session.meterStart < stop.meterStop }
        if !giving.isEmpty { return giving.map(\.key) }
        let closed = try transaction.query(
            """
            SELECT key FROM session WHERE closure = 'provisional' AND station = ?
            AND is_acknowledged = 0 AND (CAST(? AS TEXT) IS NULL OR id_tag = ?)
            AND meter_start_wh < ? AND started_at <= ?
            """, station, idTag, idTag, stop.meterStop.value, at)
        return closed.isEmpty ? running.map(\.key) : try closed.map { try $0.int64("key") }
    }
}
