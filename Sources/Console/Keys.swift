import Crypto
import SQL
import Service

/// Keys for programs: `kerb_PREFIX_SECRET`. The prefix is shown, the secret is stored as its hash; 160
/// random bits need no stretching.
package struct Keys: Sendable {
    static let prefixBytes = 4
    static let secretBytes = 20

    let database: Database
    let clock: any ServiceClock

    package init(database: Database, clock: any ServiceClock = .system) {
        self.database = database
        self.clock = clock
    }

    /// - Returns: the key, which is shown this once.
    package func add(_ name: String, role: Role) async throws -> String {
        guard Users.isName(name) else { throw AccountError.badName }
        let prefix = Hex.encode(RandomBytes.make(Self.prefixBytes))
        let secret = Hex.encode(RandomBytes.make(Self.secretBytes))
        let hash = Hex.encode(SHA256.hash(secret))
        let now = clock.now
        try await database.write { transaction in
            try transaction.execute(
                """
                INSERT INTO console_key (prefix, name, role, secret_hash, created_at)
                VALUES (?, ?, ?, ?, ?)
                """, prefix, name, role.rawValue, hash, now)
        }
        return "kerb_\(prefix)_\(secret)"
    }

    func verify(_ key: String) async throws -> (name: String, role: Role)? {
        let parts = key.split(separator: "_", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "kerb" else { return nil }
        let prefix = String(parts[1])
        let row = try await database.read { transaction in
            try transaction.queryOne(
                "SELECT * FROM console_key WHERE prefix = ? AND revoked_at IS NULL", prefix)
        }
        guard let row,
            constantTimeEqual(
                Hex.encode(SHA256.hash(String(parts[2]))), try row.text("secret_hash")),
            let role = Role(rawValue: try row.text("role"))
        else { return nil }
        return (try row.text("name"), role)
    }
}
