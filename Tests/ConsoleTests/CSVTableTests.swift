import Testing

@testable import Console

@Suite struct `A table of a spreadsheet` {
    private func table(_ text: String) throws(CSVTable.Mistake) -> CSVTable {
        let bytes = Array(text.utf8)
        return try CSVTable(bytes.span)
    }

    @Test func `is read by the names of its columns`() throws {
        let table = try table("id,name\r\nA,Anna\r\n\"B\",\"Berta \"\"B\"\", née X\"\r\n\r\n")
        #expect(table.columns == ["id", "name"])
        #expect(
            table.rows.map(\.cells) == [
                ["id": "A", "name": "Anna"], ["id": "B", "name": "Berta \"B\", née X"],
            ])
        #expect(table.rows.map(\.line) == [2, 3])
    }

    @Test func `may be separated by semicolons and begin with a mark`() throws {
        let table = try table("\u{FEFF}id;price\nA; 1,5 \n")
        #expect(table.rows.map(\.cells) == [["id": "A", "price": "1,5"]])
    }

    @Test func `counts lines within cells, and leaves empty ones out`() throws {
        let table = try table("id,note,x\nA,\"two\nlines\",\nB,,1")
        #expect(table.rows.map(\.line) == [2, 4])
        #expect(table.rows[0].cells == ["id": "A", "note": "two\nlines"])
        #expect(table.rows[1].cells == ["id": "B", "x": "1"])
    }

    @Test func `gives back what was quoted against formulas`() throws {
        #expect(try table("id\n'=1+1\n'plain\n").rows.map { $0["id"] } == ["=1+1", "'plain"])
    }

    @Test(arguments: [
        ("", 1, "empty"), ("id,id\n", 1, "twice"), ("id,\n", 1, "no name"),
        ("id,name\nA\n", 2, "1 cells"), ("id\n\"A\n", 2, "never closed"),
        ("id\nX\n\"A\"B\n", 3, "behind a closing"),
        ("id\n\(String(repeating: "x", count: 4097))\n", 2, "4096"),
        ("id\n" + String(repeating: "x\n", count: 20_001), 20_002, "20000"),
        (String(repeating: "x,", count: 64) + "y\n", 1, "64 columns"),
    ])
    func `says where it is none and why`(_ text: String, _ line: Int, _ reason: String) {
        do {
            _ = try table(text)
            Issue.record("was taken")
        } catch {
            #expect(error.line == line)
            #expect(error.reason.contains(reason), "\(error.reason)")
        }
    }

    @Test func `must be UTF-8`() {
        let bytes: [UInt8] = Array("id\nK".utf8) + [0xF6, 0x6C, 0x6E, 0x0A]
        #expect(
            throws: CSVTable.Mistake(line: 2, reason: "is no UTF-8; save the file as CSV UTF-8")
        ) {
            _ = try CSVTable(bytes.span)
        }
    }
}
