import Charging
import Glibc

/// Writes one line per fact to standard error, as logfmt or JSON, or to journald with its fields.
///
/// The message is constant, lower case, and the values stand beside it under the domain's words:
/// `log.notice("session ended", ["session": id, "energyWh": 7_430])`. Values are escaped, so that
/// nothing a peer sends can begin a new line or move a terminal's cursor.
package struct Log: Sendable {
    package enum Level: String, CaseIterable, Comparable, Sendable {
        case debug, info, notice, warning, error

        package static func < (a: Self, b: Self) -> Bool { a.rank < b.rank }

        private var rank: Int {
            switch self {
            case .debug: 0
            case .info: 1
            case .notice: 2
            case .warning: 3
            case .error: 4
            }
        }
    }

    package enum Format: String, CaseIterable, Sendable {
        case logfmt, json
        /// Entries in journald's own form: `Log+Journal.swift`.
        case journal
    }

    /// Gets each finished line, without its line feed; for `.journal` a finished entry.
    package typealias Sink = @Sendable (String) -> Void

    /// Longest value that is written; the rest of a longer one is cut and marked.
    package static let longestValueBytes = 2048

    package let level: Level
    package let format: Format
    private let clock: any ServiceClock
    private let sink: Sink

    package init(
        level: Level = .info, format: Format = .logfmt, clock: any ServiceClock = .system,
        sink: Sink? = nil
    ) {
        self.level = level
        self.format = format
        self.clock = clock
        self.sink = sink ?? Self.sink(for: format)
    }

    /// Says nothing: for tests.
    package static let silent = Log(level: .error, sink: { _ in })

    /// Someone must act.
    package func error(
        _ message: StaticString, _ values: KeyValuePairs<String, any LogValue> = [:]
    ) { write(.error, message, values) }

    /// Degraded, will be tried again.
    package func warning(
        _ message: StaticString, _ values: KeyValuePairs<String, any LogValue> = [:]
    ) { write(.warning, message, values) }

    /// The life of sessions and stations.
    package func notice(
        _ message: StaticString, _ values: KeyValuePairs<String, any LogValue> = [:]
    ) { write(.notice, message, values) }

    /// Start-up and peers.
    package func info(
        _ message: StaticString, _ values: KeyValuePairs<String, any LogValue> = [:]
    ) { write(.info, message, values) }

    /// Frames and decisions.
    package func debug(
        _ message: StaticString,
        _ values: @autoclosure () -> KeyValuePairs<String, any LogValue> = [:]
    ) {
        guard level <= .debug else { return }
        write(.debug, message, values())
    }

    private func write(
        _ level: Level, _ message: StaticString, _ values: KeyValuePairs<String, any LogValue>
    ) {
        guard level >= self.level else { return }
        sink(line(level, message.description, values))
    }

    private func line(
        _ level: Level, _ message: String, _ values: KeyValuePairs<String, any LogValue>
    ) -> String {
        if format == .journal { return Self.journalEntry(level, message, values) }
        let head = [
            ("at", LogText.text(clock.now.rfc3339)), ("level", .text(level.rawValue)),
            ("message", .text(message)),
        ]
        let body = values.compactMap { key, value in value.logText.map { (key, $0) } }
        let fields = (head + body).map { key, value in
            switch format {
            case .logfmt, .journal: "\(key)=\(Self.logfmt(value))"
            case .json: "\(Self.quoted(key)):\(Self.json(value))"
            }
        }
        return switch format {
        case .logfmt, .journal: fields.joined(separator: " ")
        case .json: "{\(fields.joined(separator: ","))}"
        }
    }

    static func logfmt(_ value: LogText) -> String {
        switch value {
        case .bare(let text): text
        case .text(let text):
            !text.isEmpty && text.utf8.allSatisfy(isPlain) ? text : quoted(text)
        }
    }

    private static func json(_ value: LogText) -> String {
        switch value {
        case .bare(let text): text
        case .text(let text): quoted(text)
        }
    }

    /// Visible ASCII but for the blank, the quote, the backslash and `=`.
    private static func isPlain(_ byte: UInt8) -> Bool {
        byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
            && byte != UInt8(ascii: "=")
    }

    /// JSON's spelling of a string, which logfmt readers understand as well.
    package static func quoted(_ text: String) -> String {
        var out = "\""
        var room = longestValueBytes
        for scalar in text.unicodeScalars {
            room -= 1
            guard room >= 0 else {
                out += "…"
                break
            }
            switch scalar.value {
            case 0x22: out += "\\\""
            case 0x5C: out += "\\\\"
            case 0x0A: out += "\\n"
            case 0x0D: out += "\\r"
            case 0x09: out += "\\t"
            // C0, DEL, C1, and the marks that reverse or hide text on a terminal.
            case 0..<0x20, 0x7F...0x9F, 0x200B...0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF:
                let digits = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }

    /// One `write` per line, so that lines of several threads do not mix.
    package static func standardError(_ line: String) {
        var text = line + "\n"
        text.withUTF8 { bytes in
            // A log that cannot be written has nobody to tell.
            _ = Glibc.write(2, bytes.baseAddress, bytes.count)
        }
    }
}
