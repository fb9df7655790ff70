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

    /// Plays the whole write-ahead log into the file, as far as no reader needs it.
    nonisolated(nonsending) package func checkpoint() async throws {
        let (path, limits) = (path, limits)
        try await withCheckedThrowingContinuation {
            (continuation: CheckedContinuation<Void, any Error>) in
            _ = NativeThread.start("sql checkpoint") {
                continuation.resume(
                    with: Result {
                        let connection = try SQLiteConnection(path, isReader: false, limits)
                        defer { connection.close() }
                        _ = try connection.query("PRAGMA wal_checkpoint(TRUNCATE)", [])
                    })
            }
        }
    }

    static func reading<Value>(
        _ connection: SQLiteConnection, _ body: (Transaction) throws -> Value
    ) throws -> Value {
        try connection.begin(forWriting: false)
        defer { connection.rollback() }
        return try body(Transaction(connection))
    }

    /// Copies by `VACUUM INTO` a scratch file that gets its name once it is on the disk.
    static func copy(_ path: String, to target: String, _ limits: DatabaseLimits) throws {
        guard !FileSystem.exists(target) else {
            throw SQLError.notAllowed("\(target) is there already")
        }
        let scratch = "\(target).part"
        try FileSystem.remove(scratch)
        try makePrivate(scratch)
        do {
            let source = try SQLiteConnection(path, isReader: true, limits)
            defer { source.close() }
            try source.script("PRAGMA query_only = OFF")
            _ = try source.execute("VACUUM INTO ?", [.text(scratch)])
            let descriptor = open(scratch, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { throw FileError(scratch, errno: errno) }
            defer { Glibc.close(descriptor) }
            guard fsync(descriptor) == 0, rename(scratch, target) == 0 else {
                throw FileError(target, errno: errno)
            }
            try FileSystem.syncFolder(of: target)
        } catch {
            // The first error is the one to tell.
            _ = try? FileSystem.remove(scratch)
            throw error
        }
    }
}

extension Transaction {
    func migrate(_ migrator: Migrator, at now: Int64) throws(SQLError) {
        try migrator.run(connection, at: now)
    }
}
