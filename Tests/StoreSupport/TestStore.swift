import Glibc
import SQL
import SQLPostgres
import Service
import TestSupport

/// The database of a test, on the engine that the run is for.
///
/// `KERB_TEST_DATABASE` names a PostgreSQL server (`.ci/postgres` starts one): each test then gets a
/// schema of its own there. Without it: SQLite.
package enum TestStore {
    /// The server of this run; nil: it is SQLite's.
    package static let server: String? = getenv("KERB_TEST_DATABASE").map { String(cString: $0) }

    /// - `path`: `:memory:` is fresh each time; another path gives the same database again.
    package static func open(
        path: String = ":memory:", readers: Int, clock: any ServiceClock = .system
    ) async throws -> Database {
        guard server != nil else { return try Database(path: path, readers: readers, clock: clock) }
        let engine = PostgreSQLEngine(
            try await address(ofSchema: name(for: path)), migrations: [], isServer: false)
        return try Database(
            engine: engine, readers: readers, limits: engine.limits, clock: clock)
    }

    /// Where a schema is found; it is made when it is not there. `proxy` is a folder whose socket
    /// leads to the server.
    package static func address(
        ofSchema name: String, proxy: String? = nil
    ) async throws -> PostgreSQLAddress {
        guard let server else { throw SQLError.unreachable("this run has no server") }
        try await base.withValue(of: server).write {
            try $0.execute("CREATE SCHEMA IF NOT EXISTS \(name)")
        }
        return try PostgreSQLAddress(
            "\(server)&options=-csearch_path%3D\(name)" + (proxy.map { "&host=\($0)" } ?? ""))
    }

    /// A name no other test has, in this run or beside it.
    package static func freshName() -> String {
        let number = names.withLock { names in
            names.count += 1
            return names.count
        }
        return "t\(getpid())_\(number)"
    }

    private static func name(for path: String) -> String {
        guard path != ":memory:" else { return freshName() }
        let fresh = freshName()
        return names.withLock { names in
            let name = names.byPath[path] ?? fresh
            names.byPath[path] = name
            return name
        }
    }

    private struct Names {
        var count = 0
        var byPath: [String: String] = [:]
    }

    private static let names = Lock(Names())
    private static let base = Base()

    /// One connection of the run that makes the schemas.
    private final class Base: Sendable {
        private let database = Lock<Database?>(nil)

        func withValue(of server: String) throws -> Database {
            try database.withLock { database in
                if let database { return database }
                let engine = PostgreSQLEngine(
                    try PostgreSQLAddress(server), migrations: [], isServer: false)
                let opened = try Database(engine: engine, readers: 0)
                database = opened
                return opened
            }
        }
    }
}
