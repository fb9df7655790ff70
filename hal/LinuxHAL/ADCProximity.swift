import Charging
import HAL
import Service

/// The cable's resistor through an ADC, which a thread of its own reads.
package final class ADCProximity: Proximity {
    private let profile: ADCProximityProfile
    private let clock: any ServiceClock
    private let sampler: Sampler<Int>

    /// Five times as often as the 500 ms that chargebyte finds enough: a cable pulled under load is seen by the pilot, this
    /// only says so too.
    package static let sampleMilliseconds: Int64 = 100
    /// An older sample tells nothing: the thread or the ADC hangs. Ours: five samples; well below
    /// `ConnectorTimings.inputIsLost`, so that a hung ADC counts as a lost input and not as a cable.
    package static let staleMilliseconds: Int64 = 500

    package init(
        sysfs: Sysfs = Sysfs(), profile: ADCProximityProfile, connector: Int,
        clock: any ServiceClock = .system
    ) {
        self.profile = profile
        self.clock = clock
        let channel = profile.channel + (connector - 1) * profile.adcStep
        let opened = Lock<AnalogInput?>(nil)
        sampler = Sampler(
            name: "\(profile.adcDevice) voltage\(channel)",
            everyMilliseconds: Self.sampleMilliseconds,
            staleMilliseconds: Self.staleMilliseconds, clock: clock
        ) { () throws(DeviceError) in
            do throws(DeviceError) {
                let known = opened.withLock { $0 }
                let input =
                    if let known { known } else {
                        try AnalogInput(
                            sysfs, device: profile.adcDevice, channel: channel,
                            scale: profile.scale)
                    }
                opened.withLock { $0 = input }
                return try input.millivolts()
            } catch {
                opened.withLock { $0 = nil }
                throw error
            }
        }
    }

    /// Starts to sample until `stop`.
    package func start() { sampler.start() }
    package func stop() { sampler.stop() }

    /// Takes one sample. The thread's work, for whoever has no thread.
    package func sample() { sampler.sample() }

    package func rating() async throws(DeviceError) -> Measured<Amperes?> {
        let (millivolts, askedAt) = try sampler.latest()
        let ohms = CableRating.ohms(
            millivolts: millivolts, referenceMillivolts: profile.referenceMillivolts,
            pullUpOhms: profile.pullUpOhms)
        let rating = ohms.map(CableRating.init(ohms:)) ?? .none
        switch rating {
        case .none:
            return Measured(nil, source: sampler.name, askedAt: askedAt, at: clock.now)
        case .rated(let current):
            return Measured(current, source: sampler.name, askedAt: askedAt, at: clock.now)
        case .impossible: throw .wrongAnswer("\(ohms ?? 0) ohms on the proximity pin")
        }
    }
}
