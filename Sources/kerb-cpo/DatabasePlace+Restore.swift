import CPO
import Charging
import Glibc
import SQL
import SQLPostgres
import Service

// A backup in the place of what is here.

extension DatabasePlace {
    struct Restored {
        /// Where what was here is kept; nil: nothing was.
        var before: String?
        var erasures = Erasures.due(0)
    }

    /// What becomes of erasures that were made since the backup.
    enum Erasures {
        /// So many are made again at the next start.
        case due(Int)
        /// It is a backup of another database, whose people cannot be known.
        case foreign
        /// What was here cannot be read.
        case lost(SQLError)
    }

    /// Puts a backup, a SQLite file as either engine writes it, in the place of what is here: all of it
    /// or nothing. It is checked and brought up to date on a copy first; what was here is kept.
    ///
    /// - Throws: `Failure` where the file is no backup of ours or a server is at work; `SQLError` and
    ///   `FileError` of the database's own place.
    func restore(from file: String, at now: Timestamp) throws -> Restored {
        // A name of its own each time: the second restore must not destroy what the first has kept.
        let suffix = ".before-restore-\(now.milliseconds)"
        switch self {
        case .sqlite(let path):
            guard try ServerLock.take(for: path) else {
                throw Program.Failure(
                    code: .refused, text: "a server is at work at \(path); stop it first")
            }
            return try Self.restore(path, from: file, keeping: path + suffix, at: now)
        case .postgresql:
            let place = Self.writable(file)
            let (scratch, before) = ("\(place).restoring", place + suffix)
            defer { Self.discard(scratch) }
            try Self.prepare(scratch, from: file, at: now)
            var erasures = Erasures.due(0)
            try engine(isServer: true).restore(from: scratch, keeping: before) {
                erasures = try Self.bring(erasuresOf: before, into: scratch)
            }
            return Restored(
                before: FileSystem.exists(before) ? before : nil, erasures: erasures)
        }
    }

    private static func restore(
        _ path: String, from file: String, keeping before: String, at now: Timestamp
    ) throws -> Restored {
        let scratch = "\(path).restoring"
        defer { discard(scratch) }
        try prepare(scratch, from: file, at: now)
        let owner = try FileSystem.owner(
            of: FileSystem.exists(path) ? path : FileSystem.folder(of: path))
        if geteuid() == 0, lchown(scratch, owner.user, owner.group) != 0 {
            throw FileError(scratch, errno: errno)
        }
        guard FileSystem.exists(path) else {
            // What a file that was moved away left behind would be played into the new one.
            for log in logs { try move(path + log, to: before + log) }
            try Database.name(scratch, path)
            return Restored()
        }
        let erasures = try bring(erasuresOf: path, into: scratch)
        try exchange(path, for: scratch, keeping: before)
        return Restored(before: before, erasures: erasures)
    }

    /// A copy of the backup as it may stand in a database's place.
    private static func prepare(_ scratch: String, from file: String, at now: Timestamp) throws {
        discard(scratch)
        do {
            try Database.copy(file, to: scratch)
            try Database.once(scratch, forWriting: true) { transaction in
                guard try isOurs(transaction) else {
                    throw Program.Failure(text: "\(file): is no backup of kerb-cpo")
                }
                try transaction.migrate(Doors.migrations, at: now.milliseconds)
                let skipped = try RestoredRows.settle(at: now, in: transaction)
                try transaction.skipNumbers(skipped)
            }
        } catch let error as SQLError {
            throw Program.Failure(text: "\(file): \(error)")
        }
    }

    /// A database of any other program would take our tables beside its own.
    private static func isOurs(_ transaction: Transaction) throws -> Bool {
        try transaction.queryOne(
            """
            SELECT name FROM sqlite_master WHERE name = 'schema_migration'
            AND sql LIKE '%check_sum%'
            """) != nil
            && transaction.queryOne("SELECT number FROM schema_migration WHERE number = 1") != nil
    }

    /// What was erased since the backup comes back with it, and is due again.
    private static func bring(
        erasuresOf old: String, into scratch: String
    ) throws -> Erasures {
        let ledger: ErasureLedger
        do {
            ledger = try Database.once(old, forWriting: false) { try ErasureLedger(in: $0) }
        } catch let error as SQLError where error != .busy {
            // A damaged database is what restores are for.
            return .lost(error)
        }
        return try Database.once(scratch, forWriting: true) { try ledger.bring(into: $0) }
            .map(Erasures.due) ?? .foreign
    }

    /// There is a whole database under the name at any moment.
    private static func exchange(
        _ path: String, for scratch: String, keeping before: String
    ) throws {
        do {
            // So that nothing is left in its log. A damaged one keeps what it has there.
            try Database.playLog(of: path)
        } catch .busy {
            // A server of before the lock, or a tool: what it writes would be in the file put aside.
            throw Program.Failure(
                code: .refused, text: "another program has \(path) open; stop it first")
        } catch {}
        guard link(path, before) == 0 else { throw FileError(before, errno: errno) }
        do throws(FileError) {
            // Else it would be played into the new one.
            for log in logs { try move(path + log, to: before + log) }
            try Database.name(scratch, path)
        } catch {
            // The first error is the one to tell.
            for log in logs { try? move(before + log, to: path + log) }
            try? FileSystem.remove(before)
            throw error
        }
    }

    private static let logs = ["-wal", "-shm"]

    private static func move(_ file: String, to other: String) throws(FileError) {
        guard rename(file, other) == 0 || errno == ENOENT else {
            throw FileError(other, errno: errno)
        }
    }

    /// What is left of it is in nobody's way: the next time begins with removing it.
    private static func discard(_ scratch: String) {
        for suffix in ["", ".part"] + logs { try? FileSystem.remove(scratch + suffix) }
    }

    /// Beside the backup, or where the caller stands: a backup may lie on a medium nobody writes to.
    private static func writable(_ file: String) -> String {
        guard access(FileSystem.folder(of: file), W_OK) != 0 else { return file }
        return file.split(separator: "/").last.map(String.init) ?? file
    }
}
