import Glibc
import Service

/// A Modbus TCP server on loopback.
package final class TCPSlave: Sendable {
    package let port: Int
    package let units: SlaveUnits
    private let isStopped = Lock(false)

    package static let mostConnections = 16

    /// Binds before it returns; port 0 lets the kernel choose.
    package init(port: Int, units: SlaveUnits) throws(FileError) {
        let place = "127.0.0.1:\(port)"
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard listener >= 0 else { throw FileError(place, errno: errno) }
        var yes: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, size) == 0 && listen(listener, 16) == 0
                    && getsockname(listener, $0, &size) == 0
            }
        }
        guard isBound else {
            let failure = errno
            close(listener)
            throw FileError(place, errno: failure)
        }
        self.port = Int(UInt16(bigEndian: address.sin_port))
        self.units = units
        let stopped = isStopped
        _ = NativeThread.start("tcp slave") {
            var server = TCPServing(listener: listener, units: units)
            while !stopped.withLock({ $0 }) { server.turn() }
            server.close()
        }
    }

    package func stop() { isStopped.withLock { $0 = true } }
}

/// The connections of a server; used by its thread alone.
private struct TCPServing {
    private struct Connection {
        let descriptor: Int32
        var buffer: [UInt8] = []
        var outbox: [(due: Int64, bytes: [UInt8])] = []
    }

    let listener: Int32
    let units: SlaveUnits
    private var connections: [Connection] = []

    init(listener: Int32, units: SlaveUnits) {
        self.listener = listener
        self.units = units
    }

    /// One turn of at most 20 ms.
    mutating func turn() {
        var waiting = [pollfd(fd: listener, events: Int16(POLLIN), revents: 0)]
        waiting += connections.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        let due = connections.flatMap { $0.outbox.map(\.due) }.min() ?? .max
        let now = SystemClock().monotonicMilliseconds
        poll(&waiting, nfds_t(waiting.count), Int32(min(20, max(0, due - now))))
        var gone: [Int] = []
        for index in connections.indices {
            sendDue(index)
            if waiting[index + 1].revents != 0, !take(index) { gone.append(index) }
        }
        for index in gone.reversed() {
            Glibc.close(connections.remove(at: index).descriptor)
        }
        if waiting[0].revents != 0 { accept() }
    }

    private mutating func accept() {
        let descriptor = Glibc.accept(listener, nil, nil)
        guard descriptor >= 0 else { return }
        guard connections.count < TCPSlave.mostConnections else {
            Glibc.close(descriptor)
            return
        }
        var yes: Int32 = 1
        setsockopt(
            descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes,
            socklen_t(MemoryLayout<Int32>.size))
        connections.append(Connection(descriptor: descriptor))
    }

    /// Reads what there is; false when the peer is gone or talks nonsense.
    private mutating func take(_ index: Int) -> Bool {
        var bytes = [UInt8](repeating: 0, count: 1024)
        let count = recv(connections[index].descriptor, &bytes, bytes.count, 0)
        guard count > 0 else { return false }
        connections[index].buffer += bytes.prefix(count)
        while connections[index].buffer.count >= 8 {
            let buffer = connections[index].buffer
            let length = Int(buffer[4]) << 8 | Int(buffer[5])
            guard buffer[2] == 0, buffer[3] == 0, (2...254).contains(length) else { return false }
            guard buffer.count >= 6 + length else { return true }
            connections[index].buffer.removeFirst(6 + length)
            answer(index, Array(buffer.prefix(6 + length)))
        }
        return true
    }

    private mutating func answer(_ index: Int, _ frame: [UInt8]) {
        guard let (pdu, fault) = units.answer(unit: Int(frame[6]), Array(frame[7...])),
            !pdu.isEmpty
        else { return }
        let length = pdu.count + 1
        var bytes =
            Array(frame.prefix(4)) + [UInt8(length >> 8), UInt8(length & 0xFF), frame[6]] + pdu
        var due = SystemClock().monotonicMilliseconds
        switch fault?.kind {
        case .wrongUnit: bytes[6] &+= 1
        case .checkSum: bytes[1] &+= 1
        case .truncated: bytes.removeLast(3)
        case .late: due += Int64(fault?.milliseconds ?? 0)
        case .garbage: bytes = (0..<40).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 11) } + bytes
        case .echo: bytes = frame + bytes
        case .silence, .exception, nil: break
        }
        connections[index].outbox.append((due, bytes))
        sendDue(index)
    }

    private mutating func sendDue(_ index: Int) {
        let now = SystemClock().monotonicMilliseconds
        while let ready = connections[index].outbox.firstIndex(where: { $0.due <= now }) {
            let bytes = connections[index].outbox.remove(at: ready).bytes
            _ = bytes.withUnsafeBytes {
                send(
                    connections[index].descriptor, $0.baseAddress, $0.count,
                    Int32(MSG_NOSIGNAL))
            }
        }
    }

    mutating func close() {
        for connection in connections { Glibc.close(connection.descriptor) }
        connections = []
        Glibc.close(listener)
    }
}
