import CPostgres
import Glibc
import SQL
import Service

/// One session with a server. Not Sendable: one thread uses it at a time.
///
/// Every wait has a limit, so a server or a network that hangs ends the session and not the program.
final class PostgreSQLLink {
    private let handle: OpaquePointer
    private let address: PostgreSQLAddress
    /// The session is over: nothing more can be asked, and what was open is undone by the server.
    private(set) var isLost = false

    private static let connectSeconds = 10

    /// - `name` shows in `pg_stat_activity`.
    init(_ address: PostgreSQLAddress, name: String) throws(SQLError) {
        self.address = address
        var words = [
            ("dbname", address.url), ("application_name", name), ("client_encoding", "UTF8"),
            // A host that vanished without a word is noticed, at both ends, within a minute.
            ("keepalives_idle", "30"), ("keepalives_interval", "10"), ("keepalives_count", "3"),
            ("tcp_user_timeout", "30000"),
        ]
        if address.options["connect_timeout"] == nil {
            words.append(("connect_timeout", "\(Self.connectSeconds)"))
        }
        if let password = address.password { words.append(("password", password)) }
        let keys = words.map { strdup($0.0) }
        let values = words.map { strdup($0.1) }
        defer { for text in keys + values { free(text) } }
        let connection = PQconnectdbParams(
            keys.map { UnsafePointer($0) } + [nil], values.map { UnsafePointer($0) } + [nil], 1)
        guard let connection else { throw .unreachable("out of memory") }
        handle = connection
        guard PQstatus(connection) == CONNECTION_OK else {
            let message = address.cleaned(String(cString: PQerrorMessage(connection)))
            close()
            throw Self.refusal(message)
        }
        kerb_pq_silence(connection)
        PQsetnonblocking(connection, 1)
    }

    /// Why there is no session: libpq hands on no SQLSTATE then, only the server's sentence.
    private static func refusal(_ message: String) -> SQLError {
        let cannotBeMended = [
            "authentication", "password", "does not exist", "no pg_hba.conf entry", "certificate",
            "does not support SSL", "permission", "not permitted",
        ]
        if message.contains(text: "too many clients") { return .busy }
        return cannotBeMended.contains { message.contains(text: $0) }
            && !message.contains(text: "No such file")
            ? .denied(message) : .unreachable(message)
    }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        isLost = true
        PQfinish(handle)
    }

    private var isClosed = false

    deinit { if !isClosed { PQfinish(handle) } }

    // MARK: Asking

    /// Runs statements without arguments, together; the last one's rows.
    @discardableResult
    func run(_ text: String, withinSeconds limit: Int?) throws(SQLError) -> PostgreSQLResult {
        try sent { PQsendQuery(handle, text) }
        return try answer(withinSeconds: limit)
    }

    func prepare(_ name: String, _ text: String, withinSeconds limit: Int?) throws(SQLError) {
        try sent { PQsendPrepare(handle, name, text, 0, nil) }
        _ = try answer(withinSeconds: limit)
    }

    func perform(
        _ name: String, _ arguments: [SQLValue], withinSeconds limit: Int?
    ) throws(SQLError) -> PostgreSQLResult {
        let bound = try Arguments(arguments)
        try sent { bound.send(name, to: handle) }
        return try answer(withinSeconds: limit)
    }

    private func sent(_ send: () -> Int32) throws(SQLError) {
        guard !isLost else { throw .unreachable("the connection is closed") }
        guard send() == 1 else { throw lost() }
    }

    /// Sends what is left to send, then reads until the server has said everything.
    private func answer(withinSeconds limit: Int?) throws(SQLError) -> PostgreSQLResult {
        let deadline = limit.map { Self.now + Int64($0) * 1000 }
        while true {
            switch PQflush(handle) {
            case 0: break
            case 1:
                try wait(for: Int16(POLLIN | POLLOUT), until: deadline)
                guard PQconsumeInput(handle) == 1 else { throw lost() }
                continue
            default: throw lost()
            }
            break
        }
        var last: PostgreSQLResult?
        var failure: SQLError?
        while true {
            while PQisBusy(handle) == 1 {
                try wait(for: Int16(POLLIN), until: deadline)
                guard PQconsumeInput(handle) == 1 else { throw failure ?? lost() }
            }
            guard let pointer = PQgetResult(handle) else { break }
            let result = PostgreSQLResult(pointer)
            switch result.status {
            case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH:
                // It would say so for ever, and waits for data that nobody has.
                isLost = true
                throw .statement("COPY is not for this program")
            case PGRES_BAD_RESPONSE, PGRES_FATAL_ERROR: failure = failure ?? error(result)
            default: last = result
            }
        }
        if PQstatus(handle) != CONNECTION_OK { isLost = true }
        if let failure { throw failure }
        guard let last else { throw lost() }
        return last
    }

    private func wait(for events: Int16, until deadline: Int64?) throws(SQLError) {
        while true {
            let left = deadline.map { max(0, $0 - Self.now) }
            var one = pollfd(fd: PQsocket(handle), events: events, revents: 0)
            switch poll(&one, 1, left.map { Int32(clamping: $0) } ?? -1) {
            case 0:
                isLost = true
                throw .unreachable("it did not answer in time")
            case -1 where errno == EINTR: continue
            case -1: throw lost()
            default: return
            }
        }
    }

    private func error(_ result: PostgreSQLResult) -> SQLError {
        let code = result.code
        guard !code.isEmpty else { return lost() }
        let error = PostgreSQLError.error(code: code, address.cleaned(result.message))
        // The server says that it goes before it goes.
        if case .unreachable = error { isLost = true }
        return error
    }

    private func lost() -> SQLError {
        isLost = true
        return .unreachable(address.cleaned(String(cString: PQerrorMessage(handle))))
    }

    static var now: Int64 { SystemClock().monotonicMilliseconds }
}

/// Arguments as libpq takes them: text with its closing zero, bytes as they are.
private struct Arguments {
    private var bytes: [UInt8] = []
    /// Where each begins; nil is NULL.
    private var starts: [Int?] = []
    private var lengths: [Int32] = []
    private var formats: [Int32] = []

    init(_ arguments: [SQLValue]) throws(SQLError) {
        for (index, argument) in arguments.enumerated() {
            switch argument {
            case .null: addNull()
            case .integer(let integer): add("\(integer)".utf8, isBinary: false)
            case .text(let text):
                guard !text.utf8.contains(0) else {
                    throw .unstorable(
                        "argument \(index + 1) holds the character U+0000, which PostgreSQL keeps in "
                            + "no text")
                }
                add(text.utf8, isBinary: false)
            case .blob(let blob): add(blob, isBinary: true)
            }
        }
    }

    private mutating func add(_ value: some Collection<UInt8>, isBinary: Bool) {
        starts.append(bytes.count)
        lengths.append(Int32(value.count))
        formats.append(isBinary ? 1 : 0)
        bytes.append(contentsOf: value)
        bytes.append(0)
    }

    private mutating func addNull() {
        starts.append(nil)
        lengths.append(0)
        formats.append(0)
    }

    func send(_ name: String, to handle: OpaquePointer) -> Int32 {
        bytes.withUnsafeBytes { buffer in
            let base = buffer.baseAddress?.assumingMemoryBound(to: CChar.self)
            let values = starts.map { start in start.flatMap { start in base.map { $0 + start } } }
            return PQsendQueryPrepared(
                handle, name, Int32(values.count), values, lengths, formats, 0)
        }
    }
}
