import Charging
import HAL
import JSON
import SQL
import Service

/// A meter's signed record on its way to the operator: text in the journal beside the stop it belongs
/// to, then a sample of that stop. It is carried and never read.
enum SignedStop {
    /// The journal's line.
    static func text(_ record: SignedRecord) -> String {
        JSONValue.members(["format": .string(record.format), "record": .string(record.text)]).text
    }

    /// The stop's reading with the record in it; none where no meter signed, or the line is damaged:
    /// the bill does not depend on it.
    static func readings(
        _ text: String?, register: WattHours, at: Timestamp
    ) -> [MeterReading] {
        // A damaged line is no error of the caller's.
        guard let text, let line = try? JSONValue(parsing: text),
            let record = line["record"]?.string
        else { return [] }
        let sample = MeterSample(
            quantity: .known(.energyImport), value: Decimal(register.value),
            context: .transactionEnd, location: "Outlet", signed: record)
        return [MeterReading(at: at, samples: [sample])]
    }
}

extension BoardJournal {
    /// Keeps a stop from being told until its record is there, at the latest until then.
    ///
    /// - `until`: monotonic, in milliseconds. In memory only.
    func holdStop(of charge: Int64, until: Int64) {
        state.withLock { $0.heldStops[charge] = until }
    }

    func releaseStop(of charge: Int64) {
        state.withLock { _ = $0.heldStops.removeValue(forKey: charge) }
    }

    /// True for a stop that waits; what follows it waits with it, for order's sake.
    func isHeld(_ row: Row) throws -> Bool {
        guard try row.text("kind") == "stop" else { return false }
        let charge = try row.int64("id")
        return state.withLock { $0.heldStops[charge] }.map { clock.monotonicMilliseconds < $0 }
            ?? false
    }

    private static let signedKey = "signing."

    /// Writes down which charge a connector's meter has open; it outlives the program.
    func setSigned(_ charge: Int64?, of connector: ConnectorNumber) async throws {
        try await set("\(Self.signedKey)\(connector)", to: charge.map { "\($0)" } ?? "")
    }

    func signedCharge(of connector: ConnectorNumber) async throws -> Int64? {
        try await database.read { sql in
            try sql.queryOne(
                "SELECT value FROM setting WHERE key = ?", "\(Self.signedKey)\(connector)")
        }.flatMap { Int64(try $0.text("value")) }
    }

    /// False where only programs have been here that wrote none of it down.
    func isSigningKept(of connector: ConnectorNumber) async throws -> Bool {
        try await database.read { sql in
            try sql.queryOne(
                "SELECT value FROM setting WHERE key = ?", "\(Self.signedKey)\(connector)")
                != nil
        }
    }

    /// The connector has a later charge, and this one waits for no record: a program that wrote nothing
    /// down ended it and began that one. While its stop waits its own record is in the meter.
    func isSignedLongAgo(_ charge: Int64, of connector: ConnectorNumber) async throws -> Bool {
        try await database.read { sql in
            try sql.queryOne(
                """
                SELECT 1 AS n FROM charge WHERE connector = ? AND id > ? AND NOT EXISTS (
                    SELECT 1 FROM message
                    WHERE charge_id = ? AND kind = 'stop' AND body IS NULL)
                LIMIT 1
                """, connector, charge, charge) != nil
        }
    }

    /// At the start: the records of these are still to be fetched. See `ConnectorController.endLeft`.
    func holdSignedStops() async throws {
        let until = clock.monotonicMilliseconds + ConnectorTimings.signedRecordWaits
        for (key, value) in try await settings() where key.hasPrefix(Self.signedKey) {
            if let charge = Int64(value) { holdStop(of: charge, until: until) }
        }
    }

    func token(ofCharge charge: Int64) async throws -> String? {
        try await database.read { sql in
            try sql.queryOne("SELECT token FROM charge WHERE id = ?", charge)?.text("token")
        }
    }

    /// Adds a meter's record to a stop that is owed; false where it was told already.
    func attach(_ record: SignedRecord, toStopOf charge: Int64) async throws -> Bool {
        let body = SignedStop.text(record)
        return try await write(.stop) { sql in
            guard
                let row = try sql.queryOne(
                    """
                    SELECT seq, boot_id, clock_base FROM message
                    WHERE charge_id = ? AND kind = 'stop' AND body IS NULL
                    """, charge)
            else { return false }
            let seq = try row.int64("seq")
            let sum = CheckSum.ofMessage(
                seq: seq, charge: charge, kind: "stop", body: body,
                boot: try row.text("boot_id"), base: try row.int64("clock_base"))
            try sql.execute("UPDATE message SET body = ?, sum = ? WHERE seq = ?", body, sum, seq)
            return true
        }
    }
}
