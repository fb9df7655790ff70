import Service
import TestSupport
import Testing

@testable import SQL

@Suite struct `A damaged database` {
    private let folder = TemporaryFolder()

    /// 3000 rows, their numbers from a million on: what was before them is deleted.
    private func make() async throws -> (path: String, bytes: [UInt8]) {
        let path = folder.file("a.db")
        let database = try Database(path: path)
        try await database.write { sql in
            try sql.execute("CREATE TABLE line (seq INTEGER PRIMARY KEY, body TEXT NOT NULL)")
            for number in 0..<3_000 {
                try sql.execute(
                    "INSERT INTO line (seq, body) VALUES (?, ?)", 1_000_000 + number,
                    "line \(number) " + String(repeating: ".", count: 100))
            }
        }
        try await database.checkpoint()
        await database.close()
        return (path, try FileSystem.read(path))
    }

    /// Where the page lies that holds a text.
    private func page(of text: String, in bytes: [UInt8]) throws -> Range<Int> {
        let wanted = Array(text.utf8)
        let place = try #require(
            bytes.indices.dropLast(wanted.count).first {
                bytes[$0..<($0 + wanted.count)].elementsEqual(wanted)
            })
        return (place / 4096 * 4096)..<(place / 4096 * 4096 + 4096)
    }

    @Test(arguments: [[0], [1_500], [2_999], [0, 40, 1_500, 1_600]])
    func `gives every row that is on no damaged page`(lost: [Int]) async throws {
        var (path, bytes) = try await make()
        for number in lost {
            for index in try page(of: "line \(number) ", in: bytes) { bytes[index] = 0xA5 }
        }
        let scratch = folder.file("scratch.db")
        try FileSystem.writeAtomically(bytes, to: scratch)
        path = scratch
        let reader = try DamagedDatabase(path: path)
        var walk = reader.walk(through: "line")
        var found: [Int64] = []
        while let rows = reader.next(&walk) {
            #expect(rows.count <= 512)
            found += try rows.map { try $0.int64("seq") }
        }
        reader.close()
        #expect(found == found.sorted() && Set(found).count == found.count)
        // A page holds less than forty of them.
        #expect(found.count >= 3_000 - 40 * lost.count && found.count < 3_000)
    }
}
