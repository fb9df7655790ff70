import CWeb
import Service

/// A WebSocket to a server: its messages come in order through `messages`.
///
/// It needs no libuv and no thread of the caller; names are resolved off the loop. Connecting again
/// is the caller's, with a `Backoff`. When the last reference goes, the connection is cut.
package final class WebSocketClient: Sendable {
    package struct Configuration: Sendable {
        /// `ws://` or `wss://`, host, port, path.
        package var url: String
        /// Offered in this order; the server must answer one of them.
        package var subprotocols: [String]
        package var credentials: BasicCredentials?
        /// PEM file of the authorities a `wss` server is checked against, name included; nil takes
        /// the system's.
        package var caFile: String?
        /// PEM files of our own certificate and key, if the server wants one.
        package var certificateFile: String?
        package var keyFile: String?
        /// Resolving, connecting, TLS and handshake together.
        package var connectSeconds = 20
        /// Messages waiting to be read; further ones wait in the kernel's buffers.
        package var maxInboxMessages = 64

        package init(url: String, subprotocols: [String]) {
            self.url = url
            self.subprotocols = subprotocols
        }
    }

    /// The one the server chose.
    package let subprotocol: String
    /// Whole messages in order; ends when the connection is closed. One reader.
    package let messages: WebSocketInbox
    private let connection: WebSocketConnection
    private let end: ClientEnd

    init(subprotocol: String, session: ClientSession) {
        self.subprotocol = subprotocol
        messages = session.inbox
        connection = session.connection
        end = session.end
    }

    deinit {
        let connection = connection
        Task { await connection.close(1001) }
    }

    /// Resolves, connects, checks certificate and subprotocol.
    ///
    /// - Parameter shard: the loop that carries it, with the limits it was made with; nil shares one
    ///   `poll` loop in the process.
    package static func connect(_ configuration: Configuration, on shard: Shard? = nil)
        async throws(WebSocketClientError) -> WebSocketClient
    {
        guard let url = WebSocketURL(configuration.url) else {
            throw .badConfiguration(reason: "not a ws:// or wss:// URL: \(configuration.url)")
        }
        let carrier: Shard
        if let shard { carrier = shard } else { carrier = try ClientLoop.shared.get() }
        let attempt = ClientAttempt(configuration, url, on: carrier)
        return try await attempt.run()
    }

    /// Queues a text message.
    ///
    /// - Throws: `.closed` when the connection is gone, `.queueFull` when the peer does not read.
    package func send(_ text: [UInt8]) async throws(WebSocketClientError) {
        switch await connection.deliver(text, isText: true, on: connection.shard) {
        case .sent: return
        case .closed: throw .closed
        case .queueFull: throw .queueFull
        }
    }

    /// Pings the server whenever it was silent for this long and cuts the connection where it does
    /// not answer; 0 never. The loop's own figure holds until somebody says so.
    package func ping(everySeconds seconds: Int) async {
        await connection.ping(everySeconds: seconds, on: connection.shard)
    }

    /// Sends what is queued and closes.
    package func close(_ code: Int = 1000, reason: String = "") async {
        await connection.close(code, reason: reason)
    }

    /// Waits until the connection is gone and says how.
    package func closure() async -> WebSocketClosure { await end.closure() }
}

/// Why there is no connection.
package enum WebSocketClientError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The URL or a file of the configuration is unusable; trying again does not help.
    case badConfiguration(reason: String)
    /// The name does not resolve.
    case unknownHost(String)
    /// Nobody listens, the connection broke, or TLS failed: the reason says which.
    case refused(reason: String)
    /// The server answered the handshake with this status.
    case status(Int)
    /// The server chose no subprotocol, or one that was not offered.
    case wrongSubprotocol
    case timedOut
    case closed
    case queueFull

    /// What happened and where to look, for whoever reads the log.
    package var description: String {
        switch self {
        case .badConfiguration(let reason): "not usable: \(reason)"
        case .unknownHost(let host): "the name \(host) is not known; check network and name server"
        case .refused(let reason): "no connection: \(reason)"
        case .status(401):
            "the server refuses identity or password (401); check both with its operator"
        case .status(403): "the server wants a higher security profile or a certificate (403)"
        case .status(404): "the server knows no such station or path (404); check id and URL"
        case .status(429): "the server holds us off for a while (429)"
        case .status(let code): "the server answers with status \(code) instead of a WebSocket"
        case .wrongSubprotocol: "the server speaks no OCPP version that we speak"
        case .timedOut: "the server does not answer in time"
        case .closed: "the connection is closed"
        case .queueFull: "too much waits to be sent"
        }
    }
}

/// The loop that carries clients which name none. It lives as long as the process.
enum ClientLoop {
    static let shared: Result<Shard, WebSocketClientError> = {
        do {
            let shard = try Shard.make(kind: .poll)
            shard.start(name: "web-client")
            return .success(shard)
        } catch {
            return .failure(.refused(reason: "\(error)"))
        }
    }()
}

/// Hears a client's connection and hands on what it hears.
final class ClientSession: WebSocketSession {
    let connection: WebSocketConnection
    let inbox: WebSocketInbox
    let end = ClientEnd()
    private let ready: @Sendable (Result<WebSocketClient, WebSocketClientError>) -> Void

    init(
        _ connection: WebSocketConnection, maxMessages: Int,
        ready: @escaping @Sendable (Result<WebSocketClient, WebSocketClientError>) -> Void
    ) {
        self.connection = connection
        self.ready = ready
        inbox = WebSocketInbox(limit: maxMessages) {
            Task { await connection.allowReading(true, on: connection.shard) }
        }
    }

    func opened(on shard: isolated Shard) {
        ready(
            .success(
                WebSocketClient(subprotocol: connection.subprotocol(on: shard), session: self)))
    }

    func received(_ message: RawSpan, isText: Bool, on shard: isolated Shard) {
        let bytes = message.withUnsafeBytes { Array($0) }
        if !inbox.put(bytes) { connection.allowReading(false, on: shard) }
    }

    func closed(_ closure: WebSocketClosure, on shard: isolated Shard) {
        inbox.end()
        end.set(closure)
    }
}

/// How a connection ended, once it has.
final class ClientEnd: Sendable {
    private struct State {
        var closure: WebSocketClosure?
        var waiters: [CheckedContinuation<WebSocketClosure, Never>] = []
    }

    private let state = Lock(State())

    func set(_ closure: WebSocketClosure) {
        let waiters = state.withLock { state in
            state.closure = closure
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume(returning: closure) }
    }

    func closure() async -> WebSocketClosure {
        await withCheckedContinuation { continuation in
            let known = state.withLock { state in
                if state.closure == nil { state.waiters.append(continuation) }
                return state.closure
            }
            if let known { continuation.resume(returning: known) }
        }
    }
}
