import Charging
import SQL

/// A charge of a damaged journal: its bill as it was written, and what of the rest cannot be believed
/// replaced by what is surely not too much.
struct MendedCharge {
    var number: Int64
    var values: [String: SQLValue]
    /// False where its last register is its first one, until a sample says more.
    var isLastKnown: Bool

    /// Numbers beyond this are damage: the next one is still to be counted.
    private static let most: Int64 = 1 << 40

    /// nil where a digit of its bill has changed, or it cannot even be read as what it should be.
    init?(_ row: Row, _ columns: [JournalColumn]) {
        // Whatever is wrong with the row, it is none.
        guard (try? BoardJournal.isSound(billOf: row)) == true, let number = try? row.int64("id"),
            (1...Self.most).contains(number), let register = try? row.int64("meter_start_wh"),
            let startedAt = try? row.timestamp("started_at")
        else { return nil }
        self.number = number
        values = BoardJournal.values(of: row, columns)
        // Unreadable is as good as wrong.
        isLastKnown = (try? BoardJournal.isSound(lastOf: row)) == true
        if !isLastKnown {
            let boot = (try? row.text("start_boot")) ?? ""  // Of a boot that nobody knows.
            let base = (try? row.int64("start_base")) ?? 0  // As above.
            values["last_register_wh"] = .integer(register)
            values["last_alive_at"] = .integer(startedAt.milliseconds)
            values["boot_id"] = .text(boot)
            values["alive_base"] = .integer(base)
            values["alive_sum"] = .integer(
                CheckSum.ofAlive(
                    charge: number, register: register, at: startedAt, boot: boot, base: base))
        }
        if (try? BoardJournal.isSound(limitsOf: row)) != true {  // As above.
            // A line that cannot be read: it does not go on without them.
            values["limits"] = .text("")
            values["limits_sum"] = .integer(CheckSum.ofLimits(charge: number, text: ""))
        }
    }
}

extension BoardJournal {
    /// What a row of a damaged journal becomes; nil where it is left out.
    ///
    /// What keeps people from current is kept as its sum says it was, else at its worst: a latched fault
    /// that nobody can name is taken for a welded contact, a connector of which nobody knows it is out
    /// of service. A boot whose clock nobody can judge is dated by the one after it.
    static func mended(
        _ row: Row, of table: String, _ columns: [JournalColumn]
    ) -> [String: SQLValue]? {
        var values = values(of: row, columns)
        let fits = columns.allSatisfy { column in
            // What an older schema lacks fits.
            (try? row.value(column.name)).map { column.takes($0) } ?? true
        }
        // Unreadable is as good as wrong.
        if fits, (try? isSound(row, of: table)) == true { return values }
        if let original = Self.original(of: row, in: table) {
            return values.merging(original) { _, was in was }
        }
        switch table {
        case "availability":
            guard values["connector"] != nil else { return nil }
            values["is_operative"] = .integer(0)
        case "latched_fault":
            guard values["connector"] != nil else { return nil }
            let name = (try? row.text("fault")) ?? ""  // None then.
            values["fault"] = .text((Fault(rawValue: name) ?? .weldedContact).rawValue)
        case "boot":
            guard values["boot_id"] != nil else { return nil }
            values["base_ms"] = values["base_ms"] ?? .integer(0)
            values["last_ms"] = values["last_ms"] ?? .integer(0)
            values["trust"] = .text(ClockTrust.untrusted.rawValue)
        default: return summed[table] == nil ? values : nil
        }
        let decisive = (summed[table] ?? []).map { values[$0] ?? .null }
        values["sum"] = .integer(CheckSum.ofRow(table, decisive))
        return values
    }

    /// Connectors that a board may have; 0 is the station.
    private static let connectors: ClosedRange<ConnectorNumber> = 0...16

    /// What a row that keeps people from current said before a digit of it changed: whatever fits its sum.
    /// A changed connector must not let another one go.
    private static func original(of row: Row, in table: String) -> [String: SQLValue]? {
        let decisive: (name: String, values: [SQLValue])
        switch table {
        case "availability": decisive = ("is_operative", [.integer(0), .integer(1)])
        case "latched_fault":
            decisive = ("fault", Fault.allCases.map { SQLValue.text($0.rawValue) })
        default: return nil
        }
        // Without a readable sum nothing tells.
        guard row.has("sum"), let sum = try? row.int64("sum") else { return nil }
        for connector in connectors {
            let number = SQLValue.integer(Int64(connector))
            for value in decisive.values
            where CheckSum.ofRow(table, [number, value]) == sum {
                return ["connector": number, decisive.name: value]
            }
        }
        return nil
    }

    /// The columns that this program knows and whose values are of their kind. A damaged file may be of
    /// an older schema: what it lacks gets its default.
    static func values(of row: Row, _ columns: [JournalColumn]) -> [String: SQLValue] {
        var found: [String: SQLValue] = [:]
        for column in columns {
            // See above.
            guard let value = try? row.value(column.name), value != .null, column.takes(value)
            else { continue }
            found[column.name] = value
        }
        return found
    }

    /// False where the row does not fit.
    @discardableResult
    static func insert(
        _ values: [String: SQLValue], into table: String, _ sql: Transaction
    ) throws -> Bool {
        guard !values.isEmpty else { return false }
        let names = values.keys.sorted()
        let places = names.map { _ in "?" }.joined(separator: ", ")
        let list = names.joined(separator: ", ")
        do throws(SQLError) {
            return try sql.execute(
                "INSERT OR IGNORE INTO \(table) (\(list)) VALUES (\(places))",
                list: names.map { values[$0] ?? .null }) > 0
        } catch {
            // What damage made of a row is refused; anything else is the disk's.
            switch error {
            case .constraint, .mismatch, .tooLarge, .unstorable: return false
            case .full, .busy, .corrupt, .disk, .unreadable, .newerDatabase, .changedMigration,
                .notAllowed, .unreachable, .denied, .statement, .closed:
                throw error
            }
        }
    }
}
