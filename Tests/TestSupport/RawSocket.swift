import Glibc
import Service

/// A TCP connection that writes and reads bytes as they are, on a thread of its own so that no
/// task of the pool is blocked.
package final class RawSocket: Sendable {
    private let descriptor: Int32
    private let isReset = Lock(false)

    package init(port: Int, receiveBufferBytes: Int? = nil) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        if var size = receiveBufferBytes.map(Int32.init) {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, 4)
        }
        // Only a hang takes this long; a loaded machine may take seconds.
        var limit = timeval(tv_sec: 30, tv_usec: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(
            descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        // `deinit` closes it: everything is initialised, so it runs although `init` throws.
        guard status == 0 else { throw SocketFailure.cannotConnect }
    }

    deinit { if !isReset.withLock({ $0 }) { close(descriptor) } }

    package enum SocketFailure: Error { case cannotConnect, timedOut }

    package func send(_ text: String) async { await send(Array(text.utf8)) }

    package func send(_ bytes: [UInt8]) async {
        await onThread { [self] in
            var sent = 0
            while sent < bytes.count {
                let count = bytes.withUnsafeBytes {
                    Glibc.send(
                        descriptor, $0.baseAddress?.advanced(by: sent), bytes.count - sent,
                        Int32(MSG_NOSIGNAL))
                }
                if count <= 0 { return }
                sent += count
            }
        }
    }

    /// Everything until the peer closes.
    package func readAll() async -> String {
        String(decoding: await read { _ in false }, as: UTF8.self)
    }

    /// Until `text` has come, or the peer closes.
    package func read(until text: String) async -> String {
        let wanted = Array(text.utf8)
        return String(decoding: await read { Self.contains($0, wanted) }, as: UTF8.self)
    }

    /// Sends a byte at a time with a pause between, `most` at most, until the peer closes.
    ///
    /// - Returns: how many were sent.
    package func trickle(_ byte: UInt8, everyMilliseconds pause: Int32, most: Int) async -> Int {
        await onThread { [self] in
            var byte = byte
            for sent in 0..<most {
                var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                if poll(&wanted, 1, pause) > 0 { return sent }
                if Glibc.send(descriptor, &byte, 1, Int32(MSG_NOSIGNAL)) <= 0 { return sent }
            }
            return most
        }
    }

    package func read(count: Int) async -> [UInt8] { await read { $0.count >= count } }

    /// Closes so that the peer sees a reset.
    package func reset() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_LINGER, &linger,
            socklen_t(MemoryLayout.size(ofValue: linger)))
        isReset.withLock { $0 = true }
        close(descriptor)
    }

    // The closures hold `self`: its end would close the descriptor under them.
    package func read(until done: @escaping @Sendable ([UInt8]) -> Bool) async -> [UInt8] {
        await onThread { [self] in
            var all: [UInt8] = []
            var piece = [UInt8](repeating: 0, count: 65536)
            while !done(all) {
                let count = recv(descriptor, &piece, piece.count, 0)
                if count < 0 { all += Array("<timed out>".utf8) }
                if count <= 0 { break }
                all += piece[..<count]
            }
            return all
        }
    }

    private static func contains(_ bytes: [UInt8], _ wanted: [UInt8]) -> Bool {
        guard bytes.count >= wanted.count else { return false }
        return (0...(bytes.count - wanted.count)).contains { start in
            bytes[start..<(start + wanted.count)].elementsEqual(wanted)
        }
    }
}

package func onThread<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { continuation in
        _ = NativeThread.start("test") { continuation.resume(returning: body()) }
    }
}
