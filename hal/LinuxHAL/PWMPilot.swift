import Charging
import Glibc
import HAL
import Service

/// The pilot of a board without controller: the processor's PWM makes the wave, peak detectors and
/// an ADC show both half-waves.
///
/// A thread of its own samples, because an ADC may take its time, and because two equal samples
/// have to be close together for C to open within 100 ms.
package final class PWMPilot: Pilot {
    package let name: String
    private let clock: any ServiceClock
    private let sysfs: Sysfs
    private let profile: PWMPilotProfile
    private let connector: Int
    private let state = Lock(State())

    package static let sampleMilliseconds: Int64 = 10
    /// An older sample tells nothing: the thread or the ADC hangs.
    package static let staleMilliseconds: Int64 = 200
    /// The peak detectors show the old wave for so long after a change.
    package static let settleMilliseconds: Int64 = 60
    /// A device that is not there is looked for again.
    private static let reopenMilliseconds: Int64 = 500

    private struct State: Sendable {
        var signal = PilotSignal.x1
        var changedAt = -PWMPilot.settleMilliseconds
        var filter = PilotFilter()
        var sampledAt: Int64?
        var output: PWMOutput?
        var outputFailure: String?
        var inputFailure: DeviceError?
        var isRunning = false
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
    }

    /// Starts to sample until the end of the program.
    package func start() {
        _ = NativeThread.start(name, stackBytes: 262_144) { [self] in
            while true {
                let isThere = run()
                usleep(
                    UInt32(1000 * (isThere ? Self.sampleMilliseconds : Self.reopenMilliseconds)))
            }
        }
    }

    /// Samples until something fails; false when the ADC is not there.
    private func run() -> Bool {
        do throws(DeviceError) {
            let (positive, negative) = try inputs()
            while true {
                try sample(positive, negative)
                usleep(UInt32(1000 * Self.sampleMilliseconds))
            }
        } catch {
            state.withLock { $0.inputFailure = error }
            if case .wrongAnswer = error { return true }
            return false
        }
    }

    /// Both half-waves' inputs.
    package func inputs() throws(DeviceError) -> (AnalogInput, AnalogInput) {
        let step = (connector - 1) * profile.adcStep
        return (
            try AnalogInput(
                sysfs, device: profile.adcDevice, channel: profile.positiveChannel + step,
                scale: profile.positive),
            try AnalogInput(
                sysfs, device: profile.adcDevice, channel: profile.negativeChannel + step,
                scale: profile.negative)
        )
    }

    /// Takes one pair of peaks.
    package func sample(_ positive: AnalogInput, _ negative: AnalogInput) throws(DeviceError) {
        let high = try positive.millivolts()
        let low = try negative.millivolts()
        let now = clock.monotonicMilliseconds
        state.withLock { state in
            if state.outputFailure != nil { put(&state) }
            state.sampledAt = now
            state.inputFailure = nil
            let isSettling = now - state.changedAt < Self.settleMilliseconds
            state.filter.take(
                positive: high, negative: isSettling ? nil : low, signal: state.signal)
        }
    }

    package func set(_ signal: PilotSignal) {
        let now = clock.monotonicMilliseconds
        // Written while the lock is held: two signals must reach the hardware in their order. It
        // takes microseconds.
        state.withLock { state in
            if state.signal != signal { state.changedAt = now }
            state.signal = signal
            put(&state)
        }
    }

    private func put(_ state: inout State) {
        do throws(DeviceError) {
            let output: PWMOutput
            if let known = state.output {
                output = known
            } else {
                output = try PWMOutput(
                    sysfs, device: profile.pwmDevice,
                    channel: profile.pwmChannel + connector - 1, isInverted: profile.isInverted)
                state.output = output
            }
            try output.set(highNanoseconds: Self.highNanoseconds(state.signal))
            state.outputFailure = nil
        } catch {
            state.output = nil
            state.outputFailure = "\(error)"
        }
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
        let state = state.withLock { $0 }
        if let failure = state.outputFailure { throw .outputNotSet(failure) }
        if let failure = state.inputFailure { throw failure }
        guard let sampledAt = state.sampledAt, now - sampledAt <= Self.staleMilliseconds,
            let found = state.filter.state
        else { throw .noAnswer }
        var offered = Amperes.zero
        if case .pwm = state.signal {
            offered =
                PilotDuty.current(highNanoseconds: Self.highNanoseconds(state.signal)) ?? .zero
        }
        return Measured(
            PilotReading(state: found, diode: state.filter.diode, offered: offered), source: name,
            askedAt: sampledAt, at: clock.now)
    }
}

/// The cable's resistor through an ADC.
package final class ADCProximity: Proximity {
    private let sysfs: Sysfs
    private let profile: ADCProximityProfile
    private let channel: Int
    private let clock: any ServiceClock

    package init(
        sysfs: Sysfs = Sysfs(), profile: ADCProximityProfile, connector: Int,
        clock: any ServiceClock = .system
    ) {
        self.sysfs = sysfs
        self.profile = profile
        channel = profile.channel + (connector - 1) * profile.adcStep
        self.clock = clock
    }

    package func rating() async throws(DeviceError) -> Measured<Amperes?> {
        let askedAt = clock.monotonicMilliseconds
        let input = try AnalogInput(
            sysfs, device: profile.adcDevice, channel: channel, scale: profile.scale)
        let millivolts = try input.millivolts()
        let ohms = CableRating.ohms(
            millivolts: millivolts, referenceMillivolts: profile.referenceMillivolts,
            pullUpOhms: profile.pullUpOhms)
        let rating = ohms.map(CableRating.init(ohms:)) ?? .none
        switch rating {
        case .none:
            return Measured(nil, source: input.name, askedAt: askedAt, at: clock.now)
        case .rated(let current):
            return Measured(current, source: input.name, askedAt: askedAt, at: clock.now)
        case .impossible: throw .wrongAnswer("\(ohms ?? 0) ohms on the proximity pin")
        }
    }
}
