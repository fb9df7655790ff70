import CLinux
import Glibc
import HAL
import Service

/// A token reader behind a device file: a serial module, pty or FIFO that writes one UID a line, or
/// a reader that types it like a keyboard (`/dev/input/…`). Which one it is the device says itself.
package final class LineTokenReader: TokenReader {
    package let tokens: AsyncStream<String>
    private static let kept = 4
    private static let reopenSeconds: UInt32 = 2

    /// Speeds that `baud` may have.
    package static let bauds = [1_200, 2_400, 4_800, 9_600, 19_200, 38_400, 57_600, 115_200]

    /// - `baud`: of a serial line; USB modules and FIFOs have none of their own.
    package init(path: String, baud: Int = 9_600) {
        let (stream, hand) = AsyncStream<String>.makeStream(
            bufferingPolicy: .bufferingNewest(Self.kept))
        tokens = stream
        _ = NativeThread.start("tokens", stackBytes: 262_144) {
            while true {
                Self.read(path, baud, hand)
                // The adapter is unplugged or not there yet.
                sleep(Self.reopenSeconds)
            }
        }
    }

    /// A claim of who someone is: short, printable, no more trusted than that. OCPP 1.6 §7.30.
    package static func isToken(_ text: String) -> Bool { fault(of: text) == nil }

    /// Why it is no token; nil for one.
    package static func fault(of text: String) -> String? {
        if text.isEmpty { return "is empty" }
        if let stranger = text.unicodeScalars.first(where: { $0.value <= 0x20 || $0.value >= 0x7F })
        {
            return stranger == " "
                ? "holds a blank" : "holds a character that no token has, U+\(hex(stranger.value))"
        }
        let count = text.utf8.count
        return count > 20 ? "has \(count) characters, and OCPP knows 20 at most" : nil
    }

    private static func hex(_ value: UInt32) -> String {
        let digits = String(value, radix: 16, uppercase: true)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }

    /// As it is told: a UID that a reader writes in pairs, `04 A2 F3 B1` or `04:a2:f3:b1`, is the same
    /// UID; any other text is not touched.
    static func normalised(_ line: String) -> String {
        let text = line.uppercased()
        let pairs = text.split { $0 == " " || $0 == ":" || $0 == "-" || $0 == "\t" }
        // ISO 14443-3 §6.5.4: 4, 7 or 10 bytes.
        let isUID =
            [4, 7, 10].contains(pairs.count)
            && pairs.allSatisfy {
                $0.utf8.count == 2
                    && $0.utf8.allSatisfy {
                        (0x30...0x39).contains($0) || (0x41...0x46).contains($0)
                    }
            }
        if isUID { return pairs.joined() }
        // Blanks at the ends are the reader's, not the token's.
        let words = text.split { $0 == " " || $0 == "\t" }
        return words.count == 1 ? String(words[0]) : text
    }

    private static func read(
        _ path: String, _ baud: Int, _ hand: AsyncStream<String>.Continuation
    ) {
        // Both ways, so that a FIFO does not end with its first writer.
        var descriptor = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC)
        // Input devices are often ours to read only.
        if descriptor < 0, errno == EACCES || errno == EPERM {
            descriptor = open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC)
        }
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        if kerb_input_grab(descriptor) {
            readKeys(descriptor, hand)
        } else {
            // Refused by what is no serial line, and nothing has to be set there.
            _ = kerb_serial_raw(descriptor, Int32(baud))
            readLines(descriptor, hand)
        }
    }

    private static func readLines(
        _ descriptor: Int32, _ hand: AsyncStream<String>.Continuation
    ) {
        var lines = TokenLines()
        var byte: UInt8 = 0
        while read(descriptor, &byte, 1) { if let text = lines.take(byte) { hand.yield(text) } }
    }

    private static func readKeys(
        _ descriptor: Int32, _ hand: AsyncStream<String>.Continuation
    ) {
        var keys = TokenKeys()
        var bytes = [UInt8](repeating: 0, count: kerb_input_event_size())
        while read(descriptor, &bytes, bytes.count) {
            var code: UInt16 = 0
            var milliseconds: Int64 = 0
            guard kerb_input_key(bytes, bytes.count, &code, &milliseconds) else { continue }
            if let text = keys.take(code, at: milliseconds) { hand.yield(text) }
        }
    }

    /// The kernel gives whole input events, and a byte is whole anyway.
    private static func read(
        _ descriptor: Int32, _ bytes: UnsafeMutableRawPointer, _ count: Int
    ) -> Bool {
        while true {
            let got = Glibc.read(descriptor, bytes, count)
            if got < 0, errno == EINTR { continue }
            return got == count
        }
    }
}

/// Bytes of a reader that writes lines, put together to tokens.
package struct TokenLines: Hashable, Sendable {
    private var line: [UInt8] = []
    private static let mostBytes = 64

    package init() {}

    package mutating func take(_ byte: UInt8) -> String? {
        guard byte == 0x0A || byte == 0x0D else {
            // A line that never ends is no token: what is too long is refused below.
            if line.count < Self.mostBytes { line.append(byte) }
            return nil
        }
        let text = LineTokenReader.normalised(String(decoding: line, as: UTF8.self))
        line = []
        return LineTokenReader.isToken(text) ? text : nil
    }
}

/// Keys of a reader that types, put together to tokens: hexadecimal digits until Enter.
package struct TokenKeys: Hashable, Sendable {
    private var text = ""
    private var lastKey: Int64?

    /// A reader types in milliseconds. What stood still longer is half a token, or a hand.
    package static let pauseMilliseconds: Int64 = 1_000
    private static let mostDigits = 20

    /// linux/input-event-codes.h: the digits' row, the keypad, A to F.
    private static let digits: [UInt16: Character] = [
        2: "1", 3: "2", 4: "3", 5: "4", 6: "5", 7: "6", 8: "7", 9: "8", 10: "9", 11: "0",
        79: "1", 80: "2", 81: "3", 75: "4", 76: "5", 77: "6", 71: "7", 72: "8", 73: "9", 82: "0",
        30: "A", 48: "B", 46: "C", 32: "D", 18: "E", 33: "F",
    ]
    private static let enters: Set<UInt16> = [28, 96]
    /// Shift comes with the letters of readers that type capitals.
    private static let shifts: Set<UInt16> = [42, 54]

    package init() {}

    package mutating func take(_ code: UInt16, at milliseconds: Int64) -> String? {
        if let lastKey, milliseconds - lastKey > Self.pauseMilliseconds { text = "" }
        lastKey = milliseconds
        if Self.enters.contains(code) {
            defer { text = "" }
            return LineTokenReader.isToken(text) ? text : nil
        }
        if Self.shifts.contains(code) { return nil }
        // Any other key, or one digit too many, and it is no UID: `?` fits no token's length.
        let digit = Self.digits[code].map(String.init) ?? String(repeating: "?", count: 21)
        if text.count <= Self.mostDigits { text += digit }
        return nil
    }
}
