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

    /// Takes over every row that can still be read of a damaged file, which stays as it is. Part by
    /// part: the whole may be more than a board's memory.
    ///
    /// The charges alone are enough to know every start and stop that is owed: an unconfirmed start
    /// has no operator's number, and a charge whose stop was confirmed is gone.
    func salvage(from damaged: String) async throws -> Saved {
        let columns = try await columns()
        let scratch = "\(path).scratch"
        defer {
            for suffix in ["", "-wal", "-shm"] { _ = unlink(scratch + suffix) }
        }
        var saved = Saved()
        guard
            let reader = try Self.reader(
                of: damaged, scratch, columns.keys.sorted(), head: "\(damaged).head")
        else { return saved }
        defer { reader.close() }
        try await takeBoots(reader.rows(of: "boot"), columns["boot"] ?? [])
        // Nothing stays parked: a fresh journal begins with a fresh try.
        let names = (columns["charge"] ?? []).filter { !$0.hasPrefix("park") }
        let charges = try await takeCharges(reader, names, &saved)
        try await takeMessages(reader, of: charges, &saved)
        for (table, names) in columns.sorted(by: { $0.key < $1.key })
        where !["boot", "charge", "message"].contains(table) {
            var walk = reader.walk(through: table)
            while let rows = reader.next(&walk) {
                if rows.isEmpty { continue }
                try await write(.salvage) { sql in
                    for row in rows { try Self.insert(row, into: table, names, sql) }
                }
            }
        }
        try await write(.salvage) { sql in try Self.doubtLocalList(sql) }
        return saved
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
    private func takeBoots(_ rows: [Row], _ names: [String]) async throws {
        try await write(.salvage) { sql in
            let own = try sql.query("SELECT * FROM boot")
            try sql.execute("DELETE FROM boot")
            for row in rows where Self.isReadable(boot: row) {
                try Self.insert(row, into: "boot", names, sql)
            }
            for row in own {
                try Self.insert(row, into: "boot", names.filter { $0 != "number" }, sql)
            }
        }
    }

    /// One whose columns are of another kind than they were written would stop each start that reads it.
    private static func isReadable(boot row: Row) -> Bool {
        do throws(SQLError) {
            _ = (try row.text("boot_id"), try row.text("trust"))
            _ = (try row.int64("base_ms"), try row.int64("last_ms"))
            return true
        } catch {
            return false
        }
    }

    /// - Returns: the numbers of those that came over.
    private func takeCharges(
        _ reader: DamagedDatabase, _ names: [String], _ saved: inout Saved
    ) async throws -> Set<Int64> {
        var charges: Set<Int64> = []
        var walk = reader.walk(through: "charge")
        while let rows = reader.next(&walk) {
            let taken = try await write(.salvage) { sql in
                try rows.compactMap { row -> Int64? in
                    guard let number = Self.number(ofCharge: row) else { return nil }
                    return try Self.insert(row, into: "charge", names, sql) ? number : nil
                }
            }
            charges.formUnion(taken)
            saved.unsound += rows.count - taken.count
        }
        saved.charges = charges.count
        return charges
    }

    private func takeMessages(
        _ reader: DamagedDatabase, of charges: Set<Int64>, _ saved: inout Saved
    ) async throws {
        var starts: Set<Int64> = []
        var stops: Set<Int64> = []
        var walk = reader.walk(through: "message")
        while let rows = reader.next(&walk) {
            for owed in rows.compactMap(Owed.init) where charges.contains(owed.charge) {
                if owed.kind == "start" { starts.insert(owed.charge) }
                if owed.kind == "stop" { stops.insert(owed.charge) }
            }
        }
        // Starts that are owed and whose message was lost go first: they are the older ones.
        saved.messages += try await oweAgain(
            "start", charges.subtracting(starts), where: "operator_id IS NULL")
        walk = reader.walk(through: "message")
        while let rows = reader.next(&walk) {
            let owed = rows.compactMap(Owed.init).filter { charges.contains($0.charge) }
            saved.unsound += rows.count - owed.count
            saved.messages += owed.count
            try await write(.salvage) { sql in
                // New numbers, in the old order: a start that was owed again must come before its stop.
                for one in owed {
                    try Self.owe(
                        one.kind, of: one.charge, boot: one.boot, base: one.base, body: one.body,
                        rank: one.rank, shift: one.shift, sql)
                }
            }
        }
        saved.messages += try await oweAgain(
            "stop", charges.subtracting(stops), where: "stopped_at IS NOT NULL")
    }

    /// Charges in one step of the salvage.
    private static let chargesAtOnce = 512

    private func oweAgain(
        _ kind: String, _ charges: Set<Int64>, where condition: String
    ) async throws -> Int {
        var rest = charges.sorted()[...]
        var count = 0
        while !rest.isEmpty {
            let part = Array(rest.prefix(Self.chargesAtOnce))
            rest = rest.dropFirst(part.count)
            count += try await write(.salvage) { sql in
                try part.reduce(0) { count, charge in
                    guard
                        let row = try sql.queryOne(
                            "SELECT boot_id, alive_base FROM charge WHERE id = ? AND \(condition)",
                            charge)
                    else { return count }
                    try Self.owe(
                        kind, of: charge, boot: try row.text("boot_id"),
                        base: try row.int64("alive_base"), sql)
                    return count + 1
                }
            }
        }
        return count
    }

    /// Numbers beyond this are damage: the next one is still to be counted.
    private static let mostCharges: Int64 = 1 << 40

    /// The number of a sound charge. A row that cannot even be read as what it should be is none.
    private static func number(ofCharge row: Row) -> Int64? {
        guard (try? isSound(charge: row)) == true, let number = try? row.int64("id"),
            (1...mostCharges).contains(number)
        else { return nil }
        return number
    }

    /// A message of a damaged journal; nil where it is not what was written.
    private struct Owed {
        var charge: Int64
        var kind: String
        var boot: String
        var base: Int64
        var body: String?
        var rank: SampleRank
        var shift: Int64?

        init?(_ row: Row) {
            do {
                guard try BoardJournal.isSound(message: row) else { return nil }
                charge = try row.int64("charge_id")
                kind = try row.text("kind")
                boot = try row.text("boot_id")
                base = try row.int64("clock_base")
                body = try row.textOrNil("body")
            } catch {
                return nil
            }
            // Not part of the sum: what cannot be read of these two is as if it had never been written.
            rank = (try? row.int("rank")).flatMap { SampleRank(rawValue: $0) } ?? .ordinary
            shift = try? row.int64("shift_ms")
        }
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
            // What damage made of a row is refused; anything else is the disk's.
            switch error {
            case .constraint, .mismatch, .tooLarge, .unstorable: return false
            case .full, .busy, .corrupt, .disk, .newerDatabase, .changedMigration, .notAllowed,
                .unreachable, .denied, .statement, .closed:
                throw error
            }
        }
    }

    // MARK: Reading what can be read

    /// Reads a scratch copy, so that the evidence stays untouched; nil where not a row can be read.
    ///
    /// Where the copy does not even open, it is tried once more with the first page as it was kept.
    private static func reader(
        of damaged: String, _ scratch: String, _ tables: [String], head: String
    ) throws -> DamagedDatabase? {
        for isFirstPageReplaced in [false, true] {
            try copy(damaged, to: scratch)
            if isFirstPageReplaced {
                // Without a kept page, or with one that fits no better, the first try stands.
                guard let page = try? FileSystem.read(head, limitBytes: pageBytes),
                    replaceFirstPage(of: scratch, by: page)
                else { return nil }
            }
            // Not even one page.
            guard let reader = try? DamagedDatabase(path: scratch) else { continue }
            for table in tables {
                var walk = reader.walk(through: table)
                while let rows = reader.next(&walk) { if !rows.isEmpty { return reader } }
            }
            reader.close()
        }
        return nil
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
        for suffix in ["", "-wal", "-shm"] { try FileSystem.remove(target + suffix) }
        for suffix in ["", "-wal"] {
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
                if count == 0 { break }
                // Half a copy would pass for all there is.
                guard count > 0 else { throw FileError(source, errno: errno) }
                // In a row: a disk that takes a part of it says only then that it is full.
                try FileSystem.writeAll(Array(chunk.prefix(count)), to, target)
            }
        }
    }
}
