/// One open WebSocket, seen from Swift. Harmless after it has closed: sends are then dropped.
package final class WebSocketConnection: Sendable {
    package let shard: Shard
    package let remoteAddress: String
    package let subprotocol: String

    init(shard: Shard, remoteAddress: String, subprotocol: String) {
        self.shard = shard
        self.remoteAddress = remoteAddress
        self.subprotocol = subprotocol
    }

    /// Sends a text message; written at once when the socket is free.
    ///
    /// - Returns: false if the connection is closed, or was cut because its queue is full.
    @discardableResult
    package func send(_ text: [UInt8], on shard: isolated Shard) -> Bool { false }

    /// The same from any other place.
    @discardableResult
    package func send(_ text: [UInt8]) async -> Bool { await send(text, on: shard) }

    /// Sends what is queued, then closes with this code. RFC 6455 §7.4.
    package func close(_ code: Int, reason: String = "", on shard: isolated Shard) {}

    package func close(_ code: Int, reason: String = "") async {
        await close(code, reason: reason, on: shard)
    }
}
