import HAL
import Service

/// A temperature that the kernel reads: hwmon, a thermal zone or iio. A thread of its own asks.
package final class SysfsTemperatureSensor: TemperatureSensor {
    private let clock: any ServiceClock
    private let sampler: Sampler<Int>

    package static let sampleMilliseconds: Int64 = 2_000
    /// An older sample tells nothing; a cabinet does not warm up in less.
    package static let staleMilliseconds: Int64 = 10_000

    /// - `connector`: 1 is the board's first.
    package init(
        sysfs: Sysfs = Sysfs(), profile: SysfsTemperatureProfile, stuckMinutes: Int,
        connector: Int, clock: any ServiceClock = .system
    ) {
        self.clock = clock
        let file = profile.file(connector: connector)
        let sanity = Lock(TemperatureSanity(stuckMinutes: stuckMinutes))
        sampler = Sampler(
            name: "\(profile.device) \(file)", everyMilliseconds: Self.sampleMilliseconds,
            staleMilliseconds: Self.staleMilliseconds, isPatient: true, clock: clock
        ) { () throws(DeviceError) in
            // Looked for each time: a driver that is loaded again is another device.
            let folder = try sysfs.temperatureDevice(profile.kind, profile.device)
            try Self.checkFault(sysfs, "\(folder)/\(file)")
            let thousandths = try sysfs.number("\(folder)/\(file)")
            let now = clock.monotonicMilliseconds
            return try sanity.withLock { sanity throws(DeviceError) in
                try sanity.tenths(thousandths: thousandths, at: now)
            }
        }
    }

    /// hwmon says beside the value when its sensor is broken or not connected.
    private static func checkFault(_ sysfs: Sysfs, _ path: String) throws(DeviceError) {
        guard path.hasSuffix("_input") else { return }
        let fault = path.dropLast("_input".count) + "_fault"
        guard FileSystem.exists(String(fault)) else { return }
        guard try sysfs.number(String(fault)) == 0 else {
            throw .wrongAnswer("the sensor is absent or broken")
        }
    }

    /// Starts to sample until `stop`.
    package func start() { sampler.start() }
    package func stop() { sampler.stop() }

    /// Takes one sample. The thread's work, for whoever has no thread.
    package func sample() { sampler.sample() }

    package func tenthsOfDegree() async throws(DeviceError) -> Measured<Int> {
        let (tenths, askedAt) = try sampler.latest()
        return Measured(tenths, source: sampler.name, askedAt: askedAt, at: clock.now)
    }
}
