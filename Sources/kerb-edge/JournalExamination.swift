import SQL
import Service

/// A look into the journal of an agent that is down.
enum JournalExamination {
    static func finding(_ path: String) -> Finding {
        let mend = "start the agent: it sets a damaged journal aside and keeps it"
        do throws(SQLError) {
            let lines = try Database.check(path)
            guard lines == ["ok"] else {
                return .bad("journal", "damaged: \(lines.first ?? "?")", mend: mend)
            }
            return .fine("journal", "\(path) is sound")
        } catch {
            return .bad("journal", "\(error)", mend: mend)
        }
    }
}
