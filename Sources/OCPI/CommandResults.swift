import CPO
import Charging
import HTTPClient
import JSON
import SQL
import Service

/// The results we still owe: one per accepted command, to the partner's response URL.
final class CommandResults: Sendable {
    /// Origin of commands that came by this door; the reference is the partner's id.
    static let door = "ocpi"

    /// A row of `ocpi_command` that something has to be done about.
    struct Promise: Hashable, Sendable {
        var command: String
        var peer: String
        var responseURL: String
        var expiresAt: Timestamp
        /// Set where TIMEOUT was sent and a late start is still to be watched for.
        var isTimedOut: Bool
    }

    /// How long after TIMEOUT a late start is still looked for.
    static let watchAfterTimeoutSeconds: Int64 = 600

    private let house: ChargePointOperator
    private struct State {
        /// A result may be owed; then it is worth a query.
        var isAnyExpected = false
        var generation = 0
    }

    private let state = Lock(State())

    init(_ house: ChargePointOperator) { self.house = house }

    /// nil while nothing is owed; else what `settle` wants back.
    var expected: Int? { state.withLock { $0.isAnyExpected ? $0.generation : nil } }

    func expect() {
        state.withLock { state in
            state.isAnyExpected = true
            state.generation += 1
        }
    }

    /// Nothing was owed when `generation` was asked for, and nothing was promised since.
    func settle(_ generation: Int) {
        state.withLock { state in
            if state.generation == generation { state.isAnyExpected = false }
        }
    }

    func load() async throws {
        if try await !promises().isEmpty { expect() }
    }

    func promises() async throws -> [Promise] {
        let since = house.clock.now.advanced(bySeconds: -Self.watchAfterTimeoutSeconds)
        return try await house.read { transaction in
            try transaction.query(
                """
                SELECT * FROM ocpi_command WHERE result IS NULL
                OR (after_timeout = 1 AND result_at > ?) ORDER BY created_at
                """, since
            ).map { row in
                Promise(
                    command: try row.text("id"), peer: try row.text("peer"),
                    responseURL: try row.text("response_url"),
                    expiresAt: try row.timestamp("expires_at"),
                    isTimedOut: try row.bool("after_timeout"))
            }
        }
    }

    /// Marks a result as sent, before it is: it is never sent twice, even through a crash.
    ///
    /// - Returns: false when it was already.
    func claim(_ promise: Promise, _ result: CommandResult) async throws -> Bool {
        let now = house.clock.now
        let isTimeout = result == .timeout
        return try await house.write { transaction in
            try transaction.execute(
                """
                UPDATE ocpi_command SET result = ?, result_at = ?, after_timeout = ?
                WHERE id = ? AND result IS NULL
                """, result.rawValue, now, isTimeout, promise.command) == 1
        }
    }

    func unwatch(_ promise: Promise) async throws {
        _ = try await house.write { transaction in
            try transaction.execute(
                "UPDATE ocpi_command SET after_timeout = 0 WHERE id = ?", promise.command)
        }
    }

    /// What the partner is told about a command; nil while there is nothing to tell.
    static func result(of command: Command) -> (CommandResult, String?)? {
        switch command.state {
        case .queued, .sent: nil
        case .accepted, .seen: (.accepted, nil)
        case .rejected: (refusal(of: command), command.answer)
        case .failed: (.failed, command.answer)
        case .timedOut: (.timeout, command.answer)
        }
    }

    /// A station's no in the partner's words. OCPI 2.2.1 §13.4.2.
    private static func refusal(of command: Command) -> CommandResult {
        switch (command.command, command.answer) {
        case (.reserve, "Occupied"): .evseOccupied
        case (.reserve, "Faulted"), (.reserve, "Unavailable"): .evseInoperative
        case (.cancelReservation, _): .unknownReservation
        default: .rejected
        }
    }
}

extension OCPIDoor {
    /// How often promises are looked at when nothing is announced: for those that run out of time.
    static let resultTickMilliseconds: Int64 = 500

    /// Sends results as commands settle, and TIMEOUT where they do not.
    func runResults() async throws {
        try await withThrowingDiscardingTaskGroup { group in
            while true {
                try await house.clock.sleep(milliseconds: Self.resultTickMilliseconds)
                guard let generation = results.expected else { continue }
                let promises = try await results.promises()
                for promise in promises where try await isDue(promise) {
                    // Each on its own: a partner that hangs delays no other's result.
                    group.addTask { await self.bringResult(promise) }
                }
                if promises.isEmpty { results.settle(generation) }
            }
        }
    }

    private func isDue(_ promise: CommandResults.Promise) async throws -> Bool {
        guard let command = try await house.commands.command(promise.command) else { return false }
        if promise.isTimedOut { return command.state == .seen }
        guard CommandResults.result(of: command) != nil || house.clock.now >= promise.expiresAt
        else { return false }
        let result = CommandResults.result(of: command)?.0 ?? .timeout
        return try await results.claim(promise, result)
    }

    private func bringResult(_ promise: CommandResults.Promise) async {
        do {
            guard let command = try await house.commands.command(promise.command) else { return }
            if promise.isTimedOut { return try await stopLateStart(promise, command) }
            let (result, message) = CommandResults.result(of: command) ?? (.timeout, nil)
            guard let peer = peers.peer(promise.peer), let credentials = peer.outgoing else {
                return
            }
            _ = try await caller.call(
                .post, promise.responseURL, credentials, route: route(to: peer, command),
                body: result.wire(message))
            house.log.info(
                "ocpi command result sent",
                ["partner": peer.name, "command": promise.command, "result": result.rawValue])
        } catch {
            // Not repeated: the partner has its own timeout, and the session tells the truth.
            house.log.warning(
                "ocpi command result not taken",
                ["command": promise.command, "error": LogError(error)])
        }
    }

    /// A charge that starts after we said TIMEOUT is one the driver was told he does not have.
    private func stopLateStart(_ promise: CommandResults.Promise, _ command: Command) async throws {
        try await results.unwatch(promise)
        guard case .start = command.command, let session = command.effect else { return }
        house.log.warning("charge began after its timeout", ["session": session])
        do {
            _ = try await house.stop(
                session: session, origin: CommandOrigin(door: "ocpi-late", reference: promise.peer))
        } catch is CommandRefusal {
            // It cannot be stopped: then it is a session like any other, and was pushed as one.
        }
    }

    private func route(to peer: Peer, _ command: Command) -> (from: PartyID, to: PartyID?) {
        let owner = command.token?.party
        return (house.settings.party, owner ?? peer.parties.first)
    }
}
