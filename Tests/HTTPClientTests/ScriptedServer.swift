import Glibc
import Service
import Testing

/// A server on loopback that does with each request what the test says, well-behaved or not.
final class ScriptedServer: Sendable {
    enum Reply: Sendable {
        /// Sends this and waits for the next request.
        case send(String)
        /// Sends this and closes.
        case sendAndClose(String)
        /// Sends this and then nothing, until the client goes away.
        case sendAndHang(String)
        /// Sends this over and over until the client goes away.
        case flood(head: String, chunk: String)
        case reset
    }

    struct State {
        var connections = 0
        var requests: [String] = []
        var gone = 0
        var watchers:
            [(isMet: @Sendable (State) -> Bool, continuation: CheckedContinuation<Void, Never>)] =
                []
    }

    let port: Int
    private let listener: Int32
    private let state = Lock(State())
    private let reply: @Sendable (String) -> Reply

    init(_ reply: @escaping @Sendable (String) -> Reply) throws {
        self.reply = reply
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = listener
        let failure = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) | listen(descriptor, 64)
                    | getsockname(descriptor, $0, &length)
            }
        }
        try #require(failure == 0)
        port = Int(UInt16(bigEndian: address.sin_port))
        let (state, answer) = (state, reply)
        _ = NativeThread.start("scripted") {
            while true {
                let connection = accept(descriptor, nil, nil)
                if connection < 0, errno == EINTR { continue }
                guard connection >= 0 else {
                    // Here alone: closed by another thread the number would be the next server's at once, whose
                    // calls this one would take.
                    close(descriptor)
                    return
                }
                Self.change(state) { $0.connections += 1 }
                _ = NativeThread.start("scripted conn") {
                    Self.serve(connection, state, answer)
                    close(connection)
                    Self.change(state) { $0.gone += 1 }
                }
            }
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
    }

    var url: String { "http://127.0.0.1:\(port)" }
    var requests: [String] { state.withLock { $0.requests } }
    var connections: Int { state.withLock { $0.connections } }

    /// Waits until what the server has seen fits.
    func until(_ isMet: @escaping @Sendable (State) -> Bool) async {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if isMet(state) { return true }
                state.watchers.append((isMet, continuation))
                return false
            }
            if isThere { continuation.resume() }
        }
    }

    private static func change(_ state: Lock<State>, _ body: (inout State) -> Void) {
        let ready = state.withLock { state in
            body(&state)
            let now = state
            defer { state.watchers.removeAll { $0.isMet(now) } }
            return state.watchers.filter { $0.isMet(now) }.map(\.continuation)
        }
        for continuation in ready { continuation.resume() }
    }

    private static func serve(
        _ connection: Int32, _ state: Lock<State>, _ reply: @Sendable (String) -> Reply
    ) {
        while let request = read(connection) {
            change(state) { $0.requests.append(request) }
            switch reply(request) {
            case .send(let text): write(connection, text)
            case .sendAndClose(let text): return write(connection, text)
            case .sendAndHang(let text):
                write(connection, text)
                var byte: UInt8 = 0
                while recv(connection, &byte, 1, 0) > 0 {}
                return
            case .flood(let head, let chunk):
                write(connection, head)
                while send(connection, Array(chunk.utf8), chunk.utf8.count, Int32(MSG_NOSIGNAL)) > 0
                {}
                return
            case .reset:
                var option = linger(l_onoff: 1, l_linger: 0)
                setsockopt(
                    connection, SOL_SOCKET, SO_LINGER, &option,
                    socklen_t(MemoryLayout<linger>.size))
                return
            }
        }
    }

    private static func write(_ connection: Int32, _ text: String) {
        let bytes = Array(text.utf8)
        _ = send(connection, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

    /// Head and body of one request; nil once the client is gone.
    private static func read(_ connection: Int32) -> String? {
        var bytes: [UInt8] = []
        var byte: UInt8 = 0
        while !bytes.suffix(4).elementsEqual("\r\n\r\n".utf8) {
            guard recv(connection, &byte, 1, 0) == 1 else { return nil }
            bytes.append(byte)
        }
        let head = String(decoding: bytes, as: UTF8.self)
        let line = head.split(separator: "\r\n").first { $0.hasPrefix("Content-Length: ") }
        for _ in 0..<(line.flatMap { Int($0.dropFirst(16)) } ?? 0) {
            guard recv(connection, &byte, 1, 0) == 1 else { return nil }
            bytes.append(byte)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
