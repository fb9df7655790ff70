import Glibc

/// journald's native form: every value is a field of its own, so that `journalctl CONNECTOR=1` and
/// `journalctl -p warning` find what they should.
///
/// An entry is a datagram of `NAME=value` lines. Our keys become upper case with underscores
/// (`energyWh` is `ENERGY_WH`); what would shadow one of journald's own gets `KERB_` before it.
/// Source: systemd's description of the native journal protocol.
extension Log {
    /// Where journald listens.
    package static let journalPath = "/run/systemd/journal/socket"

    private static let reserved: Set = ["MESSAGE", "MESSAGE_ID", "PRIORITY", "UNIT", "ERRNO"]

    static func journalEntry(
        _ level: Level, _ message: String, _ values: KeyValuePairs<String, any LogValue>
    ) -> String {
        var text = message
        var fields = ""
        for (key, value) in values {
            guard let value = value.logText else { continue }
            text += " \(key)=\(logfmt(value))"
            fields += "\(fieldName(key))=\(fieldText(value))\n"
        }
        return "MESSAGE=\(text)\nPRIORITY=\(level.priority)\n" + fields
    }

    static func fieldName(_ key: String) -> String {
        var name = ""
        var before: UInt8 = UInt8(ascii: "A")
        for byte in key.utf8 {
            let isUpper = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
            let wasLower = (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(before)
            if isUpper, wasLower { name += "_" }
            name += String(UnicodeScalar(byte)).uppercased()
            before = byte
        }
        return reserved.contains(name) ? "KERB_\(name)" : name
    }

    /// Without line feeds: one would end the field and begin another of the peer's choice.
    private static func fieldText(_ value: LogText) -> String {
        switch value {
        case .bare(let text): text
        case .text(let text): String(quoted(text).dropFirst().dropLast())
        }
    }

    /// Where lines of a format go when the program names no other place.
    package static func sink(for format: Format) -> Sink {
        guard format == .journal else { return standardError }
        let socket = JournalSocket(path: journalPath, program: programName)
        return { entry in
            // journald may be restarting; standard error reaches it through systemd all the same.
            if !socket.send(entry) { standardError(JournalSocket.prefixed(entry)) }
        }
    }

    private static var programName: String {
        let path = CommandLine.arguments.first ?? "kerb"
        return String(path[(path.lastIndex(of: "/").map(path.index(after:)) ?? path.startIndex)...])
    }
}

extension Log.Level {
    /// syslog's number of the severity. RFC 5424 §6.2.1.
    package var priority: Int {
        switch self {
        case .error: 3
        case .warning: 4
        case .notice: 5
        case .info: 6
        case .debug: 7
        }
    }
}

extension Log.Format {
    /// What fits the place: journald's form if standard error leads to journald, else logfmt.
    package static var usual: Log.Format {
        isJournal(Environment.all["JOURNAL_STREAM"], descriptor: 2) ? .journal : .logfmt
    }

    /// systemd names device and inode of the stream it gave; a shell may have put another there.
    static func isJournal(_ stream: String?, descriptor: Int32) -> Bool {
        guard let stream else { return false }
        var info = stat()
        guard fstat(descriptor, &info) == 0 else { return false }
        return stream == "\(info.st_dev):\(info.st_ino)"
    }
}

/// The datagram socket of journald.
package struct JournalSocket: Sendable {
    private let descriptor: Int32
    private let path: [UInt8]
    private let program: String

    /// Never closed: the log lives as long as the program.
    package init(path: String, program: String) {
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | O_CLOEXEC, 0)
        self.path = Array(path.utf8)
        self.program = program
    }

    /// False if nobody took it.
    package func send(_ entry: String) -> Bool {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard descriptor >= 0, path.count < MemoryLayout.size(ofValue: address.sun_path) else {
            return false
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
        let bytes = Array("\(entry)SYSLOG_IDENTIFIER=\(program)\n".utf8)
        let sent = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(
                    descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), $0,
                    socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        return sent == bytes.count
    }

    /// The entry's message as a line that systemd reads the priority from: `<4>text`.
    static func prefixed(_ entry: String) -> String {
        var message = ""
        var priority = "6"
        for line in entry.split(separator: "\n") {
            if line.hasPrefix("MESSAGE=") { message = String(line.dropFirst(8)) }
            if line.hasPrefix("PRIORITY=") { priority = String(line.dropFirst(9)) }
        }
        return "<\(priority)>\(message)"
    }
}
