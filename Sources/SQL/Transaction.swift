/// An open transaction on one connection. It lives only inside the closure that was given it.
///
/// Statements are written once for both engines, with `?` for each argument in order.
package final class Transaction {
    let connection: any SQLConnection
    /// The same where it is SQLite's: called without a look at what it is, for every statement of
    /// every message.
    private let sqlite: SQLiteConnection?

    init(_ connection: any SQLConnection) {
        self.connection = connection
        sqlite = connection as? SQLiteConnection
    }

    private func run(_ sql: String, _ arguments: [SQLValue]) throws(SQLError) -> Int {
        if let sqlite { return try sqlite.execute(sql, arguments) }
        return try connection.execute(sql, arguments)
    }

    private func rows(_ sql: String, _ arguments: [SQLValue]) throws(SQLError) -> [Row] {
        if let sqlite { return try sqlite.query(sql, arguments) }
        return try connection.query(sql, arguments)
    }

    /// Runs a statement that returns no rows; returns how many rows it changed.
    @discardableResult
    package func execute(
        _ sql: String, _ arguments: (any SQLConvertible)?...
    ) throws(SQLError) -> Int {
        try run(sql, arguments.map { SQLValue($0) })
    }

    /// The same with the arguments as a list.
    @discardableResult
    package func execute(_ sql: String, list arguments: [SQLValue]) throws(SQLError) -> Int {
        try run(sql, arguments)
    }

    /// All rows, at most `DatabaseLimits.rowsPerQuery` (more throw `.tooLarge`: page with `LIMIT`).
    package func query(
        _ sql: String, _ arguments: (any SQLConvertible)?...
    ) throws(SQLError) -> [Row] {
        try rows(sql, arguments.map { SQLValue($0) })
    }

    /// The same with the arguments as a list.
    package func query(_ sql: String, list arguments: [SQLValue]) throws(SQLError) -> [Row] {
        try rows(sql, arguments)
    }

    /// The first row, if any.
    package func queryOne(
        _ sql: String, _ arguments: (any SQLConvertible)?...
    ) throws(SQLError) -> Row? {
        try rows(sql, arguments.map { SQLValue($0) }).first
    }
}
