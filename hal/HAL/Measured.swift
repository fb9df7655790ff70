import Charging

/// How far a value may be trusted.
package enum Quality: Hashable, Sendable {
    case good
    /// Read without error, but too long ago to act on.
    case stale
    /// Read without error, but something about it is odd; the text says what.
    case suspect(String)

    /// Older than this a value is stale: no connector starts from it.
    package static let staleMilliseconds: Int64 = 3000

    /// The same quality once the value has got so old. What is suspect stays so: its reason matters
    /// more than its age.
    package func aged(milliseconds: Int64) -> Quality {
        switch self {
        case .good, .stale: milliseconds > Self.staleMilliseconds ? .stale : self
        case .suspect: self
        }
    }
}

extension Quality: CustomStringConvertible {
    package var description: String {
        switch self {
        case .good: "good"
        case .stale: "stale"
        case .suspect(let why): "suspect: \(why)"
        }
    }
}

/// A value together with when it was asked for and who said it. There is no value without.
package struct Measured<Value: Hashable & Sendable>: Hashable, Sendable {
    package var value: Value
    package var quality: Quality
    /// The device and what of it was read, for people: `meter-1 import 0x0048`.
    package var source: String
    /// Monotonic milliseconds at which the reading was *asked for*: it cannot be older than that.
    package var askedAt: Int64
    /// The wall's time of the same moment, for records.
    package var at: Timestamp

    package init(
        _ value: Value, quality: Quality = .good, source: String, askedAt: Int64, at: Timestamp
    ) {
        self.value = value
        self.quality = quality
        self.source = source
        self.askedAt = askedAt
        self.at = at
    }

    /// How old the value is at most, in milliseconds of the same monotonic clock.
    package func age(at monotonicMilliseconds: Int64) -> Int64 { monotonicMilliseconds - askedAt }
}
