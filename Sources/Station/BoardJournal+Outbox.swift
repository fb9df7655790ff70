import Charging
import SQL
import Service

extension BoardJournal {
    /// One message that the operator has not confirmed.
    package struct Message: Hashable, Sendable {
        package enum Kind: Hashable, Sendable {
            case start(SessionStart)
            case sample(ConnectorNumber, TransactionReference?, StoredText)
            case stop(SessionStop)
        }

        package var seq: Int64
        package var charge: Int64
        package var kind: Kind
        package var refusals: Int
    }

    /// A sample as it lies in the journal.
    package struct StoredText: Hashable, Sendable {
        let text: String
        /// Milliseconds to add to its time.
        var shift: Int64 = 0

        /// nil for a line that cannot be read.
        package var register: WattHours? { StoredSample(text: text)?.snapshot.register }
    }

    /// The oldest message that may go now; nil when nothing is owed, or all that is owed waits: for
    /// its turn after a refusal, or for a clock that can be trusted.
    ///
    /// Its times are repaired if the clock was set since they were written, once and for good: what
    /// is sent a second time must be the same to the letter.
    package func nextMessage() async throws -> Message? {
        try await settleTimes()
        guard let row = try await oldest(), try !isHeld(row) else { return nil }
        let seq = try row.int64("seq")
        // What cannot even be read as what it should be holds up nobody else either.
        guard (try? Self.isSound(charge: row) && Self.isSound(message: row)) == true else {
            try await skipDamaged(row, seq)
            return try await nextMessage()
        }
        var shift = try row.int64OrNil("shift_ms")
        if shift == nil { shift = try await settleShift(row) }
        return Message(
            seq: seq, charge: try row.int64("id"),
            kind: try Self.kind(row, shift: shift ?? 0), refusals: try row.int("refusals"))
    }

    private func oldest() async throws -> Row? {
        let (bootID, now) = (bootID, clock.monotonicMilliseconds)
        return try await database.read { sql in
            try sql.queryOne(
                """
                SELECT message.seq, message.kind, message.body, message.refusals, message.sum,
                    message.clock_base, message.shift_ms, message.boot_id AS message_boot,
                    boot.base_ms, charge.*
                FROM message JOIN charge ON charge.id = message.charge_id
                    LEFT JOIN boot ON boot.boot_id = message.boot_id
                WHERE (charge.parked_boot <> ? OR charge.parked_until <= ?)
                    AND COALESCE(boot.trust, '') <> 'untrusted'
                ORDER BY message.seq LIMIT 1
                """, bootID, now)
        }
    }

    /// A flash that flips a digit while we run. A sample is gone; anything else waits for the start
    /// that rebuilds the journal, and lets the others pass until then.
    private func skipDamaged(_ row: Row, _ seq: Int64) async throws {
        let (isSample, charge) = (try row.text("kind") == "sample", try row.int64("id"))
        let (bootID, never) = (bootID, Int64.max)
        try await write(.refusal) { sql in
            if isSample {
                try sql.execute("DELETE FROM message WHERE seq = ?", seq)
            } else {
                try sql.execute(
                    "UPDATE charge SET parked_boot = ?, parked_until = ? WHERE id = ?", bootID,
                    never, charge)
            }
        }
        if !isSample { state.withLock { $0.trouble = .damaged } }
    }

    /// Decides by how much the times of a message are moved. Within one charge all move alike, so
    /// that its durations are the monotonic clock's whatever the wall's did meanwhile, and what is
    /// sent again is the same: so it is enough to keep the first decision.
    private func settleShift(_ row: Row) async throws -> Int64 {
        let written = try row.int64("clock_base")
        let boot = try row.text("message_boot")
        let charge = try row.int64("id")
        if let told = try row.int64OrNil("told_base"), try row.textOrNil("told_boot") == boot {
            return Self.sane(told &- written)
        }
        let known = try row.int64OrNil("base_ms")
        let settled = known.map { Self.shift(from: written, to: $0) } ?? 0
        let isStart = try row.text("kind") == "start"
        try await write(.time) { sql in
            // What the stop repeats of an earlier boot moves as it was told, before that is forgotten.
            try sql.execute(
                """
                UPDATE stop_sample
                SET shift_ms = (SELECT told_base FROM charge WHERE id = ?1) - clock_base
                WHERE charge_id = ?1 AND shift_ms IS NULL
                    AND boot_id = (SELECT told_boot FROM charge WHERE id = ?1)
                """, charge)
            if isStart {
                try sql.execute(
                    "UPDATE charge SET start_shift_ms = ? WHERE id = ?", settled, charge)
            }
            try sql.execute(
                "UPDATE charge SET told_base = ?, told_boot = ? WHERE id = ?", written &+ settled,
                boot, charge)
        }
        return settled
    }

    private static func kind(_ row: Row, shift: Int64) throws -> Message.Kind {
        func repaired(_ column: String) throws -> Timestamp {
            Timestamp(milliseconds: sane(try row.timestamp(column).milliseconds) + sane(shift))
        }
        // The operator's number is bound when the message goes, never when it is written.
        let reference = try row.intOrNil("operator_id").map { TransactionReference.number($0) }
        switch try row.text("kind") {
        case "start":
            return .start(
                SessionStart(
                    connector: try row.int("connector"), token: try row.text("token"),
                    meterStart: WattHours(try row.int64("meter_start_wh")),
                    at: try repaired("started_at"),
                    reservation: try row.textOrNil("body").flatMap { Int($0) }))
        case "sample":
            return .sample(
                try row.int("connector"), reference,
                StoredText(text: try row.text("body"), shift: shift))
        case "stop":
            let stoppedAt = try repaired("stopped_at")
            let register = WattHours(try row.int64("meter_stop_wh"))
            return .stop(
                SessionStop(
                    // OCPP 1.6 errata 3.18: −1 where the start was never answered.
                    transaction: reference ?? .number(-1),
                    meterStop: register, at: stoppedAt,
                    reason: try row.textOrNil("stop_reason").flatMap(StopReason.init(rawValue:))
                        ?? .other,
                    token: try row.textOrNil("stop_token"),
                    readings: SignedStop.readings(
                        try row.textOrNil("body"), register: register, at: stoppedAt)))
        case let other: throw JournalError.damaged("message of kind \(other)")
        }
    }

    /// How many messages wait for the operator.
    package func depth() async throws -> Int {
        try await database.read { sql in
            try sql.queryOne("SELECT COUNT(*) AS n FROM message")?.int("n") ?? 0
        }
    }

    /// The operator answered a start: its number is bound and the message goes, in one step.
    package func confirmStart(_ message: Message, operatorID: Int) async throws {
        try await write(.confirmStart) { sql in
            try sql.execute(
                """
                UPDATE charge SET operator_id = ?, operator_sum = ?, parkings = 0, parked_boot = ''
                WHERE id = ?
                """, operatorID,
                CheckSum.ofNumber(charge: message.charge, operatorID: operatorID), message.charge)
            try sql.execute("DELETE FROM message WHERE seq = ?", message.seq)
        }
    }

    /// The operator answered a sample or a stop; after a stop the charge is history.
    package func confirm(_ message: Message) async throws {
        let isStop = if case .stop = message.kind { true } else { false }
        try await write(isStop ? .confirmStop : .confirmSample) { sql in
            try sql.execute("DELETE FROM message WHERE seq = ?", message.seq)
            guard isStop else { return }
            try sql.execute("DELETE FROM message WHERE charge_id = ?", message.charge)
            try sql.execute("DELETE FROM charge WHERE id = ?", message.charge)
        }
    }

    enum Refusal: Hashable, Sendable {
        /// To be sent again after a wait.
        case again
        /// A sample the operator will not have; it is gone.
        case dropped
        /// The whole charge steps aside so that others can pass. Nothing of it is lost: its turn
        /// comes again after these milliseconds, for ever.
        case parked(Int64)
    }

    /// The operator answered with an error. Silence is none and is not counted.
    ///
    /// A charge that was parked before gets one try a turn, and each turn is twice as far.
    func refuse(_ message: Message, attempts: Int) async throws -> Refusal {
        let (bootID, limits, now) = (bootID, limits, clock.monotonicMilliseconds)
        return try await write(.refusal) { sql in
            let parkings =
                try sql.queryOne("SELECT parkings FROM charge WHERE id = ?", message.charge)?
                .int("parkings") ?? 0
            guard message.refusals + 1 >= attempts || parkings > 0 else {
                try sql.execute(
                    "UPDATE message SET refusals = refusals + 1 WHERE seq = ?", message.seq)
                return .again
            }
            if case .sample = message.kind {
                try sql.execute("DELETE FROM message WHERE seq = ?", message.seq)
                return .dropped
            }
            let wait = min(
                limits.parkedMilliseconds << Int64(min(parkings, 20)),
                limits.longestParkedMilliseconds)
            try sql.execute("UPDATE message SET refusals = 0 WHERE seq = ?", message.seq)
            // By the monotonic clock of this boot: setting the wall's neither frees nor jails it.
            try sql.execute(
                """
                UPDATE charge SET parked_boot = ?, parked_until = ?, parkings = parkings + 1
                WHERE id = ?
                """, bootID, now + wait, message.charge)
            return .parked(wait)
        }
    }

    /// The operator's number of a charge that is still open.
    func openCharge(operatorID: Int) async throws -> (charge: Int64, connector: ConnectorNumber)? {
        let found = try await database.read { sql in
            try sql.queryOne(
                """
                SELECT id, connector FROM charge
                WHERE operator_id = ? AND stopped_at IS NULL ORDER BY id DESC LIMIT 1
                """, operatorID)
        }
        guard let found else { return nil }
        return (try found.int64("id"), try found.int("connector"))
    }

    /// The operator's number of a charge, once it is known.
    func operatorID(of charge: Int64) async throws -> Int? {
        try await database.read { sql in
            try sql.queryOne("SELECT operator_id FROM charge WHERE id = ?", charge)?
                .intOrNil("operator_id")
        }
    }
}
