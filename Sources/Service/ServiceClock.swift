import Charging
import Glibc

/// Where the programs get time from, so that tests can hold it in their hands.
package protocol ServiceClock: Sendable {
    /// The wall's time. May jump either way: for records, never for durations.
    var now: Timestamp { get }
    /// Milliseconds since some point, never back: for durations and time-outs.
    var monotonicMilliseconds: Int64 { get }
    /// Waits by the monotonic clock; throws `CancellationError` when the task is cancelled.
    func sleep(milliseconds: Int64) async throws
}

extension ServiceClock where Self == SystemClock {
    package static var system: SystemClock { SystemClock() }
}

/// The clocks of the machine.
package struct SystemClock: ServiceClock {
    package init() {}

    package var now: Timestamp {
        let time = Self.read(CLOCK_REALTIME)
        return Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }

    package var monotonicMilliseconds: Int64 {
        let time = Self.read(CLOCK_MONOTONIC)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }

    package func sleep(milliseconds: Int64) async throws {
        try await Task.sleep(for: .milliseconds(milliseconds), clock: .continuous)
    }

    private static func read(_ clock: clockid_t) -> timespec {
        var time = timespec()
        clock_gettime(clock, &time)
        return time
    }
}
