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

    package func isIsolatingCurrentContext() -> Bool? {
        threadID.load(ordering: .relaxed) == UInt(pthread_self())
    }

    package func checkIsolated() {
        precondition(
            threadID.load(ordering: .relaxed) == UInt(pthread_self()),
            "this runs on the executor's own thread")
    }

    private func run() {
        threadID.store(UInt(pthread_self()), ordering: .relaxed)
        while let batch = jobs.take(most: .max) {
            for job in batch {
                job.runSynchronously(
                    isolatedTo: asUnownedSerialExecutor(), taskExecutor: asUnownedTaskExecutor())
            }
        }
    }
}
