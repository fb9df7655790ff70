import SQL

/// A writer's place at a database: the lock of all writers, the seat of the one server, and the row
/// in which its last group stands.
///
/// `kerb_writer` is this module's own table; no migration makes it and no backup holds it.
final class WriterDesk {
    private let token: String
    private let isServer: Bool
    private var key = ""
    /// Grows with every server that sits down; nil until this one has.
    private var seat: Int64?

    /// "kerb" in ASCII, and the next one: no other program's advisory locks.
    private static let writers = 0x6B65_7262
    private static let servers = writers + 1
    private static let seconds = PostgreSQLConnection.answerSeconds

    init(token: String, isServer: Bool) {
        self.token = token
        self.isServer = isServer
    }

    /// Held until the transaction's end, and so until its outcome is to be seen.
    var lock: String { "SELECT pg_advisory_xact_lock(\(Self.writers), \(key))" }

    func mark(_ batch: Int64) -> String {
        "UPDATE kerb_writer SET batch = \(batch), at = now() WHERE token = '\(token)'"
    }

    /// Takes the place in a new session.
    ///
    /// - Throws: `.busy` while another server has the seat; `.denied` when one had it meanwhile,
    ///   and then for good.
    func take(_ link: PostgreSQLLink) throws(SQLError) {
        // Each schema of a database is a house of its own.
        guard
            case .integer(let number) = try link.run(
                "SELECT hashtext(current_schema())", withinSeconds: Self.seconds
            ).only
        else {
            throw .denied("search_path names no schema; make one, or name one that is there")
        }
        key = "\(number)"
        if isServer { try sit(link) }
        do throws(SQLError) {
            try link.run("BEGIN; \(lock)", withinSeconds: Self.seconds)
            try link.run(
                """
                CREATE TABLE IF NOT EXISTS kerb_writer (
                    token TEXT PRIMARY KEY, batch BIGINT NOT NULL, seat BIGINT,
                    at TIMESTAMPTZ NOT NULL);
                INSERT INTO kerb_writer (token, batch, at) VALUES ('\(token)', 0, now())
                ON CONFLICT (token) DO NOTHING
                """, withinSeconds: Self.seconds)
            let seat = isServer ? try numbered(link) : nil
            try link.run("COMMIT", withinSeconds: Self.seconds)
            self.seat = seat
        } catch {
            link.close()
            throw error
        }
    }

    private func sit(_ link: PostgreSQLLink) throws(SQLError) {
        let isMine = try link.run(
            "SELECT pg_try_advisory_lock(\(Self.servers), \(key))", withinSeconds: Self.seconds
        ).only
        if isMine == .integer(1) { return }
        try endOwnSessions(link)
        throw .busy
    }

    /// A session of ours whose network broke sits on until the server notices; it is not waited for.
    private func endOwnSessions(_ link: PostgreSQLLink) throws(SQLError) {
        try link.run(
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()
            AND application_name = 'kerb-cpo writer \(token)'
            """, withinSeconds: Self.seconds)
    }

    /// Whoever comes back to find that another sat here must not go on: memory and rows may differ.
    private func numbered(_ link: PostgreSQLLink) throws(SQLError) -> Int64? {
        let last = try link.run(
            "SELECT COALESCE(MAX(seat), 0) FROM kerb_writer", withinSeconds: Self.seconds
        ).only
        guard case .integer(let last) = last else { return seat }
        if let seat {
            guard seat == last else {
                throw .denied(
                    "another kerb-cpo was the server of this database meanwhile, so that what this "
                        + "one remembers may be wrong: restart this one")
            }
            return seat
        }
        try link.run(
            """
            UPDATE kerb_writer SET seat = \(last + 1) WHERE token = '\(token)';
            DELETE FROM kerb_writer WHERE token <> '\(token)' AND at < now() - interval '30 days'
            """, withinSeconds: Self.seconds)
        return last + 1
    }

    /// The last group that was committed; waits for one whose COMMIT is still on its way.
    func lastBatch(_ link: PostgreSQLLink) throws(SQLError) -> Int64 {
        try endOwnSessions(link)
        try link.run("BEGIN; \(lock)", withinSeconds: Self.seconds)
        let batch = try link.run(
            "SELECT batch FROM kerb_writer WHERE token = '\(token)'", withinSeconds: Self.seconds
        ).only
        try link.run("ROLLBACK", withinSeconds: Self.seconds)
        guard case .integer(let batch) = batch else {
            throw .corrupt("this program's row of kerb_writer is gone")
        }
        return batch
    }

    /// A tool takes its row away; a server's tells the next one that it was here.
    func leave(_ link: PostgreSQLLink) {
        guard !isServer else { return }
        // Otherwise it is taken away after thirty days.
        _ = try? link.run(
            "DELETE FROM kerb_writer WHERE token = '\(token)'", withinSeconds: Self.seconds)
    }
}
