import Charging
import Glibc
import Synchronization

/// A serial executor that owns one thread: for actors whose work blocks.
///
/// The actor holds it and returns it from `unownedExecutor`; `stop()` ends the thread after the
/// jobs that are in.
package final class ThreadExecutor: SerialExecutor, TaskExecutor {
    // A job refused would leave its task hanging for ever, so the queue itself is unbounded:
    // what bounds it is the number of tasks of the actors that live here.
    private let jobs = BlockingQueue<UnownedJob>(limit: .max)
    private let threadID = Atomic<UInt>(0)
    private let sleepers = Lock(Sleepers())

    private struct Sleeper {
        let id: UInt64
        let at: Int64
        let wake: UnsafeContinuation<Void, any Error>
    }

    private struct Sleepers {
        // A dozen an actor: looking through them all is cheaper than keeping them in order.
        var waiting: [Sleeper] = []
        /// Cancelled before they lay down.
        var cancelled: Set<UInt64> = []
        var next: UInt64 = 0
    }

    /// Longer sleeps end together, at multiples of this: one waking of the thread then serves all
    /// that is due. They end earlier for it, never later.
    package static let wakeGridMilliseconds: Int64 = 25

    package init(name: String, stackBytes: Int = 1 << 20) {
        _ = NativeThread.start(name, stackBytes: stackBytes) { [self] in run() }
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        do { try jobs.put(job) } catch {
            preconditionFailure("no job is given to an executor after its stop")
        }
    }

    package func stop() { jobs.close() }

    package func isIsolatingCurrentContext() -> Bool? { isIsolatingHere }

    package func checkIsolated() {
        precondition(isIsolatingHere, "this runs on the executor's own thread")
    }

    /// Sleeps on this thread, which costs neither a timer of the kernel nor another thread.
    ///
    /// - Throws: `CancellationError` when the task is cancelled.
    package func sleep(milliseconds: Int64) async throws {
        var at = SystemClock().monotonicMilliseconds + milliseconds
        if milliseconds >= 2 * Self.wakeGridMilliseconds { at -= at % Self.wakeGridMilliseconds }
        let deadline = at
        let id = sleepers.withLock { sleepers in
            sleepers.next += 1
            return sleepers.next
        }
        defer {
            sleepers.withLock { sleepers in
                if !sleepers.cancelled.isEmpty { sleepers.cancelled.remove(id) }
            }
        }
        try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { continuation in
                let isCancelled = sleepers.withLock { sleepers in
                    if sleepers.cancelled.contains(id) { return true }
                    sleepers.waiting.append(Sleeper(id: id, at: deadline, wake: continuation))
                    return false
                }
                if isCancelled {
                    continuation.resume(throwing: CancellationError())
                } else if !isIsolatingHere {
                    jobs.interrupt()
                }
            }
        } onCancel: {
            let sleeper = sleepers.withLock { sleepers -> Sleeper? in
                if let index = sleepers.waiting.firstIndex(where: { $0.id == id }) {
                    return sleepers.waiting.remove(at: index)
                }
                sleepers.cancelled.insert(id)
                return nil
            }
            sleeper?.wake.resume(throwing: CancellationError())
        }
    }

    private var isIsolatingHere: Bool {
        threadID.load(ordering: .relaxed) == UInt(pthread_self())
    }

    /// Wakes who is due; answers how long the thread may wait for the next one.
    private func wakeSleepers() -> Int64? {
        let now = SystemClock().monotonicMilliseconds
        let (due, soonest) = sleepers.withLock { sleepers in
            var due: [Sleeper] = []
            var soonest = Int64.max
            for sleeper in sleepers.waiting {
                if sleeper.at <= now {
                    due.append(sleeper)
                } else {
                    soonest = min(soonest, sleeper.at)
                }
            }
            if !due.isEmpty { sleepers.waiting.removeAll { $0.at <= now } }
            return (due, soonest)
        }
        for sleeper in due { sleeper.wake.resume() }
        return soonest == .max ? nil : soonest - now
    }

    private func run() {
        threadID.store(UInt(pthread_self()), ordering: .relaxed)
        while let batch = jobs.take(most: .max, waitMilliseconds: wakeSleepers()) {
            for job in batch {
                job.runSynchronously(
                    isolatedTo: asUnownedSerialExecutor(), taskExecutor: asUnownedTaskExecutor())
            }
        }
    }
}

/// A clock whose sleepers wait on an executor's own thread; it tells the time of another.
package struct ExecutorClock: ServiceClock {
    private let clock: any ServiceClock
    private let executor: ThreadExecutor

    package init(_ clock: any ServiceClock, on executor: ThreadExecutor) {
        self.clock = clock
        self.executor = executor
    }

    package var now: Timestamp { clock.now }
    package var monotonicMilliseconds: Int64 { clock.monotonicMilliseconds }

    package func sleep(milliseconds: Int64) async throws {
        try await executor.sleep(milliseconds: milliseconds)
    }
}
