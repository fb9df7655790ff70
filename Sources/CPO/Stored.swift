import Charging
import JSON

/// How the house spells its nouns in its own tables: no protocol's words, readable for years.
///
/// A released spelling only grows; a missing key has the meaning it had before the key existed.
package protocol Stored {
    var stored: JSONValue { get }
    init(stored: JSONValue) throws
}

/// A row that cannot be read back: the table was edited by hand or by a newer version.
package struct StoredError: Error, Hashable, Sendable, CustomStringConvertible {
    package var key: String
    package var description: String { "a stored object lacks or garbles its key \(key)" }
}

extension Stored {
    package var storedText: String { stored.text }

    package init(storedText: String) throws {
        // A charge of days has as many stretches as readings.
        try self.init(stored: JSONValue(parsing: storedText, limits: .file))
    }
}

extension Array where Element: Stored {
    var stored: JSONValue { .array(map(\.stored)) }
}

extension JSONValue {
    static func text(_ value: String?) -> JSONValue? { value.map { .string($0) } }
    static func decimal(_ value: Decimal?) -> JSONValue? { value.map { .number($0) } }
    static func int(_ value: Int?) -> JSONValue? { value.map { .number($0) } }
    static func moment(_ value: Timestamp?) -> JSONValue? { value.map { .time($0) } }

    func required<T>(_ key: String, _ read: (JSONValue) throws -> T?) throws -> T {
        guard let member = self[key], let value = try read(member) else {
            throw StoredError(key: key)
        }
        return value
    }

    func optional<T>(_ key: String, _ read: (JSONValue) throws -> T?) throws -> T? {
        guard let member = self[key], !member.isNull else { return nil }
        guard let value = try read(member) else { throw StoredError(key: key) }
        return value
    }

    func text(_ key: String) throws -> String { try required(key) { $0.string } }
    func textOrNil(_ key: String) throws -> String? { try optional(key) { $0.string } }
    func int(_ key: String) throws -> Int { try required(key) { $0.int } }
    func intOrNil(_ key: String) throws -> Int? { try optional(key) { $0.int } }
    func int64(_ key: String) throws -> Int64 { try required(key) { $0.int64 } }
    func int64OrNil(_ key: String) throws -> Int64? { try optional(key) { $0.int64 } }
    func bool(_ key: String) throws -> Bool { try required(key) { $0.bool } }
    func decimal(_ key: String) throws -> Decimal { try required(key) { $0.decimal } }
    func decimalOrNil(_ key: String) throws -> Decimal? { try optional(key) { $0.decimal } }
    func time(_ key: String) throws -> Timestamp { try required(key) { $0.time } }
    func timeOrNil(_ key: String) throws -> Timestamp? { try optional(key) { $0.time } }

    func nested<T: Stored>(_ key: String, as type: T.Type = T.self) throws -> T {
        try required(key) { try T(stored: $0) }
    }

    func nestedOrNil<T: Stored>(_ key: String, as type: T.Type = T.self) throws -> T? {
        try optional(key) { try T(stored: $0) }
    }

    func list<T: Stored>(_ key: String, of type: T.Type = T.self) throws -> [T] {
        try optional(key) { try $0.array?.map { try T(stored: $0) } } ?? []
    }

    func texts(_ key: String) throws -> [String] {
        try optional(key) { $0.array?.compactMap(\.string) } ?? []
    }

    func choice<T: RawRepresentable>(_ key: String, of type: T.Type = T.self) throws -> T
    where T.RawValue == String {
        try required(key) { $0.string.flatMap { T(rawValue: $0) } }
    }
}
