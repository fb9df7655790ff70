/// Where a server listens and every bound it keeps.
package struct WebServerConfiguration: Sendable {
    package var listeners: [Listener]
    /// One event loop, thread and shard each; listeners are shared between them by the kernel.
    package var loops = 1
    package var loopKind = LoopKind.libuv
    package var limits = WebLimits()

    package init(
        listeners: [Listener], loops: Int = 1, loopKind: LoopKind = .libuv,
        limits: WebLimits = WebLimits()
    ) {
        self.listeners = listeners
        self.loops = loops
        self.loopKind = loopKind
        self.limits = limits
    }
}

/// What carries the sockets of a loop.
package enum LoopKind: Sendable, Hashable {
    /// libwebsockets' own `poll()`: needs nothing installed, costs O(connections) a turn.
    case poll
    /// A libuv loop, loaded at run time with libwebsockets' plug-in `libwebsockets-evlib-uv`.
    case libuv
}

/// One listening socket.
package struct Listener: Sendable, Hashable {
    /// Told to handlers as `HTTPRequest.listener`.
    package var name: String
    /// Numeric IPv4 or IPv6 address. `::` is IPv6 only.
    package var address: String
    /// 0 lets the kernel choose; `WebServer.addresses` tells which.
    package var port: Int
    /// Nil: plain.
    package var tls: TLSListener?
    /// If not empty, paths that begin with none of these are answered 404 here.
    package var pathPrefixes: [String]

    package init(
        name: String = "", address: String = "127.0.0.1", port: Int, tls: TLSListener? = nil,
        pathPrefixes: [String] = []
    ) {
        self.name = name
        self.address = address
        self.port = port
        self.tls = tls
        self.pathPrefixes = pathPrefixes
    }
}

/// TLS 1.2 and later on a listener. All are paths of PEM files.
package struct TLSListener: Sendable, Hashable {
    package enum ClientCertificates: Sendable, Hashable { case none, optional, required }

    package var certificateFile: String
    package var keyFile: String
    package var clientCAFile: String?
    package var clientCertificates: ClientCertificates

    package init(
        certificateFile: String, keyFile: String, clientCAFile: String? = nil,
        clientCertificates: ClientCertificates = .none
    ) {
        self.certificateFile = certificateFile
        self.keyFile = keyFile
        self.clientCAFile = clientCAFile
        self.clientCertificates = clientCertificates
    }
}

/// Every bound of a server or client, with the default that is right for most.
package struct WebLimits: Sendable, Hashable {
    /// Request bodies above are answered 413.
    package var maxBodyBytes = 1 << 20
    /// Request line and headers together; above, the connection is dropped.
    package var maxHeaderBytes = 16 << 10
    /// WebSocket messages above close the connection with 1009.
    package var maxMessageBytes = 256 << 10
    /// Bytes waiting for one WebSocket peer; above, it is cut.
    package var maxQueuedBytes = 1 << 20
    /// Bytes waiting for one reader of server-sent events; above, it is cut.
    package var maxEventQueueBytes = 256 << 10
    /// A comment line is sent to quiet readers of events.
    package var eventHeartbeatSeconds = 15
    /// A WebSocket peer that sent nothing for this long is pinged; 0 never.
    package var pingSeconds = 60
    /// Silence after a ping that cuts the peer.
    package var pongSeconds = 20
    /// Time for a request's head and body to arrive, and for a TLS handshake.
    package var requestSeconds = 20
    /// An idle keep-alive connection is closed after this; one whose answer is not read, too.
    package var keepAliveSeconds = 30
    /// Time for a streamed body as a whole; between two pieces of it `keepAliveSeconds` count.
    package var streamedBodySeconds = 3600
    /// Bytes of a streamed body that wait for who takes them; then the peer is not read.
    package var maxStreamedBytes = 256 << 10
    /// New connections a second and loop; further ones wait in the kernel's queue. 0: no bound.
    package var acceptsPerSecond = 0
    /// Open connections a loop; further ones wait in the kernel's queue.
    package var maxConnections = 150_000

    package init() {}
}

/// A listener as it is bound.
package struct BoundAddress: Sendable, Hashable {
    package var name: String
    package var address: String
    package var port: Int
    package var isTLS: Bool
}

package enum WebServerError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The address cannot be bound; the reason is the system's.
    case cannotBind(address: String, port: Int, reason: String)
    /// libwebsockets refused: a certificate file, a missing plug-in.
    case cannotStart(reason: String)

    package var description: String {
        switch self {
        case .cannotBind(let address, let port, let reason):
            "\(address) port \(port) cannot be listened at: \(reason)"
        case .cannotStart(let reason): "the server cannot start: \(reason)"
        }
    }
}
