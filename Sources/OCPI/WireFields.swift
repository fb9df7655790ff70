import Charging
import JSON

/// A field of a partner's object that cannot be used: where, and what it should be.
package struct WireError: Error, Hashable, Sendable, CustomStringConvertible {
    /// `tariff.elements[0].price_components[1].price`; empty for the object itself.
    package var path: String
    package var problem: String

    package init(_ path: String, _ problem: String) {
        self.path = path
        self.problem = problem
    }

    package var description: String { path.isEmpty ? problem : "\(path): \(problem)" }
}

/// Reads the members of one JSON object, and says exactly which one is wrong.
///
/// A member that is `null` counts as absent: many partners write their empty fields so.
package struct WireFields: Sendable {
    package let members: [String: JSONValue]
    package let path: String

    package init(_ value: JSONValue, at path: String) throws(WireError) {
        guard let members = value.object else {
            throw WireError(path, "must be an object, not \(value.kind)")
        }
        self.members = members.filter { !$0.value.isNull }
        self.path = path
    }

    package func at(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    package func has(_ key: String) -> Bool { members[key] != nil }

    /// The member if it is there; throws if `read` cannot use it.
    package func optional<Value>(
        _ key: String, _ expected: String, _ read: (JSONValue) -> Value?
    ) throws(WireError) -> Value? {
        guard let value = members[key] else { return nil }
        guard let result = read(value) else {
            throw WireError(at(key), "must be \(expected), not \(Self.shown(value))")
        }
        return result
    }

    package func required<Value>(
        _ key: String, _ expected: String, _ read: (JSONValue) -> Value?
    ) throws(WireError) -> Value {
        guard let result = try optional(key, expected, read) else {
            throw WireError(at(key), "is missing")
        }
        return result
    }

    // MARK: Kinds

    /// A text of 1 to `max` characters without control characters.
    package func text(_ key: String, max: Int) throws(WireError) -> String {
        try required(key, Self.textOf(max)) { Self.usable($0, max) }
    }

    package func optionalText(_ key: String, max: Int) throws(WireError) -> String? {
        // An empty optional text says no more than an absent one.
        if members[key]?.string == "" { return nil }
        return try optional(key, Self.textOf(max)) { Self.usable($0, max) }
    }

    package func time(_ key: String) throws(WireError) -> Timestamp {
        try required(key, "a time like 2026-01-31T12:00:00Z", \.time)
    }

    package func optionalTime(_ key: String) throws(WireError) -> Timestamp? {
        try optional(key, "a time like 2026-01-31T12:00:00Z", \.time)
    }

    package func bool(_ key: String) throws(WireError) -> Bool {
        try required(key, "true or false", \.bool)
    }

    package func whole(_ key: String, _ range: ClosedRange<Int64>) throws(WireError) -> Int64 {
        try required(key, "a whole number from \(range.lowerBound) to \(range.upperBound)") {
            Self.whole($0, range)
        }
    }

    package func optionalWhole(
        _ key: String, _ range: ClosedRange<Int64>
    ) throws(WireError) -> Int64? {
        try optional(key, "a whole number from \(range.lowerBound) to \(range.upperBound)") {
            Self.whole($0, range)
        }
    }

    /// A JSON number that stays far inside what `Decimal` holds: below 10^12, 12 digits after the point.
    package func number(_ key: String) throws(WireError) -> Decimal {
        try required(key, Self.numberText, Self.moderate)
    }

    package func optionalNumber(_ key: String) throws(WireError) -> Decimal? {
        try optional(key, Self.numberText, Self.moderate)
    }

    /// One of the raw values, whatever their case.
    package func choice<Value: RawRepresentable & CaseIterable & SendableMetatype>(
        _ key: String, _: Value.Type
    ) throws(WireError) -> Value where Value.RawValue == String {
        try required(key, Self.names(Value.self), Self.choice)
    }

    package func optionalChoice<Value: RawRepresentable & CaseIterable & SendableMetatype>(
        _ key: String, _: Value.Type
    ) throws(WireError) -> Value? where Value.RawValue == String {
        try optional(key, Self.names(Value.self), Self.choice)
    }

    package func fields(_ key: String) throws(WireError) -> WireFields {
        guard let value = members[key] else { throw WireError(at(key), "is missing") }
        return try WireFields(value, at: at(key))
    }

    package func optionalFields(_ key: String) throws(WireError) -> WireFields? {
        guard let value = members[key] else { return nil }
        return try WireFields(value, at: at(key))
    }

    /// A list; absent is empty.
    package func list<Value>(
        _ key: String, atLeast least: Int = 0,
        _ read: (JSONValue, String) throws(WireError) -> Value
    ) throws(WireError) -> [Value] {
        let values = try optional(key, "a list", \.array) ?? []
        guard values.count >= least else {
            throw WireError(at(key), has(key) ? "must not be empty" : "is missing")
        }
        var result: [Value] = []
        for (index, value) in values.enumerated() {
            result.append(try read(value, "\(at(key))[\(index)]"))
        }
        return result
    }

    private static let numberText = "a number below 10^12 with at most 12 digits after the point"

    private static func textOf(_ max: Int) -> String { "a text of 1 to \(max) characters" }

    private static func usable(_ value: JSONValue, _ max: Int) -> String? {
        guard let text = value.string, !text.isEmpty, text.count <= max,
            text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F })
        else { return nil }
        return text
    }

    private static func whole(_ value: JSONValue, _ range: ClosedRange<Int64>) -> Int64? {
        value.int64.flatMap { range.contains($0) ? $0 : nil }
    }

    static func moderate(_ value: JSONValue) -> Decimal? {
        guard let number = value.decimal?.reduced, number.scale <= 12,
            number < Decimal(1_000_000_000_000), number > Decimal(-1_000_000_000_000)
        else { return nil }
        return number
    }

    private static func choice<Value: RawRepresentable & CaseIterable & SendableMetatype>(
        _ value: JSONValue
    ) -> Value? where Value.RawValue == String {
        let text = value.string?.uppercased()
        return Value.allCases.first { $0.rawValue == text }
    }

    private static func names<Value: RawRepresentable & CaseIterable & SendableMetatype>(
        _: Value.Type
    ) -> String where Value.RawValue == String {
        "one of " + Value.allCases.map(\.rawValue).joined(separator: ", ")
    }

    /// A value for a message: short, and never an object's whole text.
    private static func shown(_ value: JSONValue) -> String {
        switch value {
        case .object, .array: value.kind
        default: String(value.text.prefix(60))
        }
    }
}
