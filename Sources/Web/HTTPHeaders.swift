/// Header fields in the order they came, found without regard to case. RFC 9110 §5.
package struct HTTPHeaders: Sendable, Hashable {
    package struct Field: Sendable, Hashable {
        package var name: String
        package var value: String
    }

    package private(set) var fields: [Field] = []

    package init() {}

    package init(_ fields: [(String, String)]) {
        for (name, value) in fields { add(name, value) }
    }

    /// The first value of `name`; setting it replaces every field of that name, nil removes them.
    package subscript(_ name: String) -> String? {
        get { fields.first { Self.same($0.name, name) }?.value }
        set {
            fields.removeAll { Self.same($0.name, name) }
            if let newValue { add(name, newValue) }
        }
    }

    /// Every value of `name`, in order.
    package func all(_ name: String) -> [String] {
        fields.filter { Self.same($0.name, name) }.map(\.value)
    }

    /// Adds a field behind those that are there.
    package mutating func add(_ name: String, _ value: String) {
        fields.append(Field(name: name, value: value))
    }

    /// Names that are no token and values with control characters never reach the wire: a value
    /// with a line break would let whoever chose it write the rest of the answer.
    static func isSafe(_ field: Field) -> Bool {
        guard !field.name.isEmpty else { return false }
        for byte in field.name.utf8 where !isTokenByte(byte) { return false }
        for byte in field.value.utf8 where (byte < 0x20 && byte != 0x09) || byte == 0x7F {
            return false
        }
        return true
    }

    static func same(_ one: String, _ other: String) -> Bool {
        var left = one.utf8.makeIterator()
        var right = other.utf8.makeIterator()
        while true {
            let (a, b) = (left.next(), right.next())
            guard let a, let b else { return a == nil && b == nil }
            if lowered(a) != lowered(b) { return false }
        }
    }

    private static func lowered(_ byte: UInt8) -> UInt8 {
        byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte
    }

    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
}

extension HTTPHeaders: ExpressibleByDictionaryLiteral {
    package init(dictionaryLiteral elements: (String, String)...) { self.init(elements) }
}

extension HTTPHeaders {
    /// Header names libwebsockets does not know by itself; it can only be asked for each by name,
    /// so a header that is neither known to it nor listed here does not reach a handler.
    package static let carried: [String] = [
        "x-request-id", "x-correlation-id", "x-forwarded-for", "x-forwarded-proto",
        "x-gateway-authorization", "x-csrf-token", "x-api-key", "x-requested-with",
        "ocpi-from-country-code", "ocpi-from-party-id", "ocpi-to-country-code", "ocpi-to-party-id",
        "idempotency-key", "last-event-id", "traceparent", "tracestate", "digest", "signature",
        "proxy-authorization", "sec-fetch-site", "sec-fetch-mode",
    ]
}
