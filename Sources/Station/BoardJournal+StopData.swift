import Charging
import OCPP
import SQL

/// The samples that a charge's StopTransaction repeats. OCPP 1.6 §4.10, §9.1.
extension BoardJournal {
    /// Which samples are kept for the stop; by the keys StopTxnSampledData and StopTxnAlignedData.
    struct StopDataRules: Hashable, Sendable {
        var keepsSampled = false
        var keepsAligned = false

        func keeps(_ context: ReadingContext) -> Bool {
            switch context {
            case .samplePeriodic: keepsSampled
            case .sampleClock: keepsAligned
            case .interruptionBegin, .interruptionEnd, .other, .transactionBegin,
                .transactionEnd, .trigger:
                false
            }
        }
    }

    /// What a stop repeats, oldest first.
    struct StopData: Hashable, Sendable {
        var start: WattHours
        var startedAt: Timestamp
        var samples: [StoredSample]
    }

    /// Keeps a sample for the stop, within the transaction that queues it. Where they are too many
    /// the one that leaves the smallest gap goes, so that the whole charge stays covered. A clock that
    /// was set back makes a gap as one that was set forward does.
    static func keepForStop(
        _ sample: StoredSample, of charge: Int64, boot: String, base: Int64, most: Int,
        _ sql: Transaction
    ) throws {
        try sql.execute(
            """
            INSERT INTO stop_sample (charge_id, at, body, boot_id, clock_base)
            VALUES (?, ?, ?, ?, ?)
            """, charge, sample.snapshot.at, sample.text, boot, base)
        let count = try sql.queryOne(
            "SELECT COUNT(*) AS n FROM stop_sample WHERE charge_id = ?", charge)
        guard try count?.int("n") ?? 0 > most else { return }
        try sql.execute(
            """
            DELETE FROM stop_sample WHERE seq = (
                SELECT seq FROM (
                    SELECT seq, ABS(
                        LEAD(at) OVER (ORDER BY seq) - LAG(at) OVER (ORDER BY seq)) AS gap
                    FROM stop_sample WHERE charge_id = ?) AS gaps
                WHERE gap IS NOT NULL ORDER BY gap, seq LIMIT 1)
            """, charge)
    }

    /// The samples kept for a charge's stop, their times repaired as those of its messages are, in
    /// whichever boot they were taken; once and for good, so that a second stop is the same.
    func stopData(of charge: Int64) async throws -> StopData? {
        try await write(.time) { sql in
            guard let row = try sql.queryOne("SELECT * FROM charge WHERE id = ?", charge) else {
                return nil
            }
            for clock in try sql.query(
                """
                SELECT DISTINCT boot_id, clock_base FROM stop_sample
                WHERE charge_id = ? AND shift_ms IS NULL
                """, charge)
            {
                let (boot, base) = (try clock.text("boot_id"), try clock.int64("clock_base"))
                try sql.execute(
                    """
                    UPDATE stop_sample SET shift_ms = ?
                    WHERE charge_id = ? AND boot_id = ? AND clock_base = ? AND shift_ms IS NULL
                    """, try Self.shift(from: base, boot: boot, of: row, sql), charge, boot, base)
            }
            let startShift = try Self.startShift(row, sql)
            try sql.execute(
                "UPDATE charge SET start_shift_ms = ? WHERE id = ?", startShift, charge)
            let samples = try sql.query(
                "SELECT body, shift_ms FROM stop_sample WHERE charge_id = ? ORDER BY seq", charge
            ).compactMap { row -> StoredSample? in
                guard var sample = StoredSample(text: try row.text("body")) else { return nil }
                let at = Self.sane(sample.snapshot.at.milliseconds)
                sample.snapshot.at.milliseconds = at + Self.sane(try row.int64("shift_ms"))
                return sample
            }
            return StopData(
                start: WattHours(try row.int64("meter_start_wh")),
                startedAt: Timestamp(
                    milliseconds: Self.sane(try row.timestamp("started_at").milliseconds)
                        + Self.sane(startShift)),
                samples: samples)
        }
    }
}

extension StationAgent {
    /// The stop with what the operator wants repeated in it.
    func withData(_ stop: SessionStop, of charge: Int64) async throws -> SessionStop {
        let sampled = settings.choices(.measurandsStopSampled)
        let aligned = settings.choices(.measurandsStopAligned)
        guard !sampled.isEmpty || !aligned.isEmpty,
            let data = try await journal.stopData(of: charge)
        else { return stop }
        var stop = stop
        if sampled.contains(where: { $0.measurand == .energyImport }) {
            stop.readings.append(
                Self.register(data.start, at: data.startedAt, .transactionBegin))
        }
        for sample in data.samples {
            let reading = sample.reading(of: sample.context == .sampleClock ? aligned : sampled)
            if !reading.samples.isEmpty { stop.readings.append(reading) }
        }
        if sampled.contains(where: { $0.measurand == .energyImport }) {
            stop.readings.append(Self.register(stop.meterStop, at: stop.at, .transactionEnd))
        }
        return stop
    }

    private static func register(
        _ register: WattHours, at: Timestamp?, _ context: ReadingContext
    ) -> MeterReading {
        MeterReading(
            at: at, samples: [MeterSample(.energyImport, Decimal(register.value), context: context)]
        )
    }
}
