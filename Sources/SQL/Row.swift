import Charging

/// One row of a result, read by column name.
package struct Row: Sendable {
    let columns: ColumnNames
    package let values: [SQLValue]

    /// What an engine makes of one row of its result.
    package init(columns: ColumnNames, values: [SQLValue]) {
        self.columns = columns
        self.values = values
    }

    /// The value as stored; throws `.mismatch` if there is no such column.
    package func value(_ column: String) throws(SQLError) -> SQLValue {
        guard let index = columns.index[column] else {
            throw .mismatch("the result has no column \(column)")
        }
        return values[index]
    }

    package func has(_ column: String) -> Bool { columns.index[column] != nil }

    package func isNull(_ column: String) throws(SQLError) -> Bool { try value(column) == .null }

    package func textOrNil(_ column: String) throws(SQLError) -> String? {
        switch try value(column) {
        case .null: nil
        case .text(let text): text
        case .integer, .blob: throw .mismatch("\(column) is no text")
        }
    }

    package func int64OrNil(_ column: String) throws(SQLError) -> Int64? {
        switch try value(column) {
        case .null: nil
        case .integer(let integer): integer
        case .text, .blob: throw .mismatch("\(column) is no integer")
        }
    }

    package func blobOrNil(_ column: String) throws(SQLError) -> [UInt8]? {
        switch try value(column) {
        case .null: nil
        case .blob(let bytes): bytes
        // SQLite gives the type that was stored: bytes bound as text are still the bytes.
        case .text(let text): Array(text.utf8)
        case .integer: throw .mismatch("\(column) is no blob")
        }
    }

    package func intOrNil(_ column: String) throws(SQLError) -> Int? {
        try int64OrNil(column).map { Int($0) }
    }

    package func boolOrNil(_ column: String) throws(SQLError) -> Bool? {
        try int64OrNil(column).map { $0 != 0 }
    }

    package func timestampOrNil(_ column: String) throws(SQLError) -> Timestamp? {
        try int64OrNil(column).map(Timestamp.init(milliseconds:))
    }

    package func decimalOrNil(_ column: String) throws(SQLError) -> Decimal? {
        switch try value(column) {
        case .null: return nil
        case .integer(let integer): return Decimal(integer)
        case .text(let text):
            guard let decimal = Decimal(text) else { throw .mismatch("\(column) is no decimal") }
            return decimal
        case .blob: throw .mismatch("\(column) is no decimal")
        }
    }

    package func text(_ column: String) throws(SQLError) -> String {
        try present(textOrNil(column), column)
    }
    package func int(_ column: String) throws(SQLError) -> Int {
        try present(intOrNil(column), column)
    }
    package func int64(_ column: String) throws(SQLError) -> Int64 {
        try present(int64OrNil(column), column)
    }
    package func bool(_ column: String) throws(SQLError) -> Bool {
        try present(boolOrNil(column), column)
    }
    package func timestamp(_ column: String) throws(SQLError) -> Timestamp {
        try present(timestampOrNil(column), column)
    }
    package func decimal(_ column: String) throws(SQLError) -> Decimal {
        try present(decimalOrNil(column), column)
    }
    package func blob(_ column: String) throws(SQLError) -> [UInt8] {
        try present(blobOrNil(column), column)
    }

    private func present<Value>(_ value: Value?, _ column: String) throws(SQLError) -> Value {
        guard let value else { throw .mismatch("\(column) is NULL") }
        return value
    }
}

/// The column names of a statement, shared by its rows.
package final class ColumnNames: Sendable {
    let index: [String: Int]

    package init(_ names: [String]) {
        index = Dictionary(
            names.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
    }
}
