import Glibc
import Service
import StoreSupport
import TestSupport

/// Stands between libpq and the server, on a socket of its own, and cuts a connection at a COMMIT.
final class CuttingProxy: Sendable {
    enum Cut: Sendable {
        /// The server never hears of it.
        case beforeTheServer
        /// The server commits, and its answer is lost.
        case beforeTheAnswer
    }

    private let folder = TemporaryFolder()
    private let listener: Int32
    private let cut = Lock<Cut?>(nil)
    let cuts = Lock(0)

    /// What `TestStore.address(ofSchema:proxy:)` takes.
    var path: String { folder.path }

    init() throws {
        let server = try Self.serverPlace()
        let name = server.split(separator: "/").last.map(String.init) ?? ""
        listener = try Self.socket(at: folder.file(name)) { bind($0, $1, $2) }
        listen(listener, 16)
        let listener = listener
        NativeThread.start("proxy") { [self] in
            while true {
                let client = accept(listener, nil, nil)
                if client < 0, errno == EINTR { continue }
                guard client >= 0 else {
                    // Here alone: closed by another thread the number would be the next socket's at once.
                    close(listener)
                    return
                }
                guard let upstream = try? Self.socket(at: server, { connect($0, $1, $2) }) else {
                    close(client)
                    continue
                }
                relay(client, upstream)
            }
        }
    }

    func end() {
        shutdown(listener, Int32(SHUT_RDWR))
    }

    /// The next COMMIT is the last thing its connection does.
    func arm(_ next: Cut) { cut.withLock { $0 = next } }

    private func relay(_ client: Int32, _ upstream: Int32) {
        let isDying = Lock(false)
        let left = Lock(2)
        @Sendable func ended() {
            shutdown(client, Int32(SHUT_RDWR))
            shutdown(upstream, Int32(SHUT_RDWR))
            let isLast = left.withLock { left in
                left -= 1
                return left == 0
            }
            if isLast {
                close(client)
                close(upstream)
            }
        }
        NativeThread.start("proxy out") { [self] in
            Self.pump(client, upstream) { bytes in
                guard Self.holds("; COMMIT", bytes) else { return .pass }
                let now = cut.withLock { cut in
                    defer { cut = nil }
                    return cut
                }
                guard let now else { return .pass }
                cuts.withLock { $0 += 1 }
                if now == .beforeTheServer { return .end }
                isDying.withLock { $0 = true }
                return .pass
            }
            // The answer is still to be lost, and the other direction ends then.
            if !isDying.withLock({ $0 }) { shutdown(upstream, Int32(SHUT_RDWR)) }
            ended()
        }
        NativeThread.start("proxy in") {
            Self.pump(upstream, client) { bytes in
                guard isDying.withLock({ $0 }) else { return .pass }
                return Self.holds("COMMIT", bytes) ? .end : .drop
            }
            ended()
        }
    }

    private enum Verdict { case pass, drop, end }

    private static func pump(
        _ from: Int32, _ to: Int32, _ judge: (ArraySlice<UInt8>) -> Verdict
    ) {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(from, &buffer, buffer.count, 0)
            guard count > 0 else { return }
            switch judge(buffer[..<count]) {
            case .drop: continue
            case .end: return
            case .pass:
                var sent = 0
                while sent < count {
                    let step = buffer.withUnsafeBytes { bytes in
                        Glibc.send(
                            to, bytes.baseAddress?.advanced(by: sent), count - sent,
                            Int32(MSG_NOSIGNAL))
                    }
                    guard step > 0 else { return }
                    sent += step
                }
            }
        }
    }

    private static func holds(_ word: String, _ bytes: ArraySlice<UInt8>) -> Bool {
        let word = Array(word.utf8)
        guard bytes.count >= word.count else { return false }
        return (bytes.startIndex...(bytes.endIndex - word.count)).contains {
            bytes[$0..<($0 + word.count)].elementsEqual(word)
        }
    }

    private static func serverPlace() throws -> String {
        var values: [String: String] = [:]
        for part in (TestStore.server ?? "").split(separator: "?").last?.split(separator: "&") ?? []
        {
            let pair = part.split(separator: "=").map(String.init)
            if pair.count == 2 { values[pair[0]] = pair[1] }
        }
        return "\(values["host"] ?? "")/.s.PGSQL.\(values["port"] ?? "")"
    }

    private struct Failure: Error {}

    private static func socket(
        at path: String, _ use: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) throws -> Int32 {
        let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { place in
            place.copyBytes(from: path.utf8.prefix(place.count - 1))
        }
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                use(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard status == 0 else {
            close(descriptor)
            throw Failure()
        }
        return descriptor
    }
}
