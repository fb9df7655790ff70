import Charging
import JSON
import SQL

extension BoardJournal {
    /// The charging profiles the operator set, in the order he set them. A row that an older or newer
    /// program spelled otherwise is left out.
    package func profiles() async throws -> [InstalledProfiles.Entry] {
        try await database.read { sql in
            try sql.query("SELECT * FROM charging_profile ORDER BY place").compactMap(Self.profile)
        }
    }

    private static func profile(_ row: Row) throws -> InstalledProfiles.Entry? {
        guard let body = try? JSONValue(parsing: try row.text("body")),  // Left out.
            let profile = ChargingProfile(json: body)
        else { return nil }
        return InstalledProfiles.Entry(
            connector: try row.int("connector"), profile: profile,
            charge: try row.int64OrNil("charge_id"))
    }

    /// Makes a profile durable in the place of those it replaces.
    func store(_ entry: InstalledProfiles.Entry) async throws {
        try await write(.profile) { sql in try Self.put(entry, sql) }
    }

    /// Within a transaction that makes something else durable too.
    static func put(_ entry: InstalledProfiles.Entry, _ sql: Transaction) throws {
        let standing = try sql.query("SELECT * FROM charging_profile").compactMap(profile)
        let replaced = standing.filter { $0.isReplaced(by: entry) }.map(\.profile.id)
        for id in replaced + [entry.profile.id] {
            try sql.execute("DELETE FROM charging_profile WHERE profile_id = ?", id)
        }
        try sql.execute(
            """
            INSERT INTO charging_profile (profile_id, connector, charge_id, body)
            VALUES (?, ?, ?, ?)
            """, entry.profile.id, entry.connector, entry.charge, entry.profile.json.text)
        try seal("charging_profile", where: "profile_id = ?", entry.profile.id, in: sql)
    }

    func removeProfiles(_ ids: Set<Int>) async throws {
        try await write(.profile) { sql in
            for id in ids {
                try sql.execute("DELETE FROM charging_profile WHERE profile_id = ?", id)
            }
        }
    }
}
