/// The writing end of server-sent events. WHATWG HTML §9.2.
package final class EventStream: Sendable {
    /// Queues one event; may be called from anywhere.
    ///
    /// - Parameter data: one or more lines of text.
    /// - Returns: false once the reader has left or was cut for being too slow.
    @discardableResult
    package func send(event: String? = nil, id: String? = nil, data: String) -> Bool { false }

    /// False once the reader has left or was cut.
    package var isOpen: Bool { false }
}
