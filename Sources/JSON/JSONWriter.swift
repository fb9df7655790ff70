import Charging

/// Writes JSON into a byte buffer, comma by comma: nothing is kept but the bytes.
///
/// The caller keeps objects, keys and arrays in order; commas and escapes are the writer's.
/// ```
/// var writer = JSONWriter()
/// writer.object { w in
///     w.member("currentTime", time)
///     w.member("interval", 300)
/// }
/// ```
package struct JSONWriter: Sendable {
    package private(set) var bytes: [UInt8]
    private var needsComma = false

    package init(reserving capacity: Int = 256) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    package var text: String { String(decoding: bytes, as: UTF8.self) }

    /// Empties the buffer and keeps its memory.
    package mutating func reset() {
        bytes.removeAll(keepingCapacity: true)
        needsComma = false
    }

    // MARK: Structure

    package mutating func beginObject() { open(UInt8(ascii: "{")) }
    package mutating func endObject() { close(UInt8(ascii: "}")) }
    package mutating func beginArray() { open(UInt8(ascii: "[")) }
    package mutating func endArray() { close(UInt8(ascii: "]")) }

    package mutating func object(_ body: (inout JSONWriter) -> Void) {
        beginObject()
        body(&self)
        endObject()
    }

    package mutating func array(_ body: (inout JSONWriter) -> Void) {
        beginArray()
        body(&self)
        endArray()
    }

    /// A key that is part of the program and needs no escapes.
    package mutating func key(_ name: StaticString) {
        comma()
        bytes.append(0x22)
        name.withUTF8Buffer { bytes.append(contentsOf: $0) }
        bytes.append(0x22)
        bytes.append(0x3A)
    }

    package mutating func key(any name: String) {
        comma()
        quoted(name)
        bytes.append(0x3A)
    }

    // MARK: Values

    package mutating func null() { literal("null") }
    package mutating func bool(_ value: Bool) { literal(value ? "true" : "false") }

    package mutating func int(_ value: some BinaryInteger) {
        comma()
        bytes.append(contentsOf: String(value).utf8)
        needsComma = true
    }

    /// In its shortest spelling: 5.50 becomes `5.5`.
    package mutating func decimal(_ value: Decimal) {
        comma()
        bytes.append(contentsOf: value.reduced.description.utf8)
        needsComma = true
    }

    package mutating func number(_ value: JSONNumber) {
        comma()
        bytes.append(contentsOf: value.text.utf8)
        needsComma = true
    }

    package mutating func string(_ value: String) {
        comma()
        quoted(value)
        needsComma = true
    }

    /// RFC 3339.
    package mutating func time(_ value: Timestamp) { string(value.rfc3339) }

    package mutating func value(_ value: JSONValue) {
        switch value {
        case .null: null()
        case .bool(let value): bool(value)
        case .number(let value): number(value)
        case .string(let value): string(value)
        case .array(let elements):
            beginArray()
            for element in elements { self.value(element) }
            endArray()
        case .object(let members):
            beginObject()
            for (key, member) in Self.sorted(members) {
                self.key(any: key)
                self.value(member)
            }
            endObject()
        }
    }

    /// Bytes that are one JSON value already.
    package mutating func raw(_ json: some Collection<UInt8>) {
        comma()
        bytes.append(contentsOf: json)
        needsComma = true
    }

    // MARK: Members

    package mutating func member(_ name: StaticString, _ value: String) {
        key(name)
        string(value)
    }
    package mutating func member(_ name: StaticString, _ value: some BinaryInteger) {
        key(name)
        int(value)
    }
    package mutating func member(_ name: StaticString, _ value: Bool) {
        key(name)
        bool(value)
    }
    package mutating func member(_ name: StaticString, _ value: Decimal) {
        key(name)
        decimal(value)
    }
    package mutating func member(_ name: StaticString, _ value: Timestamp) {
        key(name)
        time(value)
    }
    package mutating func member(_ name: StaticString, _ value: JSONValue) {
        key(name)
        self.value(value)
    }

    // MARK: Bytes

    private mutating func open(_ bracket: UInt8) {
        comma()
        bytes.append(bracket)
        needsComma = false
    }

    private mutating func close(_ bracket: UInt8) {
        bytes.append(bracket)
        needsComma = true
    }

    /// Written before every value and key. A key leaves `needsComma` false for its value.
    private mutating func comma() {
        if needsComma { bytes.append(0x2C) }
        needsComma = false
    }

    private mutating func literal(_ text: StaticString) {
        comma()
        text.withUTF8Buffer { bytes.append(contentsOf: $0) }
        needsComma = true
    }

    private mutating func quoted(_ text: String) {
        bytes.append(0x22)
        // Nearly every string lies in one piece and needs no escapes.
        let isWritten = text.utf8.withContiguousStorageIfAvailable { utf8 in
            for byte in utf8 where byte < 0x20 || byte == 0x22 || byte == 0x5C { return false }
            bytes.append(contentsOf: utf8)
            return true
        }
        if isWritten != true { for byte in text.utf8 { escaped(byte) } }
        bytes.append(0x22)
    }

    private mutating func escaped(_ byte: UInt8) {
        func short(_ letter: Character) -> [UInt8] { [0x5C, letter.asciiValue ?? 0x3F] }
        switch byte {
        case 0x22: bytes.append(contentsOf: short("\""))
        case 0x5C: bytes.append(contentsOf: short("\\"))
        case 0x08: bytes.append(contentsOf: short("b"))
        case 0x09: bytes.append(contentsOf: short("t"))
        case 0x0A: bytes.append(contentsOf: short("n"))
        case 0x0C: bytes.append(contentsOf: short("f"))
        case 0x0D: bytes.append(contentsOf: short("r"))
        case 0..<0x20:
            let digits = Array("0123456789abcdef".utf8)
            bytes.append(contentsOf: Array("\\u00".utf8))
            bytes.append(digits[Int(byte >> 4)])
            bytes.append(digits[Int(byte & 15)])
        default: bytes.append(byte)
        }
    }

    private static func sorted(_ members: [String: JSONValue]) -> [(String, JSONValue)] {
        members.map { ($0.key, $0.value) }.sorted { a, b in
            a.0.utf8.lexicographicallyPrecedes(b.0.utf8)
        }
    }
}
