/// Why a text is not JSON, or not JSON this reader takes: the reason, where, and inside what.
package struct JSONError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Reason: Hashable, Sendable {
        /// The text ends inside a value.
        case endOfText
        /// A byte that cannot stand here.
        case unexpected(UInt8)
        /// A value of another kind than the reader asked for.
        case expected(String)
        case badNumber
        /// The number is right, but does not fit the type asked for.
        case numberOutOfRange
        /// An escape JSON does not know, or half of a surrogate pair.
        case badEscape
        case badUTF8
        /// U+0000, escaped. It ends C strings early and PostgreSQL refuses it, so nobody takes it.
        case nulCharacter
        case duplicateKey(String)
        case limit(String)
        /// Bytes after the value.
        case trailingBytes
    }

    package var reason: Reason
    /// Bytes from the start of the text.
    package var offset: Int
    /// `$`, `$.roles[0].party_id`. Only the tree fills it; a pull reader leaves it at `$`.
    package private(set) var path: String

    package init(_ reason: Reason, at offset: Int) {
        self.reason = reason
        self.offset = offset
        self.path = "$"
    }

    /// The same error seen from one level further out.
    func inside(_ step: String) -> JSONError {
        var outer = self
        outer.path = "$" + step + path.dropFirst()
        return outer
    }

    package var description: String {
        let what =
            switch reason {
            case .endOfText: "the text ends inside a value"
            case .unexpected(let byte): "unexpected byte 0x\(String(byte, radix: 16))"
            case .expected(let kind): "expected \(kind)"
            case .badNumber: "not a JSON number"
            case .numberOutOfRange: "the number does not fit"
            case .badEscape: "not a JSON escape, or half of a surrogate pair"
            case .badUTF8: "not UTF-8"
            case .nulCharacter: "U+0000 is not taken"
            case .duplicateKey(let key): "the key \(key) stands twice"
            case .limit(let name): "over the limit \(name)"
            case .trailingBytes: "bytes after the value"
            }
        return "\(path): \(what) (byte \(offset))"
    }
}

/// Spells one step of a JSON path: `.party_id`, `[0]`, `["a key"]`.
enum JSONPath {
    static func step(_ key: String) -> String {
        let isPlain =
            !key.isEmpty && key.utf8.count <= 64
            && key.utf8.allSatisfy { byte in
                (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x5A)
                    || (byte >= 0x61 && byte <= 0x7A) || byte == 0x5F || byte == 0x2D
            }
        return isPlain ? "." + key : "[" + JSONValue.string(String(key.prefix(64))).text + "]"
    }

    static func step(_ index: Int) -> String { "[\(index)]" }
}
