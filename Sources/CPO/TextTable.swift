import Charging
import JSON
import SQL

/// A window over a table in the order of its key, so that a look at a large one is many short ones.
package struct RowWindow: Sendable {
    package var table: String
    package var key: String
    package var isTextKey: Bool
    package var rows: Int

    package init(_ table: String, key: String, isTextKey: Bool, rows: Int) {
        self.table = table
        self.key = key
        self.isTextKey = isTextKey
        self.rows = rows
    }

    /// Rows behind the cursor that meet `filter`, and the cursor of the next window.
    package func read(
        _ columns: String, where filter: String = "1 = 1", _ arguments: [SQLValue] = [],
        after cursor: SQLValue?, in transaction: Transaction
    ) throws -> (rows: [Row], next: SQLValue?) {
        let start = cursor ?? (isTextKey ? .text("") : .integer(.min))
        let edge = try transaction.query(
            """
            SELECT MAX(k) AS last, COUNT(*) AS n FROM
            (SELECT \(key) AS k FROM \(table) WHERE \(key) > ? ORDER BY \(key) LIMIT ?) AS w
            """, list: [start, .integer(Int64(rows))]
        ).first
        guard let edge, try edge.int("n") > 0 else { return ([], nil) }
        let last = try edge.value("last")
        let found = try transaction.query(
            """
            SELECT \(columns) FROM \(table) WHERE \(key) > ? AND \(key) <= ? AND (\(filter))
            ORDER BY \(key)
            """, list: [start, last] + arguments)
        return (found, try edge.int("n") == rows ? last : nil)
    }
}

/// A table whose texts may name a person anywhere: logs, and what partners and stations wrote.
package struct TextTable: PersonalTable {
    package enum Fate: Sendable {
        /// His words are replaced.
        case replaced
        /// All its texts are his own words.
        case emptied
        /// The row goes.
        case deleted
    }

    /// Rows looked at in one turn.
    package static let rowsLooked = 1000

    package var kind: String
    package var remains: String?
    package var stage = PersonalStage.traces
    package var table: String
    package var key: String
    package var isTextKey = false
    /// Where his words are looked for.
    package var texts: [String]
    /// What its owner is told besides.
    package var shown: [String] = []
    package var fate: Fate
    /// When a row was made.
    package var at: String?
    /// Rows that can name nobody are left out by the engine.
    package var filter = "1 = 1"
    /// Columns by which a row is his without a word of his in it.
    package var orderColumn: String?
    package var hold: @Sendable (Row, Transaction) throws -> Hold? = { _, _ in nil }
    /// What else a row needs when it is erased.
    package var more: @Sendable (Row, Transaction) throws -> Void = { _, _ in }

    package init(
        _ kind: String, table: String, key: String, isTextKey: Bool = false, texts: [String],
        fate: Fate, at: String?
    ) {
        self.kind = kind
        self.table = table
        self.key = key
        self.isTextKey = isTextKey
        self.texts = texts
        self.fate = fate
        self.at = at
    }

    package func mentions(
        of person: Person, after cursor: SQLValue?, in transaction: Transaction
    ) throws -> MentionPage {
        let words = person.words
        guard !words.isEmpty || (orderColumn != nil && !person.orders.isEmpty) else {
            return MentionPage([])
        }
        let window = RowWindow(table, key: key, isTextKey: isTextKey, rows: Self.rowsLooked)
        let page = try window.read(
            "*", where: at.map { "(\(filter)) AND \($0) <= ?" } ?? filter,
            at == nil ? [] : [person.until.sqlValue], after: cursor, in: transaction)
        let found = try page.rows.filter { row in
            if let orderColumn, let order = try row.textOrNil(orderColumn),
                person.orders.contains(order)
            {
                return true
            }
            return try texts.contains { words.stand(in: try row.textOrNil($0)) }
        }
        return MentionPage(
            try found.map { row in
                Mention(
                    key: try row.value(key), value: try value(row),
                    hold: try hold(row, transaction))
            }, next: page.next)
    }

    private func value(_ row: Row) throws -> JSONValue {
        var members: [String: JSONValue] = [:]
        for column in [key] + shown + texts + (at.map { [$0] } ?? []) {
            switch try row.value(column) {
            case .null, .blob: break
            case .integer(let number):
                members[column] =
                    column == at ? .time(Timestamp(milliseconds: number)) : .number(number)
            case .text(let text):
                // What is no JSON is shown as the text it is.
                members[column] =
                    text.hasPrefix("{") || text.hasPrefix("[")
                    ? (try? JSONValue(parsing: text)) ?? .string(text) : .string(text)
            }
        }
        return .object(members)
    }

    package func erase(
        _ mention: Mention, of person: Person, in transaction: Transaction
    ) throws {
        guard
            let row = try transaction.queryOne(
                "SELECT * FROM \(table) WHERE \(key) = ?", mention.key)
        else { return }
        try more(row, transaction)
        switch fate {
        case .deleted:
            try transaction.execute("DELETE FROM \(table) WHERE \(key) = ?", mention.key)
        case .replaced, .emptied:
            let words = person.allWords
            let values = try texts.map { column -> SQLValue in
                guard let text = try row.textOrNil(column) else { return .null }
                return .text(fate == .emptied ? Person.erased : words.replaced(in: text))
            }
            let list = texts.map { "\($0) = ?" }.joined(separator: ", ")
            try transaction.execute(
                "UPDATE \(table) SET \(list) WHERE \(key) = ?", list: values + [mention.key])
        }
    }
}
