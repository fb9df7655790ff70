import CCurl
import Service

/// The thread that drives all transfers: one libcurl multi handle, waiting calls per host.
final class TransferThread {
    enum Command: Sendable {
        case start(Transfer)
        case cancel(UInt64)
    }

    /// How callers reach the thread. The multi handle is only ever woken through it.
    struct Inbox {
        var commands: [Command] = []
        var isStopped = false
        /// Calls that wait or are in flight, by host and in all.
        var perHost: [String: Int] = [:]
        var inAll = 0
        /// nil once the thread has ended.
        var multi: UnsafeMutableRawPointer?
    }

    /// Longest sleep; it only bounds how long a missed wake-up could last.
    private static let longestWaitMilliseconds: Int64 = 1000
    private static let pooledHandles = 64

    private let configuration: HTTPClient.Configuration
    private let inbox: Lock<Inbox>
    private let multi: UnsafeMutableRawPointer
    private let clock = SystemClock()
    private var waiting: [String: [Transfer]] = [:]
    private var flying: [UnsafeMutableRawPointer: Transfer] = [:]
    private var flyingPerHost: [String: Int] = [:]
    private var pool: [UnsafeMutableRawPointer] = []

    init(
        _ configuration: HTTPClient.Configuration, _ inbox: Lock<Inbox>,
        _ multi: UnsafeMutableRawPointer
    ) {
        self.configuration = configuration
        self.inbox = inbox
        self.multi = multi
        kerb_curl_multi_set(multi, CURLMOPT_MAXCONNECTS, configuration.connectionsInAll)
    }

    func run() {
        while true {
            let (commands, isStopped) = inbox.withLock { inbox in
                defer { inbox.commands = [] }
                return (inbox.commands, inbox.isStopped)
            }
            for command in commands { obey(command) }
            if isStopped { break }
            expire()
            startWhatMay()
            var running: Int32 = 0
            curl_multi_perform(multi, &running)
            collect()
            // Something may have ended and made room; start that before going to sleep.
            if startWhatMay() { continue }
            curl_multi_poll(multi, nil, 0, Int32(sleepMilliseconds()), nil)
        }
        stop()
    }

    private func obey(_ command: Command) {
        switch command {
        case .start(let transfer): waiting[transfer.host, default: []].append(transfer)
        case .cancel(let id):
            if let (handle, transfer) = flying.first(where: { $0.value.id == id }) {
                land(handle, transfer, .failure(.cancelled))
            } else {
                fail({ $0.id == id }, .cancelled)
            }
        }
    }

    private func expire() {
        let now = clock.monotonicMilliseconds
        fail({ $0.deadline <= now }, .deadlinePassed)
    }

    /// Ends waiting calls.
    private func fail(_ isMeant: (Transfer) -> Bool, _ error: HTTPCallError) {
        for (host, transfers) in waiting {
            let ended = transfers.filter(isMeant)
            guard !ended.isEmpty else { continue }
            let rest = transfers.filter { !isMeant($0) }
            waiting[host] = rest.isEmpty ? nil : rest
            for transfer in ended { finish(transfer, .failure(error)) }
        }
    }

    /// Starts waiting calls where their host and the whole have room.
    @discardableResult
    private func startWhatMay() -> Bool {
        var hasStarted = false
        for (host, transfers) in waiting {
            let room = min(
                configuration.connectionsPerHost - flyingPerHost[host, default: 0],
                configuration.connectionsInAll - flying.count)
            guard room > 0 else { continue }
            let rest = Array(transfers.dropFirst(room))
            waiting[host] = rest.isEmpty ? nil : rest
            for transfer in transfers.prefix(room) { start(transfer) }
            hasStarted = true
        }
        return hasStarted
    }

    private func start(_ transfer: Transfer) {
        guard let handle = pool.popLast() ?? curl_easy_init() else {
            return finish(transfer, .failure(.broken(HTTPClient.unusable)))
        }
        transfer.prepare(handle, configuration, now: clock.monotonicMilliseconds)
        flying[handle] = transfer
        flyingPerHost[transfer.host, default: 0] += 1
        curl_multi_add_handle(multi, handle)
    }

    private func collect() {
        var left: Int32 = 0
        while let message = curl_multi_info_read(multi, &left) {
            guard let handle = kerb_curl_done_handle(message), let transfer = flying[handle] else {
                continue
            }
            let result = kerb_curl_done_result(message)
            let outcome = transfer.outcome(
                result, status: kerb_curl_status(handle), now: clock.monotonicMilliseconds)
            land(handle, transfer, outcome)
        }
    }

    private func land(
        _ handle: UnsafeMutableRawPointer, _ transfer: Transfer, _ outcome: Transfer.Outcome
    ) {
        curl_multi_remove_handle(multi, handle)
        flying[handle] = nil
        let left = flyingPerHost[transfer.host, default: 1] - 1
        flyingPerHost[transfer.host] = left > 0 ? left : nil
        curl_easy_reset(handle)
        if pool.count < Self.pooledHandles {
            pool.append(handle)
        } else {
            curl_easy_cleanup(handle)
        }
        finish(transfer, outcome)
    }

    private func finish(_ transfer: Transfer, _ outcome: Transfer.Outcome) {
        inbox.withLock { inbox in
            inbox.inAll -= 1
            let left = inbox.perHost[transfer.host, default: 1] - 1
            inbox.perHost[transfer.host] = left > 0 ? left : nil
        }
        transfer.finish(outcome)
    }

    private func sleepMilliseconds() -> Int64 {
        let now = clock.monotonicMilliseconds
        let deadlines = waiting.values.joined().map(\.deadline)
        let next = deadlines.min().map { $0 - now } ?? Self.longestWaitMilliseconds
        return max(0, min(next, Self.longestWaitMilliseconds))
    }

    private func stop() {
        fail({ _ in true }, .stopped)
        for (handle, transfer) in flying { land(handle, transfer, .failure(.stopped)) }
        // What came in after the last look.
        let late = inbox.withLock { inbox in
            inbox.multi = nil
            defer { inbox.commands = [] }
            return inbox.commands
        }
        for command in late {
            if case .start(let transfer) = command { finish(transfer, .failure(.stopped)) }
        }
        for handle in pool { curl_easy_cleanup(handle) }
        curl_multi_cleanup(multi)
    }
}
