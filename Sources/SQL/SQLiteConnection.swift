import CSQLite
import Service

/// One connection to a SQLite file. Not Sendable: it lives on one thread.
final class SQLiteConnection: SQLConnection {
    private let handle: OpaquePointer
    private let limits: DatabaseLimits
    private var statements: [String: Statement] = [:]
    private var uses: UInt64 = 0

    /// Opens or makes the file; a reader needs one that is there.
    ///
    /// - `isImmutable`: nobody writes it, and its folder cannot be written: no lock and no log is made.
    init(
        _ path: String, isReader: Bool, isImmutable: Bool = false, _ limits: DatabaseLimits
    ) throws(SQLError) {
        self.limits = limits
        _ = Self.configured
        let flags =
            (isReader ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)
            | SQLITE_OPEN_NOMUTEX | (isImmutable ? SQLITE_OPEN_URI : 0)
        var handle: OpaquePointer?
        let name = isImmutable ? "file:\(Self.escaped(path))?immutable=1" : path
        let code = sqlite3_open_v2(name, &handle, flags, nil)
        guard code == SQLITE_OK, let handle else {
            sqlite3_close_v2(handle)
            throw Self.error(code, "\(path): \(String(cString: sqlite3_errstr(code)))")
        }
        self.handle = handle
        sqlite3_extended_result_codes(handle, 1)
        sqlite3_busy_timeout(handle, limits.busyMilliseconds)
        do throws(SQLError) {
            try check(kerb_sqlite_defend(handle))
            try setUp(isReader: isReader)
        } catch {
            close()
            throw error
        }
    }

    /// As a path stands in a URI.
    private static func escaped(_ path: String) -> String {
        path.replacing(text: "%", with: "%25").replacing(text: "?", with: "%3f")
            .replacing(text: "#", with: "%23")
    }

    // A refusal means that somebody in the process has used SQLite before us; it works as well.
    private static let configured: Void = { _ = kerb_sqlite_configure() }()

    private func setUp(isReader: Bool) throws(SQLError) {
        try script("PRAGMA foreign_keys = ON; PRAGMA cache_size = -\(limits.cacheKiB)")
        if isReader {
            try script("PRAGMA query_only = ON")
            return
        }
        // What is deleted is overwritten, so that nobody reads it out of the file. Debian's SQLite does so
        // by itself; others do not.
        try script("PRAGMA secure_delete = ON")
        // FULL: what is billed must outlive a power cut, and NORMAL loses the last commits then.
        try script("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
        try script("PRAGMA journal_size_limit = \(limits.journalBytes)")
        // A page that is written again and again goes into the database once per checkpoint.
        try script("PRAGMA wal_autocheckpoint = \(limits.checkpointPages)")
        if let pages = limits.pages { try script("PRAGMA max_page_count = \(pages)") }
    }

    func close() {
        for statement in statements.values { sqlite3_finalize(statement.handle) }
        statements = [:]
        sqlite3_close_v2(handle)
    }

    // MARK: Statements

    func execute(_ sql: String, _ arguments: [SQLValue]) throws(SQLError) -> Int {
        let statement = try prepare(sql)
        defer { reset(statement) }
        try bind(arguments, to: statement)
        while true {
            switch sqlite3_step(statement.handle) {
            case SQLITE_ROW: continue
            case SQLITE_DONE: return Int(sqlite3_changes64(handle))
            case let code: throw error(code)
            }
        }
    }

    func query(_ sql: String, _ arguments: [SQLValue]) throws(SQLError) -> [Row] {
        let statement = try prepare(sql)
        defer { reset(statement) }
        try bind(arguments, to: statement)
        var rows: [Row] = []
        while true {
            switch sqlite3_step(statement.handle) {
            case SQLITE_ROW:
                guard rows.count < limits.rowsPerQuery else {
                    throw .tooLarge("more than \(limits.rowsPerQuery) rows")
                }
                rows.append(row(statement))
            case SQLITE_DONE: return rows
            case let code: throw error(code)
            }
        }
    }

    func script(_ sql: String) throws(SQLError) {
        // AUTOINCREMENT: a journal's number must never come twice, even after its last line went.
        let text = sql.replacing(
            text: "{identity}", with: "INTEGER PRIMARY KEY AUTOINCREMENT")
        try check(sqlite3_exec(handle, text, nil, nil, nil))
    }

    // MARK: Transactions

    func begin(forWriting: Bool) throws(SQLError) {
        _ = try execute(forWriting ? "BEGIN IMMEDIATE" : "BEGIN", [])
    }

    func commit() throws(SQLError) { _ = try execute("COMMIT", []) }

    func rollback() {
        guard isInTransaction else { return }
        // A rollback that fails leaves SQLite outside the transaction all the same.
        _ = try? execute("ROLLBACK", [])
    }

    func savepoint() throws(SQLError) { _ = try execute("SAVEPOINT one_caller", []) }
    func release() throws(SQLError) { _ = try execute("RELEASE one_caller", []) }
    func rollbackToSavepoint() throws(SQLError) {
        _ = try execute("ROLLBACK TO one_caller", [])
        try release()
    }

    var transactionLoss: SQLError? { isInTransaction ? nil : .full }

    private var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

    // MARK: The statement cache

    private final class Statement {
        let handle: OpaquePointer
        let columns: ColumnNames
        var lastUse: UInt64 = 0

        init(_ handle: OpaquePointer) {
            self.handle = handle
            columns = ColumnNames(
                (0..<sqlite3_column_count(handle)).map { index in
                    sqlite3_column_name(handle, index).map { String(cString: $0) } ?? ""
                })
        }
    }

    private func prepare(_ sql: String) throws(SQLError) -> Statement {
        uses += 1
        if let statement = statements[sql] {
            statement.lastUse = uses
            return statement
        }
        if statements.count >= limits.cachedStatements { forgetOldest() }
        var prepared: OpaquePointer?
        var text = sql
        var hasMore = false
        let code = text.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) { bytes in
                var tail: UnsafePointer<CChar>?
                let code = sqlite3_prepare_v3(
                    handle, bytes.baseAddress, Int32(bytes.count),
                    UInt32(SQLITE_PREPARE_PERSISTENT),
                    &prepared, &tail)
                let rest = tail.map { bytes[($0 - (bytes.baseAddress ?? $0))...] }
                hasMore = rest?.contains { $0 > 0x20 && $0 != 0x3B } ?? false
                return code
            }
        }
        try check(code)
        guard let prepared else { throw .statement("an empty statement") }
        guard !hasMore else {
            sqlite3_finalize(prepared)
            throw .statement("two statements in one call: \(sql)")
        }
        let statement = Statement(prepared)
        statement.lastUse = uses
        statements[sql] = statement
        return statement
    }

    private func forgetOldest() {
        guard let oldest = statements.min(by: { $0.value.lastUse < $1.value.lastUse }) else {
            return
        }
        sqlite3_finalize(oldest.value.handle)
        statements[oldest.key] = nil
    }

    private func reset(_ statement: Statement) {
        sqlite3_reset(statement.handle)
        sqlite3_clear_bindings(statement.handle)
    }

    private func bind(_ arguments: [SQLValue], to statement: Statement) throws(SQLError) {
        let wanted = sqlite3_bind_parameter_count(statement.handle)
        guard Int(wanted) == arguments.count else {
            throw .statement("\(arguments.count) arguments for \(wanted) places")
        }
        for (index, argument) in arguments.enumerated() {
            try check(bind(argument, at: Int32(index + 1), of: statement.handle))
        }
    }

    private func bind(_ value: SQLValue, at place: Int32, of statement: OpaquePointer) -> Int32 {
        switch value {
        case .null: sqlite3_bind_null(statement, place)
        case .integer(let integer): sqlite3_bind_int64(statement, place, integer)
        case .text(var text):
            text.withUTF8 { bytes in
                bytes.withMemoryRebound(to: CChar.self) {
                    // An empty string may have no address, and SQLite takes that for NULL.
                    $0.isEmpty
                        ? kerb_sqlite_bind_text(statement, place, "", 0)
                        : kerb_sqlite_bind_text(statement, place, $0.baseAddress, Int32($0.count))
                }
            }
        case .blob(let bytes):
            bytes.isEmpty
                ? sqlite3_bind_zeroblob(statement, place, 0)
                : kerb_sqlite_bind_blob(statement, place, bytes, Int32(bytes.count))
        }
    }

    private func row(_ statement: Statement) -> Row {
        let count = sqlite3_column_count(statement.handle)
        var values: [SQLValue] = []
        values.reserveCapacity(Int(count))
        for index in 0..<count { values.append(value(statement.handle, index)) }
        return Row(columns: statement.columns, values: values)
    }

    private func value(_ statement: OpaquePointer, _ index: Int32) -> SQLValue {
        switch sqlite3_column_type(statement, index) {
        case SQLITE_NULL: return .null
        case SQLITE_INTEGER: return .integer(sqlite3_column_int64(statement, index))
        case SQLITE_BLOB:
            guard let start = sqlite3_column_blob(statement, index) else { return .blob([]) }
            let count = Int(sqlite3_column_bytes(statement, index))
            return .blob(Array(UnsafeRawBufferPointer(start: start, count: count)))
        default:
            // Text, and a real (an average, say) in SQLite's own spelling.
            guard let start = sqlite3_column_text(statement, index) else { return .text("") }
            let count = Int(sqlite3_column_bytes(statement, index))
            return .text(
                String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self))
        }
    }

    // MARK: Errors

    private func check(_ code: Int32) throws(SQLError) {
        guard code == SQLITE_OK else { throw error(code) }
    }

    private func error(_ code: Int32) -> SQLError {
        Self.error(code, String(cString: sqlite3_errmsg(handle)))
    }

    static func error(_ code: Int32, _ message: String) -> SQLError {
        switch code & 0xFF {
        // SQLITE_IOERR_READ, SQLITE_IOERR_CORRUPTFS
        case SQLITE_IOERR where code >> 8 == 1 || code >> 8 == 33: .unreadable(message)
        case SQLITE_FULL: .full
        case SQLITE_BUSY, SQLITE_LOCKED: .busy
        case SQLITE_CORRUPT, SQLITE_NOTADB: .corrupt(message)
        case SQLITE_IOERR: .disk(message)
        case SQLITE_CONSTRAINT: .constraint(constraint(code), message)
        case SQLITE_TOOBIG: .tooLarge(message)
        case SQLITE_READONLY, SQLITE_PERM, SQLITE_AUTH, SQLITE_CANTOPEN: .notAllowed(message)
        default: .statement(message)
        }
    }

    private static func constraint(_ code: Int32) -> SQLError.Constraint {
        switch code >> 8 {
        case 8, 6, 10: .unique  // UNIQUE, PRIMARYKEY, ROWID
        case 3: .foreignKey
        case 5: .notNull
        case 1: .check
        default: .other
        }
    }
}
