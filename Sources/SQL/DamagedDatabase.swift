/// Reads what can be read of a damaged SQLite file, row by row. Not Sendable: it lives on one thread.
package final class DamagedDatabase {
    private let connection: SQLiteConnection
    private var queriesLeft = 0

    private var failuresInARow = 0

    /// Of one table: a file of garbage must end the search some time.
    private static let mostQueries = 50_000
    private static let mostFailuresInARow = 5_000

    /// Opens a copy: the write-ahead log beside it is played into it.
    package init(path: String) throws(SQLError) {
        connection = try SQLiteConnection(path, isReader: false, DatabaseLimits())
    }

    package func close() { connection.close() }

    /// Every row of a table that can still be reached, in the order of their numbers.
    ///
    /// A query that runs into a damaged page fails as a whole, so the range is halved until the
    /// damage is alone.
    package func rows(of table: String) -> [Row] {
        guard table.utf8.allSatisfy({ $0 == UInt8(ascii: "_") || ($0 > 0x60 && $0 < 0x7B) }) else {
            return []
        }
        var found: [Row] = []
        queriesLeft = Self.mostQueries
        failuresInARow = 0
        // The last row may be on a damaged page: then as far as numbers were given, or reasonably go.
        let most =
            number("SELECT MAX(rowid) AS n FROM \(table)", [])
            ?? number("SELECT seq AS n FROM sqlite_sequence WHERE name = ?", [.text(table)])
        collect(table, 1...max(1, most ?? 1 << 40), &found)
        return found
    }

    private func number(_ sql: String, _ arguments: [SQLValue]) -> Int64? {
        // Damage is expected here; nil asks for the next way.
        (try? connection.query(sql, arguments).first?.int64OrNil("n")) ?? nil
    }

    private func collect(_ table: String, _ range: ClosedRange<Int64>, _ found: inout [Row]) {
        guard queriesLeft > 0, failuresInARow < Self.mostFailuresInARow else { return }
        queriesLeft -= 1
        do throws(SQLError) {
            found += try connection.query(
                "SELECT * FROM \(table) WHERE rowid BETWEEN ? AND ? ORDER BY rowid",
                [.integer(range.lowerBound), .integer(range.upperBound)])
            failuresInARow = 0
        } catch {
            failuresInARow += 1
            guard range.upperBound > range.lowerBound else { return }
            let middle = range.lowerBound + (range.upperBound - range.lowerBound) / 2
            collect(table, range.lowerBound...middle, &found)
            collect(table, middle + 1...range.upperBound, &found)
        }
    }
}
