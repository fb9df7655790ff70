import Testing

@testable import Service

@Suite struct `A tar archive` {
    @Test func `is whole blocks with a header and a sum for each file`() {
        var archive = TarArchive(seconds: 1)
        archive.add("a/b", Array("hello".utf8))
        archive.add("empty", [])
        let bytes = archive.finished
        #expect(bytes.count == 512 * 5)
        #expect(Array(bytes[0..<4]) == Array("a/b\0".utf8))
        #expect(Array(bytes[124..<135]) == Array("00000000005".utf8))
        #expect(Array(bytes[512..<518]) == Array("hello\0".utf8))
        let header = Array(bytes[0..<512])
        let sum = header.enumerated().reduce(0) {
            $0 + ((148..<156).contains($1.offset) ? 32 : Int($1.element))
        }
        #expect(
            String(decoding: header[148..<154], as: UTF8.self).drop { $0 == "0" }
                == String(sum, radix: 8))
    }
}
