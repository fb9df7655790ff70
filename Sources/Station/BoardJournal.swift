import Charging
import HAL
import SQL
import Service

/// What the board must not forget: charges, what of them the operator has not confirmed, settings.
///
/// A start, sample or stop is committed here before it is sent and deleted only after its answer,
/// in order, for ever. Any single instruction may be the last before the power goes: each step is
/// one SQL transaction, and what is found at the next start is enough to bill every watt-hour once.
package final class BoardJournal: Sendable {
    let database: Database
    let limits: JournalLimits
    /// Differs from boot to boot of the board, not from start to start of the program.
    package let bootID: String
    private let clock: any ServiceClock

    /// Opens or makes the journal and brings its schema up to date.
    package init(
        path: String, bootID: String, limits: JournalLimits = JournalLimits(),
        clock: any ServiceClock = .system
    ) async throws {
        var bounds = DatabaseLimits()
        bounds.cacheKiB = 512
        bounds.cachedStatements = 64
        bounds.journalBytes = 1 << 20
        database = try Database(path: path, readers: 1, limits: bounds, clock: clock)
        self.limits = limits
        self.bootID = bootID
        self.clock = clock
        try await database.migrate(Self.migrations)
    }

    package func close() async { await database.close() }

    /// What the wall's clock reads at the monotonic zero of this boot, in milliseconds. It moves when
    /// the wall's clock is set, and tells by how much older times of this boot were wrong.
    var base: Int64 { clock.now.milliseconds - clock.monotonicMilliseconds }

    // MARK: The life of a charge

    /// Makes a start durable together with the message that will tell it.
    ///
    /// - `reservation`: the operator's number of the reservation it uses; it lies in the message.
    /// - Returns: the board's own number of the charge.
    func start(
        connector: ConnectorNumber, token: String, isRemote: Bool, register: WattHours,
        at: Timestamp, reservation: Int? = nil
    ) async throws -> Int64 {
        let (bootID, base) = (bootID, base)
        return try await database.write { sql in
            let row = try sql.queryOne(
                """
                INSERT INTO charge (connector, token, is_remote, meter_start_wh, started_at,
                    last_register_wh, last_alive_at, boot_id, alive_base)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id
                """,
                connector, token, isRemote, register.value, at, register.value, at, bootID, base)
            guard let id = try row?.int64("id") else { throw JournalError.noNumber }
            try Self.owe(
                "start", of: id, boot: bootID, base: base, body: reservation.map { String($0) },
                sql)
            return id
        }
    }

    /// Keeps a running charge's register, so that a power cut loses no more than what came after.
    func keep(register: WattHours, of charge: Int64, at: Timestamp) async throws {
        let base = base
        try await database.write { sql in
            try Self.keep(register, of: charge, at: at, base: base, sql)
        }
    }

    private static func keep(
        _ register: WattHours, of charge: Int64, at: Timestamp, base: Int64, _ sql: Transaction
    ) throws {
        try sql.execute(
            """
            UPDATE charge SET last_register_wh = ?, last_alive_at = ?, alive_base = ?
            WHERE id = ? AND stopped_at IS NULL
            """, register.value, at, base, charge)
    }

    private static func owe(
        _ kind: String, of charge: Int64, boot: String, base: Int64, body: String? = nil,
        _ sql: Transaction
    ) throws {
        try sql.execute(
            "INSERT INTO message (charge_id, kind, body, boot_id, clock_base) VALUES (?, ?, ?, ?, ?)",
            charge, kind, body, boot, base)
    }

    /// Queues a sample; thins what waits where it is too much.
    func sample(_ sample: StoredSample, of charge: Int64) async throws {
        let most = limits.samples
        let text = sample.text
        let (bootID, base) = (bootID, base)
        try await database.write { sql in
            try Self.owe("sample", of: charge, boot: bootID, base: base, body: text, sql)
            try Self.keep(
                sample.snapshot.register, of: charge, at: sample.snapshot.at, base: base, sql)
            let count = try sql.queryOne("SELECT COUNT(*) AS n FROM message WHERE kind = 'sample'")
            guard try count?.int("n") ?? 0 > most else { return }
            try sql.execute(
                """
                DELETE FROM message WHERE seq IN (
                    SELECT seq FROM (
                        SELECT seq, ROW_NUMBER() OVER (ORDER BY seq) AS place
                        FROM message WHERE kind = 'sample') AS numbered
                    WHERE place % 2 = 0)
                """)
        }
    }

    /// Makes a stop durable together with its message. A second stop of the same charge changes
    /// nothing.
    ///
    /// - `signed`: the meter's own record of the charge; it goes with the message as it is.
    func stop(_ stop: ConnectorMachine.Stop, signed: SignedRecord? = nil) async throws {
        let (bootID, base) = (bootID, base)
        let body = signed.map { SignedStop.text($0) }
        try await database.write { sql in
            // The time of a recovered charge was read off the clock of an earlier run.
            let alive = try sql.queryOne(
                "SELECT boot_id, last_alive_at, alive_base FROM charge WHERE id = ?",
                stop.transaction)
            let isOld = try alive?.timestamp("last_alive_at") == stop.at
            let changed = try sql.execute(
                """
                UPDATE charge SET meter_stop_wh = ?, stopped_at = ?, stop_reason = ?,
                    stop_token = ?, is_last_good = ?
                WHERE id = ? AND stopped_at IS NULL
                """,
                stop.register.value, stop.at, stop.reason.rawValue, stop.token, stop.isLastGood,
                stop.transaction)
            guard changed > 0 else { return }
            try Self.owe(
                "stop", of: stop.transaction,
                boot: isOld ? try alive?.text("boot_id") ?? bootID : bootID,
                base: isOld ? try alive?.int64("alive_base") ?? base : base, body: body, sql)
        }
    }

    /// The charges that were open when the program last ended, to be closed by their connectors.
    package func recovered() async throws -> [ConnectorNumber: ConnectorMachine.Recovered] {
        let bootID = bootID
        return try await database.read { sql in
            var found: [ConnectorNumber: ConnectorMachine.Recovered] = [:]
            for row in try sql.query("SELECT * FROM charge WHERE stopped_at IS NULL ORDER BY id") {
                let sameBoot = try row.text("boot_id") == bootID
                found[try row.int("connector")] = ConnectorMachine.Recovered(
                    transaction: try row.int64("id"), token: try row.text("token"),
                    lastRegister: WattHours(try row.int64("last_register_wh")),
                    lastAlive: try row.timestamp("last_alive_at"),
                    // The board ran on and only the program ended, or the power was gone.
                    reason: sameBoot ? .reboot : .powerLoss,
                    startRegister: WattHours(try row.int64("meter_start_wh")),
                    startedAt: try row.timestamp("started_at"),
                    limits: ChargeLimits(text: try row.textOrNil("limits") ?? ""))
            }
            return found
        }
    }

    /// Closes what no connector will: charges of connectors that are no longer configured, and all
    /// but the newest where a connector has several open ones.
    package func closeOrphans(connectors: [ConnectorNumber]) async throws -> Int {
        let newest = try await recovered()
        let keep = Set(
            newest.filter { connectors.contains($0.key) }.map { $0.value.transaction })
        return try await database.write { sql in
            var closed = 0
            for row in try sql.query("SELECT * FROM charge WHERE stopped_at IS NULL") {
                let id = try row.int64("id")
                if keep.contains(id) { continue }
                try sql.execute(
                    """
                    UPDATE charge SET meter_stop_wh = last_register_wh, stopped_at = last_alive_at,
                        stop_reason = 'PowerLoss', is_last_good = 1 WHERE id = ?
                    """, id)
                try Self.owe(
                    "stop", of: id, boot: try row.text("boot_id"),
                    base: try row.int64("alive_base"), sql)
                closed += 1
            }
            return closed
        }
    }
}

package enum JournalError: Error, Hashable, Sendable {
    /// The database gave no number to a new row.
    case noNumber
    /// A row holds what this program never writes.
    case damaged(String)
}
