import Service

/// Messages of a `WebSocketClient`, for one reader.
package final class WebSocketInbox: AsyncSequence, Sendable {
    package typealias Element = [UInt8]
    package typealias Failure = Never

    package struct AsyncIterator: AsyncIteratorProtocol {
        let inbox: WebSocketInbox
        package mutating func next() async -> [UInt8]? { await inbox.next() }
        package mutating func next(isolation: isolated (any Actor)?) async -> [UInt8]? {
            await inbox.next()
        }
    }

    private struct State {
        var messages: [[UInt8]] = []
        /// Read up to here; the front is dropped when it is worth it.
        var head = 0
        var isPaused = false
        var isEnded = false
        var waiter: CheckedContinuation<[UInt8]?, Never>?

        var count: Int { messages.count - head }

        mutating func take() -> [UInt8]? {
            guard head < messages.count else { return nil }
            defer {
                head += 1
                if head == messages.count {
                    messages.removeAll(keepingCapacity: true)
                    head = 0
                }
            }
            return messages[head]
        }
    }

    private let state = Lock(State())
    private let limit: Int
    /// Called when reading may go on.
    private let resume: @Sendable () -> Void

    init(limit: Int, resume: @escaping @Sendable () -> Void) {
        self.limit = Swift.max(1, limit)
        self.resume = resume
    }

    package func makeAsyncIterator() -> AsyncIterator { AsyncIterator(inbox: self) }

    /// The next message; nil once the connection is closed and everything was read, or the task is
    /// cancelled.
    package func next() async -> [UInt8]? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let (now, mayResume) = state.withLock { state -> (Now, Bool) in
                    if let message = state.take() {
                        let mayResume = state.isPaused && state.count <= limit / 2
                        if mayResume { state.isPaused = false }
                        return (.message(message), mayResume)
                    }
                    if state.isEnded || Task.isCancelled { return (.end, false) }
                    precondition(state.waiter == nil, "an inbox has one reader")
                    state.waiter = continuation
                    return (.wait, false)
                }
                switch now {
                case .message(let message): continuation.resume(returning: message)
                case .end: continuation.resume(returning: nil)
                case .wait: break
                }
                if mayResume { resume() }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume(returning: nil)
        }
    }

    private enum Now: Sendable { case message([UInt8]), end, wait }

    /// - Returns: false if the sender should be made to wait now.
    func put(_ message: [UInt8]) -> Bool {
        let (waiter, goOn) = state.withLock { state in
            if let waiter = state.waiter {
                state.waiter = nil
                return (Optional(waiter), true)
            }
            state.messages.append(message)
            if state.count >= limit { state.isPaused = true }
            return (nil, !state.isPaused)
        }
        waiter?.resume(returning: message)
        return goOn
    }

    func end() {
        let waiter = state.withLock { state in
            state.isEnded = true
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(returning: nil)
    }
}
