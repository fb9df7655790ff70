import CPO
import Charging
import SQL
import Service

extension Alerts {
    /// A message that no try brought away within this is given up; the alert stays in the list.
    static let triesPerMessage = 300
    /// Letters of one look to one channel: where a whole town is dark, the last one tells how many
    /// more there are, and the list has them all.
    static let lettersPerLook = 3
    /// Between two looks, and between two tries of a channel that fails, at most.
    static let lookMilliseconds: Int64 = 60_000
    static let longestPauseSeconds: Int64 = 900

    /// Looks each minute and tells what is due, until cancelled.
    package func run(over all: [any AlertChannel]) async throws {
        try await forgetChannels()
        while true {
            try await look(at: house.clock.now)
            for channel in all { try await tell(channel) }
            try await house.clock.sleep(milliseconds: Self.lookMilliseconds)
        }
    }

    /// What a channel was owed that is configured no more.
    private func forgetChannels() async throws {
        try await house.write { [channels] transaction in
            for row in try transaction.query("SELECT DISTINCT channel FROM alert_message") {
                let name = try row.text("channel")
                guard !channels.contains(name) else { continue }
                try transaction.execute("DELETE FROM alert_message WHERE channel = ?", name)
            }
        }
    }

    /// What a message is known by.
    private struct Key: Sendable {
        var alert: Int64
        var what: String
    }

    /// Tells a channel what is due, until nothing is or a try fails.
    package func tell(_ channel: any AlertChannel) async throws {
        for number in 1...Self.lettersPerLook where !Task.isCancelled {
            let (due, keys) = try await due(
                channel, isLast: number == Self.lettersPerLook, at: house.clock.now)
            guard !keys.isEmpty else { return }
            do throws(AlertChannelError) {
                try await channel.tell(due, more: keys.count - due.count)
            } catch {
                try await failed(channel, due, error)
                return
            }
            try await settle(channel, keys)
        }
    }

    /// What the next letter tells, and all that it settles.
    private func due(
        _ channel: any AlertChannel, isLast: Bool, at now: Timestamp
    ) async throws -> ([AlertMessage], [Key]) {
        try await house.read { transaction in
            let due = try transaction.query(
                """
                SELECT a.*, m.what, m.tries FROM alert_message m JOIN alert a ON a.id = m.alert
                WHERE m.channel = ? AND m.due_at <= ?
                ORDER BY m.alert, CASE m.what WHEN 'ended' THEN 1 ELSE 0 END LIMIT ?
                """, channel.name, now, max(1, channel.mostAtOnce)
            ).compactMap { row -> AlertMessage? in
                guard let what = AlertMessage.What(rawValue: try row.text("what")) else {
                    return nil
                }
                return AlertMessage(
                    alert: try Alert(row: row), what: what, tries: Int(try row.int64("tries")))
            }
            guard isLast else {
                return (due, due.map { Key(alert: $0.alert.id, what: $0.what.rawValue) })
            }
            let keys = try transaction.query(
                "SELECT alert, what FROM alert_message WHERE channel = ? AND due_at <= ?",
                channel.name, now
            ).map { Key(alert: try $0.int64("alert"), what: try $0.text("what")) }
            return (due, keys)
        }
    }

    private func settle(_ channel: any AlertChannel, _ told: [Key]) async throws {
        try await house.write { transaction in
            for message in told {
                try transaction.execute(
                    "DELETE FROM alert_message WHERE alert = ? AND channel = ? AND what = ?",
                    message.alert, channel.name, message.what)
            }
        }
    }

    private func failed(
        _ channel: any AlertChannel, _ messages: [AlertMessage], _ error: AlertChannelError
    ) async throws {
        let (now, log) = (house.clock.now, house.log)
        let tries = messages.map(\.tries).min() ?? 0
        log.warning("alerts not told", ["channel": channel.name, "error": error.reason])
        let pause = min(Self.longestPauseSeconds, 30 << Int64(min(tries, 10)))
        try await house.write { transaction in
            // All of the channel: it is the way that fails, not the message.
            try transaction.execute(
                """
                UPDATE alert_message SET tries = tries + 1, last_error = ?, due_at = ?
                WHERE channel = ? AND due_at <= ?
                """, error.reason, now.advanced(bySeconds: pause), channel.name, now)
            let given = try transaction.execute(
                "DELETE FROM alert_message WHERE channel = ? AND tries >= ?", channel.name,
                Self.triesPerMessage)
            if given > 0 {
                log.error(
                    "alerts given up", ["channel": channel.name, "messages": given])
            }
        }
    }
}
