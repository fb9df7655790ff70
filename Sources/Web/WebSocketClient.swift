/// A WebSocket to a server: its messages come in order through `messages`.
///
/// It needs no libuv and no thread of the caller; names are resolved off the loop. Connecting again
/// is the caller's, with a `Backoff`.
package final class WebSocketClient: Sendable {
    package struct Configuration: Sendable {
        /// `ws://` or `wss://`, host, port, path.
        package var url: String
        /// Offered in this order; the server must answer one of them.
        package var subprotocols: [String]
        package var credentials: BasicCredentials?
        /// PEM file of the authorities a `wss` server is checked against, name included.
        package var caFile: String?
        /// PEM files of our own certificate and key, if the server wants one.
        package var certificateFile: String?
        package var keyFile: String?
        /// Resolving, connecting, TLS and handshake together.
        package var connectSeconds = 20
        /// Ping, pong, message and queue bounds.
        package var limits = WebLimits()
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

    init(subprotocol: String, messages: WebSocketInbox) {
        self.subprotocol = subprotocol
        self.messages = messages
    }

    /// Resolves, connects, checks certificate and subprotocol.
    ///
    /// - Parameter shard: the loop that carries it; nil shares one `poll` loop in the process.
    package static func connect(_ configuration: Configuration, on shard: Shard? = nil)
        async throws(WebSocketClientError) -> WebSocketClient
    {
        throw .refused(reason: "not built yet")
    }

    /// Queues a text message.
    ///
    /// - Throws: `.closed` when the connection is gone, `.queueFull` when the peer does not read.
    package func send(_ text: [UInt8]) async throws(WebSocketClientError) {}

    /// Sends what is queued and closes.
    package func close(_ code: Int = 1000, reason: String = "") async {}

    /// Waits until the connection is gone and says how.
    package func closure() async -> WebSocketClosure { .init(code: 1006, byPeer: false) }
}

/// Messages of a `WebSocketClient`, for one reader.
package final class WebSocketInbox: AsyncSequence, Sendable {
    package typealias Element = [UInt8]
    package typealias Failure = Never

    package struct AsyncIterator: AsyncIteratorProtocol {
        let inbox: WebSocketInbox
        package mutating func next() async -> [UInt8]? { await inbox.next() }
    }

    package func makeAsyncIterator() -> AsyncIterator { AsyncIterator(inbox: self) }

    /// The next message; nil once the connection is closed and everything was read.
    package func next() async -> [UInt8]? { nil }
}

/// Why there is no connection.
package enum WebSocketClientError: Error, Hashable, Sendable {
    /// The URL or a file of the configuration is unusable; trying again does not help.
    case badConfiguration(reason: String)
    /// The name does not resolve.
    case unknownHost(String)
    /// Nobody listens, the connection broke, or TLS failed: the reason says which.
    case refused(reason: String)
    /// The server answered the handshake with this status.
    case status(Int)
    /// The server chose no subprotocol, or one that was not offered.
    case wrongSubprotocol(String)
    case timedOut
    case closed
    case queueFull
}
