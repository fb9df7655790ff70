import Glibc
import Service

/// SQLite: one file, or `:memory:`.
struct SQLiteEngine: SQLEngine {
    let path: String
    let limits: DatabaseLimits

    var isInMemory: Bool { path == ":memory:" }

    func connect(isReader: Bool) throws(SQLError) -> any SQLConnection {
        try SQLiteConnection(path, isReader: isReader, limits)
    }

    /// After a failed sync the kernel may have dropped the pages and say "done" the next time, so
    /// the file is opened anew and read back from the disk rather than synced again.
    func mustReopen(after error: SQLError) -> Bool {
        switch error {
        case .disk, .unreadable, .corrupt: !isInMemory
        default: false
        }
    }

    func check(_ connection: any SQLConnection, isThorough: Bool) throws(SQLError) -> [String] {
        let pragma = isThorough ? "integrity_check" : "quick_check"
        var lines: [String] = []
        for row in try connection.query("PRAGMA \(pragma)(100)", []) {
            let line = try row.text(pragma)
            if line != "ok" { lines.append(line) }
        }
        return lines
    }

    func endLog() throws(SQLError) {
        let connection = try SQLiteConnection(path, isReader: false, limits)
        defer { connection.close() }
        let mode = try connection.query("PRAGMA journal_mode = DELETE", []).first
        guard try mode?.text("journal_mode") == "delete" else { throw .busy }
    }

    func checkpoint() throws(SQLError) {
        let connection = try SQLiteConnection(path, isReader: false, limits)
        defer { connection.close() }
        _ = try connection.query("PRAGMA wal_checkpoint(TRUNCATE)", [])
    }

    func backup(to target: String) throws {
        let source = try SQLiteConnection(path, isReader: true, limits)
        defer { source.close() }
        try Self.copy(source, to: target)
    }

    /// Copies by `VACUUM INTO` a scratch file that gets its name once it is on the disk.
    static func copy(_ source: SQLiteConnection, to target: String) throws {
        guard !FileSystem.exists(target) else {
            throw SQLError.notAllowed("\(target) is there already")
        }
        let scratch = "\(target).part"
        try FileSystem.remove(scratch)
        try Database.makePrivate(scratch)
        do {
            try source.script("PRAGMA query_only = OFF")
            _ = try source.execute("VACUUM INTO ?", [.text(scratch)])
            try Database.name(scratch, target)
        } catch {
            // The first error is the one to tell.
            _ = try? FileSystem.remove(scratch)
            throw error
        }
    }

    func closing() {}
}

extension Database {
    /// Gives a finished file its name, once it is on the disk.
    package static func name(_ scratch: String, _ target: String) throws(FileError) {
        let descriptor = open(scratch, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(scratch, errno: errno) }
        defer { Glibc.close(descriptor) }
        guard fsync(descriptor) == 0, rename(scratch, target) == 0 else {
            throw FileError(target, errno: errno)
        }
        try FileSystem.syncFolder(of: target)
    }
}
