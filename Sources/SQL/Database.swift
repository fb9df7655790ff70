import Charging
import Service

/// What bounds a database, in one place.
package struct DatabaseLimits: Hashable, Sendable {
    /// Writes that wait for the writer; more are refused with `.busy`.
    package var waitingWrites = 16_384
    /// Reads that wait for a reader; more are refused with `.busy`.
    package var waitingReads = 4096
    /// Callers that share one commit.
    package var callersPerCommit = 512
    package var rowsPerQuery = 100_000
    package var cachedStatements = 256
    package var cacheKiB = 8192
    /// The write-ahead log is cut back to this after a checkpoint.
    package var journalBytes = 32 << 20
    /// Pages of 4 KiB in the log that bring on a checkpoint.
    package var checkpointPages = 4000
    /// How long to wait for another process that holds the file.
    package var busyMilliseconds: Int32 = 5000
    /// The most pages of 4 KiB; nil: as many as the disk holds.
    package var pages: Int?

    package init() {}
}

/// The database: one thread writes and commits in groups, others read.
///
/// What `write` returned is on the disk: in SQLite's write-ahead log with `synchronous = FULL`, or
/// wherever another engine keeps what it calls committed.
package final class Database: Sendable {
    private let engine: any SQLEngine
    private let limits: DatabaseLimits
    private let clock: any ServiceClock
    private let writes: BlockingQueue<WriteJob>
    private let reads: BlockingQueue<ReadJob>?
    private let running: Lock<Running>

    /// Opens the file, or makes it (mode 0600). `:memory:` is a database of its own for tests.
    package convenience init(
        path: String, readers: Int = 2, limits: DatabaseLimits = DatabaseLimits(),
        clock: any ServiceClock = .system
    ) throws(SQLError) {
        let engine = SQLiteEngine(path: path, limits: limits)
        if !engine.isInMemory { try Self.makePrivate(path) }
        // A memory database belongs to its one connection, so its reads go to the writer.
        try self.init(
            engine: engine, readers: engine.isInMemory ? 0 : readers, limits: limits, clock: clock)
    }

    /// Opens the writer's connection and `readers` more.
    package init(
        engine: any SQLEngine, readers: Int, limits: DatabaseLimits = DatabaseLimits(),
        clock: any ServiceClock = .system
    ) throws(SQLError) {
        self.engine = engine
        self.limits = limits
        self.clock = clock
        let writer = try engine.connect(isReader: false)
        var readConnections: [any SQLConnection] = []
        do throws(SQLError) {
            for _ in 0..<readers {
                readConnections.append(try engine.connect(isReader: true))
            }
        } catch {
            for connection in readConnections { connection.close() }
            writer.close()
            throw error
        }
        writes = BlockingQueue(limit: limits.waitingWrites)
        reads = readers > 0 ? BlockingQueue(limit: limits.waitingReads) : nil
        running = Lock(Running(threads: readers + 1))
        start(writer, readConnections)
    }

    deinit {
        engine.closing()
        writes.close()
        reads?.close()
    }

    /// Runs `body` in a transaction on the writer's thread and returns once it is durable.
    ///
    /// Callers who wait at the same time share one commit; each body has its own savepoint, so an
    /// error of one undoes that one alone. `body` runs once and must not wait for anything.
    ///
    /// - Throws: what `body` threw; `SQLError` of the commit, and then nothing was stored.
    @discardableResult
    nonisolated(nonsending) package func write<Value: Sendable>(
        _ body: @escaping @Sendable (Transaction) throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            let job = WriteJob { transaction in
                let value = Result { try body(transaction) }
                return WriteJob.Done(
                    failure: value.failure, resume: { continuation.resume(with: value) })
            } fail: {
                continuation.resume(throwing: $0)
            }
            put(job, into: writes) { job.fail($0) }
        }
    }

    /// Runs `body` on a reader: it sees one state of the database, that of its first query.
    nonisolated(nonsending) package func read<Value: Sendable>(
        _ body: @escaping @Sendable (Transaction) throws -> Value
    ) async throws -> Value {
        guard let reads else { return try await write(body) }
        return try await withCheckedThrowingContinuation { continuation in
            let job = ReadJob { connection in
                continuation.resume(with: Result { try Self.reading(connection, body) })
            } fail: {
                continuation.resume(throwing: $0)
            }
            put(job, into: reads) { job.fail($0) }
        }
    }

    /// Brings the schema up to date: the missing steps in order, all of them or none.
    ///
    /// - Throws: `.newerDatabase` if a newer program has been here, `.changedMigration`.
    nonisolated(nonsending) package func migrate(_ migrations: [Migration]) async throws {
        let migrator = Migrator(migrations)
        let now = clock.now.milliseconds
        try await write { transaction in try transaction.migrate(migrator, at: now) }
    }

    /// Copies the database, as of now, into a new SQLite file (mode 0600); writers go on meanwhile.
    ///
    /// - Throws: `.notAllowed` if the file is there already.
    nonisolated(nonsending) package func backup(to target: String) async throws {
        try await onItsOwnThread("sql backup") { try $0.backup(to: target) }
    }

    /// Plays the whole write-ahead log into the file, as far as no reader needs it.
    nonisolated(nonsending) package func checkpoint() async throws {
        try await onItsOwnThread("sql checkpoint") { try $0.checkpoint() }
    }

    /// It may take minutes and must hold up no reader.
    nonisolated(nonsending) private func onItsOwnThread(
        _ name: String, _ body: @escaping @Sendable (any SQLEngine) throws -> Void
    ) async throws {
        let engine = engine
        try await withCheckedThrowingContinuation {
            (continuation: CheckedContinuation<Void, any Error>) in
            _ = NativeThread.start(name) {
                continuation.resume(with: Result { try body(engine) })
            }
        }
    }

    /// What the engine finds wrong at a glance (SQLite: `quick_check`); empty when it is sound.
    nonisolated(nonsending) package func quickCheck() async throws -> [String] {
        let engine = engine
        return try await read { try engine.check($0.connection, isThorough: false) }
    }

    /// The same with every index held against its table: what `quickCheck` leaves out.
    nonisolated(nonsending) package func integrityCheck() async throws -> [String] {
        let engine = engine
        return try await read { try engine.check($0.connection, isThorough: true) }
    }

    /// The program ends: nothing waits any more for an engine that is away.
    package func willClose() { engine.closing() }

    /// Lets what waits finish, then closes the file. Later calls throw `.closed`.
    nonisolated(nonsending) package func close() async {
        engine.closing()
        writes.close()
        reads?.close()
        await withCheckedContinuation { continuation in
            let isOver = running.withLock { running in
                if running.threads == 0 { return true }
                running.waiters.append(continuation)
                return false
            }
            if isOver { continuation.resume() }
        }
    }
}

// MARK: The threads

extension Database {
    struct Running {
        var threads: Int
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    /// One caller's write.
    struct WriteJob: Sendable {
        struct Done {
            let failure: (any Error)?
            let resume: @Sendable () -> Void
        }

        let run: @Sendable (Transaction) -> Done
        let fail: @Sendable (SQLError) -> Void
    }

    /// One caller's read.
    struct ReadJob: Sendable {
        let run: @Sendable (any SQLConnection) -> Void
        let fail: @Sendable (SQLError) -> Void
    }

    private func put<Job: Sendable>(
        _ job: Job, into queue: BlockingQueue<Job>, refused: (SQLError) -> Void
    ) {
        do throws(BlockingQueue<Job>.Refusal) {
            try queue.put(job)
        } catch {
            switch error {
            case .full: refused(.busy)
            case .closed: refused(.closed)
            }
        }
    }

    private func start(_ writer: any SQLConnection, _ readers: [any SQLConnection]) {
        // The threads know the queues and not the database, so that letting go of it ends them.
        let (engine, limits, writes, running) = (engine, limits, writes, running)
        let writerBox = Handover(writer)
        _ = NativeThread.start("sql writer") {
            let writer = GroupWriter(engine, writerBox.connection)
            while let jobs = writes.take(most: limits.callersPerCommit) { writer.commit(jobs) }
            writer.close()
            Self.ended(running)
        }
        guard let reads else { return }
        for reader in readers {
            let box = Handover(reader)
            _ = NativeThread.start("sql reader") {
                while let jobs = reads.take(most: 1) { for job in jobs { job.run(box.connection) } }
                box.connection.close()
                Self.ended(running)
            }
        }
    }

    private static func ended(_ running: Lock<Running>) {
        let waiters = running.withLock { running in
            running.threads -= 1
            return running.threads == 0 ? running.waiters : []
        }
        for waiter in waiters { waiter.resume() }
    }

    // @unchecked: hands a connection from the thread that opened it to the one that will own it.
    private struct Handover: @unchecked Sendable {
        let connection: any SQLConnection
        init(_ connection: any SQLConnection) { self.connection = connection }
    }
}
