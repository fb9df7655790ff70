import Glibc
import SQL

/// Transactions of a connection.
///
/// Writers wait for each other at an advisory lock that their transaction holds, so each sees all
/// that was committed before it and nobody writes meanwhile: READ COMMITTED is then serializable.
/// Readers take one snapshot (REPEATABLE READ).
///
/// Each group writes its number into the writer's row (`kerb_writer`) in its own transaction. When the
/// connection breaks on COMMIT, that number tells whether it was committed: the callers are told so,
/// or that nothing was stored, and wait until it is known.
extension PostgreSQLConnection {
    private static let savepointText = "SAVEPOINT one_caller"
    private static let settlePauseMicroseconds: UInt32 = 200_000

    func begin(forWriting: Bool) throws(SQLError) {
        beginsAnew()
        if forWriting, let desk {
            pending = ["BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", desk.lock]
        } else {
            pending = ["BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"]
        }
    }

    /// The session with all sent that was pending. One that was lost before the transaction did
    /// anything is replaced without a word.
    func ready() throws(SQLError) -> PostgreSQLLink {
        if link?.isLost != false, !hasBegun { try connect() }
        guard !pending.isEmpty else { return try live() }
        let text = pending.joined(separator: "; ")
        do throws(SQLError) {
            try live().run(text, withinSeconds: Self.answerSeconds)
        } catch {
            guard link?.isLost != false, !hasBegun else {
                // What the server refused here it refuses to all that follows.
                hasBegun = true
                pending = []
                transactionLoss = error
                throw error
            }
            try connect()
            try live().run(text, withinSeconds: Self.answerSeconds)
        }
        pending = []
        hasBegun = true
        return try live()
    }

    private func live() throws(SQLError) -> PostgreSQLLink {
        guard let link, !link.isLost else { throw .unreachable("the connection was lost") }
        return link
    }

    func commit() throws(SQLError) {
        if let transactionLoss { throw transactionLoss }
        // Nothing was asked: there is nothing to end.
        guard hasBegun, let desk else { return beginsAnew() }
        let link = try live()
        batch += 1
        do throws(SQLError) {
            try link.run("\(desk.mark(batch)); COMMIT", withinSeconds: Self.answerSeconds)
        } catch {
            // Refused, and then it is still to be rolled back; or nobody knows.
            guard link.isLost else { throw error }
            drop()
            guard try isStored(batch, desk) else { throw error }
        }
        beginsAnew()
    }

    /// Whether a group was committed whose answer did not come.
    ///
    /// Asks until it knows: a caller who is told "not stored" sends again, and one who is told
    /// "stored" never does. Only the end of the program ends it, and then nobody is told anything.
    private func isStored(_ batch: Int64, _ desk: WriterDesk) throws(SQLError) -> Bool {
        while true {
            do throws(SQLError) {
                let link = try session()
                defer { link.close() }
                return try desk.lastBatch(link) >= batch
            } catch {
                // Another server's seat, or a mark that is gone: asking again does not help.
                if case .denied = error { throw error }
                if case .corrupt = error { throw error }
                guard !engine.isClosing else {
                    throw .unreachable("the program ended before it knew whether this was stored")
                }
                usleep(Self.settlePauseMicroseconds)
            }
        }
    }

    func rollback() {
        defer { beginsAnew() }
        guard hasBegun, let link, !link.isLost else { return }
        do throws(SQLError) {
            try link.run("ROLLBACK", withinSeconds: Self.answerSeconds)
        } catch {
            // The server undoes what its lost session had open.
            drop()
        }
    }

    func savepoint() throws(SQLError) {
        if let transactionLoss { throw transactionLoss }
        pending.append(Self.savepointText)
    }

    func release() throws(SQLError) {
        if pending.last == Self.savepointText {
            pending.removeLast()
        } else {
            pending.append("RELEASE one_caller")
        }
    }

    func rollbackToSavepoint() throws(SQLError) {
        if pending.last == Self.savepointText {
            pending.removeLast()
            return
        }
        try live().run(
            "ROLLBACK TO one_caller; RELEASE one_caller", withinSeconds: Self.answerSeconds)
    }
}
