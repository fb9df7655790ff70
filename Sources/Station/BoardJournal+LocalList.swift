import Charging
import SQL

/// The operator's local list as it lies on the board. OCPP 1.6 §3.5.
extension BoardJournal {
    enum ListOutcome: Hashable, Sendable {
        case accepted
        /// A differential update that is not newer than the list. OCPP 1.6 §7.42.
        case versionMismatch
        /// Nothing of the update was taken.
        case failed(String)
    }

    /// 0 while the list is empty, whatever was last sent. OCPP 1.6 §5.10.
    func localListVersion() async throws -> Int {
        try await database.read { try Self.localListVersion($0) }
    }

    private static func localListVersion(_ sql: Transaction) throws -> Int {
        guard try localTokens(sql) > 0 else { return 0 }
        return try sql.queryOne("SELECT version FROM local_list WHERE id = 1")?.int("version") ?? 0
    }

    /// Rows may be missing since the journal was rebuilt: only a full list makes it whole again.
    private static func isListIncomplete(_ sql: Transaction) throws -> Bool {
        try sql.queryOne("SELECT version FROM local_list WHERE id = 1")?.int("version") == 0
    }

    /// Takes the list's version away, which asks the operator for a full one. What is left of the
    /// list goes on being used, and so does the time it was taken at.
    static func doubtLocalList(_ sql: Transaction) throws {
        try sql.execute(
            """
            INSERT INTO local_list (id, version, taken_at) VALUES (1, 0, 0)
            ON CONFLICT (id) DO UPDATE SET version = 0
            """)
    }

    private static func localTokens(_ sql: Transaction) throws -> Int {
        try sql.queryOne("SELECT COUNT(*) AS n FROM local_token")?.int("n") ?? 0
    }

    /// Takes an update as one transaction: all of it is on the disk when it is accepted, else none.
    func take(_ update: LocalListUpdate, at now: Timestamp) async throws -> ListOutcome {
        if let why = Self.fault(in: update, most: limits.localListUpdate) { return .failed(why) }
        let most = limits.localTokens
        do {
            return try await write(.list) { sql in
                if update.kind == .differential {
                    guard try !Self.isListIncomplete(sql),
                        try update.version > Self.localListVersion(sql)
                    else { return .versionMismatch }
                } else {
                    try sql.execute("DELETE FROM local_token")
                }
                for entry in update.entries { try Self.put(entry, sql) }
                // Throwing takes back what was written so far.
                guard try Self.localTokens(sql) <= most else { throw ListTooLong() }
                try sql.execute(
                    """
                    INSERT INTO local_list (id, version, taken_at) VALUES (1, ?, ?)
                    ON CONFLICT (id) DO UPDATE SET version = excluded.version,
                        taken_at = excluded.taken_at
                    """, update.version, now)
                return .accepted
            }
        } catch is ListTooLong {
            return .failed("more than \(most) tokens")
        }
    }

    private struct ListTooLong: Error {}

    private static func fault(in update: LocalListUpdate, most: Int) -> String? {
        if update.version < 1 { return "a list's version is above 0" }
        if update.entries.count > most { return "more than \(most) tokens in one message" }
        let tokens = Set(update.entries.map { $0.token.lowercased() })
        if tokens.count != update.entries.count { return "a token stands twice in it" }
        if update.kind == .full, update.entries.contains(where: { $0.info == nil }) {
            return "a token of a full list has no idTagInfo"
        }
        return nil
    }

    private static func put(_ entry: LocalListUpdate.Entry, _ sql: Transaction) throws {
        let token = entry.token.lowercased()
        guard let info = entry.info else {
            try sql.execute("DELETE FROM local_token WHERE token = ?", token)
            return
        }
        try sql.execute(
            """
            INSERT INTO local_token (token, status, group_token, expires_at) VALUES (?, ?, ?, ?)
            ON CONFLICT (token) DO UPDATE SET status = excluded.status,
                group_token = excluded.group_token, expires_at = excluded.expires_at
            """, token, info.status.rawValue, info.group, info.expires)
        try seal("local_token", where: "token = ?", token, in: sql)
        // The list is right about its tokens: the cache must not know them too. OCPP 1.6 §3.5.3.
        try sql.execute("DELETE FROM known_token WHERE token = ?", token)
    }

    /// What the list says of a token, compared ignoring case; nil where it does not have it.
    func listed(token: String, at now: Timestamp) async throws -> AuthorizationInfo? {
        let isClockKnown = isClockKnown
        return try await database.read { sql in
            guard
                let row = try sql.queryOne(
                    "SELECT * FROM local_token WHERE token = ?", token.lowercased())
            else { return nil }
            return try Self.info(of: row, in: "local_token", at: now, isClockKnown, sql)
        }
    }

    /// A row's word on its token. An end that has passed speaks louder than `Accepted`.
    ///
    /// A clock that somebody has set is believed, whatever an earlier one said: what was learnt by a clock
    /// decades ahead would end every token until then. One that nobody has set, after a power cut, reads
    /// less than it is, and so may one with a battery: the board then judges by the last time the operator
    /// was heard, which `correctStamps` keeps from lying ahead.
    static func info(
        of row: Row, in table: String, at now: Timestamp, _ isClockKnown: Bool, _ sql: Transaction
    ) throws -> AuthorizationInfo? {
        // Nobody knows whom a damaged row let in.
        guard try isSound(row, of: table) else { return AuthorizationInfo(.invalid) }
        guard let status = AuthorizationStatus(rawValue: try row.text("status")) else { return nil }
        let expires = try row.timestampOrNil("expires_at")
        let present = isClockKnown ? now : max(now, try lastHeard(sql))
        if status == .accepted, let expires, expires <= present {
            return AuthorizationInfo(.expired, expires: expires)
        }
        return AuthorizationInfo(
            status, group: try row.textOrNil("group_token"), expires: expires)
    }

    /// Brings what was learnt by a clock that was ahead back to now, once a better one is there: so it
    /// neither ends tokens nor holds their places in the cache.
    static func correctStamps(at now: Timestamp, _ sql: Transaction) throws {
        let latest = now.advanced(byMilliseconds: BoardClock.tolerancesMilliseconds)
        try sql.execute(
            "UPDATE known_token SET learned_at = ? WHERE learned_at > ?", now, latest)
        try sql.execute("UPDATE local_list SET taken_at = ? WHERE taken_at > ?", now, latest)
    }

    /// When the operator last taught the board a token: it is not earlier than that.
    private static func lastHeard(_ sql: Transaction) throws -> Timestamp {
        let row = try sql.queryOne(
            """
            SELECT MAX(at) AS at FROM (SELECT MAX(learned_at) AS at FROM known_token
                UNION ALL SELECT MAX(taken_at) FROM local_list)
            """)
        return try row?.timestampOrNil("at") ?? Timestamp(seconds: 0)
    }
}
