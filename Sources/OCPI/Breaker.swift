import Service

/// Keeps states of a partner that does not answer from piling up: after a few failures in a row they
/// are dropped for a while, then one is tried again.
final class Breaker: Sendable {
    /// Failures in a row that open it.
    static let failures = 4
    static let openMilliseconds: Int64 = 30_000

    private struct State {
        var failures = 0
        var openUntil: Int64 = .min
    }

    private let clock: any ServiceClock
    private let state = Lock(State())

    init(_ clock: any ServiceClock) { self.clock = clock }

    var isOpen: Bool {
        let now = clock.monotonicMilliseconds
        return state.withLock { now < $0.openUntil }
    }

    func worked() { state.withLock { $0 = State() } }

    /// - Returns: whether it is open now. After an open time the first failure opens it again.
    func failed() -> Bool {
        let now = clock.monotonicMilliseconds
        return state.withLock { state in
            state.failures += 1
            guard state.failures >= Self.failures else { return false }
            state.openUntil = now + Self.openMilliseconds
            return true
        }
    }
}
