import Service
import TestSupport
import Testing
import Web

/// A running server with the routes the probes need.
struct TestServer {
    let server: WebServer
    var port: Int { server.addresses[0].port }
    let log = SessionLog()

    init(
        kind: LoopKind = .libuv, loops: Int = 1, limits: WebLimits = WebLimits(),
        listeners: [Listener] = [Listener(name: "plain", port: 0)],
        adding more: (inout Router) -> Void = { _ in }
    ) throws {
        var router = Router()
        Self.addEcho(to: &router)
        let log = log
        let route = WebSocketRoute(subprotocols: ["ocpp1.6", "ocpp2.0.1"]) { request in
            guard let credentials = request.credentials else { return .refuse(status: 401) }
            guard credentials.user == Array(request[parameter: "id"].utf8),
                credentials.password == Array("secret".utf8)
            else { return .refuse(status: 401) }
            return .accept { connection, _ in EchoSession(connection, log) }
        }
        router.add("/ocpp/{id...}", webSocket: route)
        more(&router)
        server = try WebServer(
            configuration: WebServerConfiguration(
                listeners: listeners, loops: loops, loopKind: kind, limits: limits),
            router: router)
        server.start()
    }

    private static func addEcho(to router: inout Router) {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            router.add(method, "/echo/{name}") { request in
                let query = request.queryItems.map { "\($0.name)=\($0.value)" }
                let body = String(decoding: request.body, as: UTF8.self)
                return .text(
                    "\(request.method)|\(request.path)|\(request[parameter: "name"])"
                        + "|\(query.joined(separator: ","))|\(body)"
                        + "|\(request.headers["X-Request-ID"] ?? "")|\(request.listener)"
                        + "|\(request.clientCertificate?.commonName ?? "")|.")
            }
        }
        router.add("GET", "/large") { _ in
            HTTPResponse(200, body: [UInt8](repeating: 0x61, count: 3_000_000))
        }
    }

    func connect(receiveBufferBytes: Int? = nil) throws -> RawSocket {
        try RawSocket(port: port, receiveBufferBytes: receiveBufferBytes)
    }

    /// Sends raw bytes on a new connection and reads until `end` or the close.
    func probe(_ request: String, until end: String? = nil) async throws -> String {
        let socket = try connect()
        await socket.send(request)
        return if let end { await socket.read(until: end) } else { await socket.readAll() }
    }
}

/// What the sessions of a test saw.
final class SessionLog: Sendable {
    private let state = Lock(
        (closures: [WebSocketClosure](), waiters: [CheckedContinuation<WebSocketClosure, Never>]()))

    func closed(_ closure: WebSocketClosure) {
        let waiter = state.withLock { state -> CheckedContinuation<WebSocketClosure, Never>? in
            if state.waiters.isEmpty {
                state.closures.append(closure)
                return nil
            }
            return state.waiters.removeFirst()
        }
        waiter?.resume(returning: closure)
    }

    /// The next closure, waiting for it if need be.
    func nextClosure() async -> WebSocketClosure {
        await withCheckedContinuation { continuation in
            let known = state.withLock { state -> WebSocketClosure? in
                if state.closures.isEmpty {
                    state.waiters.append(continuation)
                    return nil
                }
                return state.closures.removeFirst()
            }
            if let known { continuation.resume(returning: known) }
        }
    }
}

/// Sends back what it gets; `flood` sends until the queue is full, `bye` closes.
final class EchoSession: WebSocketSession {
    private let connection: WebSocketConnection
    private let log: SessionLog

    init(_ connection: WebSocketConnection, _ log: SessionLog) {
        self.connection = connection
        self.log = log
    }

    func opened(on shard: isolated Shard) {}

    func received(_ message: RawSpan, isText: Bool, on shard: isolated Shard) {
        let bytes = message.withUnsafeBytes { Array($0) }
        switch String(decoding: bytes, as: UTF8.self) {
        case "bye": connection.close(1000, reason: "bye", on: shard)
        case "flood":
            while connection.send([UInt8](repeating: 0x78, count: 60_000), on: shard) {}
        case "later":
            let connection = connection
            Task {
                _ = shard
                await Task.yield()
                connection.send(Array("later".utf8), on: shard)
            }
        default: connection.send(bytes, on: shard)
        }
    }

    func closed(_ closure: WebSocketClosure, on shard: isolated Shard) { log.closed(closure) }
}
