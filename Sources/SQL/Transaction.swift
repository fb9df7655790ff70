/// An open transaction on one connection. It lives only inside the closure that was given it.
///
/// Statements are written once for both engines, with `?` for each argument in order.
package final class Transaction {
    let connection: any SQLConnection

    init(_ connection: any SQLConnection) { self.connection = connection }

    /// Runs a statement that returns no rows; returns how many rows it changed.
    @discardableResult
    package func execute(
        _ sql: String, _ arguments: (any SQLConvertible)?...
    ) throws(SQLError) -> Int {
        try connection.execute(sql, arguments.map { SQLValue($0) })
    }

    /// The same with the arguments as a list.
    @discardableResult
    package func execute(_ sql: String, list arguments: [SQLValue]) throws(SQLError) -> Int {
        try connection.execute(sql, arguments)
    }

    /// All rows, at most `DatabaseLimits.rowsPerQuery` (more throw `.tooLarge`: page with `LIMIT`).
    package func query(
        _ sql: String, _ arguments: (any SQLConvertible)?...
    ) throws(SQLError) -> [Row] {
        try connection.query(sql, arguments.map { SQLValue($0) })
    }

    /// The same with the arguments as a list.
    package func query(_ sql: String, list arguments: [SQLValue]) throws(SQLError) -> [Row] {
        try connection.query(sql, arguments)
    }

    /// The first row, if any.
    package func queryOne(
        _ sql: String, _ arguments: (any SQLConvertible)?...
    ) throws(SQLError) -> Row? {
        try connection.query(sql, arguments.map { SQLValue($0) }).first
    }
}
