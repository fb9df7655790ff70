import Charging
import SQL
import Service

extension PostgreSQLEngine {
    /// Writes the database, as it is at one moment, into a new SQLite file; writers go on meanwhile.
    package func backup(to target: String) throws {
        guard !FileSystem.exists(target) else {
            throw SQLError.notAllowed("\(target) is there already")
        }
        let scratch = "\(target).part"
        try Self.remove(scratch)
        do {
            try fill(scratch)
            try Database.name(scratch, target)
        } catch {
            // The first error is the one to tell.
            _ = try? Self.remove(scratch)
            throw error
        }
    }

    private static func remove(_ file: String) throws {
        for suffix in ["", "-wal", "-shm"] { try FileSystem.remove(file + suffix) }
    }

    private func fill(_ scratch: String) throws(SQLError) {
        let source = try connect(isReader: true)
        defer { source.close() }
        try source.begin(forWriting: false)
        defer { source.rollback() }
        var applied: Set<Int> = []
        for row in try source.query("SELECT number FROM schema_migration", []) {
            applied.insert(try row.int("number"))
        }
        let known = migrations.filter { applied.contains($0.number) }
        guard known.count == applied.count else {
            throw .newerDatabase(number: applied.max() ?? 0)
        }
        let target = try Database.connection(to: scratch, isReader: false)
        // Closing it plays the log into the file.
        defer { target.close() }
        try target.begin(forWriting: true)
        do throws(SQLError) {
            try target.migrate(known, at: SystemClock().now.milliseconds)
            try DatabaseTransfer(
                source: source, target: target, tables: DatabaseTransfer.tables(of: target)
            ).backup()
            try target.commit()
        } catch {
            target.rollback()
            throw error
        }
    }

    /// Puts what a SQLite file holds in the place of everything that is here: all of it or nothing.
    ///
    /// - `file` must have been brought up to date with the same migrations.
    /// - `before` gets a copy of what was here; left out when nothing was, and when this fails.
    /// - `complete` is called when `before` is there; it may still write to `file`.
    /// - Throws: `.busy` while a server is at work here.
    package func restore(
        from file: String, keeping before: String, complete: () throws -> Void = {}
    ) throws {
        let target = try connect(isReader: false)
        defer { target.close() }
        guard try !isEmpty() else { return try replace(on: target, by: file) }
        try backup(to: before)
        do {
            try complete()
            try replace(on: target, by: file)
        } catch {
            // The first error is the one to tell.
            _ = try? Self.remove(before)
            throw error
        }
    }

    private func replace(
        on target: any SQLConnection, by file: String
    ) throws(SQLError) {
        let source = try Database.connection(to: file, isReader: true)
        defer { source.close() }
        try source.begin(forWriting: false)
        defer { source.rollback() }
        try target.begin(forWriting: true)
        do throws(SQLError) {
            try target.migrate(migrations, at: SystemClock().now.milliseconds)
            try DatabaseTransfer(
                source: source, target: target, tables: DatabaseTransfer.tables(of: source)
            ).restore()
            try target.commit()
        } catch {
            target.rollback()
            throw error
        }
    }

    /// Whether no house has ever stored anything here.
    private func isEmpty() throws(SQLError) -> Bool {
        let reader = try connect(isReader: true)
        defer { reader.close() }
        try reader.begin(forWriting: false)
        defer { reader.rollback() }
        return try reader.query(
            "SELECT to_regclass('schema_migration') IS NULL AS is_empty", []
        ).first?.bool("is_empty") ?? true
    }
}
