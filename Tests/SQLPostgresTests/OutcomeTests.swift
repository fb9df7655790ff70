import SQL
import Service
import StoreSupport
import Testing

@testable import SQLPostgres

private let schema = [Migration(1, "lines", "CREATE TABLE line (seq {identity}, text TEXT)")]

/// What a caller is told is what the database holds, whatever happens to the connection.
@Suite(
    .enabled(if: TestStore.server != nil, "no PostgreSQL server; .ci/postgres starts one"),
    .timeLimit(.minutes(1)))
struct `A broken connection` {
    private let name = TestStore.freshName()

    private func engine(
        through proxy: CuttingProxy? = nil, isServer: Bool = true
    ) async throws -> PostgreSQLEngine {
        let address = try await TestStore.address(ofSchema: name, proxy: proxy?.path)
        return PostgreSQLEngine(address, migrations: schema, isServer: isServer)
    }

    private func opened(through proxy: CuttingProxy) async throws -> Database {
        try await opened(engine(through: proxy))
    }

    private func opened(_ engine: PostgreSQLEngine) async throws -> Database {
        let database = try Database(engine: engine, readers: 1, limits: engine.limits)
        try await database.migrate(schema)
        return database
    }

    private func add(_ text: String, _ database: Database) async throws {
        try await database.write { try $0.execute("INSERT INTO line (text) VALUES (?)", text) }
    }

    private func texts(_ database: Database) async throws -> [String] {
        try await database.read {
            try $0.query("SELECT text FROM line ORDER BY seq").map { try $0.text("text") }
        }
    }

    /// Ends the sessions of an engine as an administrator does.
    private func terminate(_ engine: PostgreSQLEngine, by database: Database) async throws {
        let kind = "% \(engine.token)"
        _ = try await database.write {
            try $0.query(
                """
                SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                WHERE pid <> pg_backend_pid() AND application_name LIKE ?
                """, kind)
        }
    }

    @Test func `whose commit was stored but not answered stores once and says so`() async throws {
        let proxy = try CuttingProxy()
        let database = try await opened(through: proxy)
        try await add("before", database)
        proxy.arm(.beforeTheAnswer)
        try await add("in doubt", database)
        #expect(proxy.cuts.withLock { $0 } == 1)
        try await add("after", database)
        #expect(try await texts(database) == ["before", "in doubt", "after"])
        await database.close()
        proxy.end()
    }

    @Test func `whose commit never arrived says that nothing was stored`() async throws {
        let proxy = try CuttingProxy()
        let database = try await opened(through: proxy)
        proxy.arm(.beforeTheServer)
        await #expect {
            try await add("in doubt", database)
        } throws: { error in
            if case SQLError.unreachable = error { true } else { false }
        }
        #expect(proxy.cuts.withLock { $0 } == 1)
        #expect(try await texts(database) == [])
        // What a station does that got no answer.
        try await add("in doubt", database)
        #expect(try await texts(database) == ["in doubt"])
        await database.close()
        proxy.end()
    }

    @Test func `in a group of callers tells each of them the same truth`() async throws {
        let proxy = try CuttingProxy()
        let database = try await opened(through: proxy)
        var stored: Set<String> = []
        for (round, cut) in [CuttingProxy.Cut.beforeTheAnswer, .beforeTheServer].enumerated() {
            proxy.arm(cut)
            let told = await withTaskGroup(of: String?.self) { group in
                for index in 0..<200 {
                    group.addTask {
                        let text = "\(round)-\(index)"
                        do {
                            try await add(text, database)
                            return text
                        } catch { return nil }
                    }
                }
                return await group.reduce(into: Set<String>()) {
                    if let text = $1 { $0.insert(text) }
                }
            }
            stored.formUnion(told)
        }
        #expect(proxy.cuts.withLock { $0 } == 2)
        #expect(stored.count < 400)
        let there = try await texts(database)
        #expect(there.count == stored.count)
        #expect(Set(there) == stored)
        await database.close()
        proxy.end()
    }

    @Test func `that broke while nobody used it is not noticed`() async throws {
        let engine = try await engine()
        let database = try await opened(engine)
        try await add("before", database)
        #expect(try await texts(database) == ["before"])
        let other = try await opened(self.engine(isServer: false))
        try await terminate(engine, by: other)
        try await add("after", database)
        #expect(try await texts(database) == ["before", "after"])
        await database.close()
        await other.close()
    }

    @Test func `in the middle of a body fails that body and not the next`() async throws {
        let database = try await opened(engine())
        await #expect {
            try await database.write { transaction in
                try transaction.execute("INSERT INTO line (text) VALUES ('half')")
                _ = try transaction.query("SELECT pg_terminate_backend(pg_backend_pid())")
                try transaction.execute("INSERT INTO line (text) VALUES ('whole')")
            }
        } throws: { error in
            if case SQLError.unreachable = error { true } else { false }
        }
        try await add("next", database)
        #expect(try await texts(database) == ["next"])
        await database.close()
    }

    @Test func `does not let a server go on where another has been meanwhile`() async throws {
        let engine = try await engine()
        let first = try await opened(engine)
        try await add("first", first)
        let tool = try await opened(self.engine(isServer: false))
        // The first loses its session, and another sits down before it comes back.
        try await terminate(engine, by: tool)
        let second = try await opened(self.engine())
        try await add("second", second)
        await second.close()
        await #expect {
            try await add("stale", first)
        } throws: { "\($0)".contains("restart this one") }
        #expect(try await texts(tool) == ["first", "second"])
        await first.close()
        await tool.close()
    }
}
