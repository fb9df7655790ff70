import Service

/// One step of the schema. Append only: a released one never changes.
///
/// Numbers order the steps; each door has its own range, so a lower one may come later.
package struct Migration: Hashable, Sendable {
    package let number: Int
    package let sentence: String
    package let sql: String

    /// `sql` may hold several statements and the macro `{identity}`: a numbering primary key.
    package init(_ number: Int, _ sentence: String, _ sql: String) {
        self.number = number
        self.sentence = sentence
        self.sql = sql
    }
}

/// Brings a database's schema up to what the program knows.
struct Migrator {
    private let migrations: [Migration]

    init(_ migrations: [Migration]) {
        let sorted = migrations.sorted { $0.number < $1.number }
        precondition(
            zip(sorted, sorted.dropFirst()).allSatisfy { $0.number < $1.number },
            "every migration has a number of its own")
        self.migrations = sorted
    }

    /// All steps in the one transaction that is open: all of them or none.
    func run(_ connection: any SQLConnection, at now: Int64) throws(SQLError) {
        try connection.script(
            """
            CREATE TABLE IF NOT EXISTS schema_migration (
                number BIGINT PRIMARY KEY, sentence TEXT NOT NULL, check_sum TEXT NOT NULL,
                applied_at BIGINT NOT NULL)
            """)
        var applied: [Int: String] = [:]
        for row in try connection.query("SELECT number, check_sum FROM schema_migration", []) {
            applied[try row.int("number")] = try row.text("check_sum")
        }
        let known = Set(migrations.map(\.number))
        if let unknown = applied.keys.filter({ !known.contains($0) }).max() {
            throw .newerDatabase(number: unknown)
        }
        for migration in migrations {
            let sum = Self.checkSum(migration.sql)
            if let before = applied[migration.number] {
                guard before == sum else { throw .changedMigration(number: migration.number) }
                continue
            }
            try connection.script(migration.sql)
            _ = try connection.execute(
                "INSERT INTO schema_migration VALUES (?, ?, ?, ?)",
                [
                    .integer(Int64(migration.number)), .text(migration.sentence), .text(sum),
                    .integer(now),
                ])
        }
    }

    /// FNV-1a over the text without its white space: guards against a slip, not against malice.
    static func checkSum(_ sql: String) -> String {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in sql.utf8 where byte > 0x20 {
            hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
        }
        return String(hash, radix: 16)
    }
}
