import Charging
import Glibc
import SQL
import Service

/// A board in one file: its journal, who it is, and the files it needs to be that. What a technician
/// carries from a dead controller to a new one.
package struct BoardBackup: Hashable, Sendable {
    /// A file of the configuration, with the path it had.
    package struct Carried: Hashable, Sendable {
        package var path: String
        package var bytes: [UInt8]

        package init(path: String, bytes: [UInt8]) {
            self.path = path
            self.bytes = bytes
        }
    }

    package var stationID: String
    package var madeAt: Timestamp
    package var files: [Carried]

    package init(stationID: String, madeAt: Timestamp, files: [Carried]) {
        self.stationID = stationID
        self.madeAt = madeAt
        self.files = files
    }

    package enum Failure: Error, Hashable, Sendable, CustomStringConvertible {
        case noBackup(String)
        case damaged(String, String)

        package var description: String {
            switch self {
            case .noBackup(let file): "\(file) is no backup of a board"
            case .damaged(let file, let why): "\(file) is damaged: \(why)"
            }
        }
    }

    // MARK: Making one

    /// Copies the journal as it is now, the agent may run meanwhile, and puts the identity beside it.
    ///
    /// - Throws: `SQLError.notAllowed` if the file is there already.
    package func write(journal: String, to file: String) async throws {
        guard !FileSystem.exists(file) else {
            throw SQLError.notAllowed("\(file) is there already")
        }
        let scratch = "\(file).incomplete"
        // Without readers below: who closes last writes the log into the file, if he may write.
        try Self.remove(scratch)
        do {
            let source = try Database(path: journal, readers: 0)
            do { try await source.backup(to: scratch) } catch {
                await source.close()
                throw error
            }
            await source.close()
            let copy = try Database(path: scratch, readers: 0)
            do { try await copy.write { try store($0) } } catch {
                await copy.close()
                throw error
            }
            await copy.close()
            guard rename(scratch, file) == 0 else { throw FileError(file, errno: errno) }
            try FileSystem.syncFolder(of: file)
        } catch {
            // The first error is the one to tell.
            try? Self.remove(scratch)
            throw error
        }
    }

    private func store(_ sql: Transaction) throws {
        try sql.execute(
            "CREATE TABLE board_identity (station_id TEXT NOT NULL, made_at BIGINT NOT NULL)")
        try sql.execute("CREATE TABLE board_file (path TEXT PRIMARY KEY, bytes BLOB NOT NULL)")
        try sql.execute("INSERT INTO board_identity VALUES (?, ?)", stationID, madeAt)
        for file in files {
            try sql.execute("INSERT INTO board_file VALUES (?, ?)", file.path, file.bytes)
        }
    }

    // MARK: Reading one

    package static func read(_ file: String) async throws -> BoardBackup {
        guard FileSystem.exists(file) else { throw Failure.noBackup(file) }
        let database: Database
        do { database = try Database(path: file, readers: 0) } catch {
            throw Failure.damaged(file, "\(error)")
        }
        do {
            let wrong = try await database.quickCheck()
            guard wrong.isEmpty else {
                throw Failure.damaged(file, wrong.joined(separator: "; "))
            }
            let backup = try await database.read { sql in
                guard
                    try sql.queryOne(
                        "SELECT name FROM sqlite_master WHERE name = 'board_identity'") != nil,
                    let row = try sql.queryOne("SELECT * FROM board_identity")
                else { throw Failure.noBackup(file) }
                return BoardBackup(
                    stationID: try row.text("station_id"), madeAt: try row.timestamp("made_at"),
                    files: try sql.query("SELECT * FROM board_file ORDER BY path").map {
                        Carried(path: try $0.text("path"), bytes: try $0.blob("bytes"))
                    })
            }
            await database.close()
            return backup
        } catch {
            await database.close()
            throw error
        }
    }

    /// Puts the journal of a backup in place; one that is there is kept aside.
    ///
    /// - Returns: where the old one is, if there was one.
    package static func restoreJournal(
        from file: String, to journal: String, at now: Timestamp
    ) async throws -> String? {
        let scratch = "\(journal).restoring"
        try remove(scratch)
        let source = try Database(path: file, readers: 0)
        do { try await source.backup(to: scratch) } catch {
            await source.close()
            throw error
        }
        await source.close()
        let copy = try Database(path: scratch, readers: 0)
        // Credentials have no business in a journal; the copy below leaves no trace of them.
        try await copy.write { sql in
            try sql.execute("DROP TABLE board_identity")
            try sql.execute("DROP TABLE board_file")
        }
        var aside: String?
        if FileSystem.exists(journal) {
            let old = "\(journal).before-restore-\(now.milliseconds)"
            for suffix in ["", "-wal", "-shm"] where FileSystem.exists(journal + suffix) {
                guard rename(journal + suffix, old + suffix) == 0 else {
                    throw FileError(journal, errno: errno)
                }
            }
            aside = old
        }
        try await copy.backup(to: journal)
        await copy.close()
        try remove(scratch)
        // The kept first page is the old file's.
        try FileSystem.remove("\(journal).head")
        return aside
    }

    private static func remove(_ path: String) throws(FileError) {
        for suffix in ["", "-wal", "-shm"] { try FileSystem.remove(path + suffix) }
    }
}
