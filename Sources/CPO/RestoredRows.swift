import Charging
import SQL

/// Rows that came back with a backup: what they say of stations was so when it was made.
///
/// What happened since nobody remembers. A connector that held nothing then may hold the whole fuse now,
/// and numbers that were given since are in use where the messages went.
package enum RestoredRows {
    /// Numbers that are left out, and one more for each second since the backup: more than were given.
    static let leastSkipped: Int64 = 1_000_000

    /// - Returns: how many numbers the tables that number their rows shall leave out.
    package static func settle(at now: Timestamp, in transaction: Transaction) throws -> Int64 {
        // Each connector counts with all it carries until it has confirmed a limit anew.
        try transaction.execute("UPDATE site_connector SET told = '{}'")
        try transaction.execute(
            """
            UPDATE charging_profile SET state = 'wanted', retry_at = NULL, revision = revision + 1
            WHERE state IN ('told', 'refused')
            """)
        // It may have been ended since; a person says whether it goes on.
        try transaction.execute(
            """
            UPDATE campaign SET state = 'paused', reason = 'the database was restored', changed_at = ?
            WHERE state = 'running'
            """, now)
        // Stations report by the numbers of requests, too.
        try transaction.execute(
            "UPDATE sequence SET value = value + ? WHERE name = 'request'", Self.leastSkipped)
        let last = try transaction.queryOne("SELECT at FROM journal ORDER BY seq DESC LIMIT 1")
        let age = try last.map { now.seconds(since: try $0.timestamp("at")) } ?? 0
        let skipped = leastSkipped + max(0, age)
        try Sessions.skipKeys(skipped, at: now, in: transaction)
        return skipped
    }
}
