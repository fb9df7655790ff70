import CWeb
import Glibc
import Service
import Synchronization

/// Runs an actor's jobs on the thread of one C loop.
///
/// When the loop has ended its late jobs still run, one at a time on a short-lived thread, so that
/// no task hangs because its shard was stopped before it came back.
// @unchecked: everything mutable is behind `state`.
final class LoopExecutor: SerialExecutor, TaskExecutor, @unchecked Sendable {
    private struct State {
        var jobs: [UnownedJob] = []
        var loop: LoopHandle?
        var ended = false
        var hasLateThread = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Lock(State())
    /// The thread that may run jobs now; 0 while there is none.
    private let thread = Atomic<UInt>(0)

    /// The loop; nil before it is made and after it has ended. On its thread it stays valid.
    // Set once before the thread starts, cleared on that thread when its last callback is over;
    // read on that thread only.
    nonisolated(unsafe) private(set) var loop: OpaquePointer?

    func attach(_ loop: OpaquePointer) {
        self.loop = loop
        let handle = LoopHandle(pointer: loop)
        state.withLock { $0.loop = handle }
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let late = state.withLock { state -> Bool in
            state.jobs.append(job)
            // Under the lock, so that the loop is not freed meanwhile.
            if let loop = state.loop {
                web_loop_wake(loop.pointer)
                return false
            }
            return state.ended && Self.claim(&state)
        }
        if late { startLateThread() }
    }

    func asUnownedSerialExecutor() -> UnownedSerialExecutor {
        UnownedSerialExecutor(ordinary: self)
    }

    func isIsolatingCurrentContext() -> Bool? { isCurrent }

    func checkIsolated() { precondition(isCurrent, "this runs on the loop's own thread") }

    private var isCurrent: Bool { thread.load(ordering: .relaxed) == UInt(pthread_self()) }

    /// Runs what is queued. Called on the loop's thread.
    func drain() {
        let jobs = state.withLock { state -> [UnownedJob] in
            defer { state.jobs = [] }
            return state.jobs
        }
        run(jobs)
    }

    /// Asks the loop to end.
    func stop() {
        state.withLock { state in
            if let loop = state.loop { web_loop_stop(loop.pointer) }
        }
    }

    /// Carries the loop on the calling thread until it is stopped, then frees it.
    func runLoop() {
        guard let loop else { return }
        thread.store(UInt(pthread_self()), ordering: .relaxed)
        web_loop_run(loop)
        // From here on nobody wakes or stops it, so that it can be closed in peace.
        state.withLock { $0.loop = nil }
        web_loop_close(loop)
        end()
    }

    /// Frees a loop whose run is over, or that was never run.
    func end() {
        guard let loop else { return }
        self.loop = nil
        thread.store(0, ordering: .relaxed)
        let (waiters, late) = state.withLock { state in
            state.loop = nil
            state.ended = true
            defer { state.waiters = [] }
            return (state.waiters, !state.jobs.isEmpty && Self.claim(&state))
        }
        web_loop_free(loop)
        if late { startLateThread() }
        for waiter in waiters { waiter.resume() }
    }

    /// Returns once the loop has ended and is freed.
    func ended() async {
        await withCheckedContinuation { continuation in
            let over = state.withLock { state in
                if !state.ended { state.waiters.append(continuation) }
                return state.ended
            }
            if over { continuation.resume() }
        }
    }

    private func run(_ jobs: [UnownedJob]) {
        let serial = asUnownedSerialExecutor()
        let task = asUnownedTaskExecutor()
        for job in jobs { job.runSynchronously(isolatedTo: serial, taskExecutor: task) }
    }

    /// True if a late thread has to be started: one at a time.
    private static func claim(_ state: inout State) -> Bool {
        defer { state.hasLateThread = true }
        return !state.hasLateThread
    }

    private func startLateThread() {
        _ = NativeThread.start("web-late") { [self] in
            while true {
                let jobs = state.withLock { state -> [UnownedJob] in
                    defer { state.jobs = [] }
                    if state.jobs.isEmpty {
                        // Before another one may start and say that it is the thread.
                        thread.store(0, ordering: .relaxed)
                        state.hasLateThread = false
                    } else {
                        thread.store(UInt(pthread_self()), ordering: .relaxed)
                    }
                    return state.jobs
                }
                if jobs.isEmpty { return }
                run(jobs)
            }
        }
    }
}

/// A loop's pointer where the compiler asks for Sendable.
// @unchecked: used only for wake and stop, which the C side allows from any thread, and only
// while the executor's lock says that the loop lives.
private struct LoopHandle: @unchecked Sendable {
    let pointer: OpaquePointer
}
