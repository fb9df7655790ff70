import Charging
import JSON
import SQL

extension BoardJournal {
    /// The charging profiles the operator set, in the order he set them. A row that an older or newer
    /// program spelled otherwise is left out.
    package func profiles() async throws -> [InstalledProfiles.Entry] {
        try await database.read { sql in
            try sql.query("SELECT * FROM charging_profile ORDER BY place").compactMap { row in
                guard let body = try? JSONValue(parsing: try row.text("body")),  // Left out.
                    let profile = ChargingProfile(json: body)
                else { return nil }
                return InstalledProfiles.Entry(
                    connector: try row.int("connector"), profile: profile,
                    charge: try row.int64OrNil("charge_id"))
            }
        }
    }

    /// Makes a profile durable in the place of those it replaces.
    func store(_ entry: InstalledProfiles.Entry, replacing ids: [Int]) async throws {
        let body = entry.profile.json.text
        try await write(.profile) { sql in
            for id in ids + [entry.profile.id] {
                try sql.execute("DELETE FROM charging_profile WHERE profile_id = ?", id)
            }
            try sql.execute(
                """
                INSERT INTO charging_profile (profile_id, connector, charge_id, body)
                VALUES (?, ?, ?, ?)
                """, entry.profile.id, entry.connector, entry.charge, body)
        }
    }

    func removeProfiles(_ ids: Set<Int>) async throws {
        try await write(.profile) { sql in
            for id in ids {
                try sql.execute("DELETE FROM charging_profile WHERE profile_id = ?", id)
            }
        }
    }
}
