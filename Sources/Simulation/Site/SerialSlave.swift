import CLinux
import Glibc
import Service

/// A Modbus RTU bus on a pseudo-terminal, its slave side linked to a name as udev would.
package final class SerialSlave: Sendable {
    package let link: String
    package let units: SlaveUnits
    private let state: Lock<State>

    private struct State: Sendable {
        var isPluggedIn = true
        var isStopped = false
        var isUp = false
    }

    /// Longest frame. Modbus over Serial Line 1.02 §2.5.1.1.
    static let longestFrame = 256
    /// A frame with a hole this long is given up.
    static let frameGivenUpMilliseconds: Int64 = 200

    /// Makes the pty and the link before it returns.
    package init(link: String, units: SlaveUnits) throws(FileError) {
        self.link = link
        self.units = units
        state = Lock(State())
        // Handed over and not captured: only the thread may keep it, or it never closes.
        let handedOver = Lock<Port?>(try Port(link: link))
        state.withLock { $0.isUp = true }
        let state = state
        _ = NativeThread.start("pty slave") {
            var port = handedOver.withLock { $0.take() }
            while !state.withLock({ $0.isStopped }) {
                if state.withLock({ $0.isPluggedIn }) {
                    // A link that cannot be made now may be made on the next turn.
                    if port == nil { port = try? Port(link: link) }
                    state.withLock { $0.isUp = true }
                    port?.serve(units)
                } else {
                    port = nil
                    state.withLock { $0.isUp = false }
                    usleep(2000)
                }
            }
            port = nil
        }
    }

    /// Pulls the adapter out: the name vanishes, whoever has it open gets an error.
    package func unplug() { state.withLock { $0.isPluggedIn = false } }

    /// Puts it back, under the same name but as another device.
    package func plugIn() { state.withLock { $0.isPluggedIn = true } }

    /// Whether the link stands now; follows `unplug` and `plugIn` within milliseconds.
    package var isUp: Bool { state.withLock { $0.isUp } }

    /// The name goes at once, the pseudo-terminal with the thread's next turn.
    package func stop() {
        state.withLock { $0.isStopped = true }
        _ = unlink(link)
    }
}

/// One life of the pseudo-terminal; used by the slave's thread alone once it is made.
// @unchecked: made on one thread, handed to another, never shared.
private final class Port: @unchecked Sendable {
    private let link: String
    private let master: Int32
    /// Held open, so that the master does not report a hang-up while nobody else has it.
    private let slave: Int32
    private var buffer: [UInt8] = []
    private var lastByteAt: Int64 = 0
    private var outbox: [(due: Int64, bytes: [UInt8])] = []

    init(link: String) throws(FileError) {
        self.link = link
        var name = [CChar](repeating: 0, count: 128)
        master = kerb_open_pty(&name, name.count)
        guard master >= 0 else { throw FileError(link, errno: errno) }
        slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC)
        // An old link may or may not be there.
        _ = unlink(link)
        guard slave >= 0, symlink(name, link) == 0 else {
            let failure = errno
            close(master)
            if slave >= 0 { close(slave) }
            throw FileError(link, errno: failure)
        }
    }

    deinit {
        _ = unlink(link)
        close(slave)
        close(master)
    }

    /// One turn of at most 20 ms.
    func serve(_ units: SlaveUnits) {
        let now = Self.now
        let due = outbox.map(\.due).min() ?? .max
        var descriptor = pollfd(fd: master, events: Int16(POLLIN), revents: 0)
        poll(&descriptor, 1, Int32(min(20, max(0, due - now))))
        sendDue()
        guard descriptor.revents & Int16(POLLIN) != 0 else { return }
        var bytes = [UInt8](repeating: 0, count: SerialSlave.longestFrame)
        let count = read(master, &bytes, bytes.count)
        guard count > 0 else { return }
        if Self.now - lastByteAt > SerialSlave.frameGivenUpMilliseconds { buffer = [] }
        lastByteAt = Self.now
        buffer += bytes.prefix(count)
        takeFrames(units)
    }

    private func takeFrames(_ units: SlaveUnits) {
        while buffer.count >= 4, let length = SlaveAnswering.requestLength(buffer[1...]) {
            let whole = length + 3
            guard length > 0, whole <= SerialSlave.longestFrame else { return buffer = [] }
            guard buffer.count >= whole else { return }
            let frame = Array(buffer.prefix(whole))
            buffer.removeFirst(whole)
            guard SlaveAnswering.checkSum(frame.dropLast(2)) == Array(frame.suffix(2)) else {
                return buffer = []
            }
            answer(frame, units)
        }
    }

    private func answer(_ frame: [UInt8], _ units: SlaveUnits) {
        let request = Array(frame.dropLast(2))
        guard let (pdu, fault) = units.answer(unit: Int(frame[0]), Array(request.dropFirst())),
            !pdu.isEmpty
        else { return }
        var body = [frame[0]] + pdu
        if fault?.kind == .wrongUnit { body[0] &+= 1 }
        var bytes = body + SlaveAnswering.checkSum(body)
        var due = Self.now
        switch fault?.kind {
        case .late: due += Int64(fault?.milliseconds ?? 0)
        case .checkSum: bytes[bytes.count - 1] ^= 0xFF
        case .truncated: bytes.removeLast(3)
        case .garbage: bytes = (0..<40).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 11) } + bytes
        case .echo: bytes = frame + bytes
        case .silence, .exception, .wrongUnit, nil: break
        }
        outbox.append((due, bytes))
        sendDue()
    }

    private func sendDue() {
        let now = Self.now
        while let index = outbox.firstIndex(where: { $0.due <= now }) {
            let bytes = outbox.remove(at: index).bytes
            _ = bytes.withUnsafeBytes { write(master, $0.baseAddress, $0.count) }
        }
    }

    static var now: Int64 { SystemClock().monotonicMilliseconds }
}
