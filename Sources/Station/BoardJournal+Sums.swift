import Charging
import SQL

extension BoardJournal {
    /// False where a digit of what is billed has changed since it was written. A column that does
    /// not exist yet (an older schema) or holds no sum cannot be judged and is believed.
    static func isSound(charge row: Row) throws -> Bool {
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

    private static func sum(_ row: Row, _ column: String) throws(SQLError) -> Int64? {
        guard row.has(column) else { return nil }
        return try row.int64OrNil(column)
    }
}
