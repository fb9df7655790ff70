import Charging
import JSON
import SQL
import Service

extension Users {
    /// A person who may log in.
    package struct Line: Hashable, Sendable {
        package var name: String
        package var role: Role?
        package var createdAt: Timestamp
        package var openLogins: Int
    }

    package func list() async throws -> [Line] {
        try await database.read { transaction in
            try transaction.query(
                """
                SELECT u.name, u.role, u.created_at, (SELECT COUNT(*) FROM console_login l
                WHERE l.user_name = u.name) AS logins FROM console_user u ORDER BY u.name
                """
            ).map { row in
                Line(
                    name: try row.text("name"), role: Role(rawValue: try row.text("role")),
                    createdAt: try row.timestamp("created_at"), openLogins: try row.int("logins"))
            }
        }
    }

    /// Takes a person's log-in away and ends what is open of it. Lines that name him stay.
    ///
    /// - Parameter caller: who is told in the audit.
    /// - Throws: `AccountError.lastAdmin`, since nobody would be left to let others in.
    package func remove(_ name: String, by caller: String) async throws {
        let admin = Role.admin.rawValue
        try await database.write { [self] transaction in
            guard
                let row = try transaction.queryOne(
                    "SELECT role FROM console_user WHERE name = ?", name)
            else { throw AccountError.unknownUser(name) }
            let role = try row.text("role")
            if role == admin {
                let other = try transaction.queryOne(
                    "SELECT name FROM console_user WHERE role = ? AND name <> ? LIMIT 1", admin,
                    name)
                guard other != nil else { throw AccountError.lastAdmin(name) }
            }
            try transaction.execute("DELETE FROM console_login WHERE user_name = ?", name)
            try transaction.execute("DELETE FROM console_user WHERE name = ?", name)
            try Audit(clock: clock).note(
                Caller(name: caller, role: .admin, address: ""), "user.remove", name,
                ["role": .string(role)], in: transaction)
        }
    }
}
