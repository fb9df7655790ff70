import Glibc

/// A bounded queue whose reader is a thread that may sleep: the inbox of a `NativeThread`.
// @unchecked: everything mutable is touched only while `mutex` is held.
package final class BlockingQueue<Element: Sendable>: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private let limit: Int
    private var waiting: [Element] = []
    private var isClosed = false
    private var sleepers = 0
    private var isInterrupted = false

    /// Holds at most `limit` elements.
    package init(limit: Int) {
        self.limit = limit
        mutex = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        pthread_mutex_init(mutex, nil)
        condition = .allocate(capacity: 1)
        condition.initialize(to: pthread_cond_t())
        // Waits with a limit must not follow the wall clock: a step of NTP would stretch them.
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    package enum Refusal: Error, Hashable, Sendable {
        case full
        case closed
    }

    /// Puts one element in, or says why not. Never waits.
    package func put(_ element: Element) throws(Refusal) {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        guard !isClosed else { throw .closed }
        guard waiting.count < limit else { throw .full }
        waiting.append(element)
        if sleepers > 0 { pthread_cond_signal(condition) }
    }

    /// Waits until there is something, then takes up to `most` in order.
    ///
    /// - Returns: nil once the queue is closed and empty; an empty array after `waitMilliseconds`
    ///   (none: waits for ever) and after `interrupt()`.
    package func take(most: Int, waitMilliseconds: Int64? = nil) -> [Element]? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        let deadline = waitMilliseconds.map(Self.deadline)
        defer { isInterrupted = false }
        while waiting.isEmpty, !isClosed {
            if isInterrupted { return [] }
            sleepers += 1
            let outcome =
                if var deadline {
                    pthread_cond_timedwait(condition, mutex, &deadline)
                } else {
                    pthread_cond_wait(condition, mutex)
                }
            sleepers -= 1
            if outcome == ETIMEDOUT, waiting.isEmpty, !isClosed { return [] }
        }
        if waiting.isEmpty { return nil }
        let taken = Array(waiting.prefix(most))
        waiting.removeFirst(taken.count)
        return taken
    }

    /// Lets a reader that waits look up, or the next one not wait.
    package func interrupt() {
        pthread_mutex_lock(mutex)
        isInterrupted = true
        if sleepers > 0 { pthread_cond_signal(condition) }
        pthread_mutex_unlock(mutex)
    }

    /// No more is taken in; what is in can still be taken out.
    package func close() {
        pthread_mutex_lock(mutex)
        isClosed = true
        pthread_cond_broadcast(condition)
        pthread_mutex_unlock(mutex)
    }

    package var count: Int {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return waiting.count
    }

    private static func deadline(_ milliseconds: Int64) -> timespec {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        let nanoseconds = time.tv_nsec + Int(milliseconds % 1000) * 1_000_000
        time.tv_sec += Int(milliseconds / 1000) + nanoseconds / 1_000_000_000
        time.tv_nsec = nanoseconds % 1_000_000_000
        return time
    }
}
