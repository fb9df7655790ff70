import Glibc
import SQL
import Service

/// A connection that makes itself a new session when the server was away. Not Sendable.
///
/// Its transactions are in `PostgreSQLConnection+Transactions.swift`.
final class PostgreSQLConnection: SQLConnection {
    let engine: PostgreSQLEngine
    let isReader: Bool
    var link: PostgreSQLLink?
    private var statements: [String: Statement] = [:]
    private var uses: UInt64 = 0
    private var names = 0

    /// What is to be sent before the next statement: it then costs one way there and back for all.
    var pending: [String] = []
    /// The transaction's BEGIN has reached the server.
    var hasBegun = false
    var transactionLoss: SQLError?

    var desk: WriterDesk?
    /// Groups this program has committed, or tried to, by this connection.
    var batch: Int64 = 0

    static let statementSeconds = 60
    /// The server ends a statement by itself; one that does not even do that is gone.
    static let answerSeconds = statementSeconds + 15
    private static let pauseMicroseconds: UInt32 = 100_000

    init(_ engine: PostgreSQLEngine, isReader: Bool) {
        self.engine = engine
        self.isReader = isReader
    }

    // MARK: The session

    /// Makes a session, and waits a moment for a server that starts or for another's end.
    func connect() throws(SQLError) {
        let deadline = PostgreSQLLink.now + Int64(engine.limits.busyMilliseconds)
        while true {
            do throws(SQLError) {
                return try attach()
            } catch {
                switch error {
                case .unreachable, .busy: break
                default: throw error
                }
                guard PostgreSQLLink.now < deadline, !engine.isClosing else { throw error }
                usleep(Self.pauseMicroseconds)
            }
        }
    }

    private func attach() throws(SQLError) {
        drop()
        let link = try session()
        do throws(SQLError) {
            if !isReader {
                let desk = desk ?? WriterDesk(token: engine.token, isServer: engine.isServer)
                try desk.take(link)
                self.desk = desk
            }
        } catch {
            link.close()
            throw error
        }
        self.link = link
    }

    /// A session with the settings the house counts on, whatever the server's or the user's are.
    func session() throws(SQLError) -> PostgreSQLLink {
        let name = isReader ? "kerb-cpo reader" : "kerb-cpo writer"
        let link = try PostgreSQLLink(engine.address, name: "\(name) \(engine.token)")
        do throws(SQLError) {
            try link.run(
                """
                SET statement_timeout = \(Self.statementSeconds * 1000);
                SET standard_conforming_strings = on; SET bytea_output = 'hex';
                SET client_min_messages = warning;
                SELECT set_config('synchronous_commit', 'on', false)
                WHERE current_setting('synchronous_commit') = 'off'
                """, withinSeconds: Self.answerSeconds)
        } catch {
            link.close()
            throw error
        }
        return link
    }

    func drop() {
        link?.close()
        link = nil
        statements = [:]
    }

    func close() {
        if let link, !link.isLost { desk?.leave(link) }
        drop()
    }

    // MARK: Statements

    func execute(_ sql: String, _ arguments: [SQLValue]) throws(SQLError) -> Int {
        try performed(sql, arguments).result.changes
    }

    func query(_ sql: String, _ arguments: [SQLValue]) throws(SQLError) -> [Row] {
        let (result, statement) = try performed(sql, arguments)
        guard result.count <= engine.limits.rowsPerQuery else {
            throw .tooLarge("more than \(engine.limits.rowsPerQuery) rows")
        }
        let shape = statement.shape ?? result.shape()
        statement.shape = shape
        var rows: [Row] = []
        rows.reserveCapacity(result.count)
        for index in 0..<result.count { rows.append(try result.row(index, shape)) }
        return rows
    }

    func script(_ sql: String) throws(SQLError) {
        // A step over large tables takes as long as it takes.
        try during { link throws(SQLError) in
            try link.run("SET LOCAL statement_timeout = 0", withinSeconds: Self.answerSeconds)
            try link.run(PostgreSQLText.schema(sql), withinSeconds: nil)
        }
    }

    private func performed(
        _ sql: String, _ arguments: [SQLValue]
    ) throws(SQLError) -> (result: PostgreSQLResult, statement: Statement) {
        try during { link throws(SQLError) in
            let statement = try prepared(sql, link)
            guard statement.places == arguments.count else {
                throw .statement("\(arguments.count) arguments for \(statement.places) places")
            }
            let result = try link.perform(
                statement.name, arguments, withinSeconds: Self.answerSeconds)
            return (result, statement)
        }
    }

    /// Whatever ends the session in a transaction ends the transaction.
    private func during<Value>(
        _ body: (PostgreSQLLink) throws(SQLError) -> Value
    ) throws(SQLError) -> Value {
        if let transactionLoss { throw transactionLoss }
        do throws(SQLError) {
            let link = try ready()
            return try body(link)
        } catch {
            if link?.isLost != false { transactionLoss = error }
            throw error
        }
    }

    func beginsAnew() {
        transactionLoss = nil
        hasBegun = false
        pending = []
    }

    // MARK: The statement cache

    final class Statement {
        let name: String
        let places: Int
        var shape: PostgreSQLResult.Shape?
        var lastUse: UInt64 = 0

        init(name: String, places: Int) {
            self.name = name
            self.places = places
        }
    }

    private func prepared(_ sql: String, _ link: PostgreSQLLink) throws(SQLError) -> Statement {
        uses += 1
        if let known = statements[sql] {
            known.lastUse = uses
            return known
        }
        if statements.count >= engine.limits.cachedStatements,
            let oldest = statements.min(by: { $0.value.lastUse < $1.value.lastUse })
        {
            statements[oldest.key] = nil
            try link.run("DEALLOCATE \(oldest.value.name)", withinSeconds: Self.answerSeconds)
        }
        names += 1
        let (text, places) = PostgreSQLText.numbered(sql)
        let statement = Statement(name: "s\(names)", places: places)
        do throws(SQLError) {
            try link.prepare(statement.name, text, withinSeconds: Self.answerSeconds)
        } catch {
            if case .statement(let why) = error { throw .statement("\(why): \(sql)") }
            throw error
        }
        statement.lastUse = uses
        statements[sql] = statement
        return statement
    }
}
