import Charging
import SQL
import Service
import StoreSupport
import Testing

@testable import SQLPostgres

private let schema = [
    Migration(
        1, "accounts",
        """
        CREATE TABLE account (id TEXT PRIMARY KEY, cents BIGINT NOT NULL CHECK (cents >= 0));
        CREATE TABLE entry (seq {identity}, account_id TEXT NOT NULL REFERENCES account(id), note TEXT)
        """)
]

private struct Refused: Error {}

@Suite(.enabled(if: TestStore.server != nil, "no PostgreSQL server; .ci/postgres starts one"))
struct `A PostgreSQL database` {
    private func engine(
        schema name: String = TestStore.freshName(), isServer: Bool = false,
        _ change: (inout DatabaseLimits) -> Void = { _ in }
    ) async throws -> PostgreSQLEngine {
        var limits = PostgreSQLEngine.limits
        change(&limits)
        return PostgreSQLEngine(
            try await TestStore.address(ofSchema: name), migrations: schema, isServer: isServer,
            limits: limits)
    }

    private func opened(
        _ change: (inout DatabaseLimits) -> Void = { _ in }
    ) async throws -> Database {
        let engine = try await engine(change)
        let database = try Database(engine: engine, readers: 2, limits: engine.limits)
        try await database.migrate(schema)
        return database
    }

    @Test func `gives back every kind of value as it was stored`() async throws {
        let database = try await opened()
        let moment = Timestamp(milliseconds: 1_800_000_000_123)
        let price = try #require(Decimal("0.2950"))
        try await database.migrate(
            schema + [
                Migration(
                    2, "kinds",
                    """
                    CREATE TABLE kept (t TEXT, e TEXT, i BIGINT, n TEXT, m BIGINT, d TEXT, b BLOB,
                        f BIGINT, z BLOB)
                    """)
            ])
        try await database.write { transaction in
            try transaction.execute(
                "INSERT INTO kept VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", "Zürich\u{1F50C}", "",
                Int64.min, nil, moment, price, [0, 255, 92] as [UInt8], true, [] as [UInt8])
        }
        let row = try #require(try await database.read { try $0.queryOne("SELECT * FROM kept") })
        #expect(try row.text("t") == "Zürich\u{1F50C}")
        #expect(try row.text("e") == "")
        #expect(try row.int64("i") == .min)
        #expect(try row.textOrNil("n") == nil)
        #expect(try row.timestamp("m") == moment)
        #expect(try row.decimal("d") == price)
        #expect(try row.blob("b") == [0, 255, 92])
        #expect(try row.blob("z") == [])
        #expect(try row.bool("f"))
    }

    @Test func `counts, sums and asks as SQLite does`() async throws {
        let database = try await opened()
        try await database.write { transaction in
            for (id, cents) in [("a", 1), ("B", 2), ("b", 3)] {
                try transaction.execute("INSERT INTO account VALUES (?, ?)", id, cents)
            }
        }
        let row = try #require(
            try await database.read {
                try $0.queryOne(
                    """
                    SELECT COUNT(*) AS n, SUM(cents) AS sum, MAX(id) AS last, 1 < 2 AS holds,
                    (SELECT cents FROM account WHERE id = ?) AS none FROM account
                    """, "z")
            })
        #expect(try row.int("n") == 3)
        #expect(try row.int("sum") == 6)
        #expect(try row.text("last") == "b")
        #expect(try row.bool("holds"))
        #expect(try row.isNull("none"))
        let ids = try await database.read {
            try $0.query("SELECT id FROM account ORDER BY id").map { try $0.text("id") }
        }
        // By bytes, as SQLite orders: the database's own collation puts `a` before `B`.
        #expect(ids == ["B", "a", "b"])
    }

    @Test func `refuses text that PostgreSQL cannot keep, and says which`() async throws {
        let database = try await opened()
        await #expect {
            try await database.write {
                try $0.execute("INSERT INTO account VALUES (?, ?)", "a\u{0}b", 1)
            }
        } throws: { error in
            if case SQLError.unstorable(let why) = error {
                why.contains("argument 1")
            } else {
                false
            }
        }
    }

    @Test func `refuses a statement with too few or too many arguments`() async throws {
        let database = try await opened()
        await #expect(throws: SQLError.statement("1 arguments for 2 places")) {
            try await database.read { try $0.query("SELECT ?, ?", 1) }
        }
        await #expect(throws: SQLError.self) {
            try await database.write { try $0.execute("SELECT 1; SELECT 2") }
        }
        await #expect(throws: SQLError.self) {
            try await database.write { try $0.execute("COPY account FROM STDIN") }
        }
        try await database.write { try $0.execute("INSERT INTO account VALUES ('a', 1)") }
    }

    @Test func `undoes a body that throws, and only that one, within a shared commit`() async throws
    {
        let database = try await opened()
        let outcomes = await withTaskGroup(of: Bool.self) { group in
            for index in 0..<200 {
                group.addTask {
                    do {
                        try await database.write { transaction in
                            try transaction.execute(
                                "INSERT INTO account VALUES (?, ?)", "a\(index)", index)
                            if index % 3 == 0 { throw Refused() }
                            // Half of those that fail do so in the server.
                            if index % 3 == 1 {
                                try transaction.execute("INSERT INTO account VALUES (?, -1)", "x")
                            }
                        }
                        return true
                    } catch { return false }
                }
            }
            return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(outcomes == 66)
        let stored = try await database.read {
            try $0.query("SELECT cents FROM account ORDER BY cents").map { try $0.int("cents") }
        }
        #expect(stored == (0..<200).filter { $0 % 3 == 2 })
    }

    @Test func `commits many callers at once`() async throws {
        let database = try await opened()
        try await database.write { try $0.execute("INSERT INTO account VALUES ('sum', 0)") }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<1000 {
                group.addTask {
                    _ = try await database.write {
                        try $0.execute("UPDATE account SET cents = cents + 1 WHERE id = 'sum'")
                    }
                }
            }
            try await group.waitForAll()
        }
        let sum = try await database.read {
            try $0.queryOne("SELECT cents FROM account")?.int("cents")
        }
        #expect(sum == 1000)
    }

    @Test func `names the broken constraint`() async throws {
        let database = try await opened()
        func failure(_ sql: String) async -> SQLError.Constraint? {
            do {
                try await database.write { try $0.execute(sql) }
                return nil
            } catch SQLError.constraint(let constraint, _) {
                return constraint
            } catch { return nil }
        }
        #expect(await failure("INSERT INTO account VALUES ('a', 1)") == nil)
        #expect(await failure("INSERT INTO account VALUES ('a', 1)") == .unique)
        #expect(await failure("INSERT INTO account VALUES ('b', -1)") == .check)
        #expect(await failure("INSERT INTO account VALUES ('c', NULL)") == .notNull)
        #expect(await failure("INSERT INTO entry (account_id) VALUES ('z')") == .foreignKey)
    }

    @Test func `fails the group whose commit the server refuses, and not the next`() async throws {
        let database = try await opened()
        try await database.migrate(
            schema + [
                Migration(
                    2, "looked at when the transaction ends",
                    """
                    CREATE TABLE late (id TEXT REFERENCES account(id) DEFERRABLE INITIALLY DEFERRED)
                    """)
            ])
        await #expect {
            try await database.write { try $0.execute("INSERT INTO late VALUES ('nobody')") }
        } throws: { error in
            if case SQLError.constraint(.foreignKey, _) = error { true } else { false }
        }
        // Refused before the COMMIT itself: then the transaction is still to be ended.
        await #expect(throws: SQLError.self) {
            try await database.write { transaction in
                try transaction.execute("INSERT INTO account VALUES ('b', 1)")
                try transaction.execute("ALTER TABLE kerb_writer RENAME TO moved")
            }
        }
        try await database.write { try $0.execute("INSERT INTO account VALUES ('a', 1)") }
        let rows = try await database.read {
            try $0.query("SELECT id FROM late UNION ALL SELECT id FROM account")
        }
        #expect(rows.count == 1)
    }

    @Test func `refuses to write through a read, which sees one moment`() async throws {
        let database = try await opened()
        await #expect(throws: SQLError.self) {
            try await database.read { try $0.execute("INSERT INTO account VALUES ('a', 1)") }
        }
    }

    @Test func `does not hand out more rows than its limit`() async throws {
        let database = try await opened { $0.rowsPerQuery = 3 }
        await #expect(throws: SQLError.tooLarge("more than 3 rows")) {
            try await database.read { try $0.query("SELECT generate_series(1, 4) AS i") }
        }
    }

    @Test func `works with more statements than its cache holds`() async throws {
        let database = try await opened { $0.cachedStatements = 4 }
        let sum = try await database.read { transaction in
            try (0..<50).reduce(0) { sum, index in
                sum + (try transaction.queryOne("SELECT \(index) AS i")?.int("i") ?? 0)
            }
        }
        #expect(sum == 1225)
    }

    @Test func `finishes what waits when it is closed, then refuses`() async throws {
        let database = try await opened()
        async let last: Void = database.write {
            _ = try $0.execute("INSERT INTO account VALUES ('last', 1)")
        }
        try await last
        await database.close()
        await #expect(throws: SQLError.closed) {
            try await database.read { try $0.query("SELECT 1") }
        }
    }

    @Test func `migrates forward, all or nothing, and notices a rewritten step`() async throws {
        let database = try await opened()
        let first = schema[0]
        await #expect(throws: SQLError.self) {
            try await database.migrate([
                first, Migration(2, "two", "CREATE TABLE b (x BIGINT)"),
                Migration(3, "three", "CREATE TABEL c"),
            ])
        }
        try await database.migrate([first, Migration(2, "two", "CREATE TABLE b (x TEXT)")])
        await #expect(throws: SQLError.newerDatabase(number: 2)) {
            try await database.migrate([first])
        }
        await #expect(throws: SQLError.changedMigration(number: 2)) {
            try await database.migrate([first, Migration(2, "two", "CREATE TABLE b (x BIGINT)")])
        }
    }

    @Test func `numbers rows without ever giving a number twice`() async throws {
        let database = try await opened()
        let numbers = try await database.write { transaction in
            try transaction.execute("INSERT INTO account VALUES ('a', 1)")
            var numbers: [Int] = []
            for _ in 0..<2 {
                let row = try transaction.queryOne(
                    "INSERT INTO entry (account_id) VALUES ('a') RETURNING seq")
                numbers.append(try row?.int("seq") ?? 0)
                try transaction.execute("DELETE FROM entry")
            }
            return numbers
        }
        #expect(numbers == [1, 2])
    }

    @Test func `has one server, and tools beside it`() async throws {
        let name = TestStore.freshName()
        func open(isServer: Bool) async throws -> Database {
            let engine = try await engine(schema: name, isServer: isServer) {
                $0.busyMilliseconds = 100
            }
            return try Database(engine: engine, readers: 1, limits: engine.limits)
        }
        let server = try await open(isServer: true)
        try await server.migrate(schema)
        await #expect(throws: SQLError.busy) { try await open(isServer: true) }
        let tool = try await open(isServer: false)
        async let one = tool.write { try $0.execute("INSERT INTO account VALUES ('tool', 1)") }
        async let other = server.write {
            try $0.execute("INSERT INTO account VALUES ('server', 1)")
        }
        #expect(try await one + other == 2)
        await server.close()
        let next = try await open(isServer: true)
        let count = try await next.read {
            try $0.queryOne("SELECT COUNT(*) AS n FROM account")?.int("n")
        }
        #expect(count == 2)
        await tool.close()
        await next.close()
    }

    @Test func `says where no server answers, without the password`() throws {
        var limits = PostgreSQLEngine.limits
        limits.busyMilliseconds = 0
        let engine = PostgreSQLEngine(
            try PostgreSQLAddress("postgresql://kerb:hidden@127.0.0.1:1/kerb"), migrations: [],
            isServer: false, limits: limits)
        #expect {
            try Database(engine: engine, readers: 1)
        } throws: { error in
            guard case SQLError.unreachable(let why) = error else { return false }
            return why.contains("127.0.0.1") && !"\(error)".contains("hidden")
        }
    }
}
