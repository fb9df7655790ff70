import Charging
import HAL
import Service

/// An RCD or a 6 mA d.c. sensor: a trip line, and a test line where it has one.
///
/// Outlets may share one sensor; each then has its own of these, on one `Sensor`.
package final class GPIOResidualCurrentDevice: ResidualCurrentDevice {
    /// What several outlets share.
    package final class Sensor: Sendable {
        let trip: GPIOInput
        let test: GPIOOutput?
        let times: GPIOProfile.ResidualCurrentTest
        let tested = Lock(Tested())

        struct Tested: Sendable {
            var isPassed: Bool
            var isRunning = false
            /// Activations up to here were made by the test.
            var activations = 0

            init(isPassed: Bool = false) { self.isPassed = isPassed }
        }

        package init(
            trip: GPIOInput, test: GPIOOutput?, times: GPIOProfile.ResidualCurrentTest
        ) {
            self.trip = trip
            self.test = test
            self.times = times
            // Without a test line there is nothing to pass: the trip line is all that is known.
            if test == nil { tested.withLock { $0.isPassed = true } }
        }

        package func isOn(_ trip: GPIOInput) -> Bool { self.trip.key == trip.key }

        /// Whether nothing that it guards is closed: a test would open it under load.
        var areAllOpen: Bool { trip.guardedContactors.allSatisfy { !$0.isClosed } }
    }

    package let sensor: Sensor
    private let reader = Lock<PulseReader?>(nil)
    private static let lookMilliseconds: Int64 = 10

    package init(_ sensor: Sensor) { self.sensor = sensor }

    package func state() async throws(DeviceError) -> Measured<ResidualCurrentState> {
        let askedAt = sensor.trip.board.clock.monotonicMilliseconds
        let watch = try sensor.trip.read()
        let tested = sensor.tested.withLock { $0 }
        let isTripped = reader.withLock { reader in
            var known = reader ?? PulseReader(watch)
            defer { reader = known }
            known.skip(to: tested.activations)
            guard !tested.isRunning else {
                known.forget(watch)
                return false
            }
            return known.isActive(watch)
        }
        let state: ResidualCurrentState =
            tested.isRunning
            ? .notTested : isTripped ? .tripped : tested.isPassed ? .healthy : .notTested
        return sensor.trip.measured(state, askedAt: askedAt)
    }

    package func selfTest() async throws(DeviceError) -> SelfTestOutcome {
        guard let test = sensor.test else { return .passed }
        // Before the line is held: a renewal of a closed contactor must not meet the hold.
        guard sensor.areAllOpen else { return .notRun(Self.isInUse) }
        sensor.trip.holdForTest(true)
        defer { sensor.trip.holdForTest(false) }
        guard sensor.areAllOpen else { return .notRun(Self.isInUse) }
        let isMine = sensor.tested.withLock { tested in
            guard !tested.isRunning else { return false }
            tested.isRunning = true
            tested.isPassed = false
            return true
        }
        guard isMine else { return .notRun("another outlet tests the sensor") }
        var failure: DeviceError?
        do throws(DeviceError) { try await tripOnPurpose(test) } catch { failure = error }
        // Whatever happened: the sensor must not stay provoked, which would hide a true trip.
        do throws(DeviceError) { try test.set(false) } catch { failure = error }
        // An unreadable line counts no pulses; the next reading says that it is unreadable.
        let activations = (try? sensor.trip.read().activations) ?? 0
        let isPassed = failure == nil
        sensor.tested.withLock {
            $0.isPassed = isPassed
            $0.isRunning = false
            $0.activations = activations
        }
        if let failure { throw failure }
        return .passed
    }

    private static let isInUse = "another outlet on the sensor is closed"

    private func tripOnPurpose(_ test: GPIOOutput) async throws(DeviceError) {
        if try sensor.trip.read().isActive { throw .selfTestFailed("it is tripped") }
        let clock = sensor.trip.board.clock
        let before = try sensor.trip.read().activations
        let start = clock.monotonicMilliseconds
        try test.set(true)
        var hasTripped = false
        while clock.monotonicMilliseconds - start < Int64(sensor.times.tripsWithinMilliseconds) {
            hasTripped = try sensor.trip.read().activations > before
            let isPulseOver =
                clock.monotonicMilliseconds - start >= Int64(sensor.times.pulseMilliseconds)
            if hasTripped, isPulseOver { break }
            if isPulseOver { try test.set(false) }
            try await pause(clock)
        }
        try test.set(false)
        guard hasTripped else {
            throw .selfTestFailed(
                "the sensor did not trip within \(sensor.times.tripsWithinMilliseconds) ms")
        }
        let end = clock.monotonicMilliseconds
        while try sensor.trip.read().isActive {
            guard
                clock.monotonicMilliseconds - end
                    < Int64(sensor.times.recoversWithinMilliseconds)
            else {
                throw .selfTestFailed(
                    "it did not come back within \(sensor.times.recoversWithinMilliseconds) ms")
            }
            try await pause(clock)
        }
    }

    private func pause(_ clock: any ServiceClock) async throws(DeviceError) {
        do { try await clock.sleep(milliseconds: Self.lookMilliseconds) } catch {
            throw .selfTestFailed("the program ends")
        }
    }
}
