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

extension SQLConnection {
    /// Brings the schema up to date in the transaction that is open.
    package func migrate(_ migrations: [Migration], at now: Int64) throws(SQLError) {
        try Migrator(migrations).run(self, at: now)
    }
}

extension Transaction {
    func migrate(_ migrator: Migrator, at now: Int64) throws(SQLError) {
        try migrator.run(connection, at: now)
    }
}
