import Glibc

/// How urgent a request is. A lower one goes first.
package enum BusPriority: Int, Hashable, Comparable, Sendable, CaseIterable {
    /// Opening a contactor. Skips gaps, quarantine and a resting device's rest.
    case opening
    /// Closing and renewing a contactor, pilot currents.
    case control
    /// Pilot state, mirror contacts.
    case state
    /// Registers that are billed.
    case energy
    case rest

    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// One request on its way through a bus.
struct BusJob: Sendable {
    var unit: Int
    var rules: DeviceRules
    var priority: BusPriority
    /// A newer job with the same key takes this one's place in the queue.
    var key: String?
    /// Monotonic milliseconds; later it is answered with `.busy`.
    var deadline: Int64
    /// Called on the bus's thread just before sending, so that what is sent is what is wanted *now*;
    /// nil means that nothing is wanted any more.
    var prepare: @Sendable () -> ModbusRequest?
    var complete: @Sendable (Result<[UInt16], BusError>) -> Void
}

/// The bounded inbox of a bus's thread, ordered by priority, then by age.
// @unchecked: everything mutable is touched only while `mutex` is held.
final class BusQueue: @unchecked Sendable {
    /// Requests of all devices together; openings are always let in.
    static let limit = 128

    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var jobs: [[BusJob]] = BusPriority.allCases.map { _ in [] }
    private var isClosed = false

    init() {
        mutex = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        pthread_mutex_init(mutex, nil)
        condition = .allocate(capacity: 1)
        condition.initialize(to: pthread_cond_t())
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        // By the monotonic clock: a step of the wall clock must not hold back an opening.
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

    /// Takes a job in; one that is refused or displaced is completed with the reason.
    func put(_ job: BusJob) {
        var displaced: [(BusJob, BusError)] = []
        pthread_mutex_lock(mutex)
        if isClosed {
            displaced.append((job, .closed))
        } else if job.priority != .opening, jobs.reduce(0, { $0 + $1.count }) >= Self.limit {
            displaced.append((job, .busy))
        } else {
            if let key = job.key {
                for level in jobs.indices {
                    for old in jobs[level] where old.key == key {
                        displaced.append((old, .superseded))
                    }
                    jobs[level].removeAll { $0.key == key }
                }
            }
            jobs[job.priority.rawValue].append(job)
            pthread_cond_signal(condition)
        }
        pthread_mutex_unlock(mutex)
        for (job, error) in displaced { job.complete(.failure(error)) }
    }

    /// Waits for the most urgent job whose time has come.
    ///
    /// - `readyAt` tells from which monotonic millisecond a job may be sent; it must be quick.
    /// - Returns: nil once the queue is closed; then all that waited has been completed.
    func take(readyAt: (BusJob) -> Int64) -> BusJob? {
        pthread_mutex_lock(mutex)
        while !isClosed {
            let now = Self.now
            var soonest = Int64.max
            for level in jobs.indices {
                for (index, job) in jobs[level].enumerated() {
                    let ready = min(readyAt(job), job.deadline)
                    if ready <= now {
                        jobs[level].remove(at: index)
                        pthread_mutex_unlock(mutex)
                        return job
                    }
                    soonest = min(soonest, ready)
                }
            }
            if soonest == .max {
                pthread_cond_wait(condition, mutex)
            } else {
                var deadline = timespec(
                    tv_sec: Int(soonest / 1000), tv_nsec: Int(soonest % 1000) * 1_000_000)
                pthread_cond_timedwait(condition, mutex, &deadline)
            }
        }
        let left = jobs.flatMap { $0 }
        jobs = jobs.map { _ in [] }
        pthread_mutex_unlock(mutex)
        for job in left { job.complete(.failure(.closed)) }
        return nil
    }

    func close() {
        pthread_mutex_lock(mutex)
        isClosed = true
        pthread_cond_broadcast(condition)
        pthread_mutex_unlock(mutex)
    }

    var count: Int {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return jobs.reduce(0) { $0 + $1.count }
    }

    static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}
