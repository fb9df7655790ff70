import Charging
import JSON

/// Reads an object's fields leniently, one rule for all messages, and keeps what it forgave.
///
/// A field of the wrong kind that cannot be converted without loss is remembered as the message's
/// fault and read as absent; `checked` throws it. So a closure reads on and the first fault wins.
package struct FieldReader: Sendable {
    package var deviations = Deviations()
    package private(set) var fault: CallError?

    package init() {}

    /// Reads one object and nothing after it.
    ///
    /// `body` gets every member and must take exactly its value: with a function of this type, or
    /// with `unknown`.
    package static func read(
        _ payload: RawSpan,
        _ body: (inout JSONReader, JSONSlice, inout FieldReader) throws(JSONError) -> Void
    ) throws(CallError) -> FieldReader {
        var fields = FieldReader()
        if payload.byteCount == 0 {
            fields.deviations.insert(.payloadMissing)
            return fields
        }
        do throws(JSONError) {
            var reader = JSONReader(payload, limits: .ocpp)
            guard try reader.peek() != UInt8(ascii: "n") else {
                try reader.null()
                try reader.finish()
                fields.deviations.insert(.payloadMissing)
                return fields
            }
            try reader.object { reader, key throws(JSONError) in
                try body(&reader, key, &fields)
            }
            try reader.finish()
        } catch {
            throw CallError(.formationViolation, "the payload is not a JSON object")
        }
        return fields
    }

    /// Throws the fault, if one was found.
    package func checked() throws(CallError) {
        if let fault { throw fault }
    }

    /// The value of a field that must be there.
    package func required<Value>(_ value: Value?, _ field: StaticString) throws(CallError)
        -> Value
    {
        try checked()
        guard let value else {
            throw CallError(.missingField, "a required field is missing: \(field)")
        }
        return value
    }

    package mutating func fail(_ code: CallError.Code, _ description: String) {
        if fault == nil { fault = CallError(code, description) }
    }

    // MARK: Values

    /// A field nobody here knows.
    @_lifetime(reader: copy reader)
    package mutating func unknown(_ reader: inout JSONReader) throws(JSONError) {
        deviations.insert(.unknownField)
        try reader.skip()
    }

    /// A text; a number or a truth value is taken as its spelling.
    @_lifetime(reader: copy reader)
    package mutating func text(
        _ reader: inout JSONReader, _ field: StaticString, maximum: Int
    ) throws(JSONError) -> String? {
        switch try reader.peek() {
        case UInt8(ascii: "\""): return bounded(try reader.string(), maximum)
        case UInt8(ascii: "n"):
            try reader.null()
            deviations.insert(.nullField)
            return nil
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            try wrongType(&reader, field)
            return nil
        case UInt8(ascii: "t"), UInt8(ascii: "f"):
            deviations.insert(.numberForText)
            return try reader.bool() ? "true" : "false"
        default:
            deviations.insert(.numberForText)
            return bounded(reader.text(of: try reader.number()), maximum)
        }
    }

    /// A token's text, without blanks around it.
    @_lifetime(reader: copy reader)
    package mutating func token(_ reader: inout JSONReader, _ field: StaticString)
        throws(JSONError) -> String?
    {
        guard let text = try text(&reader, field, maximum: 20) else { return nil }
        guard text.utf8.first == 0x20 || text.utf8.last == 0x20 else { return text }
        deviations.insert(.textPadded)
        return Self.trimmed(text)
    }

    /// A whole number; a text that spells one is taken, a fraction is rounded down.
    @_lifetime(reader: copy reader)
    package mutating func integer(_ reader: inout JSONReader, _ field: StaticString)
        throws(JSONError) -> Int?
    {
        let slice: JSONSlice
        switch try reader.peek() {
        case UInt8(ascii: "\""):
            deviations.insert(.textForNumber)
            slice = try reader.rawString()
        case UInt8(ascii: "n"):
            try reader.null()
            deviations.insert(.nullField)
            return nil
        case UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: "t"), UInt8(ascii: "f"):
            try wrongType(&reader, field)
            return nil
        default: slice = try reader.number()
        }
        guard let decimal = reader.decimal(of: slice), let whole = decimal.floor else {
            fail(.typeViolation, "a field is not a whole number: \(field)")
            return nil
        }
        if decimal.reduced.scale > 0 { deviations.insert(.fractionForInteger) }
        return Int(whole)
    }

    /// A truth value, or its spelling as text.
    @_lifetime(reader: copy reader)
    package mutating func truth(_ reader: inout JSONReader, _ field: StaticString)
        throws(JSONError) -> Bool?
    {
        switch try reader.peek() {
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return try reader.bool()
        case UInt8(ascii: "n"):
            try reader.null()
            deviations.insert(.nullField)
            return nil
        case UInt8(ascii: "\""):
            deviations.insert(.textForNumber)
            let text = try reader.string().lowercased()
            if text == "true" || text == "1" { return true }
            if text == "false" || text == "0" { return false }
            fail(.typeViolation, "a field is not a truth value: \(field)")
            return nil
        default:
            try wrongType(&reader, field)
            return nil
        }
    }

    /// A time; one that cannot be read is absent, and the message is ordered by its arrival.
    @_lifetime(reader: copy reader)
    package mutating func time(_ reader: inout JSONReader) throws(JSONError) -> Timestamp? {
        guard try reader.peek() == UInt8(ascii: "\"") else {
            deviations.insert(.timestampUnreadable)
            try reader.skip()
            return nil
        }
        let slice = try reader.rawString()
        guard let time = reader.time(of: slice) else {
            deviations.insert(.timestampUnreadable)
            return nil
        }
        // The common `…Z` is told by its last byte, without a copy.
        let isZulu = reader.matches(JSONSlice(start: slice.end - 1, end: slice.end), "Z")
        if !isZulu, !Self.hasZone(reader.text(of: slice)) {
            deviations.insert(.timestampWithoutZone)
        }
        if time < Self.clockIsSetSince { deviations.insert(.clockUnset) }
        return time
    }

    /// A time that may be left out; null and an empty text are absent, and counted.
    @_lifetime(reader: copy reader)
    package mutating func timeOrNull(
        _ reader: inout JSONReader
    ) throws(JSONError) -> Timestamp? {
        let before = deviations
        switch try reader.peek() {
        case UInt8(ascii: "n"): try reader.null()
        case UInt8(ascii: "\""):
            var ahead = reader
            let slice = try ahead.rawString()
            guard slice.start == slice.end else { return try time(&reader) }
            reader = ahead
        default: return try time(&reader)
        }
        deviations = before
        deviations.insert(.nullField)
        return nil
    }

    /// A word of a closed list; nil for another one, which is then in `foreign` and a deviation
    /// unless it is one of `legal`.
    @_lifetime(reader: copy reader)
    package mutating func word<Value>(
        _ reader: inout JSONReader, _ field: StaticString, _ words: Words<Value>,
        foreign: inout String?, legal: [String] = []
    ) throws(JSONError) -> Value? {
        guard try reader.peek() == UInt8(ascii: "\"") else {
            foreign = try text(&reader, field, maximum: OCPPLimits.textCharacters)
            if foreign != nil { deviations.insert(.unknownEnumValue) }
            return nil
        }
        let slice = try reader.rawString()
        for (spelling, value) in words.entries where reader.matches(slice, spelling) {
            return value
        }
        let text = bounded(reader.text(of: slice), OCPPLimits.textCharacters)
        if !legal.contains(text) { deviations.insert(.unknownEnumValue) }
        foreign = text
        return nil
    }

    /// A list; a single object or value is a list of one, null is absent, an empty one is counted.
    @_lifetime(reader: copy reader)
    package mutating func list(
        _ reader: inout JSONReader, _ field: StaticString, maximum: Int,
        _ body: (inout JSONReader, inout FieldReader) throws(JSONError) -> Void
    ) throws(JSONError) {
        switch try reader.peek() {
        case UInt8(ascii: "["):
            var count = 0
            var inner = self
            try reader.array { reader throws(JSONError) in
                count += 1
                if count <= maximum {
                    try body(&reader, &inner)
                } else {
                    inner.deviations.insert(.listTooLong)
                    try reader.skip()
                }
            }
            self = inner
            if count == 0 { deviations.insert(.emptyList) }
        case UInt8(ascii: "n"):
            try reader.null()
            deviations.insert(.nullField)
        case UInt8(ascii: "{"):
            deviations.insert(.objectForList)
            try body(&reader, &self)
        default: try wrongType(&reader, field)
        }
    }

    /// An object inside a message; false where something else stands.
    @_lifetime(reader: copy reader)
    package mutating func object(
        _ reader: inout JSONReader, _ field: StaticString,
        _ body: (inout JSONReader, JSONSlice, inout FieldReader) throws(JSONError) -> Void
    ) throws(JSONError) -> Bool {
        switch try reader.peek() {
        case UInt8(ascii: "{"):
            var inner = self
            try reader.object { reader, key throws(JSONError) in try body(&reader, key, &inner) }
            self = inner
            return true
        case UInt8(ascii: "n"):
            try reader.null()
            deviations.insert(.nullField)
            return false
        default:
            try wrongType(&reader, field)
            return false
        }
    }

    // MARK: Helpers

    @_lifetime(reader: copy reader)
    private mutating func wrongType(_ reader: inout JSONReader, _ field: StaticString)
        throws(JSONError)
    {
        try reader.skip()
        fail(.typeViolation, "a field has the wrong JSON type: \(field)")
    }

    private mutating func bounded(_ text: String, _ maximum: Int) -> String {
        // Bytes are at least as many as characters: the common case counts nothing.
        guard text.utf8.count > maximum, text.unicodeScalars.count > maximum else { return text }
        deviations.insert(.textTooLong)
        return String(
            String.UnicodeScalarView(text.unicodeScalars.prefix(OCPPLimits.textCharacters)))
    }

    package static func trimmed(_ text: String) -> String {
        var bytes = Substring(text)
        while bytes.first == " " { bytes.removeFirst() }
        while bytes.last == " " { bytes.removeLast() }
        return String(bytes)
    }

    private static let clockIsSetSince = Timestamp(seconds: 1_420_070_400)  // 2015

    private static func hasZone(_ text: String) -> Bool {
        let bytes = text.utf8
        guard let last = bytes.last, last != UInt8(ascii: "Z"), last != UInt8(ascii: "z") else {
            return true
        }
        return bytes.dropFirst(19).contains { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "-") }
    }
}

/// A closed list of words with their meanings, compared without copying the text.
package struct Words<Value: Sendable>: Sendable {
    package let entries: [(StaticString, Value)]

    package init(_ entries: [(StaticString, Value)]) { self.entries = entries }
}

extension JSONLimits {
    /// For one OCPP message.
    package static let ocpp = JSONLimits(
        bytes: OCPPLimits.messageBytes, depth: OCPPLimits.depth, elements: 10_000, values: 50_000)
}
