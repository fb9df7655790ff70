import Charging
import Glibc
import SQL
import Service

extension BoardJournal {
    /// Checks the file, brings its schema up to date and enters this boot.
    func prepare() async throws {
        if path != ":memory:" {
            let wrong = try await database.integrityCheck()
            guard wrong.isEmpty else { throw SQLError.corrupt(wrong.joined(separator: "; ")) }
        }
        try await database.migrate(Self.migrations)
        if path != ":memory:" { try await checkColumns() }
        try await checkSums()
        try await enterBoot()
        try await holdSignedStops()
        // On a full disk nothing begins, but what is there is known and can be sent and ended.
        if reserve?.hold() == false { state.withLock { $0.trouble = .full } }
    }

    /// The schema lies in the file as text that SQLite checks only for being one. A column that lost its
    /// name, or a value its kind, would show when it is read, weeks later and outside this.
    private func checkColumns() async throws {
        let model = try Database(path: ":memory:")
        try await model.migrate(Self.migrations)
        let wanted = try await Self.columns(of: model)
        await model.close()
        let found = try await columns()
        for (table, columns) in wanted.sorted(by: { $0.key < $1.key }) {
            guard found[table] == columns else {
                throw SQLError.corrupt("table \(table) has not the columns that it was made with")
            }
            let wrong = columns.map(\.isOfAnotherKind).joined(separator: " OR ")
            // Samples are many and cost nothing; each is checked when it leaves.
            let kept = table == "message" ? "AND kind <> 'sample'" : ""
            let isWrong = try await database.read { sql in
                try sql.queryOne("SELECT 1 AS n FROM \(table) WHERE (\(wrong)) \(kept) LIMIT 1")
                    != nil
            }
            if isWrong { throw SQLError.corrupt("a value of \(table) is of another kind") }
        }
    }

    private func checkSums() async throws {
        let damaged = try await database.read { sql in
            let charges = try sql.query("SELECT * FROM charge").compactMap {
                try Self.isSound(charge: $0) ? nil : "charge \(try $0.int64("id"))"
            }
            // As above.
            let messages = try sql.query(
                "SELECT *, boot_id AS message_boot FROM message WHERE kind <> 'sample'"
            ).compactMap {
                try Self.isSound(message: $0) ? nil : "message \(try $0.int64("seq"))"
            }
            // A token is checked when it is asked for.
            let others = try Self.summed.keys.sorted().filter { table in
                guard !table.hasSuffix("_token") else { return false }
                return try Self.holdsUnsound(table, sql)
            }
            return charges + messages + others.map { "a row of \($0)" }
        }
        guard damaged.isEmpty else {
            let list = damaged.prefix(10).joined(separator: ", ")
            throw SQLError.corrupt("\(list): not what was written")
        }
    }

    private static func holdsUnsound(_ table: String, _ sql: Transaction) throws -> Bool {
        try sql.query("SELECT * FROM \(table)").contains { try !isSound($0, of: table) }
    }

    /// Opens the journal whatever state it is in: the station must come up. A damaged one is rebuilt
    /// from what can be read of it, and is kept aside, never deleted.
    ///
    /// - Throws: where the disk gives no file at all.
    package static func open(
        path: String, bootID: String, limits: JournalLimits = JournalLimits(),
        clock: any ServiceClock = .system, probe: JournalProbe? = nil, log: Log
    ) async throws -> BoardJournal {
        func attempt() async throws -> BoardJournal {
            try await BoardJournal(
                path: path, bootID: bootID, limits: limits, clock: clock, probe: probe)
        }
        let rebuild = JournalRebuild(
            path: path, bootID: bootID, limits: limits, clock: clock, probe: probe, log: log)
        try rebuild.finish()
        do {
            let journal = try await attempt()
            rebuild.forgetTries()
            await keepFirstPage(journal)
            return journal
        } catch let error where isFull(error) {
            // The space held back is for this.
            guard rebuild.releaseReserve() else { throw error }
            log.error("disk full, the space held back is used", ["file": path])
            return try await attempt()
        } catch let error where isDamage(error) {
            log.error("journal damaged, rebuilt", ["error": String(describing: error)])
            try await rebuild.run(cause: error)
            let journal: BoardJournal
            do { journal = try await attempt() } catch let again where isDamage(again) {
                log.error("rebuilt journal damaged", ["error": String(describing: again)])
                try await rebuild.runEmpty(cause: again)
                journal = try await attempt()
            }
            await keepFirstPage(journal)
            return journal
        }
    }

    static func isFull(_ error: any Error) -> Bool {
        switch error {
        case SQLError.full, FileError.diskFull: true
        default: false
        }
    }

    /// True where opening again cannot help and another file can. A disk that takes nothing is none: a
    /// fresh file on it would fail too, and what is owed would be out of sight.
    static func isDamage(_ error: any Error) -> Bool {
        switch error {
        case SQLError.corrupt, SQLError.unreadable, SQLError.mismatch, SQLError.statement,
            SQLError.constraint, SQLError.newerDatabase, SQLError.changedMigration,
            JournalError.damaged:
            true
        default: false
        }
    }

    // MARK: The first page, in a copy of its own

    static let pageBytes = 4096

    /// The first page says where every table begins. Without it nothing can be read, and it does not
    /// change once the schema stands; so it has a copy, taken while the file is known to be sound.
    private static func keepFirstPage(_ journal: BoardJournal) async {
        let path = journal.path
        guard path != ":memory:" else { return }
        do {
            let copy = "\(path).head"
            // A new schema is in the log alone until then.
            if !FileSystem.exists(copy) { try await journal.database.checkpoint() }
            let page = try journal.firstPage()
            guard page.count == pageBytes, page.starts(with: Array("SQLite format 3".utf8)) else {
                return
            }
            if FileSystem.exists(copy),
                // Behind the header with its counters lies the schema.
                try FileSystem.read(copy, limitBytes: pageBytes).dropFirst(100)
                    .elementsEqual(page.dropFirst(100))
            {
                return
            }
            try FileSystem.writeAtomically(page, to: copy)
        } catch {
            return  // A help for the day of damage; the next start tries again.
        }
    }

    /// Whoever closes any descriptor of a file gives up all locks his process has on it: another program
    /// that opens the journal then, such as a backup, takes itself for the only one and removes the log
    /// under this one's feet. So this stays open as long as the journal does.
    private func firstPage() throws -> [UInt8] {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(path, errno: errno) }
        heldOpen.withLock { $0.append(descriptor) }
        var page = [UInt8](repeating: 0, count: Self.pageBytes)
        let count = pread(descriptor, &page, Self.pageBytes, 0)
        return Array(page.prefix(max(0, count)))
    }
}
