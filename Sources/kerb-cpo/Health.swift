import CPO
import SQL
import Web

/// Probes and figures for whoever watches the server.
struct Health: Sendable {
    let house: ChargePointOperator

    func mount(on router: inout Router) {
        // Alive: the loop answers. Nothing else, so that a slow disk does not restart the server.
        router.add("GET", "/healthz") { _ in .text("ok\n") }
        router.add("GET", "/readyz") { _ in await ready() }
        router.add("GET", "/metrics") { _ in await metrics() }
    }

    /// Ready: the database answers.
    private func ready() async -> HTTPResponse {
        do {
            _ = try await house.read { try $0.queryOne("SELECT 1 AS one") }
            return .text("ready\n")
        } catch {
            return .problem(503, "the database does not answer")
        }
    }

    /// Prometheus text format 0.0.4.
    private func metrics() async -> HTTPResponse {
        do {
            let figures = try await house.read { transaction in
                try Self.figures.map { figure in
                    (figure, try transaction.query(figure.sql))
                }
            }
            var text = ""
            for (figure, rows) in figures {
                text +=
                    "# HELP \(figure.name) \(figure.help)\n# TYPE \(figure.name) \(figure.kind)\n"
                for row in rows {
                    let label = try figure.label.map {
                        "{\($0)=\"\(try row.text("label"))\"}"
                    }
                    text += "\(figure.name)\(label ?? "") \(try row.int64OrNil("n") ?? 0)\n"
                }
            }
            return .text(text, type: "text/plain; version=0.0.4; charset=utf-8")
        } catch {
            return .problem(503, "the database does not answer")
        }
    }

    private struct Figure: Sendable {
        var name: String
        var kind: String
        var help: String
        var label: String?
        var sql: String
    }

    private static let figures = [
        Figure(
            name: "kerb_stations", kind: "gauge", help: "Registered stations by link.",
            label: "link",
            sql: """
                SELECT CASE is_online WHEN 1 THEN 'online' ELSE 'offline' END AS label,
                COUNT(*) AS n FROM station GROUP BY is_online
                """),
        Figure(
            name: "kerb_sessions_open", kind: "gauge", help: "Charges that run now.",
            sql: "SELECT COUNT(*) AS n FROM session WHERE closure = 'open'"),
        Figure(
            name: "kerb_cdrs_total", kind: "counter", help: "Bills made.",
            sql: "SELECT COUNT(*) AS n FROM cdr"),
        Figure(
            name: "kerb_commands_total", kind: "counter", help: "Commands by state.",
            label: "state", sql: "SELECT state AS label, COUNT(*) AS n FROM command GROUP BY state"),
        Figure(
            name: "kerb_suspicions_open", kind: "gauge", help: "What waits for a person, by code.",
            label: "code",
            sql: """
                SELECT code AS label, COUNT(*) AS n FROM suspicion WHERE state = 'open' GROUP BY code
                """),
        Figure(
            name: "kerb_journal_lines_total", kind: "counter", help: "Lines of the journal.",
            sql: "SELECT MAX(seq) AS n FROM journal"),
        Figure(
            name: "kerb_journal_lag_lines", kind: "gauge", help: "Lines a reader is behind.",
            label: "reader",
            sql: """
                SELECT reader AS label, (SELECT MAX(seq) FROM journal) - seq AS n
                FROM journal_cursor
                """),
        Figure(
            name: "kerb_journal_parked_lines", kind: "gauge", help: "Lines set aside, by reader.",
            label: "reader",
            sql: "SELECT reader AS label, COUNT(*) AS n FROM journal_parked GROUP BY reader"),
        Figure(
            name: "kerb_retention_rows_total", kind: "counter",
            help: "Rows that went or became anonymous by their age, by kind.", label: "kind",
            sql: "SELECT kind AS label, total AS n FROM retention_count"),
        Figure(
            name: "kerb_erasures", kind: "gauge",
            help: "Erasures on request: done, waiting for what is held, due.", label: "state",
            sql: "SELECT state AS label, COUNT(*) AS n FROM erasure GROUP BY state"),
    ]
}
