import Charging

/// A value as both engines store it. There is no floating point: energy is whole Wh, money decimal
/// text, a place a scaled integer.
package enum SQLValue: Hashable, Sendable {
    case null
    case integer(Int64)
    case text(String)
    case blob([UInt8])
}

/// What may stand for a `?` of a statement; nil is NULL.
package protocol SQLConvertible: Sendable {
    var sqlValue: SQLValue { get }
}

extension SQLValue: SQLConvertible, ExpressibleByIntegerLiteral, ExpressibleByStringLiteral,
    ExpressibleByNilLiteral
{
    package var sqlValue: SQLValue { self }

    package init(integerLiteral value: Int64) { self = .integer(value) }
    package init(stringLiteral value: String) { self = .text(value) }
    package init(nilLiteral: ()) { self = .null }
    package init(_ value: (any SQLConvertible)?) { self = value?.sqlValue ?? .null }
}

extension String: SQLConvertible {
    package var sqlValue: SQLValue { .text(self) }
}
extension Int: SQLConvertible {
    package var sqlValue: SQLValue { .integer(Int64(self)) }
}
extension Int64: SQLConvertible {
    package var sqlValue: SQLValue { .integer(self) }
}
/// 0 or 1.
extension Bool: SQLConvertible {
    package var sqlValue: SQLValue { .integer(self ? 1 : 0) }
}
/// Milliseconds since 1970, UTC.
extension Timestamp: SQLConvertible {
    package var sqlValue: SQLValue { .integer(milliseconds) }
}
/// Decimal text.
extension Decimal: SQLConvertible {
    package var sqlValue: SQLValue { .text("\(self)") }
}
extension [UInt8]: SQLConvertible {
    package var sqlValue: SQLValue { .blob(self) }
}
