import Charging
import Crypto
import SQL
import Service

/// People who may log in, with their passwords as scrypt hashes.
package struct Users: Sendable {
    static let minimumPasswordLength = 10
    static let maximumPasswordBytes = 256

    let database: Database
    let clock: any ServiceClock
    /// Weak only in tests.
    let cost: PasswordHash.Cost

    package init(
        database: Database, clock: any ServiceClock = .system, cost: PasswordHash.Cost = .standard
    ) {
        self.database = database
        self.clock = clock
        self.cost = cost
    }

    /// Adds a person, or gives one a new password and role; open log-ins of theirs end.
    ///
    /// - Parameter password: nil makes one with 96 random bits.
    /// - Returns: the password.
    @discardableResult
    package func put(_ name: String, role: Role, password: String? = nil) async throws -> String {
        guard Self.isName(name) else { throw AccountError.badName }
        let password = password ?? Hex.encode(RandomBytes.make(12))
        guard password.count >= Self.minimumPasswordLength,
            password.utf8.count <= Self.maximumPasswordBytes
        else { throw AccountError.badPassword }
        let hash = try await PasswordHash.hash(password, cost: cost)
        let now = clock.now
        try await database.write { transaction in
            try transaction.execute(
                """
                INSERT INTO console_user (name, role, password, created_at) VALUES (?, ?, ?, ?)
                ON CONFLICT (name) DO UPDATE SET role = excluded.role,
                password = excluded.password
                """, name, role.rawValue, hash, now)
            try transaction.execute("DELETE FROM console_login WHERE user_name = ?", name)
        }
        return password
    }

    package func exists(_ name: String) async throws -> Bool {
        try await database.read { transaction in
            try transaction.queryOne("SELECT name FROM console_user WHERE name = ?", name) != nil
        }
    }

    /// The role of `name` if this is its password. Takes as long for a name that is not there.
    func verify(_ name: String, password: String) async throws -> Role? {
        guard password.utf8.count <= Self.maximumPasswordBytes else { return nil }
        let row = try await database.read { transaction in
            try transaction.queryOne("SELECT role, password FROM console_user WHERE name = ?", name)
        }
        let stored = try row?.text("password") ?? Self.nobody(cost)
        guard try await PasswordHash.verify(password, against: stored), let row else { return nil }
        return Role(rawValue: try row.text("role"))
    }

    /// A well-formed hash no password has.
    private static func nobody(_ cost: PasswordHash.Cost) -> String {
        let salt = String(repeating: "A", count: 22)
        let hash = String(repeating: "A", count: 43)
        return "$scrypt$ln=\(cost.logN),r=\(cost.r),p=\(cost.p)$\(salt)$\(hash)"
    }

    static func isName(_ name: String) -> Bool {
        (1...64).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: ":") && byte != UInt8(ascii: "/")
            }
    }
}

package enum AccountError: Error, Hashable, Sendable, CustomStringConvertible {
    case badName
    case badPassword
    case unknownUser(String)
    case lastAdmin(String)
    case unknownKey(String)
    case severalKeys(String, prefixes: [String])

    /// What was typed is wrong, and not what is asked for.
    package var isMistyped: Bool { self == .badName || self == .badPassword }

    package var description: String {
        switch self {
        case .badName: "a name has 1 to 64 printable ASCII characters, without blank, : and /"
        case .badPassword:
            "a password has at least \(Users.minimumPasswordLength) characters"
        case .unknownUser(let name): "\(name) is no user; `kerb-cpo user list` names them"
        case .lastAdmin(let name):
            "\(name) is the last admin, and nobody could let others in; make another one first: "
                + "`kerb-cpo user add NAME --role admin`"
        case .unknownKey(let name):
            "\(name) is no key that counts; `kerb-cpo key list` names them by their prefix"
        case .severalKeys(let name, let prefixes):
            "\(name) is the name of several keys; name one by its prefix: "
                + prefixes.joined(separator: ", ")
        }
    }
}
