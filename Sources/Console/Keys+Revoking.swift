import Charging
import JSON
import SQL
import Service

extension Keys {
    /// A key without its secret.
    package struct Line: Hashable, Sendable {
        package var prefix: String
        package var name: String
        package var role: Role?
        package var createdAt: Timestamp
        package var revokedAt: Timestamp?
    }

    /// Oldest first, the revoked ones among them.
    package func list() async throws -> [Line] {
        try await database.read { transaction in
            try transaction.query("SELECT * FROM console_key ORDER BY created_at, prefix")
                .map(Line.init(row:))
        }
    }

    /// The prefix of what has the form that `add` gives a key; any other text may be a name.
    private static func prefix(ofWhole key: String) -> String? {
        let parts = key.split(separator: "_", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "kerb",
            parts[1].utf8.count == 2 * prefixBytes, parts[2].utf8.count == 2 * secretBytes,
            parts[1].allSatisfy(\.isHexDigit), parts[2].allSatisfy(\.isHexDigit)
        else { return nil }
        return String(parts[1])
    }

    /// Ends a key for good; it is asked for at each request, so it counts from the next one on.
    ///
    /// - Parameter name: its prefix, or its name where one key alone has it.
    /// - Parameter caller: who is told in the audit.
    @discardableResult
    package func revoke(_ name: String, by caller: String) async throws -> Line {
        // Of a key that was given whole nothing but its prefix is looked for, or said again.
        let name = Self.prefix(ofWhole: name) ?? name
        let now = clock.now
        return try await database.write { [self] transaction in
            let found = try transaction.query(
                """
                SELECT * FROM console_key WHERE (prefix = ? OR name = ?) AND revoked_at IS NULL
                ORDER BY created_at, prefix
                """, name, name
            ).map(Line.init(row:))
            let named = found.first { $0.prefix == name } ?? (found.count == 1 ? found[0] : nil)
            guard var line = named else {
                throw found.isEmpty
                    ? AccountError.unknownKey(name)
                    : AccountError.severalKeys(name, prefixes: found.map(\.prefix))
            }
            try transaction.execute(
                "UPDATE console_key SET revoked_at = ? WHERE prefix = ?", now, line.prefix)
            try Audit(clock: clock).note(
                Caller(name: caller, role: .admin, address: ""), "key.revoke", line.prefix,
                ["name": .string(line.name)], in: transaction)
            line.revokedAt = now
            return line
        }
    }
}

extension Keys.Line {
    fileprivate init(row: Row) throws {
        self.init(
            prefix: try row.text("prefix"), name: try row.text("name"),
            role: Role(rawValue: try row.text("role")), createdAt: try row.timestamp("created_at"),
            revokedAt: try row.timestampOrNil("revoked_at"))
    }
}
