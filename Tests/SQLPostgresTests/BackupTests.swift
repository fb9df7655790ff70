import SQL
import Service
import StoreSupport
import TestSupport
import Testing

@testable import SQLPostgres

private let schema = [
    Migration(
        1, "parents and children",
        """
        CREATE TABLE parent (id TEXT PRIMARY KEY, secret BLOB, cents BIGINT);
        CREATE TABLE child (seq {identity}, parent TEXT NOT NULL REFERENCES parent(id), note TEXT)
        """),
    Migration(2, "nothing in it", "CREATE TABLE hollow (seq {identity}, note TEXT)"),
]

@Suite(.enabled(if: TestStore.server != nil, "no PostgreSQL server; .ci/postgres starts one"))
struct `A backup` {
    private let folder = TemporaryFolder()

    private func engine(isServer: Bool = false) async throws -> PostgreSQLEngine {
        try await engine(TestStore.freshName(), isServer: isServer)
    }

    private func engine(_ name: String, isServer: Bool = false) async throws -> PostgreSQLEngine {
        var limits = PostgreSQLEngine.limits
        limits.busyMilliseconds = 100
        return PostgreSQLEngine(
            try await TestStore.address(ofSchema: name), migrations: schema, isServer: isServer,
            limits: limits)
    }

    private func opened(_ engine: PostgreSQLEngine) async throws -> Database {
        let database = try Database(engine: engine, readers: 1, limits: engine.limits)
        try await database.migrate(schema)
        return database
    }

    /// More rows than a page, every kind of value, and a last number whose row is gone.
    private func fill(_ database: Database) async throws {
        try await database.write { transaction in
            try transaction.execute("INSERT INTO parent VALUES ('é', ?, -1)", [0, 255] as [UInt8])
            try transaction.execute("INSERT INTO parent VALUES ('', ?, NULL)", [] as [UInt8])
            for index in 0..<2500 {
                try transaction.execute(
                    "INSERT INTO child (parent, note) VALUES ('é', ?)",
                    index.isMultiple(of: 7) ? nil : "line \(index)")
            }
            try transaction.execute("DELETE FROM child WHERE seq > 2490")
        }
    }

    private func rows(_ database: Database) async throws -> [[SQLValue]] {
        try await database.read { transaction in
            try transaction.query("SELECT * FROM parent ORDER BY id").map(\.values)
                + transaction.query("SELECT * FROM child ORDER BY seq").map(\.values)
                + transaction.query("SELECT * FROM hollow").map(\.values)
        }
    }

    private func nextNumber(_ database: Database) async throws -> Int? {
        try await database.write {
            try $0.queryOne("INSERT INTO child (parent) VALUES ('é') RETURNING seq")?.int("seq")
        }
    }

    @Test func `goes from SQLite to PostgreSQL and back and is the same`() async throws {
        let first = try Database(path: folder.file("first.sqlite"))
        try await first.migrate(schema)
        try await fill(first)
        let before = try await rows(first)
        #expect(before.count == 2492)
        try await first.backup(to: folder.file("copy.sqlite"))
        let engine = try await engine()
        try engine.restore(from: folder.file("copy.sqlite"), keeping: folder.file("before.sqlite"))
        // Nothing was there, so there was nothing to keep.
        #expect(!FileSystem.exists(folder.file("before.sqlite")))
        let second = try await opened(engine)
        #expect(try await rows(second) == before)
        try await second.backup(to: folder.file("back.sqlite"))
        #expect(try FileSystem.mode(of: folder.file("back.sqlite")) == 0o600)
        #expect(!FileSystem.exists(folder.file("back.sqlite.part")))
        let third = try Database(path: folder.file("back.sqlite"))
        try await third.migrate(schema)
        #expect(try await third.quickCheck() == [])
        #expect(try await rows(third) == before)
        for database in [second, third] { #expect(try await nextNumber(database) == 2501) }
        await #expect(throws: SQLError.notAllowed("\(folder.file("back.sqlite")) is there already"))
        {
            try await second.backup(to: folder.file("back.sqlite"))
        }
        await second.close()
    }

    @Test func `holds one moment while others write`() async throws {
        let database = try await opened(engine())
        try await fill(database)
        let folder = folder
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                // Parent and children come and go together.
                for index in 0..<200 {
                    try await database.write { transaction in
                        try transaction.execute(
                            "INSERT INTO parent VALUES (?, NULL, 1)", "p\(index)")
                        try transaction.execute(
                            "INSERT INTO child (parent) VALUES (?)", "p\(index)")
                    }
                }
            }
            group.addTask { try await database.backup(to: folder.file("copy.sqlite")) }
            try await group.waitForAll()
        }
        let copy = try Database(path: folder.file("copy.sqlite"))
        let lonely = try await copy.read {
            try $0.query(
                """
                SELECT id FROM parent WHERE cents = 1
                AND NOT EXISTS (SELECT 1 FROM child WHERE child.parent = parent.id)
                """)
        }
        #expect(lonely.isEmpty)
        await database.close()
    }

    @Test func `replaces what is there, keeps it aside, and is refused while a server runs`()
        async throws
    {
        let source = try Database(path: folder.file("source.sqlite"))
        try await source.migrate(schema)
        try await source.write { try $0.execute("INSERT INTO parent VALUES ('new', NULL, 5)") }
        await source.close()
        let name = TestStore.freshName()
        let server = try await opened(engine(name, isServer: true))
        try await fill(server)
        let old = try await rows(server)
        let engine = try await engine(name, isServer: true)
        #expect(throws: SQLError.busy) {
            try engine.restore(
                from: folder.file("source.sqlite"), keeping: folder.file("before.sqlite"))
        }
        await server.close()
        try engine.restore(
            from: folder.file("source.sqlite"), keeping: folder.file("before.sqlite")
        ) {
            // What is kept is there already, and what comes may still be completed by it.
            #expect(FileSystem.exists(folder.file("before.sqlite")))
            try Database.once(folder.file("source.sqlite"), forWriting: true) {
                _ = try $0.execute("UPDATE parent SET cents = 6")
            }
        }
        let restored = try await opened(self.engine(name))
        #expect(try await rows(restored) == [[.text("new"), .null, .integer(6)]])
        await restored.close()
        let kept = try Database(path: folder.file("before.sqlite"))
        #expect(try await rows(kept) == old)
    }

    @Test func `that PostgreSQL cannot hold changes nothing and names the place`() async throws {
        let source = try Database(path: folder.file("source.sqlite"))
        try await source.migrate(schema)
        try await source.write { transaction in
            try transaction.execute("INSERT INTO parent VALUES ('fine', NULL, 5)")
            try transaction.execute(
                "INSERT INTO child (parent, note) VALUES ('fine', ?)", "a\u{0}b")
        }
        await source.close()
        let name = TestStore.freshName()
        let target = try await opened(engine(name))
        try await fill(target)
        let before = try await rows(target)
        let engine = try await engine(name)
        #expect {
            try engine.restore(
                from: folder.file("source.sqlite"), keeping: folder.file("before.sqlite"))
        } throws: { error in
            guard case SQLError.unstorable(let why) = error else { return false }
            return why.contains("child") && why.contains("note")
        }
        #expect(try await rows(target) == before)
        // What was to be kept is still in its place.
        #expect(!FileSystem.exists(folder.file("before.sqlite")))
        await target.close()
    }
}
