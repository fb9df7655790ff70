import Charging
import SQL
import Service

extension Sessions {
    /// What a station's clock was last seen to be off by.
    package struct Skew: Hashable, Sendable {
        /// Positive: the station's clock is ahead.
        package var milliseconds: Int64
        package var measuredAt: Timestamp
    }

    /// nil for a station that told no time yet.
    package func skew(of station: String) async throws -> Skew? {
        if let known = clocks.withLock({ $0[station] }) {
            return Skew(milliseconds: known.milliseconds, measuredAt: known.measuredAt)
        }
        return try await database.read { transaction in
            try transaction.queryOne("SELECT * FROM station_clock WHERE station = ?", station).map {
                Skew(
                    milliseconds: try $0.int64("skew_ms"),
                    measuredAt: try $0.timestamp("measured_at"))
            }
        }
    }

    /// What was learnt before the server's start, so that its first messages do not find a clock that
    /// seems right.
    func recallSkew(of station: String, in transaction: Transaction) throws {
        guard clocks.withLock({ $0[station] == nil }),
            let row = try transaction.queryOne(
                "SELECT * FROM station_clock WHERE station = ?", station)
        else { return }
        let known = ClockSkew(
            milliseconds: try row.int64("skew_ms"), measuredAt: try row.timestamp("measured_at"))
        clocks.withLock { $0[station] = $0[station] ?? known }
    }

    /// Learns from the newest time in an event.
    func measure(_ event: StationEvent, from station: String, receivedAt: Timestamp) {
        let stamp: Timestamp?
        switch event {
        case .statusChanged(let report): stamp = report.at
        case .sessionStarted(let start): stamp = start.at
        case .metered(let report): stamp = report.readings.last?.at
        case .sessionStopped(let stop): stamp = stop.at
        case .booted, .alive, .authorizing, .data, .maintenance, .foreign: stamp = nil
        }
        guard let stamp else { return }
        clocks.withLock { clocks in
            if clocks[station] == nil {
                clocks[station] = ClockSkew(stamp: stamp, receivedAt: receivedAt)
            } else {
                clocks[station]?.take(stamp: stamp, receivedAt: receivedAt)
            }
        }
    }

    /// Writes down what was learnt, with the next event and when it says something new.
    func tellSkew(of station: String, in transaction: Transaction) throws {
        let news = clocks.withLock { clocks in
            clocks[station]?.isToBeTold() == true ? clocks[station] : nil
        }
        guard let news else { return }
        try transaction.execute(
            """
            INSERT INTO station_clock (station, skew_ms, measured_at) VALUES (?, ?, ?)
            ON CONFLICT (station) DO UPDATE SET skew_ms = excluded.skew_ms,
            measured_at = excluded.measured_at
            """, station, news.milliseconds, news.measuredAt)
    }

    /// In milliseconds, as far as it was heard since the server's start; positive: ahead of ours.
    func knownSkew(of station: String) -> Int64? {
        clocks.withLock { $0[station]?.milliseconds }
    }

    /// How many seconds a station's clock lags behind ours; never below zero.
    func lagSeconds(of station: String) -> Int64 {
        clocks.withLock { max(0, -($0[station]?.milliseconds ?? 0) / 1000) }
    }

    /// How far a station's times are from ours; positive: ahead. A clock that is more than five minutes ahead
    /// is not believed, so its times are ours.
    func clockErrorMilliseconds(of station: String) -> Int64 {
        let skew = clocks.withLock { $0[station]?.milliseconds } ?? 0
        return skew > StationTime.mostAheadSeconds * 1000 ? 0 : skew
    }
}
