import Charging
import Service

/// A clock that stands still until the test moves it.
package final class ManualClock: ServiceClock {
    private struct Sleeper {
        let id: Int
        let until: Int64
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var now: Timestamp
        var monotonic: Int64 = 0
        var sleepers: [Sleeper] = []
        var nextID = 0
        var cancelled: Set<Int> = []
        var watchers: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
    }

    private let state: Lock<State>

    package init(_ now: Timestamp = Timestamp(seconds: 1_800_000_000)) {
        state = Lock(State(now: now))
    }

    package var now: Timestamp { state.withLock { $0.now } }
    package var monotonicMilliseconds: Int64 { state.withLock { $0.monotonic } }

    /// Moves both clocks on and wakes who has slept enough.
    package func advance(milliseconds: Int64) {
        let woken = state.withLock { state in
            state.monotonic += milliseconds
            state.now.milliseconds += milliseconds
            let due = state.sleepers.filter { $0.until <= state.monotonic }
            state.sleepers.removeAll { $0.until <= state.monotonic }
            return due.map(\.continuation)
        }
        for continuation in woken { continuation.resume() }
    }

    /// Moves the wall's time only, as NTP does.
    package func stepWall(milliseconds: Int64) {
        state.withLock { $0.now.milliseconds += milliseconds }
    }

    /// Sleeps until the test has moved the clock far enough.
    package func sleep(milliseconds: Int64) async throws {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                fallAsleep(id, milliseconds, continuation)
            }
        } onCancel: {
            let sleeper = state.withLock { state in
                state.cancelled.insert(id)
                let index = state.sleepers.firstIndex { $0.id == id }
                return index.map { state.sleepers.remove(at: $0).continuation }
            }
            sleeper?.resume(throwing: CancellationError())
        }
    }

    /// Waits until at least `count` tasks sleep on this clock.
    package func sleepers(atLeast count: Int) async {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if state.sleepers.count >= count { return true }
                state.watchers.append((count, continuation))
                return false
            }
            if isThere { continuation.resume() }
        }
    }

    private func fallAsleep(
        _ id: Int, _ milliseconds: Int64, _ continuation: CheckedContinuation<Void, any Error>
    ) {
        enum Outcome { case asleep, due, cancelled }
        typealias Watchers = [CheckedContinuation<Void, Never>]
        let (outcome, watchers) = state.withLock { state -> (Outcome, Watchers) in
            if state.cancelled.remove(id) != nil { return (Outcome.cancelled, []) }
            guard milliseconds > 0 else { return (Outcome.due, []) }
            state.sleepers.append(
                Sleeper(
                    id: id, until: state.monotonic + milliseconds, continuation: continuation))
            let count = state.sleepers.count
            let ready = state.watchers.filter { $0.count <= count }.map(\.continuation)
            state.watchers.removeAll { $0.count <= count }
            return (Outcome.asleep, ready)
        }
        switch outcome {
        case .asleep: break
        case .due: continuation.resume()
        case .cancelled: continuation.resume(throwing: CancellationError())
        }
        for watcher in watchers { watcher.resume() }
    }
}
