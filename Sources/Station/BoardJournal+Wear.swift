import Charging
import SQL

extension BoardJournal {
    /// Keeps how much of its life a connector's contactor has used, and when it closed last in this boot:
    /// in one step, because each costs the flash a commit.
    ///
    /// - Parameter lastClosing: monotonic; nil: what is kept of it stays.
    func keep(
        wear: ContactorWear, lastClosing: Int64?, connector: ConnectorNumber
    ) async throws {
        var kept = [(key: ContactorWear.key(of: connector), value: wear.text)]
        if let lastClosing {
            kept.append((ContactorWear.closingKey(of: connector), "\(bootID) \(lastClosing)"))
        }
        let settings = kept
        try await write(.setting) { sql in
            for setting in settings {
                try sql.execute(
                    """
                    INSERT INTO setting (key, value) VALUES (?, ?)
                    ON CONFLICT (key) DO UPDATE SET value = excluded.value
                    """, setting.key, setting.value)
                try Self.seal("setting", where: "key = ?", setting.key, in: sql)
            }
        }
    }
}
