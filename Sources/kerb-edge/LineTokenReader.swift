import Glibc
import HAL
import Service

/// A token reader that writes one UID a line: a serial RFID module, a pty, a FIFO.
final class LineTokenReader: TokenReader {
    let tokens: AsyncStream<String>
    private static let kept = 4
    private static let reopenSeconds: UInt32 = 2

    init(path: String) {
        let (stream, hand) = AsyncStream<String>.makeStream(
            bufferingPolicy: .bufferingNewest(Self.kept))
        tokens = stream
        _ = NativeThread.start("tokens", stackBytes: 262_144) {
            while true {
                Self.read(path, hand)
                // The adapter is unplugged or not there yet.
                sleep(Self.reopenSeconds)
            }
        }
    }

    /// A claim of who someone is: short, printable, no more trusted than that. OCPP 1.6 §7.30.
    static func isToken(_ text: String) -> Bool {
        (1...20).contains(text.utf8.count)
            && text.utf8.allSatisfy { ($0 > 0x20 && $0 < 0x7F) }
    }

    private static func read(_ path: String, _ hand: AsyncStream<String>.Continuation) {
        // Both ways, so that a FIFO does not end with its first writer.
        let descriptor = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while true {
            let count = Glibc.read(descriptor, &byte, 1)
            if count < 0, errno == EINTR { continue }
            guard count == 1 else { return }
            guard byte == 0x0A || byte == 0x0D else {
                // A line that never ends is no token: what is too long is refused below.
                if line.count < 64 { line.append(byte) }
                continue
            }
            let text = String(decoding: line, as: UTF8.self).uppercased()
            line = []
            if isToken(text) { hand.yield(text) }
        }
    }
}
