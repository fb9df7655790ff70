import Charging
import Glibc
import SQL
import Service

/// A board in one file: its journal, who it is, what it proves that with, and what commissioning locked.
/// What a technician carries from a dead controller to a new one. It holds secrets.
package struct BoardBackup: Hashable, Sendable {
    /// A file of the board and where another one puts it.
    package struct Carried: Hashable, Sendable {
        package enum Place: String, Hashable, Sendable, CaseIterable {
            /// The configuration, wherever the other board has it.
            case configuration
            /// What the configuration names: a whole path, or one that begins at its folder.
            case named
            /// Below the data directory.
            case data
        }

        package var place: Place
        package var path: String
        /// Permission bits; who may read a secret is the same on both boards.
        package var mode: UInt32
        package var bytes: [UInt8]

        package init(_ place: Place, path: String, mode: UInt32 = 0o600, bytes: [UInt8]) {
            self.place = place
            self.path = path
            self.mode = mode
            self.bytes = bytes
        }
    }

    package var stationID: String
    package var madeAt: Timestamp
    /// As the configuration says it: a whole path, or one that begins at its folder.
    package var dataDirectory: String
    package var files: [Carried]

    package init(
        stationID: String, madeAt: Timestamp, dataDirectory: String, files: [Carried]
    ) {
        self.stationID = stationID
        self.madeAt = madeAt
        self.dataDirectory = dataDirectory
        self.files = files
    }

    /// The parts of the data directory that make a board what it is. The roots' bundles are made anew.
    package static let folders = ["credentials", "certificates", "commissioning"]
    package static let lock = "commissioned.json"

    /// What of a data directory belongs into a backup.
    ///
    /// - Throws: where a file cannot be read: half an identity is none.
    ///   A link is none of it: root makes a backup, and the agent's user could point at any file.
    package static func carried(from data: String) throws(FileError) -> [Carried] {
        let data = try HeldFolder(data)
        var files: [Carried] = []
        for name in folders where data.has(name) {
            let folder = try data.folder(name)
            for file in try folder.names()
            where !file.hasSuffix(".part") && !file.hasPrefix("bundle-") {
                // The agent's alone, whatever a hand has made of it.
                files.append(Carried(.data, path: "\(name)/\(file)", bytes: try folder.read(file)))
            }
        }
        if data.has(lock) { files.append(Carried(.data, path: lock, bytes: try data.read(lock))) }
        return files
    }

    /// The journal itself and its log, no link to others.
    ///
    /// SQLite opens them by name afterwards; what it reads it keeps to root, in a file that only root
    /// can read.
    package static func checkJournal(in data: String) throws(FileError) {
        let data = try HeldFolder(data)
        for name in ["journal.db", "journal.db-wal", "journal.db-shm"] where data.has(name) {
            close(try data.open(name, O_RDONLY))
        }
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
    /// - Returns: the connectors with an open charge, whose end the file cannot know.
    /// - Throws: `SQLError.notAllowed` if the file is there already.
    @discardableResult
    package func write(journal: String, to file: String) async throws -> [ConnectorNumber] {
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
            let open: [ConnectorNumber]
            do { open = try await copy.write { try store($0) } } catch {
                await copy.close()
                throw error
            }
            await copy.close()
            guard rename(scratch, file) == 0 else { throw FileError(file, errno: errno) }
            try FileSystem.syncFolder(of: file)
            return open
        } catch {
            // The first error is the one to tell.
            try? Self.remove(scratch)
            throw error
        }
    }

    private func store(_ sql: Transaction) throws -> [ConnectorNumber] {
        try sql.execute(
            """
            CREATE TABLE board_identity (
                station_id TEXT NOT NULL, made_at BIGINT NOT NULL, data_directory TEXT NOT NULL)
            """)
        try sql.execute(
            """
            CREATE TABLE board_file (
                place TEXT NOT NULL, path TEXT NOT NULL, mode BIGINT NOT NULL, bytes BLOB NOT NULL,
                PRIMARY KEY (place, path))
            """)
        try sql.execute(
            "INSERT INTO board_identity VALUES (?, ?, ?)", stationID, madeAt, dataDirectory)
        for file in files {
            try sql.execute(
                "INSERT INTO board_file VALUES (?, ?, ?, ?)", file.place.rawValue, file.path,
                Int64(file.mode), file.bytes)
        }
        return try sql.query(
            "SELECT DISTINCT connector FROM charge WHERE stopped_at IS NULL ORDER BY connector"
        ).map { try $0.int("connector") }
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
                guard row.has("data_directory") else {
                    throw Failure.damaged(file, "an older kerb-edge made it; make it again")
                }
                return BoardBackup(
                    stationID: try row.text("station_id"), madeAt: try row.timestamp("made_at"),
                    dataDirectory: try row.text("data_directory"),
                    files: try sql.query("SELECT * FROM board_file ORDER BY rowid").map {
                        try Self.carried($0, of: file)
                    })
            }
            await database.close()
            return backup
        } catch {
            await database.close()
            throw error
        }
    }

    private static func carried(_ row: Row, of file: String) throws -> Carried {
        let path = try row.text("path")
        guard let place = Carried.Place(rawValue: try row.text("place")),
            // Nothing in a file may name a place outside what it is for.
            place == .named || isInside(path)
        else { throw Failure.damaged(file, "it names the place \(path)") }
        return Carried(
            place, path: path, mode: UInt32(truncatingIfNeeded: try row.int64("mode")) & 0o777,
            bytes: try row.blob("bytes"))
    }

    private static func isInside(_ path: String) -> Bool {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        return !parts.contains { $0.isEmpty || $0 == "." || $0 == ".." }
    }

    /// Copies the journal alone out of a backup: without what the board proves itself with, and
    /// without an update that was under way, whose file and program are the old controller's.
    package static func extractJournal(from file: String, to target: String) async throws {
        let scratch = "\(target).scratch"
        for path in [scratch, target] { try remove(path) }
        let source = try Database(path: file, readers: 0)
        do { try await source.backup(to: scratch) } catch {
            await source.close()
            throw error
        }
        await source.close()
        let copy = try Database(path: scratch, readers: 0)
        do {
            try await copy.write { sql in
                try sql.execute("DROP TABLE board_identity")
                try sql.execute("DROP TABLE board_file")
                try sql.execute("DELETE FROM upkeep_state WHERE name = 'firmware'")
            }
            // A second copy leaves no trace of the secrets in free pages.
            try await copy.backup(to: target)
        } catch {
            await copy.close()
            try? remove(scratch)  // The first error is the one to tell.
            throw error
        }
        await copy.close()
        try remove(scratch)
    }

    private static func remove(_ path: String) throws(FileError) {
        for suffix in ["", "-wal", "-shm"] { try FileSystem.remove(path + suffix) }
    }
}
