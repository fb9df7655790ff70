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
        /// Pages that the disk did not give back.
        var unreadable = 0
        /// Of these the unsound ones beside the charges were.
        var lost: [String: Int] = [:]
        /// There were charges or messages, or may have been, and not a charge came over.
        var isNothing = false
        /// A profile of the operator may be among what did not come over.
        var hasLostProfiles = false

        var description: String {
            let lost = lost.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
            return "\(charges) charges and \(messages) messages, \(unsound) rows unsound"
                + (lost.isEmpty ? "" : " (\(lost.joined(separator: ", ")))")
                + (unreadable > 0 ? ", \(unreadable) pages unreadable" : "")
                + (hasLostProfiles ? "; \(SmartCharging.lostProfilesText)" : "")
        }
    }

    /// Takes over every row that can still be read of a damaged file, which stays as it is. Part by
    /// part: the whole may be more than a board's memory.
    ///
    /// The charges alone are enough to know every start and stop that is owed: an unconfirmed start
    /// has no operator's number, and a charge whose stop was confirmed is gone.
    func salvage(from damaged: String, by copy: DamagedCopy = DamagedCopy()) async throws -> Saved {
        let columns = try await columns()
        let scratch = "\(path).scratch"
        defer {
            for suffix in ["", "-wal", "-shm"] { _ = unlink(scratch + suffix) }
        }
        var saved = Saved()
        guard
            let reader = try Self.reader(
                of: damaged, scratch, columns.keys.sorted(), copy, &saved.unreadable)
        else {
            saved.isNothing = true
            saved.hasLostProfiles = true
            try await doubtSiteLimit()
            try await doubtProfiles()
            return saved
        }
        defer { reader.close() }
        try await takeBoots(reader.rows(of: "boot"), columns["boot"] ?? [])
        // Nothing stays parked: a fresh journal begins with a fresh try.
        let names = (columns["charge"] ?? []).filter { !$0.name.hasPrefix("park") }
        let charges = try await takeCharges(reader, names, &saved)
        try await takeMessages(reader, of: charges, &saved)
        // So far only rows of these two count. A board that charged nobody has none of them to lose.
        saved.isNothing =
            charges.isEmpty
            && (saved.unsound > 0
                || ["charge", "message"].contains { Self.isBroken($0, reader) })
        for (table, columns) in columns.sorted(by: { $0.key < $1.key })
        where !["boot", "charge", "message"].contains(table) {
            try await takeRows(reader, of: table, columns, &saved)
        }
        try await write(.salvage) { sql in try Self.doubtLocalList(sql) }
        try await doubtSiteLimit()
        // A lost setting may have been the one that says so of an earlier loss.
        let isDoubtLost =
            try await settings()[SmartCharging.profilesKey] == nil
            && Self.isLost("setting", reader, saved)
        if Self.isLost("charging_profile", reader, saved) || isDoubtLost {
            saved.hasLostProfiles = true
            try await doubtProfiles()
        }
        return saved
    }

    private static func isLost(_ table: String, _ reader: DamagedDatabase, _ saved: Saved) -> Bool {
        saved.lost[table] != nil || isBroken(table, reader)
    }

    /// Where an operator's profile did not come over nobody knows what he allowed: the safe share counts
    /// until he says it again. See `SmartCharging.endProfileDoubt`.
    func doubtProfiles() async throws {
        try await write(.salvage) { sql in
            try sql.execute(
                """
                INSERT INTO setting (key, value) VALUES (?, '')
                ON CONFLICT (key) DO UPDATE SET value = excluded.value
                """, SmartCharging.profilesKey)
            try Self.seal("setting", where: "key = ?", SmartCharging.profilesKey, in: sql)
        }
    }

    /// Where a person's limit on the site did not come over nobody knows it: the safe share counts until
    /// it is said again. A board that has none has a row that says so.
    func doubtSiteLimit() async throws {
        try await write(.salvage) { sql in
            try sql.execute(
                "INSERT INTO setting (key, value) VALUES (?, '') ON CONFLICT (key) DO NOTHING",
                SmartCharging.limitKey)
            try Self.seal("setting", where: "key = ?", SmartCharging.limitKey, in: sql)
        }
    }

    /// Boots keep their order: this one is the newest, whatever it was entered before.
    private func takeBoots(_ rows: [Row], _ columns: [JournalColumn]) async throws {
        try await write(.salvage) { sql in
            let own = try sql.query("SELECT * FROM boot")
            try sql.execute("DELETE FROM boot")
            for row in rows {
                guard let values = Self.mended(row, of: "boot", columns) else { continue }
                try Self.insert(values, into: "boot", sql)
            }
            for row in own {
                try Self.insert(
                    Self.values(of: row, columns.filter { $0.name != "number" }), into: "boot", sql)
            }
        }
    }

    /// - Returns: the numbers of those that came over, and whether their last register did.
    private func takeCharges(
        _ reader: DamagedDatabase, _ columns: [JournalColumn], _ saved: inout Saved
    ) async throws -> [Int64: Bool] {
        var charges: [Int64: Bool] = [:]
        var walk = reader.walk(through: "charge")
        while let rows = reader.next(&walk) {
            let taken = try await write(.salvage) { sql in
                try rows.compactMap { row -> (Int64, Bool)? in
                    guard let charge = MendedCharge(row, columns),
                        try Self.insert(charge.values, into: "charge", sql)
                    else { return nil }
                    return (charge.number, charge.isLastKnown)
                }
            }
            charges.merge(taken) { first, _ in first }
            saved.unsound += rows.count - taken.count
        }
        saved.charges = charges.count
        return charges
    }

    /// A part of the table cannot be read.
    private static func isBroken(_ table: String, _ reader: DamagedDatabase) -> Bool {
        var walk = reader.walk(through: table)
        while reader.next(&walk) != nil {}
        return walk.isDamaged
    }

    private func takeRows(
        _ reader: DamagedDatabase, of table: String, _ columns: [JournalColumn],
        _ saved: inout Saved
    ) async throws {
        var walk = reader.walk(through: table)
        while let rows = reader.next(&walk) {
            if rows.isEmpty { continue }
            let lost: Int = try await write(.salvage) { sql in
                try rows.reduce(0) { lost, row in
                    guard let values = Self.mended(row, of: table, columns),
                        try Self.insert(values, into: table, sql)
                    else { return lost + 1 }
                    return lost
                }
            }
            saved.unsound += lost
            if lost > 0 { saved.lost[table, default: 0] += lost }
        }
    }

    private func takeMessages(
        _ reader: DamagedDatabase, of charges: [Int64: Bool], _ saved: inout Saved
    ) async throws {
        var starts: Set<Int64> = []
        var stops: Set<Int64> = []
        var walk = reader.walk(through: "message")
        while let rows = reader.next(&walk) {
            for owed in rows.compactMap(Owed.init) where charges[owed.charge] != nil {
                if owed.kind == "start" { starts.insert(owed.charge) }
                if owed.kind == "stop" { stops.insert(owed.charge) }
            }
        }
        // Starts that are owed and whose message was lost go first: they are the older ones.
        saved.messages += try await oweAgain(
            "start", Set(charges.keys).subtracting(starts), where: "operator_id IS NULL")
        walk = reader.walk(through: "message")
        while let rows = reader.next(&walk) {
            let owed = rows.compactMap(Owed.init).filter { charges[$0.charge] != nil }
            saved.unsound += rows.count - owed.count
            saved.messages += owed.count
            try await write(.salvage) { sql in
                // New numbers, in the old order: a start that was owed again must come before its stop.
                for one in owed {
                    try Self.owe(
                        one.kind, of: one.charge, boot: one.boot, base: one.base, body: one.body,
                        rank: one.rank, shift: one.shift, sql)
                    // The last register is lost, but not all that was read before it.
                    guard charges[one.charge] == false, one.kind == "sample",
                        let sample = one.body.flatMap({ StoredSample(text: $0) })
                    else { continue }
                    try Self.keep(
                        sample.snapshot.register, of: one.charge, at: sample.snapshot.at,
                        boot: one.boot, base: one.base, sql)
                }
            }
        }
        saved.messages += try await oweAgain(
            "stop", Set(charges.keys).subtracting(stops), where: "stopped_at IS NOT NULL")
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

    // MARK: Reading what can be read

    /// Reads a scratch copy, so that the evidence stays untouched; nil where not a row can be read.
    ///
    /// Where the copy does not even open, it is tried once more with the first page as it was kept.
    private static func reader(
        of damaged: String, _ scratch: String, _ tables: [String], _ copy: DamagedCopy,
        _ unreadable: inout Int
    ) throws -> DamagedDatabase? {
        for isFirstPageReplaced in [false, true] {
            unreadable = try self.copy(damaged, to: scratch, by: copy)
            if isFirstPageReplaced {
                // Without a kept page, or with one that fits no better, the first try stands.
                guard let page = try? FileSystem.read("\(damaged).head", limitBytes: pageBytes),
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

    private static func copy(
        _ source: String, to target: String, by copy: DamagedCopy
    ) throws(FileError) -> Int {
        for suffix in ["", "-wal", "-shm"] { try FileSystem.remove(target + suffix) }
        var unreadable = try copy.copy(source, to: target)
        do throws(FileError) {
            unreadable += try copy.copy(source + "-wal", to: target + "-wal")
        } catch .notFound {
            // Then all of it is in the file.
        }
        return unreadable
    }
}
