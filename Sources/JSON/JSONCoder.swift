/// Why a value does not fit the type asked for, or cannot be written; `path` says where.
package enum JSONCodingError: Error, Hashable, Sendable, CustomStringConvertible {
    case malformed(JSONError)
    case missing(path: String)
    case mismatch(path: String, expected: String, found: String)
    /// Right kind, wrong content: an unknown enum text, a number out of range, a bad time.
    case invalid(path: String, reason: String)

    package var path: String {
        switch self {
        case .malformed(let error): error.path
        case .missing(let path), .mismatch(let path, _, _), .invalid(let path, _): path
        }
    }

    package var description: String {
        switch self {
        case .malformed(let error): error.description
        case .missing(let path): "\(path): missing"
        case .mismatch(let path, let expected, let found):
            "\(path): expected \(expected), found \(found)"
        case .invalid(let path, let reason): "\(path): \(reason)"
        }
    }
}

/// Codable without Foundation: for everything that is not hot.
///
/// Unknown members are ignored, nil is left out, keys are sorted. Numbers are exact: a `Decimal` is
/// a JSON number in its shortest spelling, a `Timestamp` an RFC 3339 string, integers never pass
/// through a `Double`.
package enum JSONCoder {
    package static func decode<T: Decodable>(
        _ type: T.Type, from bytes: [UInt8], limits: JSONLimits = .standard
    ) throws(JSONCodingError) -> T {
        let value: JSONValue
        do throws(JSONError) {
            value = try JSONValue(parsing: bytes, limits: limits)
        } catch {
            throw .malformed(error)
        }
        return try decode(type, from: value)
    }

    package static func decode<T: Decodable>(
        _ type: T.Type, from value: JSONValue
    ) throws(JSONCodingError) -> T {
        do {
            return try JSONValueDecoder(value: value, codingPath: []).unbox(type)
        } catch let error as JSONCodingError {
            throw error
        } catch let error as DecodingError {
            throw JSONCodingError(error)
        } catch {
            throw .invalid(path: "$", reason: String(describing: error))
        }
    }

    package static func encode(_ value: some Encodable) throws(JSONCodingError) -> [UInt8] {
        try self.value(of: value).encoded()
    }

    package static func value(of value: some Encodable) throws(JSONCodingError) -> JSONValue {
        do {
            return try JSONValueEncoder.box(value, codingPath: [])
        } catch let error as JSONCodingError {
            throw error
        } catch {
            throw .invalid(path: "$", reason: String(describing: error))
        }
    }
}

extension JSONCodingError {
    init(_ error: DecodingError) {
        switch error {
        case .typeMismatch(let type, let context), .valueNotFound(let type, let context):
            self = .mismatch(
                path: Self.path(context.codingPath), expected: "\(type)",
                found: context.debugDescription)
        case .keyNotFound(let key, let context):
            self = .missing(path: Self.path(context.codingPath + [key]))
        case .dataCorrupted(let context):
            self = .invalid(path: Self.path(context.codingPath), reason: context.debugDescription)
        @unknown default:
            self = .invalid(path: "$", reason: String(describing: error))
        }
    }

    static func path(_ keys: [any CodingKey]) -> String {
        keys.reduce("$") { path, key in
            path + (key.intValue.map { JSONPath.step($0) } ?? JSONPath.step(key.stringValue))
        }
    }
}

/// A key made from text or number: for array elements and `super`.
struct JSONKey: CodingKey {
    var stringValue: String
    var intValue: Int?

    init(stringValue: String) { self.stringValue = stringValue }
    init(intValue: Int) {
        self.stringValue = String(intValue)
        self.intValue = intValue
    }
}
