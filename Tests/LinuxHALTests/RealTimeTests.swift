import Glibc
import Service
import Testing

@testable import LinuxHAL

/// Whether this process may ask for real time at all: as root, or under a limit that allows it.
private let mayAsk = onThread { RealTime.sampling.take() }

/// The scheduling policy of the thread that asks.
private func policy() -> Int32 { sched_getscheduler(0) }

private func onThread<Value: Sendable>(_ body: @escaping @Sendable () -> Value) -> Value {
    let (result, done) = (Lock<Value?>(nil), BlockingQueue<Bool>(limit: 1))
    _ = NativeThread.start("asks", stackBytes: 262_144) {
        result.withLock { $0 = body() }
        try? done.put(true)
    }
    _ = done.take(most: 1, waitMilliseconds: nil)
    guard let value = result.withLock({ $0 }) else {
        preconditionFailure("the thread answers before it ends")
    }
    return value
}

@Suite(.timeLimit(.minutes(1))) struct `Real time` {
    private static let resetOnFork: Int32 = 0x4000_0000

    @Test(.enabled(if: mayAsk, "this process may not ask for real time"))
    func `is the thread's own and of none that it begins`() {
        let (own, begun) = onThread {
            RealTime.opening.take()
            return (policy(), onThread { policy() })
        }
        #expect(own & ~Self.resetOnFork == SCHED_FIFO)
        #expect(begun == SCHED_OTHER)
    }
}
