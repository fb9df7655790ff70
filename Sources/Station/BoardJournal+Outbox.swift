import Charging
import SQL

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
    }

    /// The oldest message that may go now; nil when nothing is owed, or all that is owed is parked.
    ///
    /// Its times are repaired if the clock was set since they were written, once and for good: what
    /// is sent a second time must be the same to the letter.
    package func nextMessage(at now: Timestamp) async throws -> Message? {
        let (bootID, base) = (bootID, base)
        guard let row = try await oldest(at: now) else { return nil }
        let seq = try row.int64("seq")
        var shift = try row.int64OrNil("shift_ms")
        if shift == nil {
            let moved = base - (try row.int64("clock_base"))
            let isWrong =
                try row.text("message_boot") == bootID
                && abs(moved) > BoardClock.tolerancesMilliseconds
            let settled = isWrong ? moved : 0
            try await database.write { sql in
                try sql.execute("UPDATE message SET shift_ms = ? WHERE seq = ?", settled, seq)
            }
            shift = settled
        }
        return Message(
            seq: seq, charge: try row.int64("id"),
            kind: try Self.kind(row, shift: shift ?? 0), refusals: try row.int("refusals"))
    }

    private func oldest(at now: Timestamp) async throws -> Row? {
        try await database.read { sql in
            try sql.queryOne(
                """
                SELECT message.seq, message.kind, message.body, message.refusals,
                    message.clock_base, message.shift_ms, message.boot_id AS message_boot, charge.*
                FROM message JOIN charge ON charge.id = message.charge_id
                WHERE charge.parked_until <= ? ORDER BY message.seq LIMIT 1
                """, now)
        }
    }

    private static func kind(_ row: Row, shift: Int64) throws -> Message.Kind {
        func repaired(_ column: String) throws -> Timestamp {
            Timestamp(milliseconds: try row.timestamp(column).milliseconds + shift)
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
    func confirmStart(_ message: Message, operatorID: Int) async throws {
        try await database.write { sql in
            try sql.execute(
                "UPDATE charge SET operator_id = ? WHERE id = ?", operatorID, message.charge)
            try sql.execute("DELETE FROM message WHERE seq = ?", message.seq)
        }
    }

    /// The operator answered a sample or a stop; after a stop the charge is history.
    func confirm(_ message: Message) async throws {
        try await database.write { sql in
            try sql.execute("DELETE FROM message WHERE seq = ?", message.seq)
            guard case .stop = message.kind else { return }
            try sql.execute("DELETE FROM message WHERE charge_id = ?", message.charge)
            try sql.execute("DELETE FROM charge WHERE id = ?", message.charge)
        }
    }

    enum Refusal: Hashable, Sendable {
        /// To be sent again after a wait.
        case again
        /// A sample the operator will not have; it is gone.
        case dropped
        /// The whole charge steps aside so that others can pass. Nothing of it is lost.
        case parked
    }

    /// The operator answered with an error. Silence is none and is not counted.
    func refuse(_ message: Message, attempts: Int, at now: Timestamp) async throws -> Refusal {
        let until = Timestamp(milliseconds: now.milliseconds + limits.parkedMilliseconds)
        return try await database.write { sql in
            guard message.refusals + 1 >= attempts else {
                try sql.execute(
                    "UPDATE message SET refusals = refusals + 1 WHERE seq = ?", message.seq)
                return .again
            }
            if case .sample = message.kind {
                try sql.execute("DELETE FROM message WHERE seq = ?", message.seq)
                return .dropped
            }
            try sql.execute("UPDATE message SET refusals = 0 WHERE seq = ?", message.seq)
            try sql.execute(
                "UPDATE charge SET parked_until = ? WHERE id = ?", until, message.charge)
            return .parked
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
