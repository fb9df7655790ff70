import Charging
import JSON
import SQL
import Service

extension Commands {
    /// The remote start a new session may belong to: the oldest open one for this tag and connector.
    func awaitedStart(
        station: String, connector: ConnectorNumber?, idTag: String, startedAt: Timestamp?,
        at: Timestamp, in transaction: Transaction
    ) throws -> Command? {
        // Twice the window: a late session still belongs to who asked for it, and is billed to him.
        let since = at.advanced(bySeconds: -2 * settings.remoteStartWindowSeconds)
        return try transaction.query(
            """
            SELECT * FROM command WHERE station = ? AND name IN ('start', 'startLimited')
            AND id_tag = ? AND state IN ('queued', 'sent', 'accepted', 'timedOut') AND created_at >= ?
            AND effect IS NULL ORDER BY created_at
            """, station, Tokens.folded(idTag), since
        ).map(Command.init(row:)).first { command in
            if let startedAt,
                startedAt.seconds(since: command.createdAt) < -Sessions.clockToleranceSeconds
            {
                return false
            }
            switch command.command {
            case .start(let wanted, _), .startLimited(let wanted, _, _):
                return wanted == nil || connector == nil || wanted == connector
            default: return false
            }
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
        in transaction: Transaction, where fits: (Command) throws -> Bool
    ) throws {
        let open = try transaction.query(
            """
            SELECT * FROM command WHERE station = ? AND name = ?
            AND state IN ('sent', 'accepted') AND \(Self.since) >= ? ORDER BY created_at
            """, station, name, at.advanced(bySeconds: -86_400)
        ).map(Command.init(row:))
        for command in open where try fits(command) {
            try saw(command, effect: effect, at: at, in: transaction)
        }
    }

    /// An availability that a station accepted and shows already: no further status will tell.
    /// OCPP 1.6 §5.2.
    func isThereAlready(_ command: Command, in transaction: Transaction) throws -> Bool {
        guard command.state == .accepted, command.answer == "Accepted",
            case .setAvailability(let connector, let isOperative) = command.command
        else { return false }
        return try Self.isAvailability(
            isOperative, of: connector, at: command.station, in: transaction)
    }

    /// Whether a connector shows the availability; 0 is the station: its own row, else all of them.
    static func isAvailability(
        _ isOperative: Bool, of connector: ConnectorNumber, at station: String,
        in transaction: Transaction
    ) throws -> Bool {
        let rows = try transaction.query(
            "SELECT number, status FROM station_connector WHERE station = ?", station)
        var shown: [Int: Bool] = [:]
        for row in rows {
            shown[try row.int("number")] =
                try row.text("status") != ConnectorStatus.unavailable.rawValue
        }
        if let own = shown[connector] { return own == isOperative }
        return connector == 0 && !shown.isEmpty && shown.values.allSatisfy { $0 == isOperative }
    }

    // MARK: Rows

    func store(_ command: Command, in transaction: Transaction) throws {
        try transaction.execute(
            """
            UPDATE command SET state = ?, sent_at = ?, answered_at = ?, seen_at = ?, answer = ?,
            effect = ? WHERE id = ?
            """, command.state.rawValue, command.sentAt, command.answeredAt, command.seenAt,
            command.answer, command.effect, command.id)
        try changed(command, in: transaction)
    }

    /// Takes out the secret it carried: needed until it was sent, and by nobody afterwards.
    func mask(_ command: Command, in transaction: Transaction) throws {
        guard let masked = command.command.masked else { return }
        try transaction.execute(
            "UPDATE command SET body = ? WHERE id = ?", masked.storedText, command.id)
    }

    func changed(_ command: Command, in transaction: Transaction) throws {
        try journal.append(
            .commandChanged, command.id,
            [
                "state": .string(command.state.rawValue), "station": .string(command.station),
                "command": .string(command.command.name), "door": .string(command.origin.door),
            ], at: clock.now, in: transaction)
        state.withLock { state in
            guard state.watched[command.id] != nil else { return }
            state.changes[command.id] = journal.mark
        }
    }

    func forget(_ id: String) {
        state.withLock { state in
            state.watched[id, default: 1] -= 1
            guard state.watched[id, default: 0] <= 0 else { return }
            state.watched[id] = nil
            state.changes[id] = nil
        }
    }

    func takeQueued() -> [String] {
        state.withLock { state in
            let taken = state.queued
            state.queued = []
            return taken
        }
    }
}
