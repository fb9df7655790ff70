import Charging

/// What may stand beside a log message. Never a token, a key or a full ID tag.
package protocol LogValue: Sendable {
    /// nil leaves the key out.
    var logText: LogText? { get }
}

/// A value as both formats write it.
package enum LogText: Hashable, Sendable {
    /// Quoted where the format needs it.
    case text(String)
    /// A number or a boolean, written bare.
    case bare(String)
}

extension String: LogValue {
    package var logText: LogText? { .text(self) }
}
extension Substring: LogValue {
    package var logText: LogText? { .text(String(self)) }
}
extension Int: LogValue {
    package var logText: LogText? { .bare(String(self)) }
}
extension Int64: LogValue {
    package var logText: LogText? { .bare(String(self)) }
}
extension Bool: LogValue {
    package var logText: LogText? { .bare(self ? "true" : "false") }
}
extension Timestamp: LogValue {
    package var logText: LogText? { .text(rfc3339) }
}
extension Decimal: LogValue {
    package var logText: LogText? { .text("\(self)") }
}
extension Optional: LogValue where Wrapped: LogValue {
    package var logText: LogText? { self?.logText }
}

/// An error as it describes itself: `["error": LogError(error)]`.
package struct LogError: LogValue {
    package let logText: LogText?
    package init(_ error: any Error) { logText = .text("\(error)") }
}
