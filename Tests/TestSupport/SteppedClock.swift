import Charging
import Service

/// The system's clock, whose wall time a test sets as NTP or a person would.
package final class SteppedClock: ServiceClock {
    private let system = SystemClock()
    private let offset = Lock<Int64>(0)
    private let ahead = Lock<Int64>(0)

    package init() {}

    package func step(milliseconds: Int64) { offset.withLock { $0 += milliseconds } }

    /// Both clocks, as if so much time had passed; who sleeps sleeps on.
    package func skip(milliseconds: Int64) {
        step(milliseconds: milliseconds)
        ahead.withLock { $0 += milliseconds }
    }

    package var now: Timestamp {
        system.now.advanced(byMilliseconds: offset.withLock { $0 })
    }
    package var monotonicMilliseconds: Int64 {
        system.monotonicMilliseconds + ahead.withLock { $0 }
    }
    package func sleep(milliseconds: Int64) async throws {
        try await system.sleep(milliseconds: milliseconds)
    }
}
