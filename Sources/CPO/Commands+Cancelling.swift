import Charging
import SQL
import Service

extension Commands {
    /// What became of the wish to take a command back.
    package enum Cancellation: Hashable, Sendable {
        case cancelled(Command)
        /// It is with the station, or answered.
        case tooLate(Command)
    }

    static let cancelledText = "cancelled before it was sent"
    /// How long the row of a command that was taken off the line may take to say so.
    private static let settleSeconds = 5

    /// Takes a command back that was not sent yet.
    ///
    /// - Returns: nil when there is none of this id.
    package func cancel(
        _ id: String, in house: ChargePointOperator
    ) async throws -> Cancellation? {
        let now = clock.now
        let found = try await house.write { transaction -> (Command, isDone: Bool)? in
            guard var command = try self.command(id, in: transaction) else { return nil }
            guard command.state == .queued else { return (command, false) }
            command.state = .failed
            command.answer = Self.cancelledText
            command.answeredAt = now
            try self.store(command, in: transaction)
            try Reservations.heard(command, at: now, in: transaction)
            try self.mask(command, in: transaction)
            return (command, true)
        }
        guard let (command, isDone) = found else { return nil }
        if isDone { return .cancelled(command) }
        guard command.state == .sent, let links = state.withLock({ $0.links }),
            await links.cancel(id, at: command.station)
        else { return .tooLate(command) }
        let settled = try await settled(id, withinSeconds: Self.settleSeconds) ?? command
        // It was taken off one line, and may have gone out on another that replaced it.
        return settled.answer == Self.cancelledText ? .cancelled(settled) : .tooLate(settled)
    }
}
