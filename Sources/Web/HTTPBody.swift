import Service

/// The body of a request, as it comes: one taker, which may be slower than the peer.
package final class HTTPBody: Sendable {
    /// The peer left before the end, or was cut.
    package struct Broken: Error, Hashable {}

    private struct State {
        var pending: [UInt8] = []
        var isWhole = false
        var isBroken = false
        /// The peer is not read until what is here was taken.
        var isPaused = false
        var taker: CheckedContinuation<Void, Never>?
    }

    private let state: Lock<State>
    private let limit: Int
    private let readOn: @Sendable () -> Void

    /// - Parameter readOn: called when the peer may be read again.
    init(limit: Int, readOn: @escaping @Sendable () -> Void) {
        state = Lock(State())
        self.limit = limit
        self.readOn = readOn
    }

    /// One that is here already.
    package init(whole bytes: [UInt8]) {
        state = Lock(State(pending: bytes, isWhole: true))
        limit = .max
        readOn = {}
    }

    /// What has come since the last call, some bytes at least; nil at the end.
    package func next() async throws(Broken) -> [UInt8]? {
        while true {
            let (bytes, isOver, isBroken, wasPaused) = state.withLock { state in
                defer {
                    state.pending = []
                    state.isPaused = false
                }
                return (state.pending, state.isWhole, state.isBroken, state.isPaused)
            }
            if isBroken { throw Broken() }
            if wasPaused { readOn() }
            if !bytes.isEmpty { return bytes }
            if isOver { return nil }
            await withCheckedContinuation { continuation in
                let isDue = state.withLock { state in
                    if !state.pending.isEmpty || state.isWhole || state.isBroken { return true }
                    state.taker = continuation
                    return false
                }
                if isDue { continuation.resume() }
            }
        }
    }

    /// True once nothing more will come.
    var isWhole: Bool { state.withLock { $0.isWhole } }

    /// - Returns: true when the peer is not to be read for a while.
    func put(_ bytes: [UInt8]) -> Bool {
        let (taker, isFull) = state.withLock { state in
            state.pending += bytes
            let isFull = state.pending.count >= limit
            if isFull { state.isPaused = true }
            return (Self.takeTaker(&state), isFull)
        }
        taker?.resume()
        return isFull
    }

    func end() {
        let taker = state.withLock { state in
            state.isWhole = true
            return Self.takeTaker(&state)
        }
        taker?.resume()
    }

    /// Nothing more comes; a body that was whole by then stays so.
    func broke() {
        let taker = state.withLock { state in
            if !state.isWhole { state.isBroken = true }
            return Self.takeTaker(&state)
        }
        taker?.resume()
    }

    private static func takeTaker(_ state: inout State) -> CheckedContinuation<Void, Never>? {
        defer { state.taker = nil }
        return state.taker
    }
}
