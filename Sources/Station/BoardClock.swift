import Charging
import Service

/// The board's clock, corrected by the operator's where the board's own is wrong: a board without
/// a battery wakes up in 1970. Monotonic time is never touched.
package final class BoardClock: ServiceClock {
    private let system: any ServiceClock
    private let correction = Lock(Int64(0))

    /// Below this the board's own time stands: an answer's way over the network is no clock.
    package static let tolerancesMilliseconds: Int64 = 60_000

    package init(_ system: any ServiceClock = .system) { self.system = system }

    package var now: Timestamp {
        Timestamp(milliseconds: system.now.milliseconds + correction.withLock { $0 })
    }

    package var monotonicMilliseconds: Int64 { system.monotonicMilliseconds }

    package func sleep(milliseconds: Int64) async throws {
        try await system.sleep(milliseconds: milliseconds)
    }

    /// Takes over the operator's time where it differs; says by how much.
    package func correct(to operators: Timestamp) -> Int64? {
        let difference = operators.milliseconds - now.milliseconds
        guard abs(difference) > Self.tolerancesMilliseconds else { return nil }
        correction.withLock { $0 += difference }
        return difference
    }
}
