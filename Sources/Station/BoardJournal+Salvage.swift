import Charging
import Glibc
import SQL
import Service

extension BoardJournal {
    /// What came over from a damaged journal.
    struct Saved: Hashable, Sendable, CustomStringConvertible {
        var charges = 0
        var messages = 0
        /// Rows that were read and are not what was written, or belong to nothing.
        var unsound = 0

        var description: String {
            "\(charges) charges and \(messages) messages, \(unsound) rows unsound"
        }
    }

    /// Takes over every row that can still be read of a damaged file, which stays as it is.
    ///
    /// The charges alone are enough to know every start and stop that is owed: an unconfirmed start
    /// has no operator's number, and a charge whose stop was confirmed is gone.
    func salvage(from damaged: String) async throws -> Saved {
        let columns = try await columns()
        let tables = try Self.readable(damaged, columns.keys.sorted(), head: "\(path).head")
        return try await write(.opening) { sql in
            var saved = Saved()
            try Self.takeBoots(tables["boot"] ?? [], columns["boot"] ?? [], sql)
            // Nothing stays parked: a fresh journal begins with a fresh try.
            let names = (columns["charge"] ?? []).filter { !$0.hasPrefix("park") }
            try Self.takeCharges(tables, names, &saved, sql)
            for (table, names) in columns.sorted(by: { $0.key < $1.key })
            where !["boot", "charge", "message"].contains(table) {
                for row in tables[table] ?? [] { try Self.insert(row, into: table, names, sql) }
            }
            try Self.doubtLocalList(sql)
            return saved
        }
    }

    /// The tables of a journal and their columns.
    func columns() async throws -> [String: [String]] { try await Self.columns(of: database) }

    static func columns(of database: Database) async throws -> [String: [String]] {
        try await database.read { sql in
            var found: [String: [String]] = [:]
            for row in try sql.query(
                """
                SELECT name FROM sqlite_master WHERE type = 'table'
                    AND name NOT LIKE 'sqlite%' AND name <> 'schema_migration'
                """)
            {
                let table = try row.text("name")
                found[table] = try sql.query("SELECT name FROM pragma_table_info(?)", table).map {
                    try $0.text("name")
                }
            }
            return found
        }
    }

    /// Boots keep their order: this one is the newest, whatever it was entered before.
    private static func takeBoots(
        _ rows: [Row], _ names: [String], _ sql: Transaction
    ) throws {
        let own = try sql.query("SELECT * FROM boot")
        try sql.execute("DELETE FROM boot")
        for row in rows { try insert(row, into: "boot", names, sql) }
        for row in own { try insert(row, into: "boot", names.filter { $0 != "number" }, sql) }
    }

    private static func takeCharges(
        _ tables: [String: [Row]], _ names: [String], _ saved: inout Saved, _ sql: Transaction
    ) throws {
        var charges: [Int64: Row] = [:]
        for row in tables["charge"] ?? [] {
            guard isPlausible(row), try insert(row, into: "charge", names, sql) else {
                saved.unsound += 1
                continue
            }
            charges[try row.int64("id")] = row
        }
        saved.charges = charges.count
        var starts: Set<Int64> = []
        var stops: Set<Int64> = []
        var messages: [(seq: Int64, row: Row)] = []
        for row in tables["message"] ?? [] {
            guard isPlausible(message: row), charges[try row.int64("charge_id")] != nil else {
                saved.unsound += 1
                continue
            }
            let charge = try row.int64("charge_id")
            switch try row.text("kind") {
            case "start": starts.insert(charge)
            case "stop": stops.insert(charge)
            default: break
            }
            messages.append((try row.int64("seq"), row))
        }
        // Starts that are owed and whose message was lost go first: they are the older ones.
        for (id, row) in charges.sorted(by: { $0.key < $1.key })
        where !starts.contains(id) {
            guard try row.isNull("operator_id") else { continue }
            try oweAgain("start", id, row, sql)
            saved.messages += 1
        }
        for (_, row) in messages.sorted(by: { $0.seq < $1.seq }) {
            // Not part of the sum: what cannot be read of these two is as if it had never been written.
            let rank = (try? row.int("rank")).flatMap { SampleRank(rawValue: $0) } ?? .ordinary
            let shift = try? row.int64("shift_ms")
            // New numbers, in the old order: a start that was owed again must come before its stop.
            try owe(
                try row.text("kind"), of: try row.int64("charge_id"), boot: try row.text("boot_id"),
                base: try row.int64("clock_base"), body: try row.textOrNil("body"),
                rank: rank, shift: shift, sql)
            saved.messages += 1
        }
        for (id, row) in charges.sorted(by: { $0.key < $1.key })
        where !stops.contains(id) {
            guard try !row.isNull("stopped_at") else { continue }
            try oweAgain("stop", id, row, sql)
            saved.messages += 1
        }
    }

    private static func oweAgain(
        _ kind: String, _ charge: Int64, _ row: Row, _ sql: Transaction
    ) throws {
        try owe(
            kind, of: charge, boot: try row.text("boot_id"), base: try row.int64("alive_base"), sql)
    }

    /// A row of a damaged file that cannot even be read as what it should be is none.
    private static func isPlausible(_ row: Row) -> Bool { (try? isSound(charge: row)) == true }

    private static func isPlausible(message row: Row) -> Bool {
        (try? isSound(message: row)) == true  // See above.
    }

    /// Inserts those columns that this program knows; false where the row does not fit.
    @discardableResult
    private static func insert(
        _ row: Row, into table: String, _ known: [String], _ sql: Transaction
    ) throws -> Bool {
        var names: [String] = []
        var values: [SQLValue] = []
        for name in known {
            // A damaged file may be of an older schema: what it lacks gets its default.
            guard let value = try? row.value(name), value != .null else { continue }
            names.append(name)
            values.append(value)
        }
        guard !names.isEmpty else { return false }
        let places = names.map { _ in "?" }.joined(separator: ", ")
        let list = names.joined(separator: ", ")
        do throws(SQLError) {
            return try sql.execute(
                "INSERT OR IGNORE INTO \(table) (\(list)) VALUES (\(places))", list: values) > 0
        } catch {
            // A constraint refuses what damage made of a row; anything else is the disk's.
            guard case .constraint = error else { throw error }
            return false
        }
    }

    // MARK: Reading what can be read

    /// Every readable row of every table, from a scratch copy, so that the evidence stays untouched.
    ///
    /// Where the copy does not even open, it is tried once more with the first page as it was kept.
    private static func readable(
        _ damaged: String, _ tables: [String], head: String
    ) throws -> [String: [Row]] {
        let scratch = "\(damaged).scratch"
        defer {
            for suffix in ["", "-wal", "-shm"] { _ = unlink(scratch + suffix) }
        }
        var best: [String: [Row]] = [:]
        for isFirstPageReplaced in [false, true] {
            try copy(damaged, to: scratch)
            if isFirstPageReplaced {
                // Without a kept page, or with one that fits no better, the first try stands.
                guard let page = try? FileSystem.read(head, limitBytes: pageBytes),
                    replaceFirstPage(of: scratch, by: page)
                else { break }
            }
            let found = rows(of: scratch, tables)
            if found.values.reduce(0, { $0 + $1.count }) > best.values.reduce(0, { $0 + $1.count })
            {
                best = found
            }
            if !best.isEmpty { break }
        }
        return best
    }

    private static func rows(of file: String, _ tables: [String]) -> [String: [Row]] {
        guard let reader = try? DamagedDatabase(path: file) else { return [:] }  // Not one page.
        defer { reader.close() }
        var found: [String: [Row]] = [:]
        for table in tables {
            let rows = reader.rows(of: table)
            if !rows.isEmpty { found[table] = rows }
        }
        return found
    }

    /// The counters of a kept page are of another day: without them SQLite counts the file's pages.
    private static func replaceFirstPage(of file: String, by page: [UInt8]) -> Bool {
        guard page.count == pageBytes else { return false }
        var page = page
        for index in [32..<40, 92..<96].joined() { page[index] = 0 }
        let descriptor = Glibc.open(file, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { Glibc.close(descriptor) }
        return pwrite(descriptor, page, page.count, 0) == page.count
    }

    private static func copy(_ source: String, to target: String) throws(FileError) {
        for suffix in ["", "-wal"] {
            _ = unlink(target + suffix)
            let from = Glibc.open(source + suffix, O_RDONLY | O_CLOEXEC)
            if from < 0, !suffix.isEmpty { continue }
            guard from >= 0 else { throw FileError(source, errno: errno) }
            defer { Glibc.close(from) }
            let to = Glibc.open(
                target + suffix, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
            guard to >= 0 else { throw FileError(target, errno: errno) }
            defer { Glibc.close(to) }
            var chunk = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = read(from, &chunk, chunk.count)
                guard count > 0 else { break }
                guard Glibc.write(to, chunk, count) == count else {
                    throw FileError(target, errno: errno)
                }
            }
        }
    }
}
