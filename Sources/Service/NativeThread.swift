import Glibc
import Synchronization

/// A thread of its own, for work that blocks: SQLite, a serial bus, libcurl, an event loop.
///
/// Letting go of it lets the thread run on by itself; what it holds is freed when it ends.
package final class NativeThread: Sendable {
    private let id: pthread_t
    private let isJoined = Atomic(false)

    private init(id: pthread_t) { self.id = id }

    deinit {
        // A thread that is neither joined nor detached keeps its stack after its end.
        if !isJoined.load(ordering: .relaxed) { pthread_detach(id) }
    }

    /// Starts `body` on a new thread.
    ///
    /// - `name` shows in `top -H`; Linux keeps 15 bytes of it.
    /// - `stackBytes` is at least `PTHREAD_STACK_MIN`.
    @discardableResult
    package static func start(
        _ name: String, stackBytes: Int = 1 << 20, _ body: @escaping @Sendable () -> Void
    ) -> NativeThread {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setstacksize(&attributes, stackBytes)
        var id = pthread_t()
        let start = Unmanaged.passRetained(Start(name, body)).toOpaque()
        let failure = pthread_create(&id, &attributes, runThread, start)
        pthread_attr_destroy(&attributes)
        precondition(failure == 0, "a thread can be started")
        return NativeThread(id: id)
    }

    /// Waits for the thread's end. Call it once, never from an async function.
    package func join() {
        let isFirst = !isJoined.exchange(true, ordering: .relaxed)
        precondition(isFirst, "a thread is joined once")
        pthread_join(id, nil)
    }

    fileprivate final class Start: Sendable {
        let name: String
        let body: @Sendable () -> Void
        init(_ name: String, _ body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }
}

private func runThread(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    let start = Unmanaged<NativeThread.Start>.fromOpaque(argument).takeRetainedValue()
    nameThisThread(start.name)
    start.body()
    return nil
}

// pthread_setname_np needs _GNU_SOURCE, which Swift's Glibc does not set. A thread without its
// name works as well, so a failure is passed over.
private func nameThisThread(_ name: String) {
    let descriptor = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    let bytes = Array(name.utf8.prefix(15))
    _ = write(descriptor, bytes, bytes.count)
    close(descriptor)
}
