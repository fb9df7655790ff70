/// What opens the connections of an engine: the seam between the house and a database.
///
/// SQLite's is in this module, because the board needs it; others have modules of their own.
package protocol SQLEngine: Sendable {
    func connect(isReader: Bool) throws(SQLError) -> any SQLConnection
    /// Whether the writer's connection is of no use after this error.
    func mustReopen(after error: SQLError) -> Bool
    /// What the engine finds wrong with what is stored, or with how it is kept; empty: nothing.
    func check(_ connection: any SQLConnection, isThorough: Bool) throws(SQLError) -> [String]
    /// Brings what was committed from the log to its place.
    func checkpoint() throws(SQLError)
    /// Writes a copy, as of now, into a new SQLite file (mode 0600). May take minutes.
    func backup(to target: String) throws
    /// The database is being closed: whoever waits for a server gives up.
    func closing()
}

/// One connection of an engine. One thread uses it at a time.
///
/// What `commit` returned from is durable; what it threw for is not stored.
package protocol SQLConnection: AnyObject {
    func execute(_ sql: String, _ arguments: [SQLValue]) throws(SQLError) -> Int
    func query(_ sql: String, _ arguments: [SQLValue]) throws(SQLError) -> [Row]
    /// Runs a script of several statements without arguments; `{identity}` is replaced.
    func script(_ sql: String) throws(SQLError)
    func begin(forWriting: Bool) throws(SQLError)
    func commit() throws(SQLError)
    func rollback()
    /// One caller's part of a group: it can fail alone.
    func savepoint() throws(SQLError)
    func release() throws(SQLError)
    func rollbackToSavepoint() throws(SQLError)
    /// Why the engine has ended the transaction by itself, as SQLite does on a full disk; nil while it
    /// is on.
    var transactionLoss: SQLError? { get }
    func close()
}
