/// A table as spreadsheets write it: RFC 4180 with a header, commas or semicolons, in UTF-8.
///
/// Cells are texts; blanks around them are cut off, and so is the `'` with which spreadsheets are told
/// that `=1+1` is a text.
struct CSVTable: Sendable {
    static let mostRows = 20_000
    static let mostColumns = 64
    static let mostCellBytes = 4096

    struct Row: Sendable {
        /// Of the file, counted from 1; a cell may span several.
        var line: Int
        /// By the header's name; empty cells are left out.
        var cells: [String: String]

        subscript(name: String) -> String? { cells[name] }
    }

    struct Mistake: Error, Hashable, Sendable {
        var line: Int
        var reason: String
    }

    var columns: [String]
    var rows: [Row]

    /// Throws: `Mistake` at the first byte that makes no table.
    init(_ bytes: Span<UInt8>) throws(Mistake) {
        var reader = Reader(bytes)
        guard let header = try reader.row() else {
            throw Mistake(line: 1, reason: "the file is empty; its first line names the columns")
        }
        columns = header.cells
        for (index, name) in columns.enumerated() {
            guard !name.isEmpty else {
                throw Mistake(line: 1, reason: "column \(index + 1) has no name")
            }
            guard columns.firstIndex(of: name) == index else {
                throw Mistake(line: 1, reason: "the column `\(name)` stands twice")
            }
        }
        rows = []
        while let (line, cells) = try reader.row() {
            // A line without anything ends many a file.
            if cells.allSatisfy(\.isEmpty) { continue }
            guard cells.count == columns.count else {
                throw Mistake(
                    line: line,
                    reason: "has \(cells.count) cells, the header \(columns.count);"
                        + " put a cell that holds `\(reader.separator)` in \"quotes\"")
            }
            guard rows.count < Self.mostRows else {
                throw Mistake(
                    line: line,
                    reason: "at most \(Self.mostRows) rows; import the file in pieces")
            }
            let named = zip(columns, cells).filter { !$0.1.isEmpty }
            rows.append(Row(line: line, cells: Dictionary(uniqueKeysWithValues: named)))
        }
    }
}

extension CSVTable {
    /// Takes cells from the bytes of a file.
    private struct Reader: ~Escapable {
        let bytes: Span<UInt8>
        private(set) var separator: Character = ","
        private var at = 0
        private var line = 1
        private var separatorByte = UInt8(ascii: ",")

        @_lifetime(copy bytes)
        init(_ bytes: Span<UInt8>) {
            self.bytes = bytes
            // The mark with which spreadsheets begin UTF-8.
            if bytes.count >= 3, bytes[0] == 0xEF, bytes[1] == 0xBB, bytes[2] == 0xBF { at = 3 }
            // Where a comma is the decimal sign, spreadsheets separate by semicolons.
            var index = at
            while index < bytes.count, bytes[index] != 0x0A, bytes[index] != UInt8(ascii: ",") {
                if bytes[index] == UInt8(ascii: ";") {
                    separatorByte = bytes[index]
                    separator = ";"
                    break
                }
                index += 1
            }
        }

        @_lifetime(self: copy self)
        mutating func row() throws(Mistake) -> (line: Int, cells: [String])? {
            guard at < bytes.count else { return nil }
            let first = line
            var cells: [String] = []
            while true {
                cells.append(try cell(of: first))
                guard cells.count <= CSVTable.mostColumns else {
                    throw Mistake(line: first, reason: "at most \(CSVTable.mostColumns) columns")
                }
                guard at < bytes.count else { return (first, cells) }
                let ending = bytes[at]
                at += 1
                if ending == separatorByte { continue }
                if ending == 0x0D, at < bytes.count, bytes[at] == 0x0A { at += 1 }
                line += 1
                return (first, cells)
            }
        }

        private func isEnd(_ byte: UInt8) -> Bool {
            byte == separatorByte || byte == 0x0A || byte == 0x0D
        }

        @_lifetime(self: copy self)
        private mutating func cell(of first: Int) throws(Mistake) -> String {
            var text: [UInt8] = []
            let isQuoted = at < bytes.count && bytes[at] == UInt8(ascii: "\"")
            if isQuoted { at += 1 }
            var isOpen = isQuoted
            while at < bytes.count {
                let byte = bytes[at]
                if isOpen, byte == UInt8(ascii: "\"") {
                    at += 1
                    guard at < bytes.count, bytes[at] == byte else {
                        isOpen = false
                        break
                    }
                } else if !isOpen, isEnd(byte) {
                    break
                }
                if byte == 0x0A { line += 1 }
                text.append(byte)
                at += 1
                guard text.count <= CSVTable.mostCellBytes else {
                    throw Mistake(
                        line: first,
                        reason: "a cell has more than \(CSVTable.mostCellBytes) bytes;"
                            + " is a closing quote missing?")
                }
            }
            guard !isOpen else { throw Mistake(line: first, reason: "a \" is never closed") }
            if isQuoted, at < bytes.count, !isEnd(bytes[at]) {
                throw Mistake(
                    line: line, reason: "text behind a closing \"; double the quotes within a cell")
            }
            guard let found = String(validating: text, as: UTF8.self) else {
                throw Mistake(line: first, reason: "is no UTF-8; save the file as CSV UTF-8")
            }
            return CSVTable.trimmed(found)
        }
    }

    private static func trimmed(_ text: String) -> String {
        var rest = Substring(text)
        while rest.first?.isWhitespace == true { rest.removeFirst() }
        while rest.last?.isWhitespace == true { rest.removeLast() }
        if rest.first == "'", let second = rest.dropFirst().first, "=+-@".contains(second) {
            rest.removeFirst()
        }
        return String(rest)
    }
}
