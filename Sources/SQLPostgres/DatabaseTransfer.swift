import SQL
import Service

/// Every row of every table of one engine's database, put into the other's.
///
/// A copy of a PostgreSQL database is a SQLite file with the same tables: one kind of backup for both
/// engines, and so also the way from one to the other.
struct DatabaseTransfer {
    let source: any SQLConnection
    let target: any SQLConnection
    let tables: [Table]

    struct Table {
        let name: String
        let columns: [(name: String, isBytes: Bool)]
        /// The column that numbers its rows by itself.
        let identity: String?

        var columnList: String { columns.map(\.name).joined(separator: ", ") }

        func insertion(rows: Int) -> String {
            let row = "(\(columns.map { _ in "?" }.joined(separator: ", ")))"
            let rows = repeatElement(row, count: rows).joined(separator: ", ")
            return "INSERT INTO \(name) (\(columnList)) VALUES \(rows)"
        }
    }

    static let rowsPerPage = 1000

    /// The tables of a SQLite file, each behind those it refers to: in the order they were made.
    static func tables(of file: any SQLConnection) throws(SQLError) -> [Table] {
        var tables: [Table] = []
        for row in try file.query(
            """
            SELECT name, sql FROM sqlite_master WHERE type = 'table'
            AND name NOT LIKE 'sqlite_%' AND name <> 'schema_migration' ORDER BY rowid
            """, [])
        {
            let name = try row.text("name")
            let numbersItself = try row.text("sql").contains(text: "AUTOINCREMENT")
            var columns: [(name: String, isBytes: Bool)] = []
            var identity: String?
            for column in try file.query("PRAGMA table_info(\(name))", []) {
                let columnName = try column.text("name")
                columns.append((columnName, try column.text("type") == "BLOB"))
                if numbersItself, try column.int("pk") == 1 { identity = columnName }
            }
            tables.append(Table(name: name, columns: columns, identity: identity))
        }
        return tables
    }

    /// The value as the column's type wants it: SQLite keeps what it was given.
    static func converted(
        _ value: SQLValue, _ table: Table, _ index: Int
    ) throws(SQLError) -> SQLValue {
        let column = table.columns[index]
        switch value {
        case .text(let text) where column.isBytes: return .blob(Array(text.utf8))
        case .blob(let bytes) where !column.isBytes:
            return .text(String(decoding: bytes, as: UTF8.self))
        case .text(let text) where text.utf8.contains(0):
            throw .unstorable(
                "a row of table \(table.name) has the character U+0000 in its column \(column.name), "
                    + "which PostgreSQL keeps in no text")
        case .null, .integer, .text, .blob: return value
        }
    }
}

// MARK: SQLite to PostgreSQL

extension DatabaseTransfer {
    static let rowsPerInsertion = 50

    /// Replaces what is there, in the transaction that is open on the target.
    func restore() throws(SQLError) {
        let names = tables.map(\.name).joined(separator: ", ")
        _ = try target.execute("TRUNCATE \(names)", [])
        for table in tables { try restore(table) }
    }

    private func restore(_ table: Table) throws(SQLError) {
        var last = Int64.min
        while true {
            let page = try source.query(
                """
                SELECT \(table.columnList), rowid AS kerb_rowid FROM \(table.name)
                WHERE rowid > ? ORDER BY rowid LIMIT \(Self.rowsPerPage)
                """, [.integer(last)])
            for start in stride(from: 0, to: page.count, by: Self.rowsPerInsertion) {
                let rows = page[start..<min(start + Self.rowsPerInsertion, page.count)]
                var values: [SQLValue] = []
                for row in rows {
                    for index in table.columns.indices {
                        values.append(try Self.converted(row.values[index], table, index))
                    }
                }
                _ = try target.execute(table.insertion(rows: rows.count), values)
            }
            guard page.count == Self.rowsPerPage, let end = page.last else { break }
            last = try end.int64("kerb_rowid")
        }
        guard let identity = table.identity else { return }
        // A number must never come twice, even after the row that had it went.
        let used = try source.query(
            "SELECT seq FROM sqlite_sequence WHERE name = ?", [.text(table.name)]
        ).first?.int64OrNil("seq")
        _ = try target.query(
            "SELECT setval(pg_get_serial_sequence(?, ?), CAST(? AS BIGINT), CAST(? AS BOOLEAN))",
            [
                .text(table.name), .text(identity), .integer(max(used ?? 0, 1)),
                .text((used ?? 0) > 0 ? "true" : "false"),
            ])
    }
}

// MARK: PostgreSQL to SQLite

extension DatabaseTransfer {
    /// Fills an empty file; both sides have a transaction open.
    func backup() throws(SQLError) {
        for table in tables { try backup(table) }
    }

    private func backup(_ table: Table) throws(SQLError) {
        // A name of its own: what a statement's columns are is remembered by its text.
        let cursor = "rows_of_\(table.name)"
        _ = try source.execute(
            "DECLARE \(cursor) NO SCROLL CURSOR FOR SELECT \(table.columnList) FROM \(table.name)",
            [])
        let insertion = table.insertion(rows: 1)
        while true {
            let page = try source.query("FETCH \(Self.rowsPerPage) FROM \(cursor)", [])
            for row in page { _ = try target.execute(insertion, row.values) }
            guard page.count == Self.rowsPerPage else { break }
        }
        _ = try source.execute("CLOSE \(cursor)", [])
        guard let identity = table.identity else { return }
        guard
            let sequence = try source.query(
                "SELECT pg_get_serial_sequence(?, ?) AS name", [.text(table.name), .text(identity)]
            ).first?.textOrNil("name")
        else { throw .mismatch("table \(table.name) does not number its rows") }
        let used = try source.query(
            "SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS n FROM \(sequence)", []
        ).first?.int64("n")
        let arguments: [SQLValue] = [.integer(used ?? 0), .text(table.name)]
        let changed = try target.execute(
            "UPDATE sqlite_sequence SET seq = ? WHERE name = ?", arguments)
        if changed == 0 {
            _ = try target.execute(
                "INSERT INTO sqlite_sequence (seq, name) VALUES (?, ?)", arguments)
        }
    }
}
