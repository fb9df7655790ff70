import Charging
import SQL
import Service

/// Commands with a time: rows that wait until it comes, over restarts, and then go the way of the others.
extension Commands {
    /// Of one station at once; who wants more wants a calendar.
    package static let mostScheduled = 100
    /// How far ahead.
    package static let longestSchedule: Int64 = 366 * 86_400
    /// How long after its time a station that is away then may come back and still get it.
    static let lateSeconds: Int64 = 86_400
    static let offlineText = "the station is offline"
    static let tooLateText = "the station did not come within a day of its time"
    static let supersededText = "superseded by a later one"
    static let removedText = "the station was removed"

    /// How many of a station wait for their time.
    package func scheduled(station: String, in transaction: Transaction) throws -> Int {
        try transaction.queryOne(
            """
            SELECT COUNT(*) AS n FROM command WHERE station = ? AND state = 'queued'
            AND not_before IS NOT NULL
            """, station
        )?.int("n") ?? 0
    }

    /// What an earlier run of the server left waiting.
    func takeScheduled(in transaction: Transaction) throws {
        let rows = try transaction.query(
            "SELECT id, not_before FROM command WHERE state = 'queued' AND not_before IS NOT NULL")
        for row in rows {
            let (id, due) = (try row.text("id"), try row.timestamp("not_before"))
            state.withLock { $0.scheduled[id] = due }
        }
    }

    /// Queues what is due, where the station is there to take it.
    func release(_ house: ChargePointOperator) async throws {
        let now = clock.now
        let due = state.withLock { $0.scheduled.filter { $0.value <= now } }
        guard !due.isEmpty else { return }
        let gone = try await house.write { transaction -> [String] in
            var (gone, ready): ([String], [Command]) = ([], [])
            for (id, moment) in due {
                guard let command = try self.command(id, in: transaction), command.state == .queued
                else {
                    // Cancelled, or rolled back with its caller's transaction.
                    gone.append(id)
                    continue
                }
                guard now.seconds(since: moment) <= Self.lateSeconds else {
                    try self.giveUp(command, Self.tooLateText, at: now, in: transaction)
                    gone.append(id)
                    continue
                }
                let station = try house.stations.station(command.station, in: transaction)
                guard station?.registration == .accepted, station?.isOnline == true else {
                    continue
                }
                ready.append(command)
            }
            return try gone + self.queue(ready, at: now, in: transaction)
        }
        state.withLock { state in for id in gone { state.scheduled[id] = nil } }
    }

    /// Queued orders travel side by side and may arrive in any order: of a connector only the latest goes, and
    /// none beside one of its whole station that it comes after.
    ///
    /// - Returns: those that were given up.
    private func queue(
        _ ready: [Command], at now: Timestamp, in transaction: Transaction
    ) throws -> [String] {
        var (gone, last): ([String], [Command]) = ([], [])
        var covered: [String: Set<ConnectorNumber>] = [:]
        for command in ready.sorted(by: { Self.isEarlier($1, than: $0) }) {
            guard case .setAvailability(let connector, _) = command.command else {
                last.append(command)
                continue
            }
            guard covered[command.station]?.isDisjoint(with: [0, connector]) != false else {
                try giveUp(command, Self.supersededText, at: now, in: transaction)
                gone.append(command.id)
                continue
            }
            covered[command.station, default: []].insert(connector)
            last.append(command)
        }
        var whole: Set<String> = []
        for command in last.reversed() where !whole.contains(command.station) {
            if case .setAvailability(0, _) = command.command { whole.insert(command.station) }
            try changed(command, in: transaction)
            // At once: it may be carried, and come back to waiting, before this goes on.
            state.withLock { state in
                state.scheduled[command.id] = nil
                state.queued.append(command.id)
            }
        }
        return gone
    }

    private static func isEarlier(_ one: Command, than other: Command) -> Bool {
        func rank(_ command: Command) -> (Timestamp, Timestamp, String) {
            (command.notBefore ?? command.createdAt, command.createdAt, command.id)
        }
        return rank(one) < rank(other)
    }

    /// What waits for a station that is removed is not for another one that comes by its id.
    func stationRemoved(_ station: String, in transaction: Transaction) throws {
        let rows = try transaction.query(
            """
            SELECT * FROM command WHERE station = ? AND state IN ('queued', 'sent')
            AND not_before IS NOT NULL
            """, station)
        for row in rows {
            try giveUp(
                Command(row: row), Self.removedText, at: clock.now, in: transaction)
        }
    }

    /// It went offline between the look and the order: the next look decides.
    func waitAgain(_ sent: Command, _ house: ChargePointOperator) async throws {
        try await house.write { transaction in
            guard var command = try self.command(sent.id, in: transaction), command.state == .sent
            else { return }
            command.state = .queued
            command.sentAt = nil
            try self.store(command, in: transaction)
        }
        state.withLock { $0.scheduled[sent.id] = sent.notBefore }
    }

    private func giveUp(
        _ command: Command, _ reason: String, at now: Timestamp, in transaction: Transaction
    ) throws {
        var command = command
        command.state = .failed
        command.answer = reason
        command.answeredAt = now
        try store(command, in: transaction)
    }
}
