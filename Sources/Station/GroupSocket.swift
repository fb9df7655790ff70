import Glibc
import Service

/// A UDP socket between boards: whole datagrams in, whole datagrams out, nothing waits.
package final class GroupSocket: Sendable {
    /// An IPv4 address and port, as the kernel knows it.
    package struct Peer: Hashable, Sendable {
        var address: UInt32
        var port: UInt16

        /// `192.168.10.2:7401`; nil for anything else. Boards of one fuse need no name service.
        package init?(_ text: String) {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            var parsed = in_addr()
            guard parts.count == 2, let port = UInt16(parts[1]),
                inet_pton(AF_INET, String(parts[0]), &parsed) == 1
            else { return nil }
            address = parsed.s_addr
            self.port = port.bigEndian
        }

        init(_ address: sockaddr_in) {
            self.address = address.sin_addr.s_addr
            port = address.sin_port
        }

        var socketAddress: sockaddr_in {
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = self.address
            address.sin_port = port
            return address
        }
    }

    package struct SocketFailure: Error, Hashable, Sendable, CustomStringConvertible {
        package var what: String
        package var code: Int32
        package var description: String { "\(what): \(String(cString: strerror(code)))" }
    }

    package struct Datagram: Sendable {
        package var bytes: [UInt8]
        package var from: Peer
    }

    /// More than this waiting is noise; the oldest go, because only the newest report counts.
    private static let mostWaiting = 64

    package let datagrams: AsyncStream<Datagram>
    package let port: Int
    private let descriptor: Int32

    /// Binds; port 0 lets the kernel choose.
    package init(bindingTo peer: Peer) throws(SocketFailure) {
        let descriptor = socket(
            AF_INET, Int32(SOCK_DGRAM.rawValue) | O_CLOEXEC, 0)
        guard descriptor >= 0 else { throw SocketFailure(what: "socket", code: errno) }
        var address = peer.socketAddress
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                let status = bind(descriptor, address, size)
                return status == 0 ? getsockname(descriptor, address, &size) : status
            }
        }
        guard bound == 0 else {
            let code = errno
            close(descriptor)
            throw SocketFailure(what: "group address", code: code)
        }
        self.descriptor = descriptor
        port = Int(UInt16(bigEndian: address.sin_port))
        let (stream, writer) = AsyncStream<Datagram>.makeStream(
            bufferingPolicy: .bufferingNewest(Self.mostWaiting))
        datagrams = stream
        _ = NativeThread.start("group", stackBytes: 262_144) {
            Self.receive(descriptor, writer)
            writer.finish()
            // Here and nowhere else: a number closed under a thread that still reads from it may be
            // somebody else's socket by then.
            Glibc.close(descriptor)
        }
    }

    /// Ends the thread.
    package func stop() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// Noise ends here, on a thread that nothing waits for: to tell it from a board's word takes a
    /// hash, and that is reckoned on the control thread.
    private static func receive(
        _ descriptor: Int32, _ writer: AsyncStream<Datagram>.Continuation
    ) {
        var budget = DatagramBudget()
        var buffer = [UInt8](repeating: 0, count: BoardGroup.mostBytes + 1)
        while true {
            var from = sockaddr_in()
            var size = socklen_t(MemoryLayout<sockaddr_in>.size)
            let count = withUnsafeMutablePointer(to: &from) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    recvfrom(descriptor, &buffer, buffer.count, 0, $0, &size)
                }
            }
            if count < 0, errno == EINTR || errno == ECONNREFUSED { continue }
            // A shut-down socket reads nothing; an empty datagram looks the same and is as welcome.
            if count < 0 { return }
            if count == 0, isShutDown(descriptor) { return }
            let peer = Peer(from)
            guard count > BoardGroup.tagBytes, count <= BoardGroup.mostBytes,
                budget.admits(peer, at: SystemClock().monotonicMilliseconds)
            else { continue }
            writer.yield(Datagram(bytes: Array(buffer[..<count]), from: peer))
        }
    }

    private static func isShutDown(_ descriptor: Int32) -> Bool {
        var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&wanted, 1, 0) > 0 && wanted.revents & Int16(POLLHUP) != 0
    }

    /// Sends or drops: a full buffer is silence, and silence is safe.
    package func send(_ bytes: [UInt8], to peer: Peer) {
        var address = peer.socketAddress
        _ = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(
                    descriptor, bytes, bytes.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL), $0,
                    socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
