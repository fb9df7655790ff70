import Glibc
import SQL
import Service

/// `Sources/PRIVACY.md` held against the tables that migrations make.
package enum PersonalDataInventory {
    /// Columns the page does not list under `section`, listed ones that are not there, and ones listed twice.
    package static func differences(
        _ migrations: [Migration], section: String
    ) async throws -> [String] {
        let database = try Database(path: ":memory:", readers: 0)
        try await database.migrate(migrations)
        let found = try await database.read { transaction in
            var found: Set<String> = []
            for table in try transaction.query(
                """
                SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'schema_migration'
                AND name NOT LIKE 'sqlite_%'
                """)
            {
                let name = try table.text("name")
                for column in try transaction.query("SELECT name FROM pragma_table_info(?)", name) {
                    found.insert("\(name).\(try column.text("name"))")
                }
            }
            return found
        }
        await database.close()
        var listed: Set<String> = []
        var wrong: [String] = []
        for name in try columns(of: section) where !listed.insert(name).inserted {
            wrong.append("\(name) is listed twice")
        }
        wrong += found.subtracting(listed).map { "\($0) is not listed" }
        wrong += listed.subtracting(found).map { "\($0) is listed and not there" }
        return wrong.sorted()
    }

    /// `table.column` of each row below the heading `### SECTION`.
    private static func columns(of section: String) throws -> [String] {
        let page = "\(#filePath)".parts(between: "/Tests/")[0] + "/Sources/PRIVACY.md"
        var isInside = false
        var names: [String] = []
        for line in String(decoding: try FileSystem.read(page), as: UTF8.self).split(
            separator: "\n")
        {
            if line.hasPrefix("#") { isInside = line == "### \(section)" }
            guard isInside, line.hasPrefix("| `") else { continue }
            let cells = line.split(separator: "|").map { $0.split(separator: "`") }
            guard cells.count > 1, let table = cells[0].first(where: { $0 != " " }) else {
                continue
            }
            names += cells[1].filter { $0 != " " }.map { "\(table).\($0)" }
        }
        return names
    }
}

extension Database {
    /// Every text and blob of every table, for tests that look for what is to be gone.
    package func everyText() async throws -> String {
        try await read { transaction in
            let names =
                TestStore.server == nil
                ? "SELECT name FROM sqlite_master WHERE type = 'table'"
                : "SELECT table_name AS name FROM information_schema.tables "
                    + "WHERE table_schema = current_schema()"
            var text = ""
            for table in try transaction.query(names) {
                let name = try table.text("name")
                for row in try transaction.query("SELECT * FROM \(name)") {
                    for value in row.values {
                        switch value {
                        case .text(let one): text += "\(name): \(one)\n"
                        case .blob(let bytes): text += String(decoding: bytes, as: UTF8.self)
                        case .null, .integer: break
                        }
                    }
                }
            }
            return text
        }
    }
}
