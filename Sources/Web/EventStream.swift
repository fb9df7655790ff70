import Service

/// The writing end of server-sent events. WHATWG HTML §9.2.
package final class EventStream: Sendable {
    private struct State {
        var pending: [UInt8] = []
        var isOpen = true
        var isFlushing = false
    }

    private enum After { case nothing, flush, cut }

    private let state = Lock(State())
    private let exchange: Exchange
    private let limit: Int

    init(exchange: Exchange, limit: Int) {
        self.exchange = exchange
        self.limit = limit
    }

    /// Queues one event; may be called from anywhere.
    ///
    /// - Parameter data: one or more lines of text.
    /// - Returns: false once the reader has left or was cut for being too slow.
    @discardableResult
    package func send(event: String? = nil, id: String? = nil, data: String) -> Bool {
        let bytes = Self.encoded(event: event, id: id, data: data)
        let after = state.withLock { state -> After? in
            guard state.isOpen else { return nil }
            guard state.pending.count + bytes.count <= limit else {
                state.isOpen = false
                state.pending = []
                return .cut
            }
            state.pending += bytes
            if state.isFlushing { return .nothing }
            state.isFlushing = true
            return .flush
        }
        let exchange = exchange
        switch after {
        case nil: return false
        case .nothing: return true
        case .flush:
            Task { await exchange.flush(self, on: exchange.shard) }
            return true
        case .cut:
            Task { await exchange.cut(on: exchange.shard) }
            return false
        }
    }

    /// False once the reader has left or was cut.
    package var isOpen: Bool { state.withLock { $0.isOpen } }

    /// Waits until at most half of the queue is used, the stream has ended, or the task is cancelled:
    /// for writers that would rather wait than have their reader cut.
    package func room() async {
        while isOpen, !Task.isCancelled {
            let waiting = state.withLock { $0.pending.count }
            let queued = await exchange.queuedBytes(on: exchange.shard)
            if waiting + queued <= limit / 2 { return }
            // Cancelled while sleeping: the loop's condition sees it.
            try? await Task.sleep(for: .milliseconds(Self.roomPollMilliseconds))
        }
    }

    private static let roomPollMilliseconds = 20

    func take() -> [UInt8] {
        state.withLock { state in
            state.isFlushing = false
            defer { state.pending = [] }
            return state.pending
        }
    }

    func close() {
        state.withLock { state in
            state.isOpen = false
            state.pending = []
        }
    }

    private static func encoded(event: String?, id: String?, data: String) -> [UInt8] {
        var text = ""
        // A line break in a name or id would end the field, so it ends the value here.
        if let event { text += "event: \(firstLine(event))\n" }
        if let id { text += "id: \(firstLine(id))\n" }
        for line in data.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline) {
            text += "data: \(line)\n"
        }
        return Array((text + "\n").utf8)
    }

    private static func firstLine(_ text: String) -> Substring {
        text.prefix { !$0.isNewline }
    }
}
