import CPostgres
import SQL

/// The rows of one statement.
final class PostgreSQLResult {
    private let handle: OpaquePointer

    init(_ handle: OpaquePointer) { self.handle = handle }

    deinit { PQclear(handle) }

    var status: ExecStatusType { PQresultStatus(handle) }
    var count: Int { Int(PQntuples(handle)) }

    /// How many rows the statement changed, or gave.
    var changes: Int {
        guard let text = PQcmdTuples(handle) else { return 0 }
        return Int(String(cString: text)) ?? 0
    }

    /// Five letters of the server's, or "" where the connection itself failed.
    var code: String { field(UInt8(ascii: "C")) }
    var message: String { field(UInt8(ascii: "M")) }

    private func field(_ letter: UInt8) -> String {
        PQresultErrorField(handle, Int32(letter)).map { String(cString: $0) } ?? ""
    }

    /// What the columns are called and hold; the same for every result of a statement.
    struct Shape {
        let columns: ColumnNames
        let kinds: [Kind]
    }

    enum Kind { case integer, truth, bytes, number, text }

    func shape() -> Shape {
        let range = 0..<PQnfields(handle)
        return Shape(
            columns: ColumnNames(
                range.map { PQfname(handle, $0).map { String(cString: $0) } ?? "" }),
            kinds: range.map { Self.kind(PQftype(handle, $0)) })
    }

    /// By the numbers of PostgreSQL's catalogue (pg_type.dat), which never change.
    private static func kind(_ type: Oid) -> Kind {
        switch type {
        case 20, 21, 23, 26: .integer
        case 16: .truth
        case 17: .bytes
        // A sum of integers is `numeric`: it is an integer again where it is one.
        case 1700: .number
        default: .text
        }
    }

    func row(_ index: Int, _ shape: Shape) throws(SQLError) -> Row {
        var values: [SQLValue] = []
        values.reserveCapacity(shape.kinds.count)
        for (column, kind) in shape.kinds.enumerated() {
            values.append(try value(Int32(index), Int32(column), kind))
        }
        return Row(columns: shape.columns, values: values)
    }

    /// The first value of the first row: for questions with one answer.
    var only: SQLValue {
        get throws(SQLError) {
            guard count > 0, PQnfields(handle) > 0 else { return .null }
            return try value(0, 0, Self.kind(PQftype(handle, 0)))
        }
    }

    private func value(_ row: Int32, _ column: Int32, _ kind: Kind) throws(SQLError) -> SQLValue {
        guard PQgetisnull(handle, row, column) == 0, let start = PQgetvalue(handle, row, column)
        else { return .null }
        let bytes = UnsafeRawBufferPointer(
            start: start, count: Int(PQgetlength(handle, row, column)))
        switch kind {
        case .truth: return .integer(bytes.first == UInt8(ascii: "t") ? 1 : 0)
        case .bytes: return .blob(try Self.bytes(bytes))
        case .text: return .text(String(decoding: bytes, as: UTF8.self))
        case .integer, .number:
            let text = String(decoding: bytes, as: UTF8.self)
            if let integer = Int64(text) { return .integer(integer) }
            return .text(text)
        }
    }

    /// `\x` and hexadecimal digits.
    private static func bytes(_ text: UnsafeRawBufferPointer) throws(SQLError) -> [UInt8] {
        guard text.count >= 2, text.count.isMultiple(of: 2), text[0] == UInt8(ascii: "\\") else {
            throw .mismatch("bytes that are not in hexadecimal")
        }
        func digit(_ byte: UInt8) -> UInt8 { byte <= 0x39 ? byte &- 0x30 : (byte | 0x20) &- 0x57 }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 2 - 1)
        for index in stride(from: 2, to: text.count, by: 2) {
            bytes.append(digit(text[index]) << 4 | digit(text[index + 1]))
        }
        return bytes
    }
}
