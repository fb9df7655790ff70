/// A place where WebSocket connections are accepted, and who decides about each.
package struct WebSocketRoute: Sendable {
    /// Known names; the first of the client's list that stands here is chosen. A client that offers
    /// none of them gets 101 without the header and close 1002, as OCPP-J §3.2 asks.
    package var subprotocols: [String]
    /// Called on the loop's thread before the handshake is answered, so it must not block: an
    /// in-memory table and a fast hash, no database and no scrypt.
    package var decide: @Sendable (UpgradeRequest) -> UpgradeDecision

    package init(
        subprotocols: [String], decide: @escaping @Sendable (UpgradeRequest) -> UpgradeDecision
    ) {
        self.subprotocols = subprotocols
        self.decide = decide
    }
}

/// What is known of a client that asks for a WebSocket.
package struct UpgradeRequest: Sendable {
    /// Path, query, headers, address, certificate; the body is empty.
    package var http: HTTPRequest
    package var credentials: BasicCredentials?
    package var offeredSubprotocols: [String]
    /// The one that will be answered; nil if none is in common (accepting then closes with 1002).
    package var subprotocol: String?

    package subscript(parameter name: String) -> String { http[parameter: name] }
}

package enum UpgradeDecision: Sendable {
    /// The closure makes the object that hears the connection, on the connection's shard.
    ///
    /// With `named` false a client that offered no subprotocol at all is taken without one.
    case accept(
        named: Bool = true, @Sendable (WebSocketConnection, isolated Shard) -> any WebSocketSession)
    /// Refuses with this status; 401 carries `WWW-Authenticate`, 429 and 503 `Retry-After`.
    case refuse(status: Int, headers: HTTPHeaders = [:])
}

/// What hears one connection. Owned by its shard and called there, synchronously, in order.
package protocol WebSocketSession: AnyObject {
    /// The handshake is done; sending is possible from here on.
    func opened(on shard: isolated Shard)
    /// One whole message. The bytes live for this call only.
    func received(_ message: RawSpan, isText: Bool, on shard: isolated Shard)
    /// The connection is gone; called once, after which nothing is called any more.
    func closed(_ closure: WebSocketClosure, on shard: isolated Shard)
}

/// How a connection ended.
package struct WebSocketClosure: Sendable, Hashable {
    /// RFC 6455 §7.4; 1005 if the peer gave none, 1006 if the connection broke.
    package var code: Int
    package var reason: String
    /// True if the peer began it.
    package var byPeer: Bool

    package init(code: Int, reason: String = "", byPeer: Bool) {
        self.code = code
        self.reason = reason
        self.byPeer = byPeer
    }
}
