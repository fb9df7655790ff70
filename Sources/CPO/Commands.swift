import Charging
import Crypto
import JSON
import SQL
import Service

/// Orders to stations: rows first, then the wire; every step is durable and heard by who asked.
package final class Commands: Sendable {
    private struct State {
        /// Queued rows the carrier has not taken yet.
        var queued: [String] = []
        /// Bumped with every change of a row, so that watchers know when to look.
        var changes: [String: Int] = [:]
        /// Ids somebody watches.
        var watched: [String: Int] = [:]
    }

    private let database: Database
    private let journal: Journal
    private let settings: OperatorSettings
    private let clock: any ServiceClock
    private let log: Log
    private let state = Lock(State())

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
        case .start(let number, let token):
            connector = number
            idTag = Tokens.folded(token)
        case .unlock(let number), .setAvailability(let number, _): connector = number
        case .trigger(_, let number): connector = number
        case .stop, .reset, .changeSetting, .getSettings, .clearCache, .data, .foreign: break
        }
        try transaction.execute(
            """
            INSERT INTO command (id, station, name, connector, id_tag, session, body, state, door,
            reference, token, authorization_reference, tariff, created_at)
            VALUES (?, ?, ?, ?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?)
            """, command.id, command.station, command.command.name, connector, idTag,
            command.effect, command.command.storedText, command.origin.door,
            command.origin.reference, command.token?.storedText, command.authorizationReference,
            command.tariffID, command.createdAt)
        try changed(command, in: transaction)
        state.withLock { $0.queued.append(command.id) }
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
                SELECT * FROM command WHERE (? IS NULL OR station = ?)
                ORDER BY created_at DESC LIMIT ?
                """, station, station, limit
            ).map(Command.init(row:))
        }
    }

    /// The command now and after each change, until it is final.
    package func changes(of id: String) -> AsyncStream<Command> {
        let announcements = journal.announcements()
        state.withLock { $0.watched[id, default: 0] += 1 }
        return AsyncStream { continuation in
            let task = Task { [self] in
                var seen = -1
                var last: Command?
                func look() async -> Bool {
                    let count = state.withLock { $0.changes[id] ?? 0 }
                    guard count != seen else { return true }
                    seen = count
                    // A failed read is no news; the next announcement tries again.
                    guard let command = try? await command(id) else { return true }
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

    // MARK: Carrying

    /// Sends what is queued until cancelled; the roof owns the task.
    package func run(_ house: ChargePointOperator, over links: any StationLinks) async throws {
        let announcements = journal.announcements()
        let now = clock.now
        try await house.write { try self.interrupted(at: now, in: $0) }
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await self.expire(house) }
            for await _ in announcements {
                for id in takeQueued() {
                    group.addTask { await self.carry(id, house, links) }
                }
            }
        }
    }

    private func carry(
        _ id: String, _ house: ChargePointOperator, _ links: any StationLinks
    ) async {
        do {
            let now = clock.now
            let sent = try await house.write { transaction -> Command? in
                guard var command = try self.command(id, in: transaction),
                    command.state == .queued
                else { return nil }
                command.state = .sent
                command.sentAt = now
                try self.store(command, in: transaction)
                return command
            }
            // A row that was rolled back with its caller's transaction is not there.
            guard let sent else { return }
            let (state, answer) = await ask(sent, links)
            let at = clock.now
            try await house.write { transaction in
                guard var command = try self.command(id, in: transaction) else { return }
                command.answer = answer
                command.answeredAt = at
                // The session may have begun before the station's answer was through.
                if command.state != .seen {
                    command.state = state
                    if state == .accepted, Self.isItsOwnEffect(command.command) {
                        command.state = .seen
                        command.seenAt = at
                        command.effect = answer
                    }
                }
                try self.store(command, in: transaction)
            }
            log.info(
                "command answered",
                [
                    "command": id, "station": sent.station, "name": sent.command.name,
                    "state": state.rawValue,
                ])
        } catch {
            log.error("command lost its row", ["command": id, "error": "\(error)"])
        }
    }

    private func ask(_ command: Command, _ links: any StationLinks) async -> (
        Command.State, String
    ) {
        do throws(StationLinkError) {
            let answer = try await links.send(
                command.command, to: command.station,
                deadlineSeconds: settings.commandDeadlineSeconds)
            return Self.read(answer)
        } catch {
            return switch error {
            case .offline: (.failed, "the station is offline")
            case .timedOut: (.timedOut, "no answer in time")
            case .lost: (.timedOut, "the connection was lost before the answer")
            case .notSupported: (.failed, "not in the station's protocol version")
            case .refused(let code, let description): (.failed, "\(code): \(description)")
            case .notUnderstood(let text): (.failed, "answer not understood: \(text)")
            case .busy: (.failed, "too many calls wait for this station")
            }
        }
    }

    /// What a station's answer means for the command.
    static func read(_ answer: CommandAnswer) -> (Command.State, String) {
        func state(_ status: String) -> Command.State {
            ["Accepted", "Scheduled", "RebootRequired", "Unlocked"].contains(status)
                ? .accepted : .rejected
        }
        switch answer {
        case .status(let status): return (state(status), status)
        case .settings(let settings, let unknown):
            let known = settings.map { setting -> JSONValue in
                .members([
                    "key": .string(setting.key), "value": .text(setting.value),
                    "readonly": .bool(setting.isReadOnly),
                ])
            }
            let body: JSONValue = [
                "settings": .array(known), "unknown": .array(unknown.map { .string($0) }),
            ]
            return (.accepted, body.text)
        case .data(let status, let data):
            return (
                state(status),
                JSONValue.members(["status": .string(status), "data": .text(data)]).text
            )
        case .foreign(let payload):
            // A payload that is no JSON has no status; it stands as the answer all the same.
            let status = (try? JSONValue(parsing: payload))?["status"]?.string
            return (status.map(state) ?? .accepted, payload)
        }
    }

    /// Commands whose answer is the effect; the others wait for what the station reports.
    static func isItsOwnEffect(_ command: StationCommand) -> Bool {
        switch command {
        case .start, .stop, .reset, .setAvailability: false
        case .unlock, .changeSetting, .getSettings, .clearCache, .trigger, .data, .foreign: true
        }
    }

    // MARK: Seeing

    /// The remote start a new session may belong to: the oldest open one for this tag and connector.
    func awaitedStart(
        station: String, connector: ConnectorNumber?, idTag: String, at: Timestamp,
        in transaction: Transaction
    ) throws -> Command? {
        // Twice the window: a late session still belongs to who asked for it, and is billed to him.
        let since = at.advanced(bySeconds: -2 * settings.remoteStartWindowSeconds)
        return try transaction.query(
            """
            SELECT * FROM command WHERE station = ? AND name = 'start' AND id_tag = ?
            AND state IN ('queued', 'sent', 'accepted', 'timedOut') AND created_at >= ?
            AND effect IS NULL ORDER BY created_at
            """, station, Tokens.folded(idTag), since
        ).map(Command.init(row:)).first { command in
            guard case .start(let wanted, _) = command.command else { return false }
            return wanted == nil || connector == nil || wanted == connector
        }
    }

    /// The effect came: what waits for it is done.
    func saw(
        _ command: Command, effect: String, at: Timestamp, in transaction: Transaction
    ) throws {
        var command = command
        command.state = .seen
        command.seenAt = at
        command.effect = effect
        try store(command, in: transaction)
    }

    /// Marks the open commands of a name whose effect a station just reported.
    func saw(
        _ name: String, station: String, effect: String, at: Timestamp,
        in transaction: Transaction, where fits: (StationCommand) -> Bool
    ) throws {
        let open = try transaction.query(
            """
            SELECT * FROM command WHERE station = ? AND name = ?
            AND state IN ('sent', 'accepted') AND created_at >= ? ORDER BY created_at
            """, station, name, at.advanced(bySeconds: -86_400)
        ).map(Command.init(row:))
        for command in open where fits(command.command) {
            try saw(command, effect: effect, at: at, in: transaction)
        }
    }

    // MARK: Rows

    private func store(_ command: Command, in transaction: Transaction) throws {
        try transaction.execute(
            """
            UPDATE command SET state = ?, sent_at = ?, answered_at = ?, seen_at = ?, answer = ?,
            effect = ? WHERE id = ?
            """, command.state.rawValue, command.sentAt, command.answeredAt, command.seenAt,
            command.answer, command.effect, command.id)
        try changed(command, in: transaction)
    }

    private func changed(_ command: Command, in transaction: Transaction) throws {
        try journal.append(
            .commandChanged, command.id,
            [
                "state": .string(command.state.rawValue), "station": .string(command.station),
                "command": .string(command.command.name), "door": .string(command.origin.door),
            ], at: clock.now, in: transaction)
        state.withLock { state in
            guard state.watched[command.id] != nil else { return }
            state.changes[command.id, default: 0] += 1
        }
    }

    private func forget(_ id: String) {
        state.withLock { state in
            state.watched[id, default: 1] -= 1
            guard state.watched[id, default: 0] <= 0 else { return }
            state.watched[id] = nil
            state.changes[id] = nil
        }
    }

    private func takeQueued() -> [String] {
        state.withLock { state in
            let taken = state.queued
            state.queued = []
            return taken
        }
    }

    /// After a restart nobody waits for these answers any more; a start or reset is not sent late.
    private func interrupted(at: Timestamp, in transaction: Transaction) throws {
        let fresh = Set(state.withLock { $0.queued })
        for row in try transaction.query(
            "SELECT * FROM command WHERE state IN ('queued', 'sent') ORDER BY created_at")
        {
            var command = try Command(row: row)
            guard !fresh.contains(command.id) else { continue }
            command.answer = "the server restarted"
            command.answeredAt = at
            command.state = command.state == .queued ? .failed : .timedOut
            try store(command, in: transaction)
        }
    }

    /// An accepted order whose effect never came is given up, so that who asked hears of it.
    private func expire(_ house: ChargePointOperator) async throws {
        while !Task.isCancelled {
            try await clock.sleep(milliseconds: 5000)
            let now = clock.now
            let since = now.advanced(bySeconds: -settings.remoteStartWindowSeconds)
            let isDue = try await database.read { transaction in
                try transaction.queryOne(
                    "SELECT id FROM command WHERE state = 'accepted' AND created_at < ? LIMIT 1",
                    since) != nil
            }
            guard isDue else { continue }
            try await house.write { transaction in
                for row in try transaction.query(
                    "SELECT * FROM command WHERE state = 'accepted' AND created_at < ?", since)
                {
                    var command = try Command(row: row)
                    command.state = .timedOut
                    try self.store(command, in: transaction)
                }
            }
        }
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
            sentAt: try row.timestampOrNil("sent_at"),
            answeredAt: try row.timestampOrNil("answered_at"),
            seenAt: try row.timestampOrNil("seen_at"), answer: try row.textOrNil("answer"),
            effect: try row.textOrNil("effect"))
    }
}
