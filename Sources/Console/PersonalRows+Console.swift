import CPO
import Charging
import SQL

/// What the operator's door keeps: the audit list names drivers where an admin changed a token of theirs,
/// and the operator's own people.
package struct ConsolePersonalRows: PersonalRows {
    package init() {}

    package var tables: [any PersonalTable] {
        var audit = TextTable(
            "auditLines", table: "console_audit", key: "id", texts: ["subject", "detail"],
            fate: .replaced, at: "at")
        audit.remains = "who did what and when: the operator must be able to show it"
        audit.shown = ["action"]
        return [audit]
    }

    package var agings: [Aging] {
        [
            Aging("auditLines", days: \.auditDays) { before, _, transaction in
                // In the order of time, so the first young one ends it.
                let rows = try transaction.query(
                    "SELECT id, at FROM console_audit ORDER BY id LIMIT ?", Self.rowsAPage)
                let old = try rows.prefix { try $0.timestamp("at") < before }
                guard let last = old.last else { return .init(0) }
                try transaction.execute(
                    "DELETE FROM console_audit WHERE id <= ?", last.int64("id"))
                return .init(old.count, next: old.count == Self.rowsAPage ? .null : nil)
            }
        ]
    }

    private static let rowsAPage = 500
}
