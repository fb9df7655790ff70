import Charging
import SQL

/// Reservations outlive a restart. OCPP 1.6 §5.13.
extension BoardJournal {
    func reservations() async throws -> [Reservation] {
        try await database.read { sql in
            try sql.query("SELECT * FROM reservation ORDER BY id").map { row in
                Reservation(
                    id: try row.int("id"), connector: try row.int("connector"),
                    token: try row.text("token"), group: try row.textOrNil("group_token"),
                    expires: try row.timestamp("expires_at"))
            }
        }
    }

    /// Keeps a reservation in the place of one with the same number.
    func keep(_ reservation: Reservation) async throws {
        try await write(.reservation) { sql in
            try sql.execute(
                """
                INSERT INTO reservation (id, connector, token, group_token, expires_at)
                VALUES (?, ?, ?, ?, ?)
                ON CONFLICT (id) DO UPDATE SET connector = excluded.connector,
                    token = excluded.token, group_token = excluded.group_token,
                    expires_at = excluded.expires_at
                """,
                reservation.id, reservation.connector, reservation.token, reservation.group,
                reservation.expires)
        }
    }

    func forget(reservation id: Int) async throws {
        try await write(.reservation) { sql in
            try sql.execute("DELETE FROM reservation WHERE id = ?", id)
        }
    }
}
