/// Commits the writes of several callers at once: they share one sync of the disk.
final class GroupWriter {
    private let path: String
    private let limits: DatabaseLimits
    private var connection: SQLiteConnection?

    init(_ path: String, _ connection: SQLiteConnection, _ limits: DatabaseLimits) {
        self.path = path
        self.limits = limits
        self.connection = connection
    }

    func close() {
        connection?.close()
        connection = nil
    }

    /// Runs every job in its savepoint, commits, then lets the callers go on.
    func commit(_ jobs: [Database.WriteJob]) {
        var done: [(job: Database.WriteJob, outcome: Database.WriteJob.Done)] = []
        var next = 0
        do throws(SQLError) {
            let connection = try opened()
            try connection.begin(forWriting: true)
            let transaction = Transaction(connection)
            while next < jobs.count {
                try connection.savepoint()
                let outcome = jobs[next].run(transaction)
                // From here the job's own outcome stands for it, also where the group fails.
                done.append((jobs[next], outcome))
                next += 1
                try settle(outcome, connection)
            }
            try connection.commit()
            for entry in done { entry.outcome.resume() }
        } catch {
            connection?.rollback()
            for entry in done {
                // Who failed by himself is told his own reason.
                entry.outcome.failure == nil ? entry.job.fail(error) : entry.outcome.resume()
            }
            for job in jobs[next...] { job.fail(error) }
            giveUp(after: error)
        }
    }

    private func settle(
        _ outcome: Database.WriteJob.Done, _ connection: SQLiteConnection
    ) throws(SQLError) {
        guard let failure = outcome.failure else { return try connection.release() }
        // SQLite ends the whole transaction by itself on some errors; then the group is lost.
        guard connection.isInTransaction else { throw failure as? SQLError ?? .full }
        try connection.rollbackToSavepoint()
    }

    private func opened() throws(SQLError) -> SQLiteConnection {
        if let connection { return connection }
        let opened = try SQLiteConnection(path, isReader: false, limits)
        connection = opened
        return opened
    }

    /// After a failed sync the kernel may have dropped the pages and say "done" the next time, so
    /// the file is opened anew and read back from the disk rather than synced again.
    private func giveUp(after error: SQLError) {
        switch error {
        case .disk, .corrupt:
            if path != ":memory:" { close() }
        default: break
        }
    }
}

extension Result {
    var failure: Failure? {
        switch self {
        case .success: nil
        case .failure(let failure): failure
        }
    }
}
