import Charging

/// A JSON value as a tree: for raw payloads, partners' documents and everything that is not hot.
package enum JSONValue: Hashable, Sendable {
    case null
    case bool(Bool)
    case number(JSONNumber)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    /// Reads exactly one value and nothing after it.
    ///
    /// Refused besides broken grammar: a key that stands twice in one object, invalid UTF-8, half
    /// surrogate pairs, U+0000, everything over `limits`.
    package init(parsing bytes: [UInt8], limits: JSONLimits = .standard) throws(JSONError) {
        var reader = JSONReader(bytes.span.bytes, limits: limits)
        self = try reader.value()
        try reader.finish()
    }

    package init(parsing text: String, limits: JSONLimits = .standard) throws(JSONError) {
        try self.init(parsing: Array(text.utf8), limits: limits)
    }

    /// Keys sorted by their bytes, no blanks: equal values give equal bytes.
    package func encoded() -> [UInt8] {
        var writer = JSONWriter()
        writer.value(self)
        return writer.bytes
    }

    package var text: String { String(decoding: encoded(), as: UTF8.self) }
}

extension JSONValue {
    /// A number made from a decimal, in its shortest spelling.
    package static func number(_ value: Decimal) -> JSONValue { .number(JSONNumber(value)) }
    package static func number(_ value: some BinaryInteger) -> JSONValue {
        .number(JSONNumber(value))
    }
    /// RFC 3339.
    package static func time(_ value: Timestamp) -> JSONValue { .string(value.rfc3339) }

    package var isNull: Bool { self == .null }

    package var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    package var number: JSONNumber? { if case .number(let value) = self { value } else { nil } }
    package var string: String? { if case .string(let value) = self { value } else { nil } }
    package var array: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
    package var object: [String: JSONValue]? {
        if case .object(let value) = self { value } else { nil }
    }
    /// A whole number that fits.
    package var int: Int? { number?.int64.flatMap { Int(exactly: $0) } }
    package var int64: Int64? { number?.int64 }
    package var decimal: Decimal? { number?.decimal }
    /// A string that is a time; see `Timestamp(rfc3339:)` for what is taken.
    package var time: Timestamp? { string.flatMap { Timestamp(rfc3339: $0) } }

    /// `object`, `array`, `string`, `number`, `boolean` or `null`: for messages.
    package var kind: String {
        switch self {
        case .null: "null"
        case .bool: "boolean"
        case .number: "number"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }

    /// The member of an object; nil for a missing one and for every other kind. Setting nil removes;
    /// setting on another kind makes an object of it.
    package subscript(key: String) -> JSONValue? {
        get { object?[key] }
        set {
            var members = object ?? [:]
            members[key] = newValue
            self = .object(members)
        }
    }

    /// The element of an array; nil outside its bounds and for every other kind.
    package subscript(index: Int) -> JSONValue? {
        guard case .array(let elements) = self, elements.indices.contains(index) else { return nil }
        return elements[index]
    }

    /// An object without its nil members: `.members(["a": 1, "b": nil])` is `{"a":1}`.
    package static func members(_ members: KeyValuePairs<String, JSONValue?>) -> JSONValue {
        var object: [String: JSONValue] = [:]
        for (key, value) in members { if let value { object[key] = value } }
        return .object(object)
    }
}

extension JSONValue: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByIntegerLiteral, ExpressibleByStringInterpolation, ExpressibleByArrayLiteral,
    ExpressibleByDictionaryLiteral
{
    package init(nilLiteral: ()) { self = .null }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(integerLiteral value: Int64) { self = .number(JSONNumber(value)) }
    package init(stringLiteral value: String) { self = .string(value) }
    package init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    /// A key given twice keeps the last value.
    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(Dictionary(elements, uniquingKeysWith: { $1 }))
    }
}

extension JSONValue: CustomStringConvertible {
    package var description: String { text }
}
