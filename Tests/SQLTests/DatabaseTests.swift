import Charging
import Service
import TestSupport
import Testing

@testable import SQL

private let schema = [
    Migration(
        1, "accounts",
        """
        CREATE TABLE account (id TEXT PRIMARY KEY, cents BIGINT NOT NULL CHECK (cents >= 0));
        CREATE TABLE entry (seq {identity}, account_id TEXT NOT NULL REFERENCES account(id), note TEXT)
        """)
]

private struct Refused: Error {}

@Suite struct `A database` {
    let folder = TemporaryFolder()

    private func opened(_ limits: DatabaseLimits = DatabaseLimits()) async throws -> Database {
        let database = try Database(path: folder.file("a.db"), limits: limits)
        try await database.migrate(schema)
        return database
    }

    @Test func `gives back every kind of value as it was stored`() async throws {
        let database = try Database(path: folder.file("a.db"))
        let moment = Timestamp(milliseconds: 1_800_000_000_123)
        let price = try #require(Decimal("0.2950"))
        try await database.write { transaction in
            try transaction.execute(
                "CREATE TABLE kept (t TEXT, e TEXT, i BIGINT, n TEXT, m BIGINT, d TEXT, b BLOB, f BIGINT)"
            )
            try transaction.execute(
                "INSERT INTO kept VALUES (?, ?, ?, ?, ?, ?, ?, ?)", "Zürich\u{0}x", "", Int64.min,
                nil,
                moment, price, [0, 255] as [UInt8], true)
        }
        let row = try #require(try await database.read { try $0.queryOne("SELECT * FROM kept") })
        #expect(try row.text("t") == "Zürich\u{0}x")
        #expect(try row.text("e") == "")
        #expect(try row.int64("i") == .min)
        #expect(try row.textOrNil("n") == nil)
        #expect(try row.timestamp("m") == moment)
        #expect(try row.decimal("d") == price)
        #expect(try row.blob("b") == [0, 255])
        #expect(try row.bool("f"))
    }

    @Test func `says which column is missing, NULL or of another kind`() async throws {
        let database = try Database(path: ":memory:")
        let row = try #require(
            try await database.read { try $0.queryOne("SELECT NULL AS a, 'x' AS b") })
        #expect(throws: SQLError.mismatch("the result has no column c")) { try row.text("c") }
        #expect(throws: SQLError.mismatch("a is NULL")) { try row.text("a") }
        #expect(throws: SQLError.mismatch("b is no integer")) { try row.int("b") }
    }

    @Test func `refuses a statement with too few or too many arguments`() async throws {
        let database = try Database(path: ":memory:")
        await #expect(throws: SQLError.statement("1 arguments for 2 places")) {
            try await database.read { try $0.query("SELECT ?, ?", 1) }
        }
        await #expect(throws: SQLError.self) {
            try await database.write { try $0.execute("SELECT 1; SELECT 2") }
        }
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
                        }
                        return true
                    } catch { return !(error is Refused) }
                }
            }
            return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(outcomes == 133)
        let stored = try await database.read {
            try $0.query("SELECT cents FROM account ORDER BY cents").map { try $0.int("cents") }
        }
        #expect(stored == (0..<200).filter { $0 % 3 != 0 })
    }

    @Test func `has in its files what a write returned, before anything else happens`() async throws
    {
        let database = try await opened()
        try await database.write { try $0.execute("INSERT INTO account VALUES ('a', 7)") }
        // What a process killed now leaves behind is exactly the files as they are.
        for end in ["", "-wal"] {
            let bytes = try FileSystem.read(folder.file("a.db\(end)"))
            try FileSystem.writeAtomically(bytes, to: folder.file("killed.db\(end)"))
        }
        let survivor = try Database(path: folder.file("killed.db"))
        let cents = try await survivor.read {
            try $0.queryOne("SELECT cents FROM account")?.int("cents")
        }
        #expect(cents == 7)
        let mode = try await database.write {
            [
                try $0.queryOne("PRAGMA journal_mode")?.text("journal_mode"),
                try $0.queryOne("PRAGMA synchronous").map { "\(try $0.int("synchronous"))" },
            ]
        }
        #expect(mode == ["wal", "2"])
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

    @Test func `says full when it is full, and keeps what it has`() async throws {
        var limits = DatabaseLimits()
        limits.pages = 24
        let database = try await opened(limits)
        let note = String(repeating: "x", count: 4000)
        try await database.write { try $0.execute("INSERT INTO account VALUES ('a', 0)") }
        var stored = 0
        var failure: SQLError?
        while failure == nil, stored < 100 {
            do {
                try await database.write {
                    try $0.execute("INSERT INTO entry (account_id, note) VALUES ('a', ?)", note)
                }
                stored += 1
            } catch let error as SQLError { failure = error }
        }
        #expect(failure == .full)
        let count = try await database.read {
            try $0.queryOne("SELECT count(*) AS n FROM entry")?.int("n")
        }
        #expect(count == stored)
        try await database.write { try $0.execute("DELETE FROM entry") }
        try await database.write {
            try $0.execute("INSERT INTO entry (account_id, note) VALUES ('a', ?)", note)
        }
        #expect(try await database.quickCheck() == [])
    }

    @Test func `refuses to write through a read`() async throws {
        let database = try await opened()
        await #expect(throws: SQLError.self) {
            try await database.read { try $0.execute("INSERT INTO account VALUES ('a', 1)") }
        }
    }

    @Test func `does not hand out more rows than its limit`() async throws {
        var limits = DatabaseLimits()
        limits.rowsPerQuery = 3
        let database = try await opened(limits)
        await #expect(throws: SQLError.tooLarge("more than 3 rows")) {
            try await database.read {
                try $0.query(
                    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4) SELECT i FROM n"
                )
            }
        }
    }

    @Test func `works with more statements than its cache holds`() async throws {
        var limits = DatabaseLimits()
        limits.cachedStatements = 4
        let database = try await opened(limits)
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
        let again = try await opened()
        let count = try await again.read {
            try $0.queryOne("SELECT count(*) AS n FROM account")?.int("n")
        }
        #expect(count == 1)
    }

    @Test func `refuses a file that is no database`() async throws {
        let path = folder.file("no.db")
        try FileSystem.writeAtomically(Array(repeating: 65, count: 8192), to: path)
        #expect {
            try Database(path: path)
        } throws: { error in
            if case SQLError.corrupt = error { true } else { false }
        }
    }

    @Test func `keeps its files from other users`() async throws {
        let database = try await opened()
        try await database.write { try $0.execute("INSERT INTO account VALUES ('a', 1)") }
        #expect(try FileSystem.mode(of: folder.file("a.db")) == 0o600)
        #expect(try FileSystem.mode(of: folder.file("a.db-wal")) == 0o600)
    }

    @Test func `backs itself up into a sound file and overwrites none`() async throws {
        let database = try await opened()
        try await database.write { try $0.execute("INSERT INTO account VALUES ('a', 42)") }
        let target = folder.file("copy.db")
        try await database.backup(to: target)
        #expect(try FileSystem.mode(of: target) == 0o600)
        let copy = try Database(path: target)
        #expect(try await copy.quickCheck() == [])
        let cents = try await copy.read {
            try $0.queryOne("SELECT cents FROM account")?.int("cents")
        }
        #expect(cents == 42)
        await #expect(throws: SQLError.notAllowed("\(target) is there already")) {
            try await database.backup(to: target)
        }
    }

    @Test func `is copied with nothing written beside it`() async throws {
        let database = try await opened()
        try await database.write { try $0.execute("INSERT INTO account VALUES ('a', 42)") }
        await database.close()
        try Database.playLog(of: folder.file("a.db"))
        try FileSystem.makeFolder(folder.file("medium #1?"))
        let source = folder.file("medium #1?/a.db")
        try FileSystem.writeAtomically(
            FileSystem.read(folder.file("a.db"), limitBytes: .max), to: source)
        try Database.copy(source, to: folder.file("copy.db"))
        #expect(try FileSystem.names(in: folder.file("medium #1?")) == ["a.db"])
        let cents = try Database.once(folder.file("copy.db"), forWriting: false) {
            try $0.queryOne("SELECT cents FROM account")?.int("cents")
        }
        #expect(cents == 42)
    }

    @Test func `is copied as it is, with what its log holds`() async throws {
        let database = try await opened()
        try await database.write { try $0.execute("INSERT INTO account VALUES ('a', 42)") }
        try Database.copy(folder.file("a.db"), to: folder.file("copy.db"))
        let rows = try Database.once(folder.file("copy.db"), forWriting: false) {
            try $0.query("SELECT id FROM account").count
        }
        #expect(rows == 1)
        await database.close()
    }

    @Test func `leaves out numbers, of tables without rows too`() async throws {
        let database = try await opened()
        try await database.migrate(
            schema + [Migration(2, "hollow", "CREATE TABLE hollow (seq {identity}, note TEXT)")])
        try await database.write { transaction in
            try transaction.execute("INSERT INTO account VALUES ('a', 42)")
            try transaction.execute("INSERT INTO entry (account_id) VALUES ('a')")
        }
        await database.close()
        let numbers = try Database.once(folder.file("a.db"), forWriting: true) { transaction in
            try transaction.skipNumbers(1000)
            return try [
                "INSERT INTO entry (account_id) VALUES ('a') RETURNING seq",
                "INSERT INTO hollow (note) VALUES ('first') RETURNING seq",
            ].map { try transaction.queryOne($0)?.int("seq") }
        }
        #expect(numbers == [1002, 1001])
    }
}

@Suite struct `The migrator` {
    let folder = TemporaryFolder()

    @Test func `runs each step once, in the order of the numbers`() async throws {
        let database = try Database(path: folder.file("m.db"))
        let first = Migration(1, "one", "CREATE TABLE a (x BIGINT)")
        let second = Migration(100, "two", "ALTER TABLE a ADD COLUMN y BIGINT")
        try await database.migrate([second, first])
        try await database.migrate([first, second])
        // A door's number may lie below one that has run.
        try await database.migrate([
            first, second, Migration(50, "three", "ALTER TABLE a ADD COLUMN z BIGINT"),
        ])
        let numbers = try await database.read {
            try $0.query("SELECT number FROM schema_migration ORDER BY applied_at, number")
                .map { try $0.int("number") }
        }
        #expect(numbers.sorted() == [1, 50, 100])
    }

    @Test func `refuses a database that a newer program has changed`() async throws {
        let database = try Database(path: folder.file("m.db"))
        let first = Migration(1, "one", "CREATE TABLE a (x BIGINT)")
        try await database.migrate([first, Migration(2, "two", "CREATE TABLE b (x BIGINT)")])
        await #expect(throws: SQLError.newerDatabase(number: 2)) {
            try await database.migrate([first])
        }
    }

    @Test func `notices a step that was rewritten after it ran`() async throws {
        let database = try Database(path: folder.file("m.db"))
        try await database.migrate([Migration(1, "one", "CREATE TABLE a (x BIGINT)")])
        await #expect(throws: SQLError.changedMigration(number: 1)) {
            try await database.migrate([Migration(1, "one", "CREATE TABLE a (x TEXT)")])
        }
        try await database.migrate([Migration(1, "one", "CREATE TABLE a\n    (x BIGINT)")])
    }

    @Test func `undoes all steps when one fails`() async throws {
        let database = try Database(path: folder.file("m.db"))
        await #expect(throws: SQLError.self) {
            try await database.migrate([
                Migration(1, "one", "CREATE TABLE a (x BIGINT)"),
                Migration(2, "two", "CREATE TABEL b"),
            ])
        }
        try await database.migrate([Migration(1, "one", "CREATE TABLE a (x TEXT)")])
    }

    @Test func `numbers rows without ever giving a number twice`() async throws {
        let database = try Database(path: ":memory:")
        try await database.migrate([Migration(1, "j", "CREATE TABLE j (seq {identity}, t TEXT)")])
        let numbers = try await database.write { transaction in
            var numbers: [Int] = []
            for _ in 0..<2 {
                let row = try transaction.queryOne("INSERT INTO j (t) VALUES ('x') RETURNING seq")
                numbers.append(try row?.int("seq") ?? 0)
                try transaction.execute("DELETE FROM j")
            }
            return numbers
        }
        #expect(numbers == [1, 2])
    }

    @Test
    func `tells what the disk does not give back from what it does not take, and from damage`() {
        // SQLITE_IOERR_READ, SQLITE_IOERR_CORRUPTFS; SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC.
        for code in [Int32(266), 8_458] {
            #expect(SQLiteConnection.error(code, "x") == .unreadable("x"))
        }
        #expect(SQLiteConnection.error(11, "x") == .corrupt("x"))
        for code in [Int32(778), 1_034] { #expect(SQLiteConnection.error(code, "x") == .disk("x")) }
    }
}
