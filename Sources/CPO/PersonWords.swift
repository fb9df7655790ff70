import JSON

/// Looks for a person's words in texts, whatever their case, and puts `ERASED` in their place.
package struct PersonWords: Sendable {
    /// Shorter ones count only as a whole JSON string: elsewhere they would be found in everything.
    package static let shortest = 4

    /// In lower case, the longest first, so that a contract goes before the uid it holds.
    private let needles: [[UInt8]]
    private var starts = [Bool](repeating: false, count: 256)

    package init(_ words: Set<String>) {
        needles = words.filter { !$0.isEmpty }.map { Array($0.lowercased().utf8) }
            .sorted { $0.count > $1.count }
        for needle in needles {
            starts[Int(needle[0])] = true
            starts[Int(Self.upper(needle[0]))] = true
        }
    }

    package var isEmpty: Bool { needles.isEmpty }

    /// Whether one of them stands in a text, or in a JSON text that spells it with escapes.
    package func stand(in text: String?) -> Bool {
        guard var text, !isEmpty else { return false }
        let (found, isEscaped) = text.withUTF8 { bytes in
            (place(in: bytes, from: 0) != nil, bytes.contains(UInt8(ascii: "\\")))
        }
        if found || !isEscaped { return found }
        // What is no JSON has no escapes.
        guard let tree = try? JSONValue(parsing: text) else { return false }
        return stand(in: tree)
    }

    private func stand(in value: JSONValue) -> Bool {
        switch value {
        case .null, .bool: false
        case .number(let number): stand(inLeaf: number.text)
        case .string(let text): stand(inLeaf: text)
        case .array(let elements): elements.contains(where: stand)
        case .object(let members): members.contains { stand(inLeaf: $0.key) || stand(in: $0.value) }
        }
    }

    private func stand(inLeaf text: String) -> Bool {
        var text = text
        return text.withUTF8 { place(in: $0, from: 0) != nil }
    }

    /// The text without them; a JSON text stays one, of the same shape.
    package func replaced(in text: String) -> String {
        // What is no JSON is taken as it stands.
        if text.utf8.contains(UInt8(ascii: "{")) || text.utf8.contains(UInt8(ascii: "[")),
            let tree = try? JSONValue(parsing: text)
        {
            return replaced(in: tree).text
        }
        return replaced(inLeaf: text)
    }

    package func replaced(in value: JSONValue) -> JSONValue {
        switch value {
        case .null, .bool: value
        case .number(let number): stand(inLeaf: number.text) ? .string(Person.erased) : value
        case .string(let text): .string(replaced(inLeaf: text))
        case .array(let elements): .array(elements.map(replaced))
        case .object(let members):
            .object(
                Dictionary(
                    members.map { (replaced(inLeaf: $0.key), replaced(in: $0.value)) },
                    uniquingKeysWith: { first, _ in first }))
        }
    }

    private func replaced(inLeaf text: String) -> String {
        var text = text
        let made = text.withUTF8 { bytes -> [UInt8]? in
            guard var found = place(in: bytes, from: 0) else { return nil }
            var made: [UInt8] = []
            var from = 0
            while true {
                made += bytes[from..<found.lowerBound]
                made += Person.erased.utf8
                from = found.upperBound
                guard let next = place(in: bytes, from: from) else { break }
                found = next
            }
            return made + bytes[from...]
        }
        return made.map { String(decoding: $0, as: UTF8.self) } ?? text
    }

    // MARK: Bytes

    private func place(in text: UnsafeBufferPointer<UInt8>, from: Int) -> Range<Int>? {
        var at = from
        while at < text.count {
            if starts[Int(text[at])] {
                for needle in needles where matches(needle, text, at) {
                    return at..<(at + needle.count)
                }
            }
            at += 1
        }
        return nil
    }

    /// As a word of its own: `CARD-1` does not stand in `CARD-12`.
    private func matches(
        _ needle: [UInt8], _ text: UnsafeBufferPointer<UInt8>, _ at: Int
    ) -> Bool {
        let end = at + needle.count
        guard end <= text.count else { return false }
        for index in 0..<needle.count where Self.lower(text[at + index]) != needle[index] {
            return false
        }
        let before = at > 0 ? text[at - 1] : nil
        let after = end < text.count ? text[end] : nil
        guard needle.count >= Self.shortest else {
            let quote = UInt8(ascii: "\"")
            return (before == nil && after == nil) || (before == quote && after == quote)
        }
        return !(before.map(Self.isWord) ?? false) && !(after.map(Self.isWord) ?? false)
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "-"), UInt8(ascii: "_"), 0x80...:
            true
        default: false
        }
    }

    private static func lower(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }

    private static func upper(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) ? byte & 0xDF : byte
    }
}
