import CPO
import Charging
import JSON
import SQL

/// What the stations' door keeps of people: exchanges that name them, and lists of their tokens.
package struct StationPersonalRows: PersonalRows {
    package init() {}

    package var tables: [any PersonalTable] {
        var messages = TextTable(
            "messages", table: "csms_message", key: "id", texts: ["request", "answer", "note"],
            fate: .deleted, at: "at")
        messages.shown = ["station", "action"]
        // Before the token goes, so that no station is told by its name to drop it; and after it, for what
        // was made from it in between.
        return [messages, ListContentTable(stage: .sessions), ListContentTable(stage: .copies)]
    }
}

/// Contents of stations' lists. Whoever holds one that names him is sent a whole list the next time,
/// which the registry's change brings about by itself.
private struct ListContentTable: PersonalTable {
    let kind = "stationLists"
    let remains: String? = nil
    let stage: PersonalStage

    func mentions(
        of person: Person, after cursor: SQLValue?, in transaction: Transaction
    ) throws -> MentionPage {
        // A content can be a megabyte, and there are few.
        let window = RowWindow("csms_list_content", key: "digest", isTextKey: true, rows: 4)
        let page = try window.read("digest, body", after: cursor, in: transaction)
        let words = person.words
        let found = try page.rows.filter { words.stand(in: try $0.text("body")) }
        return MentionPage(
            try found.map { row in
                let digest = try row.text("digest")
                let stations = try transaction.query(
                    "SELECT station FROM csms_local_list WHERE content = ? ORDER BY station", digest
                )
                return Mention(
                    key: .text(digest),
                    value: .array(try stations.map { .string(try $0.text("station")) }))
            }, next: page.next)
    }

    func erase(_ mention: Mention, of person: Person, in transaction: Transaction) throws {
        try transaction.execute(
            "UPDATE csms_local_list SET content = NULL WHERE content = ?", mention.key)
        try transaction.execute(
            "DELETE FROM csms_list_content WHERE digest = ?", mention.key)
    }
}
