import Service

@testable import SQL

/// SQLite in memory that counts what is asked of it.
final class CountingEngine: SQLEngine {
    private let engine = SQLiteEngine(path: ":memory:", limits: DatabaseLimits())
    private let statements = Lock(0)

    /// Statements that a body brings about.
    func count(_ body: () async throws -> Void) async rethrows -> Int {
        let before = statements.withLock { $0 }
        try await body()
        return statements.withLock { $0 } - before
    }

    func note() { statements.withLock { $0 += 1 } }

    func connect(isReader: Bool) throws(SQLError) -> any SQLConnection {
        CountingConnection(try engine.connect(isReader: isReader), self)
    }

    func mustReopen(after error: SQLError) -> Bool { engine.mustReopen(after: error) }

    func check(_ connection: any SQLConnection, isThorough: Bool) throws(SQLError) -> [String] {
        []
    }

    func checkpoint() throws(SQLError) {}

    func backup(to target: String) throws {}

    func closing() {}
}

private final class CountingConnection: SQLConnection {
    private let connection: any SQLConnection
    private let engine: CountingEngine

    init(_ connection: any SQLConnection, _ engine: CountingEngine) {
        self.connection = connection
        self.engine = engine
    }

    func execute(_ sql: String, _ arguments: [SQLValue]) throws(SQLError) -> Int {
        engine.note()
        return try connection.execute(sql, arguments)
    }

    func query(_ sql: String, _ arguments: [SQLValue]) throws(SQLError) -> [Row] {
        engine.note()
        return try connection.query(sql, arguments)
    }

    func script(_ sql: String) throws(SQLError) { try connection.script(sql) }
    func begin(forWriting: Bool) throws(SQLError) { try connection.begin(forWriting: forWriting) }
    func commit() throws(SQLError) { try connection.commit() }
    func rollback() { connection.rollback() }
    func savepoint() throws(SQLError) { try connection.savepoint() }
    func release() throws(SQLError) { try connection.release() }
    func rollbackToSavepoint() throws(SQLError) { try connection.rollbackToSavepoint() }
    var transactionLoss: SQLError? { connection.transactionLoss }
    func close() { connection.close() }
}
