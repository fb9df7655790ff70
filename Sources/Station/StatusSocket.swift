import Glibc
import Service

/// The local door of a running agent: one line in, one JSON line out, on a Unix socket that only its
/// own user and root may open. There is no TCP port on the board.
package final class StatusSocket: Sendable {
    package enum SocketError: Error, Hashable, Sendable, CustomStringConvertible {
        case pathTooLong(String)
        case failed(String, errno: Int32)
        /// Nobody listens there.
        case unreachable(String)

        package var description: String {
            switch self {
            case .pathTooLong(let path): "\(path): longer than a socket's name may be"
            case .failed(let what, let code): "\(what): \(String(cString: strerror(code)))"
            case .unreachable(let path): "no agent answers at \(path)"
            }
        }
    }

    /// A question and the way back for its answer.
    package struct Question: Sendable {
        package let line: String
        let descriptor: Int32

        /// Answers and hangs up.
        package func answer(_ text: String) {
            StatusSocket.write(Array((text + "\n").utf8), to: descriptor)
            Glibc.close(descriptor)
        }
    }

    /// Bytes of a question and of an answer.
    package static let longestQuestion = 1024
    package static let longestAnswer = 1 << 20
    private static let waitingQuestions = 16
    /// A client that neither asks nor reads is cut off after this.
    private static let patienceSeconds = 5
    /// What the board has too little of for now, and how long until it is asked again.
    private static let passing = [EMFILE, ENFILE, ENOMEM, ENOBUFS]
    private static let pauseSeconds: UInt32 = 1

    package let questions: AsyncStream<Question>
    private let descriptor: Int32
    private let path: String

    /// Listens at `path`, in the place of a socket that a dead agent left there.
    ///
    /// - `accept`: takes the next client of a descriptor, as `accept(2)` does.
    package init(
        path: String,
        accept: @escaping @Sendable (Int32) -> Int32 = { Glibc.accept($0, nil, nil) }
    ) throws(SocketError) {
        self.path = path
        let listener = try Self.socket()
        descriptor = listener
        _ = unlink(path)
        let bound = try Self.with(address: path) { bind(listener, $0, $1) }
        guard bound == 0, chmod(path, 0o600) == 0, listen(listener, 8) == 0 else {
            let code = errno
            Glibc.close(listener)
            throw .failed(path, errno: code)
        }
        let (stream, continuation) = AsyncStream<Question>.makeStream(
            bufferingPolicy: .bufferingOldest(Self.waitingQuestions))
        questions = stream
        _ = NativeThread.start("status", stackBytes: 262_144) {
            while true {
                let client = accept(listener)
                if client < 0 {
                    let code = errno
                    if code == EINTR || code == ECONNABORTED { continue }
                    guard Self.passing.contains(code) else { break }
                    // This thread is its own, and the client waits in the kernel.
                    sleep(Self.pauseSeconds)
                    continue
                }
                _ = fcntl(client, F_SETFD, FD_CLOEXEC)
                Self.setPatience(of: client)
                guard let line = Self.readLine(from: client) else {
                    Glibc.close(client)
                    continue
                }
                let question = Question(line: line, descriptor: client)
                if case .enqueued = continuation.yield(question) { continue }
                question.answer("{\"error\":\"busy\"}")
            }
            continuation.finish()
            // Here and nowhere else: a number closed under a thread that still accepts on it may
            // be somebody else's socket by then.
            Glibc.close(listener)
        }
    }

    package func close() {
        shutdown(descriptor, Int32(SHUT_RDWR))
        _ = unlink(path)
    }

    /// Asks a running agent.
    package static func ask(_ line: String, at path: String) throws(SocketError) -> String {
        let descriptor = try socket()
        defer { Glibc.close(descriptor) }
        setPatience(of: descriptor)
        guard try with(address: path, { connect(descriptor, $0, $1) }) == 0 else {
            throw .unreachable(path)
        }
        write(Array((line + "\n").utf8), to: descriptor)
        guard let answer = readLine(from: descriptor, most: longestAnswer) else {
            throw .unreachable(path)
        }
        return answer
    }

    // MARK: System calls

    private static func socket() throws(SocketError) -> Int32 {
        let descriptor = Glibc.socket(
            AF_UNIX, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
        guard descriptor >= 0 else { throw .failed("socket", errno: errno) }
        return descriptor
    }

    private static func with(
        address path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) throws(SocketError) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw .pathTooLong(path)
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    private static func setPatience(of descriptor: Int32) {
        var time = timeval(tv_sec: patienceSeconds, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, size)
    }

    private static func readLine(from descriptor: Int32, most: Int = longestQuestion) -> String? {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while bytes.count <= most {
            let count = read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            bytes += chunk.prefix(count)
            if bytes.last == UInt8(ascii: "\n") { break }
        }
        guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")), end <= most else { return nil }
        return String(decoding: bytes[..<end], as: UTF8.self)
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            // A client that went away wants no answer.
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}
