import SQL
import Service
import Synchronization

/// A PostgreSQL database.
///
/// Several programs may write, as with a SQLite file: a write waits for the one before. Only one may
/// be the server, because a server remembers what is stored.
package final class PostgreSQLEngine: SQLEngine {
    let address: PostgreSQLAddress
    package let limits: DatabaseLimits
    let migrations: [Migration]
    /// This program is the server: a second one is refused with `.busy`.
    let isServer: Bool
    /// Tells this program from every other, and this start from the one before.
    let token: String
    private let closed = Atomic(false)

    /// - `migrations` are what `backup` writes its copy by.
    package init(
        _ address: PostgreSQLAddress, migrations: [Migration], isServer: Bool,
        limits: DatabaseLimits = PostgreSQLEngine.limits
    ) {
        self.address = address
        self.limits = limits
        self.migrations = migrations
        self.isServer = isServer
        var random = SystemRandomNumberGenerator()
        token = String(random.next(), radix: 16)
    }

    /// A transaction with more than 64 savepoints costs every reader more: the server keeps no more
    /// of them at hand.
    package static var limits: DatabaseLimits {
        var limits = DatabaseLimits()
        limits.callersPerCommit = 60
        return limits
    }

    package func connect(isReader: Bool) throws(SQLError) -> any SQLConnection {
        let connection = PostgreSQLConnection(self, isReader: isReader)
        try connection.connect()
        return connection
    }

    /// A connection that broke makes itself a new one.
    package func mustReopen(after error: SQLError) -> Bool { false }

    /// What the server's own settings put at risk. What lies on its disk it checks by itself.
    package func check(
        _ connection: any SQLConnection, isThorough: Bool
    ) throws(SQLError) -> [String] {
        var findings: [String] = []
        for (name, danger) in [
            ("fsync", "a power cut may destroy the database"),
            ("full_page_writes", "a power cut may destroy pages"),
            ("synchronous_commit", "a power cut loses what was answered"),
        ] {
            let rows = try connection.query("SELECT current_setting(?) AS value", [.text(name)])
            if try rows.first?.text("value") == "off" {
                findings.append("the server's \(name) is off: \(danger)")
            }
        }
        return findings
    }

    /// The server does it by itself.
    package func checkpoint() {}

    package func closing() { closed.store(true, ordering: .releasing) }

    var isClosing: Bool { closed.load(ordering: .acquiring) }
}
