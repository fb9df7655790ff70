import SQL

/// A column of the journal as its schema has it.
struct JournalColumn: Hashable, Sendable {
    var name: String
    /// It holds text; else whole numbers.
    var isText: Bool

    /// The condition that finds rows whose value is neither of this kind nor NULL. Damage makes such
    /// values: SQLite keeps whatever is stored and checks no kind when it reads.
    var isOfAnotherKind: String {
        "typeof(\(name)) NOT IN ('\(isText ? "text" : "integer")', 'null')"
    }

    func takes(_ value: SQLValue) -> Bool {
        switch value {
        case .null: true
        case .integer: !isText
        case .text: isText
        case .blob: false
        }
    }
}

extension BoardJournal {
    /// The tables of a journal and their columns.
    func columns() async throws -> [String: [JournalColumn]] {
        try await Self.columns(of: database)
    }

    static func columns(of database: Database) async throws -> [String: [JournalColumn]] {
        try await database.read { sql in
            var found: [String: [JournalColumn]] = [:]
            for row in try sql.query(
                """
                SELECT name FROM sqlite_master WHERE type = 'table'
                    AND name NOT LIKE 'sqlite%' AND name <> 'schema_migration'
                """)
            {
                let table = try row.text("name")
                found[table] = try sql.query(
                    "SELECT name, type FROM pragma_table_info(?)", table
                ).map {
                    JournalColumn(
                        name: try $0.text("name"), isText: try $0.text("type") == "TEXT")
                }
            }
            return found
        }
    }
}
