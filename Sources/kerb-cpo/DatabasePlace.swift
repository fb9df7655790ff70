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
        case .sqlite(let path):
            if isServer { try Self.takeLock(path) }
            return try Database(path: path, readers: readers)
        case .postgresql:
            let engine = try engine(isServer: isServer)
            return try Database(engine: engine, readers: readers, limits: engine.limits)
        }
    }

    private static func takeLock(_ path: String) throws(SQLError) {
        do throws(FileError) {
            if try ServerLock.take(for: path) { return }
        } catch {
            throw .notAllowed("\(error)")
        }
        throw .busy
    }

    func engine(isServer: Bool) throws -> PostgreSQLEngine {
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
