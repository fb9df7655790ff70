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
        let due = state.withLock { state in
            state.scheduled.filter { $0.value <= now }.sorted {
                ($0.value, $0.key) < ($1.value, $1.key)
            }
        }
        guard !due.isEmpty else { return }
        let gone = try await house.write { transaction -> [String] in
            try due.compactMap { id, moment in
                guard let command = try self.command(id, in: transaction), command.state == .queued
                else {
                    // Cancelled, or rolled back with its caller's transaction.
                    return id
                }
                guard now.seconds(since: moment) <= Self.lateSeconds else {
                    try self.giveUp(command, at: now, in: transaction)
                    return id
                }
                let station = try house.stations.station(command.station, in: transaction)
                guard station?.registration == .accepted, station?.isOnline == true else {
                    return nil
                }
                try self.changed(command, in: transaction)
                // At once: it may be carried, and come back to waiting, before this goes on.
                self.state.withLock { state in
                    state.scheduled[id] = nil
                    state.queued.append(id)
                }
                return nil
            }
        }
        state.withLock { state in for id in gone { state.scheduled[id] = nil } }
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
        _ command: Command, at now: Timestamp, in transaction: Transaction
    ) throws {
        var command = command
        command.state = .failed
        command.answer = Self.tooLateText
        command.answeredAt = now
        try store(command, in: transaction)
    }
}
