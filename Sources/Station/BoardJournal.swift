import Charging
import Glibc
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
    package let limits: JournalLimits
    /// Differs from boot to boot of the board, not from start to start of the program.
    package let bootID: String
    let clock: any ServiceClock
    let path: String
    let reserve: JournalReserve?
    private let probe: JournalProbe?
    let state = Lock(State())
    let stopDataRules = Lock(StopDataRules())

    struct State {
        /// What the wall's clock read at the monotonic zero, as last seen and before it was set.
        var bases: [Int64] = []
        /// What the row of this boot was last told.
        var settled: (base: Int64, trust: ClockTrust)?
        var trouble: JournalTrouble?
        /// Stops that wait for their signed record, and until when.
        var heldStops: [Int64: Int64] = [:]
        /// While the disk is full: samples are not even tried.
        var skippedSamples = 0
    }

    /// Of the journal's file, beside SQLite's own.
    let heldOpen = Lock([Int32]())

    /// Opens or makes the journal and brings its schema up to date.
    ///
    /// - `isRebuilding`: it is filled from a damaged one, and has no bounds until it takes its place.
    /// - Throws: where the file is damaged; `open` then rebuilds it.
    package init(
        path: String, bootID: String, limits: JournalLimits = JournalLimits(),
        clock: any ServiceClock = .system, probe: JournalProbe? = nil, isRebuilding: Bool = false
    ) async throws {
        self.limits = limits
        self.bootID = bootID
        self.clock = clock
        self.path = path
        self.probe = probe
        reserve =
            path == ":memory:" || isRebuilding
            ? nil : JournalReserve(beside: path, bytes: limits.spareBytes)
        var bounds = Self.bounds(limits)
        if isRebuilding { bounds.pages = nil }
        database = try Database(path: path, readers: 1, limits: bounds, clock: clock)
        do {
            try await prepare()
        } catch {
            await database.close()
            throw error
        }
    }

    /// The journal of a program that ended, taken up by the next one: for simulations.
    init(
        taking database: Database, bootID: String, limits: JournalLimits, clock: any ServiceClock,
        probe: JournalProbe? = nil
    ) async throws {
        self.database = database
        self.limits = limits
        self.bootID = bootID
        self.clock = clock
        self.probe = probe
        path = ":memory:"
        reserve = nil
        try await prepare()
    }

    static func bounds(_ limits: JournalLimits) -> DatabaseLimits {
        var bounds = DatabaseLimits()
        bounds.cacheKiB = 256
        bounds.cachedStatements = 64
        bounds.journalBytes = 1 << 20
        // A small log: a board's flash is small, and what is not yet in the file is read at each start.
        bounds.checkpointPages = 256
        bounds.pages = Int(limits.bytes / 4096)
        return bounds
    }

    package func close() async {
        await database.close()
        letGo()
    }

    private func letGo() {
        let descriptors = heldOpen.withLock { held in
            defer { held = [] }
            return held
        }
        for descriptor in descriptors { Glibc.close(descriptor) }
    }

    deinit { letGo() }

    /// Every write goes through here: it is where a disk's trouble is noticed and a test's begins.
    @discardableResult
    func write<Value: Sendable>(
        _ step: JournalStep, _ body: @escaping @Sendable (Transaction) throws -> Value
    ) async throws -> Value {
        let probe = probe
        func attempt() async throws -> Value {
            try await database.write { sql in
                let value = try body(sql)
                try probe?(step, .written)
                return value
            }
        }
        do {
            try probe?(step, .asked)
            let value: Value
            do {
                value = try await attempt()
            } catch SQLError.full where step.mayUseReserve {
                guard await mayGiveUpReserve(for: step), reserve?.release() == true else {
                    throw SQLError.full
                }
                value = try await attempt()
            }
            try probe?(step, .committed)
            return value
        } catch {
            note(error)
            throw error
        }
    }

    /// An update waits for those who charge: the space is for their bills.
    private func mayGiveUpReserve(for step: JournalStep) async -> Bool {
        guard step == .firmware else { return true }
        // What cannot be read may hold an open charge.
        return (try? await recovered().isEmpty) ?? false
    }

    // MARK: The life of a charge

    /// Makes a start durable together with the message that will tell it.
    ///
    /// - `reservation`: the operator's number of the reservation it uses; it lies in the message.
    /// - `limits`: where it ends by itself; whoever takes it up after a crash must know them.
    /// - `profile`: the operator's own for this charge, for the same reason.
    /// - Returns: the board's own number of the charge.
    /// - Throws: `.refusing` while the journal could not promise to keep it to its end.
    package func start(
        connector: ConnectorNumber, token: String, isRemote: Bool, register: WattHours,
        at: Timestamp, reservation: Int? = nil, limits chargeLimits: ChargeLimits = .none,
        profile: ChargingProfile? = nil
    ) async throws -> Int64 {
        if let trouble { throw JournalError.refusing(trouble) }
        let (bootID, base, limits) = (bootID, base(of: at), limits)
        return try await write(.start) { sql in
            guard try Self.makeRoom(limits, below: limits.startBytes, sql) else {
                throw JournalError.refusing(.limit)
            }
            let id = try Self.nextNumber(of: "charge", sql)
            let sum = CheckSum.ofStart(
                charge: id, connector: connector, token: token, isRemote: isRemote,
                register: register.value, at: at)
            try sql.execute(
                """
                INSERT INTO charge (id, connector, token, is_remote, meter_start_wh, started_at,
                    last_register_wh, last_alive_at, boot_id, alive_base, start_boot, start_base,
                    start_sum, alive_sum, limits, limits_sum)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
                id, connector, token, isRemote, register.value, at, register.value, at, bootID,
                base, bootID, base, sum,
                CheckSum.ofAlive(
                    charge: id, register: register.value, at: at, boot: bootID, base: base),
                chargeLimits.text, CheckSum.ofLimits(charge: id, text: chargeLimits.text))
            try Self.owe(
                "start", of: id, boot: bootID, base: base, body: reservation.map { String($0) },
                sql)
            try Self.alive(at, bootID, base, sql)
            if let profile {
                try Self.put(.init(connector: connector, profile: profile, charge: id), sql)
            }
            return id
        }
    }

    /// Keeps a running charge's register, so that a power cut loses no more than what came after.
    func keep(register: WattHours, of charge: Int64, at: Timestamp) async throws {
        let (bootID, base) = (bootID, base(of: at))
        try await write(.keep) { sql in
            try Self.keep(register, of: charge, at: at, boot: bootID, base: base, sql)
        }
    }

    static func keep(
        _ register: WattHours, of charge: Int64, at: Timestamp, boot: String, base: Int64,
        _ sql: Transaction
    ) throws {
        try sql.execute(
            """
            UPDATE charge SET last_register_wh = ?, last_alive_at = ?, alive_base = ?, boot_id = ?,
                alive_sum = ?
            WHERE id = ? AND stopped_at IS NULL
            """, register.value, at, base, boot,
            CheckSum.ofAlive(
                charge: charge, register: register.value, at: at, boot: boot, base: base), charge)
        try alive(at, boot, base, sql)
    }

    /// The number of the next row, known before it is written because its check sum holds it.
    static func nextNumber(of table: String, _ sql: Transaction) throws -> Int64 {
        let last = try sql.queryOne("SELECT seq FROM sqlite_sequence WHERE name = ?", table)
        return (try last?.int64("seq") ?? 0) + 1
    }

    static func owe(
        _ kind: String, of charge: Int64, boot: String, base: Int64, body: String? = nil,
        rank: SampleRank = .ordinary, shift: Int64? = nil, _ sql: Transaction
    ) throws {
        let seq = try nextNumber(of: "message", sql)
        let sum = CheckSum.ofMessage(
            seq: seq, charge: charge, kind: kind, body: body, boot: boot, base: base)
        try sql.execute(
            """
            INSERT INTO message
                (seq, charge_id, kind, body, boot_id, clock_base, rank, shift_ms, sum)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            seq, charge, kind, body, boot, base, rank.rawValue, shift, sum)
    }

    /// Makes a stop durable together with its message. A second stop of the same charge changes
    /// nothing.
    ///
    /// - `signed`: the meter's own record of the charge; it goes with the message as it is.
    package func stop(
        _ stop: ConnectorMachine.Stop, signed: SignedRecord? = nil
    ) async throws {
        let (bootID, base) = (bootID, base(of: stop.at))
        let body = signed.map { SignedStop.text($0) }
        try await write(.stop) { sql in
            // The time of a recovered charge was read off the clock of an earlier run.
            let alive = try sql.queryOne(
                "SELECT boot_id, last_alive_at, alive_base FROM charge WHERE id = ?",
                stop.transaction)
            let isOld = try alive?.timestamp("last_alive_at") == stop.at
            let sum = CheckSum.ofStop(
                charge: stop.transaction, register: stop.register.value, at: stop.at,
                reason: stop.reason.rawValue, token: stop.token)
            let changed = try sql.execute(
                """
                UPDATE charge SET meter_stop_wh = ?, stopped_at = ?, stop_reason = ?,
                    stop_token = ?, is_last_good = ?, stop_sum = ?
                WHERE id = ? AND stopped_at IS NULL
                """,
                stop.register.value, stop.at, stop.reason.rawValue, stop.token, stop.isLastGood,
                sum, stop.transaction)
            guard changed > 0 else { return }
            try Self.owe(
                "stop", of: stop.transaction,
                boot: isOld ? try alive?.text("boot_id") ?? bootID : bootID,
                base: isOld ? try alive?.int64("alive_base") ?? base : base, body: body, sql)
            if !isOld { try Self.alive(stop.at, bootID, base, sql) }
        }
    }

    /// The charges that were open when the program last ended, to be closed by their connectors.
    package func recovered() async throws -> [ConnectorNumber: ConnectorMachine.Recovered] {
        let bootID = bootID
        return try await database.read { sql in
            var found: [ConnectorNumber: ConnectorMachine.Recovered] = [:]
            for row in try sql.query("SELECT * FROM charge WHERE stopped_at IS NULL ORDER BY id") {
                let sameBoot = try row.text("boot_id") == bootID
                var alive = try row.timestamp("last_alive_at")
                // What damage made of a time must not end the program that reckons with it.
                alive.milliseconds = min(max(alive.milliseconds, 0), 1 << 46)
                let limits = ChargeLimits(kept: try row.textOrNil("limits"))
                found[try row.int("connector")] = ConnectorMachine.Recovered(
                    transaction: try row.int64("id"), token: try row.text("token"),
                    lastRegister: WattHours(try row.int64("last_register_wh")),
                    lastAlive: alive,
                    aliveMilliseconds:
                        sameBoot ? alive.milliseconds &- (try row.int64("alive_base")) : nil,
                    // The board ran on and only the program ended, or the power was gone.
                    reason: sameBoot ? .reboot : .powerLoss,
                    startRegister: WattHours(try row.int64("meter_start_wh")),
                    startedAt: try Self.startedAt(row, sql),
                    limits: limits ?? .none, areLimitsKnown: limits != nil)
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
        return try await write(.orphans) { sql in
            var closed = 0
            for row in try sql.query("SELECT * FROM charge WHERE stopped_at IS NULL") {
                let id = try row.int64("id")
                if keep.contains(id) { continue }
                let register = try row.int64("last_register_wh")
                let at = try row.timestamp("last_alive_at")
                let reason = StopReason.powerLoss.rawValue
                try sql.execute(
                    """
                    UPDATE charge SET meter_stop_wh = ?, stopped_at = ?, stop_reason = ?,
                        is_last_good = 1, stop_sum = ? WHERE id = ?
                    """, register, at, reason,
                    CheckSum.ofStop(
                        charge: id, register: register, at: at, reason: reason, token: nil),
                    id)
                try Self.owe(
                    "stop", of: id, boot: try row.text("boot_id"),
                    base: try row.int64("alive_base"), sql)
                closed += 1
            }
            return closed
        }
    }
}

extension JournalStep {
    /// What ends or settles a charge may use the space held back for it, and while nobody
    /// charges an update's one row, so that it comes to its end; what begins a charge may not.
    fileprivate var mayUseReserve: Bool {
        switch self {
        case .stop, .orphans, .confirmStart, .confirmSample, .confirmStop, .time, .latch, .opening,
            .firmware:
            true
        case .start, .keep, .sample, .refusal, .setting, .availability, .token, .limits, .list,
            .profile, .reservation, .report, .probe, .salvage, .rebuilt, .aside, .replace:
            false
        }
    }
}
