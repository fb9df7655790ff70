import HAL
import Service

/// The life of a bus's thread: takes jobs, keeps silences, opens and reopens the link.
// @unchecked: made in one place and then used by the bus's thread alone.
final class BusWorker: @unchecked Sendable {
    private let address: BusAddress
    private let queue: BusQueue
    private let report: Lock<ModbusBus.Report>
    private var link: ModbusLink?
    private var devices: [Int: Device] = [:]
    /// Nobody but an opening speaks before this.
    private var quietUntil: Int64 = 0
    /// Until then only the urgent speak: a device known to be dead was tried and stayed silent.
    private var hushedUntil: Int64 = 0
    private var reopenAt: Int64 = 0
    private var reopenAfter = ModbusBus.firstReopenMilliseconds
    private var trouble = "not opened yet"

    fileprivate struct Device {
        var speaksAt: Int64 = 0
        var failures = 0
        var restsUntil: Int64 = 0
        var restLength = ModbusBus.firstRestMilliseconds

        /// Silent so often that nothing late is to be expected of it any more.
        var isDead: Bool { failures > ModbusBus.failuresBeforeRest }
    }

    init(address: BusAddress, queue: BusQueue, report: Lock<ModbusBus.Report>) {
        self.address = address
        self.queue = queue
        self.report = report
    }

    func run() {
        while let job = queue.take(readyAt: readyAt) { job.complete(perform(job)) }
        link = nil
        report.withLock {
            $0.isOpen = false
            $0.hasEnded = true
        }
    }

    private func readyAt(_ job: BusJob) -> Int64 {
        if job.priority == .opening { return 0 }
        let device = devices[job.unit] ?? Device()
        // A resting device's job is ready: it is refused at once instead of waiting.
        if device.restsUntil > BusQueue.now { return 0 }
        return max(silence(before: job), device.speaksAt)
    }

    /// How long the line must stay silent before a job: the trials of a dead device put off neither
    /// control nor state of the others, whose answers its unit number tells apart.
    private func silence(before job: BusJob) -> Int64 {
        job.priority <= .state ? quietUntil : max(quietUntil, hushedUntil)
    }

    private func perform(_ job: BusJob) -> Result<[UInt16], BusError> {
        let now = BusQueue.now
        if job.priority != .opening {
            let device = devices[job.unit] ?? Device()
            if device.restsUntil > now {
                return .failure(.resting(milliseconds: device.restsUntil - now))
            }
            if job.deadline <= now, max(silence(before: job), device.speaksAt) > now {
                return .failure(.busy)
            }
        }
        guard let request = job.prepare() else { return .success([]) }
        let result = exchange(job, request)
        settle(job, result)
        return result
    }

    private func exchange(_ job: BusJob, _ request: ModbusRequest) -> Result<[UInt16], BusError> {
        do throws(BusError) {
            try open()
            guard
                let values = try link?.call(
                    unit: job.unit, request, timeoutMilliseconds: job.rules.timeoutMilliseconds)
            else { throw .down(trouble) }
            return .success(values)
        } catch {
            return .failure(error)
        }
    }

    private func open() throws(BusError) {
        guard link == nil else { return }
        guard BusQueue.now >= reopenAt else { throw .down(trouble) }
        do throws(BusError) {
            link = try ModbusLink(address)
            reopenAfter = ModbusBus.firstReopenMilliseconds
            report.withLock {
                $0.isOpen = true
                $0.trouble = nil
                $0.opened += 1
            }
        } catch {
            if case .down(let why) = error { trouble = why }
            reopenAt = BusQueue.now + reopenAfter
            reopenAfter = min(reopenAfter * 2, ModbusBus.longestReopenMilliseconds)
            let why = trouble
            report.withLock {
                $0.isOpen = false
                $0.trouble = why
            }
            throw error
        }
    }

    /// What an answer or its absence means for the line and for the device.
    private func settle(_ job: BusJob, _ result: Result<[UInt16], BusError>) {
        let now = BusQueue.now
        var device = devices[job.unit] ?? Device()
        device.speaksAt = now + Int64(job.rules.gapMilliseconds)
        var count = report.withLock { $0.devices[job.unit] ?? .init() }
        switch result {
        case .success:
            count.answers += 1
            device.recovered()
        case .failure(.refused(code: 10)), .failure(.refused(code: 11)), .failure(.noAnswer):
            // 10 and 11 are a gateway's words for a silent device, whose answer may still come to
            // the next one.
            count.noAnswers += 1
            device.failed(at: now, longest: longestRest(job.rules))
            silence(job.rules, onlyHushed: device.isDead)
        case .failure(.refused):
            // An exception is an answer: the device lives and the line is in step.
            count.refusals += 1
            device.recovered()
        case .failure(.wrongAnswer):
            count.wrongAnswers += 1
            silence(job.rules)
        case .failure(.down(let why)):
            // A try that never got as far as a link must not put off the next one.
            guard link != nil else { return }
            link = nil
            trouble = why
            reopenAt = max(reopenAt, now + ModbusBus.firstReopenMilliseconds)
            report.withLock {
                $0.isOpen = false
                $0.trouble = why
            }
        case .failure(.resting), .failure(.busy), .failure(.superseded), .failure(.closed): break
        }
        count.isResting = device.restsUntil > now
        devices[job.unit] = device
        let counted = count
        report.withLock { $0.devices[job.unit] = counted }
    }

    /// A dead device may cost the others at most a tenth of their line. Alone on it, it costs nobody
    /// anything and is looked for often.
    private func longestRest(_ rules: DeviceRules) -> Int64 {
        guard devices.count > 1 else { return ModbusBus.longestRestMilliseconds }
        let cost = Int64(rules.timeoutMilliseconds + rules.quarantineMilliseconds)
        return max(ModbusBus.longestRestMilliseconds, 9 * cost)
    }

    /// After an error the line is emptied and left alone. A TCP connection is thrown away instead:
    /// whatever comes late then comes to nobody.
    private func silence(_ rules: DeviceRules, onlyHushed: Bool = false) {
        switch address {
        case .serial:
            link?.flush()
            let until = BusQueue.now + Int64(rules.quarantineMilliseconds)
            if onlyHushed { hushedUntil = until } else { quietUntil = until }
        case .tcp:
            link = nil
        }
    }
}

extension BusWorker.Device {
    fileprivate mutating func recovered() {
        failures = 0
        restsUntil = 0
        restLength = ModbusBus.firstRestMilliseconds
    }

    fileprivate mutating func failed(at now: Int64, longest: Int64) {
        failures += 1
        guard failures >= ModbusBus.failuresBeforeRest else { return }
        restsUntil = now + restLength
        restLength = min(restLength * 2, longest)
    }
}
