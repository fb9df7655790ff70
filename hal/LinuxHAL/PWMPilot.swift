import Charging
import Glibc
import HAL
import Service

/// The pilot of a board without controller: the processor's PWM makes the wave, peak detectors and
/// an ADC show both half-waves.
///
/// Two threads of its own: one samples, one writes. Neither a hung ADC nor a hung PWM holds up the
/// other, nor the thread that decides about the contactor.
package final class PWMPilot: Pilot {
    package let name: String
    private let clock: any ServiceClock
    private let sysfs: Sysfs
    private let profile: PWMPilotProfile
    private let connector: Int
    private let line = Lock(Line())
    private let sampler: Sampler<PilotFilter>
    /// The writer's only.
    private let output = Lock<PWMOutput?>(nil)
    private let orders = BlockingQueue<Bool>(limit: 1)

    package static let sampleMilliseconds: Int64 = 10
    /// An older sample tells nothing: the thread or the ADC hangs. With the sample before it and a
    /// poll of 50 ms, C to B opens within 100 ms even then. IEC 61851-1 Table A.6 sequence 8.1. It rests
    /// on `RealTime`: an ordinary thread of a busy board samples later than that, and its samples
    /// count for nothing.
    package static let staleMilliseconds: Int64 = 35
    /// The peak detectors show the old wave for so long after a change.
    package static let settleMilliseconds: Int64 = 60
    /// A signal that is not on the line after this is a failure of the PWM.
    package static let writtenWithinMilliseconds: Int64 = 100
    /// A signal that failed is written again this often, for ever.
    private static let retryMilliseconds: Int64 = 20

    /// What is wanted on the line and what is there.
    fileprivate struct Line: Sendable {
        var wanted = PilotSignal.x1
        /// Counts the orders, so that a write of an older one is not taken for the present one's.
        var number = 0
        /// Since when the line does not have what is wanted; nil while it has.
        var pendingSince: Int64?
        var signal = PilotSignal.x1
        var changedAt = -PWMPilot.settleMilliseconds
        var failure: String?
    }

    /// - `connector`: 1 is the board's first; the channels of the next ones follow.
    package init(
        name: String, sysfs: Sysfs = Sysfs(), profile: PWMPilotProfile, connector: Int,
        clock: any ServiceClock = .system
    ) {
        self.name = name
        self.sysfs = sysfs
        self.profile = profile
        self.connector = connector
        self.clock = clock
        let peaks = PilotPeaks(
            sysfs: sysfs, profile: profile, connector: connector, line: line, clock: clock)
        sampler = Sampler(
            name: name, everyMilliseconds: Self.sampleMilliseconds,
            staleMilliseconds: Self.staleMilliseconds, clock: clock
        ) { () throws(DeviceError) in try peaks.read() }
    }

    /// Starts to sample and to write until `stop`.
    package func start() {
        sampler.start()
        NativeThread.start("\(name) out", stackBytes: 262_144) { [self] in
            var isWritten = true
            while let order = orders.take(
                most: 1, waitMilliseconds: isWritten ? nil : Self.retryMilliseconds)
            {
                if !order.isEmpty || !isWritten { isWritten = write() }
            }
        }
    }

    package func stop() {
        sampler.stop()
        orders.close()
    }

    /// Takes one pair of peaks. The thread's work, for whoever has no thread.
    package func sample() { sampler.sample() }

    package func set(_ signal: PilotSignal) {
        let now = clock.monotonicMilliseconds
        line.withLock { line in
            line.wanted = signal
            line.number += 1
            line.pendingSince = line.pendingSince ?? now
        }
        // Full: the writer has yet to look, and then takes what is wanted last.
        try? orders.put(true)
    }

    /// Puts what is wanted on the line; false where that failed. The thread's work, for whoever has
    /// no thread.
    @discardableResult
    package func write() -> Bool {
        let (signal, number) = line.withLock { ($0.wanted, $0.number) }
        var failure: String?
        do throws(DeviceError) { try put(signal) } catch { failure = "\(error)" }
        let now = clock.monotonicMilliseconds
        line.withLock { line in
            line.failure = failure
            guard failure == nil else { return }
            if line.signal != signal {
                line.signal = signal
                line.changedAt = now
            }
            if line.number == number { line.pendingSince = nil }
        }
        return failure == nil
    }

    private func put(_ signal: PilotSignal) throws(DeviceError) {
        do throws(DeviceError) {
            let known = output.withLock { $0 }
            let output = if let known { known } else { try opened() }
            try output.set(highNanoseconds: Self.highNanoseconds(signal))
        } catch {
            output.withLock { $0 = nil }
            throw error
        }
    }

    private func opened() throws(DeviceError) -> PWMOutput {
        let opened = try PWMOutput(
            sysfs, device: profile.pwmDevice, channel: profile.pwmChannel + connector - 1,
            isInverted: profile.isInverted)
        output.withLock { $0 = opened }
        return opened
    }

    static func highNanoseconds(_ signal: PilotSignal) -> Int {
        switch signal {
        case .x1: PilotDuty.periodNanoseconds
        case .f: 0
        case .pwm(let current):
            PilotDuty.highNanoseconds(current) ?? PilotDuty.periodNanoseconds
        }
    }

    package func reading() async throws(DeviceError) -> Measured<PilotReading> {
        let now = clock.monotonicMilliseconds
        let line = line.withLock { $0 }
        if let failure = line.failure { throw .outputNotSet(failure) }
        if let since = line.pendingSince, now - since > Self.writtenWithinMilliseconds {
            throw .outputNotSet("the PWM has not taken its signal for \(now - since) ms")
        }
        let (filter, askedAt) = try sampler.latest()
        guard let found = filter.state else { throw .noAnswer }
        var offered = Amperes.zero
        if case .pwm = line.signal {
            offered = PilotDuty.current(highNanoseconds: Self.highNanoseconds(line.signal)) ?? .zero
        }
        return Measured(
            PilotReading(state: found, diode: filter.diode, offered: offered), source: name,
            askedAt: askedAt, at: clock.now)
    }
}

/// Both half-waves' peaks, for the sampling thread alone.
private final class PilotPeaks: Sendable {
    private let sysfs: Sysfs
    private let profile: PWMPilotProfile
    private let connector: Int
    private let line: Lock<PWMPilot.Line>
    private let clock: any ServiceClock
    private let memory = Lock(Memory())

    private struct Memory: Sendable {
        var filter = PilotFilter()
        var sampledAt = Int64.min / 2
        var inputs: Inputs?
    }

    private struct Inputs: Sendable {
        var positive: AnalogInput
        var negative: AnalogInput
    }

    init(
        sysfs: Sysfs, profile: PWMPilotProfile, connector: Int, line: Lock<PWMPilot.Line>,
        clock: any ServiceClock
    ) {
        self.sysfs = sysfs
        self.profile = profile
        self.connector = connector
        self.line = line
        self.clock = clock
    }

    func read() throws(DeviceError) -> PilotFilter {
        let askedAt = clock.monotonicMilliseconds
        do throws(DeviceError) {
            let known = memory.withLock { $0.inputs }
            let inputs = if let known { known } else { try opened() }
            let high = try inputs.positive.millivolts()
            let low = try inputs.negative.millivolts()
            return take(high, low, askedAt)
        } catch {
            memory.withLock { memory in
                if !error.isDisbelief { memory.inputs = nil }
                memory.filter = PilotFilter()
            }
            throw error
        }
    }

    private func take(_ high: Int, _ low: Int, _ askedAt: Int64) -> PilotFilter {
        let now = clock.monotonicMilliseconds
        let line = line.withLock { $0 }
        let isSettling =
            line.pendingSince != nil || now - line.changedAt < PWMPilot.settleMilliseconds
        return memory.withLock { memory in
            // What was seen before a gap and after it are not two samples in a row.
            if askedAt - memory.sampledAt > PWMPilot.staleMilliseconds {
                memory.filter = PilotFilter()
            }
            memory.sampledAt = askedAt
            memory.filter.take(
                positive: high, negative: isSettling ? nil : low, signal: line.signal)
            return memory.filter
        }
    }

    private func opened() throws(DeviceError) -> Inputs {
        let step = (connector - 1) * profile.adcStep
        let inputs = Inputs(
            positive: try AnalogInput(
                sysfs, device: profile.adcDevice, channel: profile.positiveChannel + step,
                scale: profile.positive),
            negative: try AnalogInput(
                sysfs, device: profile.adcDevice, channel: profile.negativeChannel + step,
                scale: profile.negative))
        memory.withLock { $0.inputs = inputs }
        return inputs
    }
}
