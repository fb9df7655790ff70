import Charging
import SQL

extension BoardJournal {
    // MARK: Settings

    package func settings() async throws -> [String: String] {
        try await database.read { sql in
            var found: [String: String] = [:]
            for row in try sql.query("SELECT key, value FROM setting") {
                found[try row.text("key")] = try row.text("value")
            }
            return found
        }
    }

    func set(_ key: String, to value: String) async throws {
        try await write(.setting) { sql in
            try sql.execute(
                """
                INSERT INTO setting (key, value) VALUES (?, ?)
                ON CONFLICT (key) DO UPDATE SET value = excluded.value
                """, key, value)
            try Self.seal("setting", where: "key = ?", key, in: sql)
        }
    }

    // MARK: Availability; connector 0 is the station

    package func availability() async throws -> [ConnectorNumber: Bool] {
        try await database.read { sql in
            var found: [ConnectorNumber: Bool] = [:]
            for row in try sql.query("SELECT connector, is_operative FROM availability") {
                found[try row.int("connector")] = try row.bool("is_operative")
            }
            return found
        }
    }

    func setAvailability(_ connectors: [ConnectorNumber], operative: Bool) async throws {
        try await write(.availability) { sql in
            for connector in connectors {
                try sql.execute(
                    """
                    INSERT INTO availability (connector, is_operative) VALUES (?, ?)
                    ON CONFLICT (connector) DO UPDATE SET is_operative = excluded.is_operative
                    """, connector, operative)
                try Self.seal("availability", where: "connector = ?", connector, in: sql)
            }
        }
    }

    // MARK: Faults that hold until somebody acts

    package func latchedFaults() async throws -> [ConnectorNumber: Set<Fault>] {
        try await database.read { sql in
            var found: [ConnectorNumber: Set<Fault>] = [:]
            for row in try sql.query("SELECT connector, fault FROM latched_fault") {
                // A fault of an older program that no longer exists latches nothing.
                guard let fault = Fault(rawValue: try row.text("fault")) else { continue }
                found[try row.int("connector"), default: []].insert(fault)
            }
            return found
        }
    }

    func setLatched(_ faults: [Fault], connector: ConnectorNumber) async throws {
        try await write(.latch) { sql in
            try sql.execute("DELETE FROM latched_fault WHERE connector = ?", connector)
            for fault in faults {
                try sql.execute(
                    "INSERT INTO latched_fault (connector, fault) VALUES (?, ?)", connector,
                    fault.rawValue)
            }
            try Self.seal("latched_fault", where: "connector = ?", connector, in: sql)
        }
    }

    // MARK: The authorisation cache. OCPP 1.6 §3.4.1

    /// What the operator last said of a token, compared ignoring case; nil if never, or expired.
    func known(token: String, at now: Timestamp) async throws -> AuthorizationInfo? {
        let isClockKnown = isClockKnown
        return try await database.read { sql in
            guard
                let row = try sql.queryOne(
                    "SELECT * FROM known_token WHERE token = ?", token.lowercased())
            else { return nil }
            return try Self.info(of: row, in: "known_token", at: now, isClockKnown, sql)
        }
    }

    /// Learns what the operator said; where the cache is full the refused go first, then the oldest.
    func learn(token: String, _ info: AuthorizationInfo, at now: Timestamp) async throws {
        // "Busy with another transaction" says nothing about the token itself.
        guard info.status != .concurrentTransaction else { return }
        let most = limits.knownTokens
        try await write(.token) { sql in
            try sql.execute(
                """
                INSERT INTO known_token (token, status, group_token, expires_at, learned_at)
                VALUES (?, ?, ?, ?, ?)
                ON CONFLICT (token) DO UPDATE SET status = excluded.status,
                    group_token = excluded.group_token, expires_at = excluded.expires_at,
                    learned_at = excluded.learned_at
                """,
                token.lowercased(), info.status.rawValue, info.group, info.expires, now)
            try Self.seal("known_token", where: "token = ?", token.lowercased(), in: sql)
            try sql.execute(
                """
                DELETE FROM known_token WHERE token IN (
                    SELECT token FROM known_token
                    ORDER BY CASE WHEN status = 'Accepted'
                            AND (expires_at IS NULL OR expires_at > ?) THEN 0 ELSE 1 END,
                        learned_at DESC, token
                    LIMIT -1 OFFSET ?)
                """, now, most)
        }
    }

    func forget(token: String) async throws {
        try await write(.token) { sql in
            try sql.execute("DELETE FROM known_token WHERE token = ?", token.lowercased())
        }
    }

    func forgetTokens() async throws {
        try await write(.token) { sql in try sql.execute("DELETE FROM known_token") }
    }
}
