import CWeb

/// One open WebSocket, seen from Swift. Harmless after it has closed: sends are then dropped.
// @unchecked: `conn`, `session` and `subprotocol` are touched on the shard only.
package final class WebSocketConnection: @unchecked Sendable {
    package enum SendOutcome: Sendable, Hashable {
        case sent
        case closed
        /// The peer reads too slowly; it has been cut.
        case queueFull
    }

    package let shard: Shard
    package let remoteAddress: String
    /// Nil once the connection is gone. A task may hold this object longer than that.
    var conn: OpaquePointer?
    private(set) var session: (any WebSocketSession)?
    private var makeSession:
        (@Sendable (WebSocketConnection, isolated Shard) -> any WebSocketSession)?
    private var chosen = ""
    /// Called if a connection we try to make fails.
    var onFailure: (@Sendable (_ status: Int, _ reason: String) -> Void)?

    init(
        shard: Shard, remoteAddress: String,
        makeSession:
            @escaping @Sendable (WebSocketConnection, isolated Shard)
            -> any WebSocketSession
    ) {
        self.shard = shard
        self.remoteAddress = remoteAddress
        self.makeSession = makeSession
    }

    /// The one that was negotiated; empty if none.
    package func subprotocol(on shard: isolated Shard) -> String { chosen }

    /// False once the connection is gone or is being closed by us.
    package func isOpen(on shard: isolated Shard) -> Bool { conn != nil && session != nil }

    /// Sends a text message; written at once when the socket is free.
    ///
    /// - Returns: false if the connection is closed, or was cut because its queue is full.
    @discardableResult
    package func send(_ text: [UInt8], on shard: isolated Shard) -> Bool {
        deliver(text, isText: true, on: shard) == .sent
    }

    /// The same from any other place.
    @discardableResult
    package func send(_ text: [UInt8]) async -> Bool { await send(text, on: shard) }

    package func deliver(_ bytes: [UInt8], isText: Bool, on shard: isolated Shard) -> SendOutcome {
        guard let conn else { return .closed }
        return bytes.withUnsafeBufferPointer { buffer in
            switch web_send(conn, buffer.baseAddress, buffer.count, isText) {
            case 0: .sent
            case -2: .queueFull
            default: .closed
            }
        }
    }

    /// Sends what is queued, then closes with this code. RFC 6455 §7.4.
    package func close(_ code: Int, reason: String = "", on shard: isolated Shard) {
        guard let conn else { return }
        reason.withCString { web_close(conn, Int32(code), $0, reason.utf8.count) }
    }

    package func close(_ code: Int, reason: String = "") async {
        await close(code, reason: reason, on: shard)
    }

    /// Pings this peer by a figure of its own; 0 never.
    package func ping(everySeconds seconds: Int, on shard: isolated Shard) {
        if let conn { web_ping_every(conn, UInt32(clamping: seconds)) }
    }

    /// Ends the connection without a word.
    package func cut(on shard: isolated Shard) {
        if let conn { web_cut(conn) }
    }

    /// Bytes that wait for the peer to read.
    package func bytesQueued(on shard: isolated Shard) -> Int { conn.map { web_queued($0) } ?? 0 }

    /// Lets the peer wait: what it sends stays in the kernel's buffers until reading is allowed.
    package func allowReading(_ allow: Bool, on shard: isolated Shard) {
        if let conn { web_allow_reading(conn, allow) }
    }

    func opened(_ subprotocol: String, on shard: isolated Shard) {
        chosen = subprotocol
        session = makeSession?(self, shard)
        makeSession = nil
        onFailure = nil
        session?.opened(on: shard)
    }

    func closed(_ closure: WebSocketClosure, on shard: isolated Shard) {
        conn = nil
        makeSession = nil
        let session = session
        self.session = nil
        session?.closed(closure, on: shard)
    }

    func failed(_ status: Int, _ reason: String, on shard: isolated Shard) {
        conn = nil
        makeSession = nil
        let report = onFailure
        onFailure = nil
        report?(status, reason)
    }
}
