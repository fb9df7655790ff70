import Charging
import JSON
import SQL

/// What the board tells of its upkeep: the log of security events, and what of it and of updates and
/// uploads the operator has not heard yet. Security white paper §4.
extension BoardJournal {
    /// One report that the operator has not confirmed.
    package struct Report: Hashable, Sendable {
        package var seq: Int64
        package var report: MaintenanceReport
        package var refusals: Int
    }

    /// Queues a report; a security event stays as a line of the security log afterwards.
    func note(_ report: MaintenanceReport, at: Timestamp) async throws {
        let (bootID, base, most) = (bootID, base(of: at), limits.securityEvents)
        guard let row = ReportRow(report) else { return }
        try await write(.report) { sql in
            try sql.execute(
                """
                INSERT INTO upkeep_report
                    (kind, word, request, info, at, is_told, refusals, boot_id, clock_base)
                VALUES (?, ?, ?, ?, ?, 0, 0, ?, ?)
                """, row.kind, row.word, row.request, row.info, at, bootID, base)
            // The oldest told lines go first, then the oldest of all: the log is bounded whatever
            // the link does.
            try sql.execute(
                """
                DELETE FROM upkeep_report WHERE seq IN (
                    SELECT seq FROM upkeep_report ORDER BY is_told, seq DESC LIMIT -1 OFFSET ?)
                """, most)
        }
    }

    /// The oldest report that may be told; nil when none is owed. A security event of a boot in which
    /// nobody knows the time yet waits for it; what carries no time does not.
    ///
    /// A line that this program cannot read, left by a newer one that was taken back, is dropped: it
    /// must not stand in the way of the others.
    func nextReport() async throws -> Report? {
        try await settleTimes()
        while true {
            do {
                return try await oldestReport()
            } catch JournalError.damaged(let seq) {
                try await write(.report) { sql in
                    try sql.execute("DELETE FROM upkeep_report WHERE seq = ?", Int64(seq) ?? 0)
                }
            }
        }
    }

    private func oldestReport() async throws -> Report? {
        try await database.read { sql in
            guard
                let row = try sql.queryOne(
                    """
                    SELECT upkeep_report.*, boot.base_ms, boot.trust
                    FROM upkeep_report LEFT JOIN boot ON boot.boot_id = upkeep_report.boot_id
                    WHERE is_told = 0
                        AND (kind <> 'security' OR COALESCE(boot.trust, '') <> 'untrusted')
                    ORDER BY seq LIMIT 1
                    """)
            else { return nil }
            let at = try Self.time(of: row)
            guard let report = try ReportRow(row).report(at: at) else {
                throw JournalError.damaged(String(try row.int64("seq")))
            }
            return Report(
                seq: try row.int64("seq"), report: report, refusals: try row.int("refusals"))
        }
    }

    /// A line's time, repaired by what is known of its boot; one that was told stays as it was.
    private static func time(of row: Row) throws -> Timestamp {
        var at = try row.timestamp("at")
        if try row.textOrNil("trust") != ClockTrust.untrusted.rawValue,
            let base = try row.int64OrNil("base_ms")
        {
            at.milliseconds =
                sane(at.milliseconds) + shift(from: try row.int64("clock_base"), to: base)
        }
        return at
    }

    /// The operator has heard it, or never will. Security events stay in the log.
    func confirm(report: Report) async throws {
        try await write(.report) { sql in
            if case .security(let event) = report.report {
                // As it was told, so that log and operator agree whatever the clock does later.
                try sql.execute(
                    "UPDATE upkeep_report SET is_told = 1, at = ?, boot_id = '' WHERE seq = ?",
                    event.at, report.seq)
            } else {
                try sql.execute("DELETE FROM upkeep_report WHERE seq = ?", report.seq)
            }
        }
    }

    func refused(report: Report) async throws {
        try await write(.report) { sql in
            try sql.execute(
                "UPDATE upkeep_report SET refusals = refusals + 1 WHERE seq = ?", report.seq)
        }
    }

    /// The security log, oldest first. A line whose time nobody knows yet says so, and is part of
    /// every span of time that is asked for.
    package func securityLog(from: Timestamp? = nil, until: Timestamp? = nil) async throws
        -> [SecurityEvent]
    {
        try await settleTimes()
        return try await database.read { sql in
            try sql.query(
                """
                SELECT upkeep_report.*, boot.base_ms, boot.trust
                FROM upkeep_report LEFT JOIN boot ON boot.boot_id = upkeep_report.boot_id
                WHERE kind = 'security' ORDER BY seq
                """
            ).compactMap { row -> SecurityEvent? in
                let at = try Self.time(of: row)
                var info = try row.textOrNil("info")
                if try row.textOrNil("trust") == ClockTrust.untrusted.rawValue {
                    info = (info.map { "\($0); " } ?? "") + Self.timeNotKnown
                } else {
                    if let from, at < from { return nil }
                    if let until, at > until { return nil }
                }
                return SecurityEvent(type: try row.text("word"), at: at, info: info)
            }
        }
    }

    static let timeNotKnown = "by a clock that nobody has set"

    /// Empties the security log but for what the operator has not heard.
    package func clearSecurityLog() async throws {
        try await write(.report) { sql in
            try sql.execute("DELETE FROM upkeep_report WHERE is_told = 1")
        }
    }

    // MARK: The update under way

    func firmwareJob() async throws -> FirmwareMachine.Job? {
        let text = try await database.read { sql in
            try sql.queryOne("SELECT body FROM upkeep_state WHERE name = 'firmware'")?.text("body")
        }
        // A job of another program that this one cannot read is none.
        return text.flatMap { try? JSONValue(parsing: $0) }.flatMap(FirmwareMachine.Job.init(json:))
    }

    func keep(firmwareJob job: FirmwareMachine.Job?) async throws {
        let text = job?.json.text
        try await write(.firmware) { sql in
            guard let text else {
                try sql.execute("DELETE FROM upkeep_state WHERE name = 'firmware'")
                return
            }
            try sql.execute(
                """
                INSERT INTO upkeep_state (name, body) VALUES ('firmware', ?)
                ON CONFLICT (name) DO UPDATE SET body = excluded.body
                """, text)
        }
    }
}

/// A report as a row spells it.
private struct ReportRow {
    var kind: String
    var word: String
    var request: Int?
    var info: String?

    /// nil for a request for a certificate, which is sent at once or not at all.
    init?(_ report: MaintenanceReport) {
        switch report {
        case .firmware(let status): (kind, word) = ("firmware", status.rawValue)
        case .signedFirmware(let status, let request):
            (kind, word, self.request) = ("signedFirmware", status.rawValue, request)
        case .diagnostics(let status): (kind, word) = ("diagnostics", status.rawValue)
        case .log(let status, let request):
            (kind, word, self.request) = ("log", status.rawValue, request)
        case .security(let event): (kind, word, info) = ("security", event.type, event.info)
        case .certificateRequested: return nil
        }
    }

    init(_ row: Row) throws {
        kind = try row.text("kind")
        word = try row.text("word")
        request = try row.intOrNil("request")
        info = try row.textOrNil("info")
    }

    /// nil for what this program never writes.
    func report(at: Timestamp) -> MaintenanceReport? {
        switch kind {
        case "firmware": FirmwareStatus(rawValue: word).map { .firmware($0) }
        case "signedFirmware":
            FirmwareStatus(rawValue: word).map { .signedFirmware($0, requestID: request) }
        case "diagnostics": UploadStatus(rawValue: word).map { .diagnostics($0) }
        case "log": UploadStatus(rawValue: word).map { .log($0, requestID: request) }
        case "security": .security(SecurityEvent(type: word, at: at, info: info))
        default: nil
        }
    }
}
