import Service
import Web

/// A connection to the operator that carries whole messages in order. The WebSocket, or a test's.
package protocol StationLink: Sendable {
    /// The subprotocol both ends agreed on.
    var subprotocol: String { get }
    /// The next message; nil once the link is gone.
    func next() async -> [UInt8]?
    func send(_ message: [UInt8]) async throws
    func close() async
    /// Asks for a sign of life whenever the operator was silent for this long; 0 never.
    func ping(everySeconds seconds: Int) async
}

extension StationLink {
    package func ping(everySeconds seconds: Int) async {}
}

/// The real one: OCPP-J over a WebSocket. OCPP-J 1.6 §3.
package struct WebSocketLink: StationLink {
    private let client: WebSocketClient

    package static func connect(_ configuration: WebSocketClient.Configuration)
        async throws(WebSocketClientError) -> WebSocketLink
    {
        WebSocketLink(client: try await WebSocketClient.connect(configuration))
    }

    package var subprotocol: String { client.subprotocol }
    package func next() async -> [UInt8]? { await client.messages.next() }
    package func send(_ message: [UInt8]) async throws { try await client.send(message) }
    package func close() async { await client.close() }
    package func ping(everySeconds seconds: Int) async { await client.ping(everySeconds: seconds) }
}
