import Charging
import SQL
import Service

/// Orders to stations: rows first, then the wire; every step is durable and heard by who asked.
package final class Commands: Sendable {
    struct State {
        /// Queued rows the carrier has not taken yet.
        var queued: [String] = []
        /// Queued rows whose time is to come, or whose station.
        var scheduled: [String: Timestamp] = [:]
        /// The journal's mark at the last change of a row, so that watchers know when to look.
        var changes: [String: Int] = [:]
        /// Ids somebody watches.
        var watched: [String: Int] = [:]
        /// How commands travel now; nil while nobody carries them.
        var links: (any StationLinks)?
    }

    let database: Database
    let journal: Journal
    let settings: OperatorSettings
    let clock: any ServiceClock
    let log: Log
    let state = Lock(State())

    init(
        database: Database, journal: Journal, settings: OperatorSettings,
        clock: any ServiceClock, log: Log
    ) {
        self.database = database
        self.journal = journal
        self.settings = settings
        self.clock = clock
        self.log = log
    }

    // MARK: Asking

    /// Stores a command; it is sent once the transaction is committed. Whether it makes sense is for
    /// the caller to know: `ChargePointOperator.start` and its kin ask first.
    package func enqueue(_ command: Command, in transaction: Transaction) throws {
        var connector: ConnectorNumber?
        var idTag: String?
        switch command.command {
        case .start(let number, let token), .startLimited(let number, let token, _):
            connector = number
            idTag = Tokens.folded(token)
        case .unlock(let number), .setAvailability(let number, _): connector = number
        case .setProfile(let number, _), .getComposite(let number, _, _): connector = number
        case .clearProfiles(let filter): connector = filter.connector
        case .trigger(_, let number): connector = number
        case .stop, .reset, .changeSetting, .getSettings, .clearCache, .data, .foreign: break
        case .maintenance: break
        case .reserve(let reservation):
            connector = reservation.connector
            idTag = Tokens.folded(reservation.token)
        case .sendLocalList, .getLocalListVersion, .cancelReservation: break
        }
        try transaction.execute(
            """
            INSERT INTO command (id, station, name, connector, id_tag, session, body, state, door,
            reference, token, authorization_reference, tariff, created_at, not_before)
            VALUES (?, ?, ?, ?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?)
            """, command.id, command.station, command.command.name, connector, idTag,
            command.effect, command.command.storedText, command.origin.door,
            command.origin.reference, command.token?.storedText, command.authorizationReference,
            command.tariffID, command.createdAt, command.notBefore)
        try changed(command, in: transaction)
        state.withLock { state in
            if let due = command.notBefore {
                state.scheduled[command.id] = due
            } else {
                state.queued.append(command.id)
            }
        }
    }

    package func command(_ id: String) async throws -> Command? {
        try await database.read { try self.command(id, in: $0) }
    }

    package func command(_ id: String, in transaction: Transaction) throws -> Command? {
        try transaction.queryOne("SELECT * FROM command WHERE id = ?", id).map(Command.init(row:))
    }

    /// Newest first.
    package func list(station: String? = nil, limit: Int = 100) async throws -> [Command] {
        try await database.read { transaction in
            try transaction.query(
                """
                SELECT * FROM command WHERE (CAST(? AS TEXT) IS NULL OR station = ?)
                ORDER BY created_at DESC LIMIT ?
                """, station, station, limit
            ).map(Command.init(row:))
        }
    }

    /// The command now and after each change, until it is final.
    package func changes(of id: String) -> AsyncStream<Command> {
        let announcements = journal.announcements()
        state.withLock { $0.watched[id, default: 0] += 1 }
        // What changed it before this may still be on its way into the rows.
        let before = journal.mark
        return AsyncStream { continuation in
            let task = Task { [self] in
                var seen = -1
                var last: Command?
                func look() async -> Bool {
                    let changed = state.withLock { max(before, $0.changes[id] ?? 0) }
                    guard changed > seen else { return true }
                    // A change that is not committed yet is not in the rows that are read now.
                    let mark = min(changed, journal.announcedMark)
                    // A failed read is no news; the next announcement tries again.
                    guard let command = try? await command(id) else { return true }
                    seen = mark
                    if command != last { continuation.yield(command) }
                    last = command
                    return !command.state.isFinal
                }
                if await look() {
                    for await _ in announcements { guard await look() else { break } }
                }
                forget(id)
                continuation.finish()
            }
            continuation.onTermination = { _ in task.cancel() }
        }
    }

    /// The command once the station's answer or its absence is known, or as it is after the wait.
    package func settled(_ id: String, withinSeconds seconds: Int) async throws -> Command? {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [self] in
                for await command in changes(of: id) where command.state.isSettled { return }
            }
            group.addTask { [clock] in
                // Cancelled when the answer came first.
                try? await clock.sleep(milliseconds: Int64(max(0, seconds)) * 1000)
            }
            await group.next()
            group.cancelAll()
        }
        return try await command(id)
    }
}

extension Command {
    init(row: Row) throws {
        self.init(
            id: try row.text("id"), station: try row.text("station"),
            command: try StationCommand(storedText: row.text("body")),
            state: State(rawValue: try row.text("state")) ?? .failed,
            origin: CommandOrigin(door: try row.text("door"), reference: try row.text("reference")),
            token: try row.textOrNil("token").map { try Token(storedText: $0) },
            authorizationReference: try row.textOrNil("authorization_reference"),
            tariffID: try row.textOrNil("tariff"), createdAt: try row.timestamp("created_at"),
            notBefore: try row.timestampOrNil("not_before"),
            sentAt: try row.timestampOrNil("sent_at"),
            answeredAt: try row.timestampOrNil("answered_at"),
            seenAt: try row.timestampOrNil("seen_at"), answer: try row.textOrNil("answer"),
            effect: try row.textOrNil("effect"))
    }
}
