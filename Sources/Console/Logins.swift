import Charging
import Crypto
import SQL
import Service

/// Open log-ins of browsers: a random cookie, stored as its hash, and a CSRF token beside it.
struct Logins: Sendable {
    /// A log-in ends after this without a request, and at the latest after the second.
    static let idleSeconds: Int64 = 12 * 3600
    static let longestSeconds: Int64 = 7 * 86_400
    /// `seen_at` moves at most this often.
    static let touchSeconds: Int64 = 300

    struct Login: Sendable {
        var user: String
        var role: Role
        var csrf: String
    }

    let database: Database
    let clock: any ServiceClock

    /// - Returns: the cookie's value.
    func open(_ user: String, address: String) async throws -> (token: String, csrf: String) {
        let token = Hex.encode(RandomBytes.make(32))
        let csrf = Hex.encode(RandomBytes.make(16))
        let hash = Self.hash(token)
        let now = clock.now
        try await database.write { transaction in
            try transaction.execute(
                "DELETE FROM console_login WHERE seen_at < ? OR created_at < ?",
                now.advanced(bySeconds: -Self.idleSeconds),
                now.advanced(bySeconds: -Self.longestSeconds))
            try transaction.execute(
                """
                INSERT INTO console_login (token_hash, user_name, csrf, address, created_at, seen_at)
                VALUES (?, ?, ?, ?, ?, ?)
                """, hash, user, csrf, address, now, now)
        }
        return (token, csrf)
    }

    /// - Parameter isSeen: somebody asks by it now, so that it is not idle.
    func find(_ token: String, isSeen: Bool = true) async throws -> Login? {
        let hash = Self.hash(token)
        let now = clock.now
        let row = try await database.read { transaction in
            try transaction.queryOne(
                """
                SELECT l.csrf, l.seen_at, l.created_at, u.name, u.role FROM console_login l
                JOIN console_user u ON u.name = l.user_name WHERE l.token_hash = ?
                """, hash)
        }
        guard let row, let role = Role(rawValue: try row.text("role")) else { return nil }
        let seen = try row.timestamp("seen_at")
        guard now.seconds(since: seen) < Self.idleSeconds,
            now.seconds(since: try row.timestamp("created_at")) < Self.longestSeconds
        else { return nil }
        if isSeen, now.seconds(since: seen) >= Self.touchSeconds {
            try await database.write { transaction in
                try transaction.execute(
                    "UPDATE console_login SET seen_at = ? WHERE token_hash = ?", now, hash)
            }
        }
        return Login(user: try row.text("name"), role: role, csrf: try row.text("csrf"))
    }

    func close(_ token: String) async throws {
        let hash = Self.hash(token)
        try await database.write { transaction in
            try transaction.execute("DELETE FROM console_login WHERE token_hash = ?", hash)
        }
    }

    private static func hash(_ token: String) -> String { Hex.encode(SHA256.hash(token)) }
}

/// Counts failed log-ins by name and by address, and makes both wait.
final class LoginThrottle: Sendable {
    static let freeTries = 5
    static let windowMilliseconds: Int64 = 60_000
    /// Names and addresses remembered at most; a flood forgets the oldest.
    static let maximumEntries = 10_000

    private struct Entry {
        var count: Int
        var since: Int64
    }

    private let state = Lock([String: Entry]())
    private let clock: any ServiceClock

    init(clock: any ServiceClock) { self.clock = clock }

    /// Seconds to wait before another try; 0 if it may be made now.
    func wait(_ keys: [String]) -> Int64 {
        let now = clock.monotonicMilliseconds
        return state.withLock { entries in
            keys.compactMap { key in
                guard let entry = entries[key], entry.count >= Self.freeTries,
                    now - entry.since < Self.windowMilliseconds
                else { return nil }
                return (entry.since + Self.windowMilliseconds - now + 999) / 1000
            }.max() ?? 0
        }
    }

    func failed(_ keys: [String]) {
        let now = clock.monotonicMilliseconds
        state.withLock { entries in
            if entries.count > Self.maximumEntries {
                entries = entries.filter { now - $0.value.since < Self.windowMilliseconds }
                if entries.count > Self.maximumEntries { entries = [:] }
            }
            for key in keys {
                var entry = entries[key] ?? Entry(count: 0, since: now)
                if now - entry.since >= Self.windowMilliseconds {
                    entry = Entry(count: 0, since: now)
                }
                entry.count += 1
                entries[key] = entry
            }
        }
    }

    func succeeded(_ keys: [String]) {
        state.withLock { entries in for key in keys { entries[key] = nil } }
    }
}
