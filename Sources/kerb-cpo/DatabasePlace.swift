import Glibc
import SQL
import SQLPostgres
import Service

/// Where the data is: a file, or a PostgreSQL server.
enum DatabasePlace: Sendable, CustomStringConvertible {
    case sqlite(path: String)
    /// `passwordFile`: its first line is the password, instead of one in the URL.
    case postgresql(url: String, passwordFile: String?)

    /// Without a password.
    var description: String {
        switch self {
        case .sqlite(let path): path
        case .postgresql(let url, _): PostgreSQLAddress.hidingSecrets(url)
        }
    }

    /// - Parameter isServer: what serves; there is one at a database, and tools beside it.
    func open(isServer: Bool, readers: Int) throws -> Database {
        switch self {
        case .sqlite(let path): return try Database(path: path, readers: readers)
        case .postgresql:
            let engine = try engine(isServer: isServer)
            return try Database(engine: engine, readers: readers, limits: engine.limits)
        }
    }

    /// Puts a backup, a SQLite file as either engine writes it, in the place of what is here. What was
    /// here is kept: returns where.
    func restore(from file: String) async throws -> String? {
        switch self {
        case .sqlite(let path): return try await Self.restoreFile(path, from: file)
        case .postgresql:
            let scratch = "\(file).restoring"
            let before = "\(file).before-restore"
            try Self.remove(scratch)
            try Self.remove(before)
            defer {
                // What is left of it is in nobody's way: the next time begins with removing it.
                try? Self.remove(scratch)
            }
            let source = try Database(path: file, readers: 1)
            try await source.backup(to: scratch)
            await source.close()
            let copy = try Database(path: scratch, readers: 1)
            try await copy.migrate(Doors.migrations)
            await copy.close()
            try engine(isServer: true).restore(from: scratch, keeping: before)
            return FileSystem.exists(before) ? before : nil
        }
    }

    private func engine(isServer: Bool) throws -> PostgreSQLEngine {
        guard case .postgresql(let url, let file) = self else {
            preconditionFailure("a file has no engine of its own")
        }
        let password = try file.map { file in
            String(decoding: try FileSystem.read(file), as: UTF8.self)
                .split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
                .first.map(String.init) ?? ""
        }
        return PostgreSQLEngine(
            try PostgreSQLAddress(url, password: password), migrations: Doors.migrations,
            isServer: isServer)
    }

    private static func restoreFile(_ path: String, from source: String) async throws -> String? {
        let old = "\(path).before-restore"
        let wasThere = FileSystem.exists(path)
        if wasThere {
            let running = try Database(path: path, readers: 1)
            let isUsed = try await running.read { transaction in
                try transaction.queryOne(
                    "SELECT name FROM sqlite_master WHERE name = 'station'") != nil
                    && transaction.queryOne("SELECT id FROM station WHERE is_online = 1 LIMIT 1")
                        != nil
            }
            await running.close()
            if isUsed {
                throw Program.Failure(
                    code: .refused,
                    text: "chargers are connected to \(path); stop the server first")
            }
            for suffix in suffixes {
                try FileSystem.remove(old + suffix)
                guard FileSystem.exists(path + suffix) else { continue }
                guard rename(path + suffix, old + suffix) == 0 else {
                    throw FileError(path, errno: errno)
                }
            }
        }
        let restored = try Database(path: source, readers: 1)
        try await restored.backup(to: path)
        await restored.close()
        return wasThere ? old : nil
    }

    private static let suffixes = ["", "-wal", "-shm"]

    private static func remove(_ file: String) throws(FileError) {
        for suffix in suffixes { try FileSystem.remove(file + suffix) }
    }
}

// MARK: In the configuration

extension DatabasePlace {
    static func read(_ top: ConfigSection) -> DatabasePlace {
        // `path` puts the file's folder before what does not begin with a slash, so before `sqlite:`.
        let text = top.path(
            "database", default: "sqlite:/var/lib/kerb-cpo/kerb.sqlite",
            about: "sqlite:PATH or postgresql://USER@HOST/NAME?sslmode=verify-full")
        let passwordFile = top.pathOrNil(
            "databasePasswordFile", about: "its first line is the PostgreSQL user's password")
        if let path = after("sqlite:", in: text) {
            let (folder, name) = path
            if !name.isEmpty {
                return .sqlite(path: name.hasPrefix("/") ? name : folder + name)
            }
        }
        for scheme in ["postgresql://", "postgres://"] {
            guard let (_, rest) = after(scheme, in: text) else { continue }
            let url = scheme + rest
            if !top.isSchema { check(url, top) }
            return .postgresql(url: url, passwordFile: passwordFile)
        }
        if !top.isSchema {
            top.problem("database", "`database` must be sqlite:PATH or postgresql://…")
        }
        return .sqlite(path: "")
    }

    private static func check(_ url: String, _ top: ConfigSection) {
        guard !url.contains(text: "password=") else {
            // The command that shows the configuration knows passwords by their place before the @.
            return top.problem(
                "database",
                "`database` must not hold a password among its parameters; put it into "
                    + "`databasePasswordFile`")
        }
        do throws(PostgreSQLAddress.Problem) {
            if try PostgreSQLAddress(url).leavesProtectionOpen {
                top.problem(
                    "database",
                    "`database` must say how well the way to another machine is protected; add "
                        + "?sslmode=verify-full&sslrootcert=FILE (or sslmode=disable inside a network "
                        + "of your own)")
            }
        } catch {
            top.problem("database", "\(error)")
        }
    }

    /// What stands before and after a mark that begins the text, or follows a folder.
    private static func after(_ mark: String, in text: String) -> (String, String)? {
        let parts = text.parts(between: mark, most: 1)
        guard parts.count == 2, parts[0].isEmpty || parts[0].hasSuffix("/") else { return nil }
        return (parts[0], parts[1])
    }
}
