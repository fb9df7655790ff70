import Charging
import Glibc
import HAL
import Service

/// How one device wants to be treated.
package struct DeviceRules: Hashable, Sendable {
    package var timeoutMilliseconds: Int
    /// Silence before its next request.
    package var gapMilliseconds: Int
    /// Silence on the whole bus after one of its errors, longer than its slowest answer. A serial
    /// answer carries no number: one that comes late is read as the next one's.
    package var quarantineMilliseconds: Int

    /// Shorter is measured to let wrong values through.
    package static let leastQuarantineMilliseconds = 300

    package init(
        timeoutMilliseconds: Int, gapMilliseconds: Int,
        quarantineMilliseconds: Int = leastQuarantineMilliseconds
    ) {
        self.timeoutMilliseconds = timeoutMilliseconds
        self.gapMilliseconds = gapMilliseconds
        self.quarantineMilliseconds = max(
            quarantineMilliseconds, Self.leastQuarantineMilliseconds)
    }
}

/// One Modbus line or connection: a thread of its own, because a call to an absent device blocks for
/// its whole time-out, with a bounded queue before it.
package final class ModbusBus: Sendable {
    package let name: String
    package let address: BusAddress
    package let clock: any ServiceClock
    private let queue = BusQueue()
    private let report: Lock<Report>

    /// Failures in a row after which a device rests: EVerest's first try and two more.
    package static let failuresBeforeRest = 3
    /// Doubled with each further failure. Ours: one poll of a meter.
    package static let firstRestMilliseconds: Int64 = 1000
    /// On a shared line a dead device rests longer where its trials are dear, so that they take at
    /// most a tenth of the line's time.
    package static let longestRestMilliseconds: Int64 = 5000
    /// An adapter that was pulled, or a connection that was cut, is opened again after this, doubled with each
    /// failure. Ours: an adapter's node is back within a second, a switch of the LAN within seconds.
    package static let firstReopenMilliseconds: Int64 = 100
    package static let longestReopenMilliseconds: Int64 = 5000
    /// How long a request may wait in the queue. Ours: an answer later than `ConnectorTimings.meterIsFresh` would
    /// be of no use.
    package static let waitsMilliseconds: Int64 = 3000

    /// What happened so far, for `status` and `doctor`.
    package struct Report: Hashable, Sendable {
        package var isOpen = false
        /// Why not, if not.
        package var trouble: String?
        package var opened = 0
        /// After `close`: the thread is gone and the port is free.
        package var hasEnded = false
        package var devices: [Int: Device] = [:]

        package struct Device: Hashable, Sendable {
            package var answers = 0
            package var noAnswers = 0
            package var wrongAnswers = 0
            package var refusals = 0
            package var isResting = false
        }
    }

    package init(name: String, address: BusAddress, clock: any ServiceClock = .system) {
        self.name = name
        self.address = address
        self.clock = clock
        report = Lock(Report())
        let worker = BusWorker(address: address, queue: queue, report: report)
        _ = NativeThread.start("bus \(name)") { worker.run() }
    }

    deinit { queue.close() }

    /// Ends the thread after the request under way; what waits is answered with `.closed`.
    package func close() { queue.close() }

    package var state: Report { report.withLock { $0 } }
    package var waiting: Int { queue.count }

    /// Asks a device and waits for the answer.
    package func call(
        unit: Int, _ request: ModbusRequest, rules: DeviceRules, priority: BusPriority
    ) async throws(BusError) -> [UInt16] {
        try await withCheckedContinuation { continuation in
            post(unit: unit, rules: rules, priority: priority, prepare: { request }) {
                continuation.resume(returning: $0)
            }
        }.get()
    }

    /// Queues a request and returns at once.
    ///
    /// - `key`: a newer request with the same key takes the place of an older one that still waits.
    /// - `prepare` runs on the bus's thread just before sending; nil sends nothing.
    /// - `complete` runs on the bus's thread, or at once when the queue refuses; it must not block.
    package func post(
        unit: Int, rules: DeviceRules, priority: BusPriority, key: String? = nil,
        prepare: @escaping @Sendable () -> ModbusRequest?,
        complete: @escaping @Sendable (Result<[UInt16], BusError>) -> Void
    ) {
        queue.put(
            BusJob(
                unit: unit, rules: rules, priority: priority, key: key,
                deadline: BusQueue.now + Self.waitsMilliseconds, prepare: prepare,
                complete: complete))
    }
}
