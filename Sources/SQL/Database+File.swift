import Glibc
import Service

extension Database {
    /// Makes the file, so that it and the log files beside it are nobody else's to read.
    static func makePrivate(_ path: String) throws(SQLError) {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            let failure = FileError(path, errno: errno)
            if case .diskFull = failure { throw .full }
            throw .notAllowed("\(failure)")
        }
        Glibc.close(descriptor)
    }

    /// What SQLite finds wrong with a file that nobody writes: `["ok"]` if nothing.
    package static func check(_ path: String) throws(SQLError) -> [String] {
        let connection = try SQLiteConnection(path, isReader: true, DatabaseLimits())
        defer { connection.close() }
        let rows = try connection.query("PRAGMA quick_check(20)", [])
        var lines: [String] = []
        for row in rows { lines.append(try row.textOrNil("quick_check") ?? "?") }
        return lines
    }

    static func reading<Value>(
        _ connection: any SQLConnection, _ body: (Transaction) throws -> Value
    ) throws -> Value {
        try connection.begin(forWriting: false)
        defer { connection.rollback() }
        return try body(Transaction(connection))
    }
}

extension Database {
    /// A connection to a file without the threads: for what copies whole databases.
    package static func connection(
        to path: String, isReader: Bool
    ) throws(SQLError) -> any SQLConnection {
        if !isReader { try makePrivate(path) }
        return try SQLiteConnection(path, isReader: isReader, DatabaseLimits())
    }
}

extension Database {
    /// Copies a database file to a new one, and writes nothing beside it: it may lie on a medium that
    /// nobody can write to.
    ///
    /// - Throws: `.corrupt` with what SQLite finds wrong with it.
    package static func copy(_ file: String, to target: String) throws {
        let source = try reader(of: file)
        defer { source.close() }
        let findings = try SQLiteEngine(path: file, limits: DatabaseLimits())
            .check(source, isThorough: false)
        guard findings.isEmpty else {
            throw SQLError.corrupt(findings.joined(separator: "; "))
        }
        try SQLiteEngine.copy(source, to: target)
    }

    /// Where no log lies beside a file nobody has it open, and none has to be made for reading it.
    private static func reader(of file: String) throws(SQLError) -> SQLiteConnection {
        let logs = ["-wal", "-journal"].map { file + $0 }
        return try SQLiteConnection(
            file, isReader: true, isImmutable: !logs.contains { FileSystem.exists($0) },
            DatabaseLimits())
    }

    /// One transaction on a file, without threads: for tools that are alone with it. Reading leaves
    /// nothing beside it.
    package static func once<Value>(
        _ path: String, forWriting: Bool, _ body: (Transaction) throws -> Value
    ) throws -> Value {
        let connection: any SQLConnection =
            try forWriting ? connection(to: path, isReader: false) : reader(of: path)
        defer { connection.close() }
        try connection.begin(forWriting: forWriting)
        do {
            let value = try body(Transaction(connection))
            try connection.commit()
            return value
        } catch {
            connection.rollback()
            throw error
        }
    }

    /// Brings what is in the log of a file to its place; the log goes.
    ///
    /// - Throws: `.busy` where another program has it open: only who is alone with a file can do without
    ///   its log.
    package static func playLog(of path: String) throws(SQLError) {
        try SQLiteEngine(path: path, limits: DatabaseLimits()).endLog()
    }
}

extension SQLConnection {
    /// Brings the schema up to date in the transaction that is open.
    package func migrate(_ migrations: [Migration], at now: Int64) throws(SQLError) {
        try Migrator(migrations).run(self, at: now)
    }
}

extension Transaction {
    /// The same for one that is open on a file.
    package func migrate(_ migrations: [Migration], at now: Int64) throws(SQLError) {
        try connection.migrate(migrations, at: now)
    }

    /// Makes each table that numbers its rows leave out `count` numbers. For a SQLite file alone.
    package func skipNumbers(_ count: Int64) throws(SQLError) {
        for table in try query(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'")
        {
            let name = try table.text("name")
            let changed = try execute(
                "UPDATE sqlite_sequence SET seq = seq + ? WHERE name = ?", count, name)
            guard changed == 0 else { continue }
            // None was given before the backup was made; some may have been since.
            try execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", name, count)
        }
    }

    func migrate(_ migrator: Migrator, at now: Int64) throws(SQLError) {
        try migrator.run(connection, at: now)
    }
}
