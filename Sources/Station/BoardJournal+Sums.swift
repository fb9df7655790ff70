import Charging
import SQL

// A digit that has changed since it was written is noticed here. A column that does not exist yet (an
// older schema) or holds no sum cannot be judged and is believed.
extension BoardJournal {
    /// False where anything of a charge is not what was written.
    static func isSound(charge row: Row) throws -> Bool {
        try isSound(billOf: row) && isSound(lastOf: row) && isSound(limitsOf: row)
    }

    /// What is billed.
    static func isSound(billOf row: Row) throws -> Bool {
        let id = try row.int64("id")
        if let sum = try Self.sum(row, "start_sum"),
            sum
                != CheckSum.ofStart(
                    charge: id, connector: try row.int("connector"), token: try row.text("token"),
                    isRemote: try row.bool("is_remote"), register: try row.int64("meter_start_wh"),
                    at: try row.timestamp("started_at"))
        {
            return false
        }
        if let sum = try Self.sum(row, "operator_sum"),
            sum != CheckSum.ofNumber(charge: id, operatorID: try row.int("operator_id"))
        {
            return false
        }
        guard let sum = try Self.sum(row, "stop_sum") else { return true }
        return sum
            == CheckSum.ofStop(
                charge: id, register: try row.int64("meter_stop_wh"),
                at: try row.timestamp("stopped_at"), reason: try row.text("stop_reason"),
                token: try row.textOrNil("stop_token"))
    }

    /// Its last register, and when that was read.
    static func isSound(lastOf row: Row) throws -> Bool {
        let (id, register) = (try row.int64("id"), try row.int64("last_register_wh"))
        let (at, boot) = (try row.timestamp("last_alive_at"), try row.text("boot_id"))
        guard let sum = try Self.sum(row, "alive_sum") else { return true }
        return sum
            == CheckSum.ofAlive(
                charge: id, register: register, at: at, boot: boot,
                base: try row.int64("alive_base"))
    }

    /// Where it ends by itself.
    static func isSound(limitsOf row: Row) throws -> Bool {
        let (id, text) = (try row.int64("id"), try row.textOrNil("limits"))
        guard let sum = try Self.sum(row, "limits_sum") else { return true }
        return sum == CheckSum.ofLimits(charge: id, text: text)
    }

    static func isSound(message row: Row) throws -> Bool {
        guard let sum = try Self.sum(row, "sum") else { return true }
        // Joined to its charge it goes by the charge's columns; alone by its own.
        let charge = try (try? row.int64("charge_id")) ?? row.int64("id")
        let boot = try (try? row.text("message_boot")) ?? row.text("boot_id")
        return sum
            == CheckSum.ofMessage(
                seq: try row.int64("seq"), charge: charge, kind: try row.text("kind"),
                body: try row.textOrNil("body"),
                boot: boot, base: try row.int64("clock_base"))
    }

    // MARK: Rows beside the charges

    /// The tables whose rows decide something by themselves, and the columns that do.
    static let summed: [String: [String]] = [
        "availability": ["connector", "is_operative"],
        "boot": ["boot_id", "base_ms", "trust"],
        "charging_profile": ["profile_id", "connector", "charge_id", "body"],
        "known_token": ["token", "status", "group_token", "expires_at"],
        "latched_fault": ["connector", "fault"],
        "local_token": ["token", "status", "group_token", "expires_at"],
        "setting": ["key", "value"],
    ]

    static func isSound(_ row: Row, of table: String) throws -> Bool {
        guard let names = summed[table], let sum = try Self.sum(row, "sum") else { return true }
        return sum == CheckSum.ofRow(table, try names.map { try row.value($0) })
    }

    /// Gives rows that were just written their sums, in the transaction that wrote them.
    static func seal(
        _ table: String, where condition: String, _ arguments: (any SQLConvertible)?...,
        in sql: Transaction
    ) throws {
        let names = summed[table] ?? []
        let list = arguments.map { SQLValue($0) }
        let rows = try sql.query("SELECT * FROM \(table) WHERE \(condition)", list: list)
        let place = names.map { "\($0) IS ?" }.joined(separator: " AND ")
        for row in rows {
            let values = try names.map { try row.value($0) }
            try sql.execute(
                "UPDATE \(table) SET sum = ? WHERE \(place)",
                list: [.integer(CheckSum.ofRow(table, values))] + values)
        }
    }

    private static func sum(_ row: Row, _ column: String) throws(SQLError) -> Int64? {
        guard row.has(column) else { return nil }
        return try row.int64OrNil(column)
    }
}
