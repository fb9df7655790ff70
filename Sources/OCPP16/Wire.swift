import Charging
import JSON
import OCPP

/// Bounds of 1.6's field types.
enum Wire {
    static let maximumConnector = 64
    /// CiString20Type.
    static let tokenCharacters = 20

    /// Registers beyond a terawatt-hour are nonsense; sums of what is left cannot overflow.
    static let registers = -1_000_000_000_000...1_000_000_000_000
    /// Whole digits and digits after the point of one measured value.
    static let largestSample: Int128 = 1_000_000_000_000_000
    static let sampleDigits = 9

    /// A register as it is billed, clamped to what a meter can show.
    static func register(_ value: Int, _ fields: inout FieldReader) -> WattHours {
        if !registers.contains(value) { fields.deviations.insert(.numberClamped) }
        return WattHours(Int64(min(max(value, registers.lowerBound), registers.upperBound)))
    }

    /// A measured value that can be reckoned with; nil for one that no instrument shows.
    static func sample(_ value: Decimal) -> Decimal? {
        let plain = value.reduced
        guard (plain.floor.map { Int128($0).magnitude <= largestSample.magnitude }) ?? false else {
            return nil
        }
        return plain.scale > sampleDigits ? plain.rounded(to: sampleDigits) : value
    }

    static func isToken(_ text: String) -> Bool {
        !text.isEmpty && text.unicodeScalars.count <= tokenCharacters
    }

    /// Interval fields clamped to a year.
    static func seconds(_ value: Int) -> Int { max(0, min(value, 31_536_000)) }

    /// At most `maximum` characters. Only for texts that inform; names and keys are never cut.
    static func cut(_ text: String, _ maximum: Int) -> String {
        guard text.utf8.count > maximum else { return text }
        return String(String.UnicodeScalarView(text.unicodeScalars.prefix(maximum)))
    }

    static func cut(_ text: String?, _ maximum: Int) -> String? { text.map { cut($0, maximum) } }

    static func word(_ text: String?, of words: Set<String>) -> String? {
        guard let text, words.contains(text) else { return nil }
        return text
    }
}

extension FieldReader {
    /// A token that an operator has something done for. One that 1.6 cannot carry back is refused: a
    /// charge under it could never be told, and so never be billed.
    @_lifetime(reader: copy reader)
    mutating func orderedToken(
        _ reader: inout JSONReader, _ field: StaticString
    ) throws(JSONError) -> String? {
        guard let token = try token(&reader, field) else { return nil }
        guard Wire.isToken(token) else {
            fail(
                .propertyViolation,
                "\(field) must have 1 to \(Wire.tokenCharacters) characters")
            return nil
        }
        return token
    }
}

extension FieldReader {
    /// The group of such a token. Some operators send an empty one for none.
    @_lifetime(reader: copy reader)
    mutating func orderedGroup(
        _ reader: inout JSONReader, _ field: StaticString
    ) throws(JSONError) -> String? {
        guard let group = try token(&reader, field), !group.isEmpty else { return nil }
        guard Wire.isToken(group) else {
            fail(
                .propertyViolation, "\(field) must have at most \(Wire.tokenCharacters) characters")
            return nil
        }
        return group
    }
}

extension JSONWriter {
    mutating func member(_ name: StaticString, ifAny value: String?) {
        if let value { member(name, value) }
    }

    mutating func member(_ name: StaticString, ifAny value: Int?) {
        if let value { member(name, value) }
    }

    mutating func member(_ name: StaticString, ifAny value: Timestamp?) {
        if let value { member(name, value) }
    }
}

extension TransactionReference {
    /// The number 1.6 knows it by.
    var number: Int? {
        if case .number(let number) = self { number } else { nil }
    }
}
