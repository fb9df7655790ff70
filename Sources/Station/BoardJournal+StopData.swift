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
    /// the one that leaves the smallest gap goes, so that the whole charge stays covered.
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
                    SELECT seq, LEAD(at) OVER (ORDER BY seq) - LAG(at) OVER (ORDER BY seq) AS gap
                    FROM stop_sample WHERE charge_id = ?) AS gaps
                WHERE gap IS NOT NULL ORDER BY gap, seq LIMIT 1)
            """, charge)
    }

    /// The samples kept for a charge's stop, their times repaired as those of its messages are.
    func stopData(of charge: Int64) async throws -> StopData? {
        let (bootID, base) = (bootID, base)
        return try await database.write { sql in
            try sql.execute(
                """
                UPDATE stop_sample SET shift_ms = CASE
                    WHEN boot_id = ? AND ABS(? - clock_base) > ? THEN ? - clock_base ELSE 0 END
                WHERE charge_id = ? AND shift_ms IS NULL
                """, bootID, base, BoardClock.tolerancesMilliseconds, base, charge)
            guard
                let row = try sql.queryOne(
                    "SELECT meter_start_wh, started_at FROM charge WHERE id = ?", charge)
            else { return nil }
            let samples = try sql.query(
                "SELECT body, shift_ms FROM stop_sample WHERE charge_id = ? ORDER BY seq", charge
            ).compactMap { row -> StoredSample? in
                guard var sample = StoredSample(text: try row.text("body")) else { return nil }
                sample.snapshot.at.milliseconds += try row.int64("shift_ms")
                return sample
            }
            return StopData(
                start: WattHours(try row.int64("meter_start_wh")),
                startedAt: try row.timestamp("started_at"), samples: samples)
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
