/// Commits the writes of several callers at once: they share one sync of the disk.
final class GroupWriter {
    private let engine: any SQLEngine
    private var connection: (any SQLConnection)?

    init(_ engine: any SQLEngine, _ connection: any SQLConnection) {
        self.engine = engine
        self.connection = connection
    }

    func close() {
        connection?.close()
        connection = nil
    }

    /// Runs every job in its savepoint, commits, then lets the callers go on.
    func commit(_ jobs: [Database.WriteJob]) {
        var done: [Done] = []
        var next = 0
        do throws(SQLError) {
            let connection = try opened()
            // The board's engine, and most servers': its calls are then known to the compiler.
            if let sqlite = connection as? SQLiteConnection {
                try run(jobs, on: sqlite, &done, &next)
            } else {
                try run(jobs, on: connection, &done, &next)
            }
            for entry in done { entry.outcome.resume() }
        } catch {
            connection?.rollback()
            for entry in done {
                // Who failed by himself is told his own reason.
                entry.outcome.failure == nil ? entry.job.fail(error) : entry.outcome.resume()
            }
            for job in jobs[next...] { job.fail(error) }
            if engine.mustReopen(after: error) { close() }
        }
    }

    private typealias Done = (job: Database.WriteJob, outcome: Database.WriteJob.Done)

    private func run(
        _ jobs: [Database.WriteJob], on connection: some SQLConnection, _ done: inout [Done],
        _ next: inout Int
    ) throws(SQLError) {
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
    }

    private func settle(
        _ outcome: Database.WriteJob.Done, _ connection: some SQLConnection
    ) throws(SQLError) {
        guard let failure = outcome.failure else { return try connection.release() }
        // An engine ends the whole transaction by itself on some errors; then the group is lost.
        if let loss = connection.transactionLoss { throw failure as? SQLError ?? loss }
        try connection.rollbackToSavepoint()
    }

    private func opened() throws(SQLError) -> any SQLConnection {
        if let connection { return connection }
        let opened = try engine.connect(isReader: false)
        connection = opened
        return opened
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
