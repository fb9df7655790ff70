/// Reads what can be read of a damaged SQLite file, row by row. Not Sendable: it lives on one thread.
package final class DamagedDatabase {
    private let connection: SQLiteConnection

    /// Rows in one part.
    private static let rowsAtOnce = 512
    /// Of one table: a file of garbage must end the search some time.
    private static let mostQueries = 50_000
    private static let mostFailuresInARow = 5_000
    /// Row numbers beyond this were never given.
    private static let mostRows: Int64 = 1 << 40

    /// Where in a table the reading is.
    package struct Walk {
        fileprivate let table: String
        fileprivate let last: Int64
        fileprivate var next: Int64 = 1
        fileprivate var queriesLeft = DamagedDatabase.mostQueries
        fileprivate var failuresInARow = 0
        /// A part of the table could not be read.
        package fileprivate(set) var isDamaged = false

        fileprivate var isOver: Bool {
            next > last || queriesLeft <= 0
                || failuresInARow >= DamagedDatabase.mostFailuresInARow
        }
    }

    /// Opens a copy: the write-ahead log beside it is played into it.
    package init(path: String) throws(SQLError) {
        connection = try SQLiteConnection(path, isReader: false, DatabaseLimits())
    }

    package func close() { connection.close() }

    /// Every row of a small table that can still be reached, in the order of their numbers.
    package func rows(of table: String) -> [Row] {
        var walk = walk(through: table)
        var found: [Row] = []
        while let rows = next(&walk) { found += rows }
        return found
    }

    package func walk(through table: String) -> Walk {
        guard table.utf8.allSatisfy({ $0 == UInt8(ascii: "_") || ($0 > 0x60 && $0 < 0x7B) }) else {
            return Walk(table: table, last: 0)
        }
        // The last row may be on a damaged page: then as far as numbers were given, or reasonably go.
        let last =
            number("SELECT MAX(rowid) AS n FROM \(table)", [])
            ?? number("SELECT seq AS n FROM sqlite_sequence WHERE name = ?", [.text(table)])
        return Walk(table: table, last: min(max(1, last ?? Self.mostRows), Self.mostRows))
    }

    /// The next rows of a table in the order of their numbers, perhaps none where there is damage; nil
    /// at its end. A part at a time, for a whole table may be more than a board's memory.
    package func next(_ walk: inout Walk) -> [Row]? {
        var most = Self.rowsAtOnce
        while !walk.isOver {
            if let rows = read(&walk, walk.next...walk.last, most: most) {
                // What has no number was not asked for; then it is the last.
                let last = rows.count < most ? nil : try? rows.last?.int64(Self.number)
                walk.next = (last ?? walk.last) + 1
                return rows
            }
            guard most > 1 else { return around(&walk) }
            most /= 8
        }
        return nil
    }

    /// A query that runs into a damaged page fails as a whole, so the range is halved until the
    /// damage is alone.
    private func around(_ walk: inout Walk) -> [Row] {
        let end = min(walk.last, walk.next + Int64(Self.rowsAtOnce) - 1)
        var found: [Row] = []
        collect(&walk, walk.next...end, &found)
        walk.next = end + 1
        if found.isEmpty { skip(&walk) }
        return found
    }

    /// To the first number from which on something can be read: what was deleted leaves numbers behind
    /// it, and all of them lead to the first page that is left.
    private func skip(_ walk: inout Walk) {
        var unread = walk.next - 1
        var step = Int64(Self.rowsAtOnce)
        while !walk.isOver, read(&walk, walk.next...walk.last, most: 1) == nil {
            unread = walk.next
            walk.next += step
            step *= 2
        }
        var first = min(walk.next, walk.last + 1)
        while first - unread > 1, walk.queriesLeft > 0 {
            let middle = unread + (first - unread) / 2
            if read(&walk, middle...walk.last, most: 1) == nil {
                unread = middle
            } else {
                first = middle
            }
        }
        walk.next = first
    }

    private func collect(_ walk: inout Walk, _ range: ClosedRange<Int64>, _ found: inout [Row]) {
        guard walk.queriesLeft > 0, walk.failuresInARow < Self.mostFailuresInARow else { return }
        if let rows = read(&walk, range, most: Self.rowsAtOnce) {
            found += rows
            return
        }
        guard range.upperBound > range.lowerBound else { return }
        let middle = range.lowerBound + (range.upperBound - range.lowerBound) / 2
        collect(&walk, range.lowerBound...middle, &found)
        collect(&walk, middle + 1...range.upperBound, &found)
    }

    private static let number = "kerb_row_number"

    private func read(
        _ walk: inout Walk, _ range: ClosedRange<Int64>, most: Int
    ) -> [Row]? {
        walk.queriesLeft -= 1
        do throws(SQLError) {
            let rows = try connection.query(
                """
                SELECT *, rowid AS \(Self.number) FROM \(walk.table) WHERE rowid BETWEEN ? AND ?
                ORDER BY rowid LIMIT ?
                """,
                [.integer(range.lowerBound), .integer(range.upperBound), .integer(Int64(most))])
            walk.failuresInARow = 0
            return rows
        } catch {
            walk.failuresInARow += 1
            walk.isDamaged = true
            return nil
        }
    }

    private func number(_ sql: String, _ arguments: [SQLValue]) -> Int64? {
        // Damage is expected here; nil asks for the next way.
        (try? connection.query(sql, arguments).first?.int64OrNil("n")) ?? nil
    }
}
