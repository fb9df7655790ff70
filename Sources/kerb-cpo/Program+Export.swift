import CPO
import Charging
import Console
import Glibc
import SQL
import Service

extension Program {
    static let exportCommand = CommandTable.Command(
        "export", arguments: ["bills|sessions", "FILE"],
        flags: [
            config,
            .init("--from", "TIME", "created (sessions: changed) at or after this, RFC 3339"),
            .init("--until", "TIME", "before this, at the latest a minute ago (a minute ago)"),
            .init(
                "--unsettled",
                "up to this moment: do not go on from here, a bill on its way would be in no file"),
        ],
        "all bills or sessions of a time as one CSV file for the accounts, while the server runs")

    private static let rowsAPage = 1000
    private static let mostAttempts = 5
    /// A bill has the time at which its stop arrived, and is in the rows once it is committed. Files that
    /// follow on each other hold each bill once if between the two there is never so long.
    private static let settleSeconds: Int64 = 60

    /// Writes beside FILE and renames at the end: there is a whole file or none.
    static func export(_ invocation: CommandTable.Invocation) async throws -> ExitCode {
        let (kind, file) = (invocation.arguments[0], invocation.arguments[1])
        guard ["bills", "sessions"].contains(kind) else {
            throw Failure(
                code: .usage, text: "bills|sessions: \(kind) is neither; write one of them")
        }
        let from = try moment("--from", invocation) ?? Timestamp(milliseconds: 0)
        let until = try until(invocation)
        guard from < until else {
            throw Failure(code: .usage, text: "--from: must be before --until")
        }
        guard !FileSystem.exists(file) else {
            throw Failure(
                code: .refused, text: "\(file) is there already; name another, or remove it")
        }
        let settings = try settings(invocation)
        let database = try await open(settings)
        let house = try await ChargePointOperator(
            database: database, settings: settings.house, log: log(invocation))
        var rows: Int?
        for _ in 0..<mostAttempts where rows == nil {
            rows = try await write(kind, house, from, until, to: file)
        }
        await database.close()
        guard let rows else {
            throw Failure(
                text: "sessions: they changed while they were written; ask for a time that is over")
        }
        print("\(file): \(rows) \(kind) from \(from.rfc3339) to \(until.rfc3339)")
        return .done
    }

    /// nil where what was asked for changed meanwhile, so that a page may miss a row.
    private static func write(
        _ kind: String, _ house: ChargePointOperator, _ from: Timestamp, _ until: Timestamp,
        to file: String
    ) async throws -> Int? {
        let beside = "\(file).part-\(getpid())"
        // Names drivers: for its owner alone.
        let descriptor = Glibc.open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw Failure(text: "\(beside): \(String(cString: strerror(errno)))")
        }
        var isWhole = false
        defer {
            close(descriptor)
            if !isWhole { unlink(beside) }
        }
        var (offset, total) = (0, Int?.none)
        repeat {
            let page = try await page(kind, house, from, until, offset: offset)
            if let total, total != page.total { return nil }
            total = page.total
            try put(page.text, descriptor, beside)
            offset += page.count
            if page.count == 0 { break }
        } while offset < total ?? 0
        guard fsync(descriptor) == 0, rename(beside, file) == 0 else {
            throw Failure(text: "\(file): \(String(cString: strerror(errno)))")
        }
        isWhole = true
        return offset
    }

    private static func page(
        _ kind: String, _ house: ChargePointOperator, _ from: Timestamp, _ until: Timestamp,
        offset: Int
    ) async throws -> (text: String, count: Int, total: Int) {
        if kind == "bills" {
            let page = try await house.cdrs.list(
                from: from, until: until, offset: offset, limit: rowsAPage)
            return (CSV.bills(page.cdrs, isContinued: offset > 0), page.cdrs.count, page.total)
        }
        var filter = Sessions.Filter()
        filter.updatedFrom = from
        filter.updatedUntil = until
        let page = try await house.sessions.list(filter, offset: offset, limit: rowsAPage)
        return (
            CSV.sessions(page.sessions, isContinued: offset > 0), page.sessions.count, page.total
        )
    }

    private static func put(_ text: String, _ descriptor: CInt, _ file: String) throws {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else {
                throw Failure(text: "\(file): \(String(cString: strerror(errno)))")
            }
            bytes = bytes.dropFirst(count)
        }
    }

    private static func until(_ invocation: CommandTable.Invocation) throws -> Timestamp {
        let now = SystemClock().now
        let isUnsettled = invocation.has("--unsettled")
        let latest = isUnsettled ? now : now.advanced(bySeconds: -settleSeconds)
        guard let wanted = try moment("--until", invocation) else { return latest }
        guard wanted <= latest else {
            throw Failure(
                code: .usage,
                text: "--until: at the latest \(latest.rfc3339), as a bill may be on its way "
                    + "for \(settleSeconds) s; leave it out, or come back later")
        }
        return wanted
    }

    private static func moment(_ flag: String, _ invocation: CommandTable.Invocation) throws
        -> Timestamp?
    {
        guard let text = invocation.value(flag) else { return nil }
        guard let moment = Timestamp(rfc3339: text) else {
            throw Failure(
                code: .usage, text: "\(flag): \(text) is no time; write as 2026-11-01T00:00:00Z")
        }
        return moment
    }
}
