import Charging
import HAL
import Service

/// An RCD, a 6 mA d.c. sensor, or both: a trip line, one of the d.c. part where it has its own, and a test
/// line where it has one.
///
/// Outlets may share one sensor; each then has its own of these, on one `Sensor`.
package final class GPIOResidualCurrentDevice: ResidualCurrentDevice {
    /// What several outlets share.
    package final class Sensor: Sendable {
        let trip: GPIOInput
        let direct: GPIOInput?
        let test: GPIOOutput?
        let times: GPIOProfile.ResidualCurrentTest
        let tested = Lock(Tested())

        struct Tested: Sendable {
            var isPassed = false
            var isRunning = false
            /// Activations up to here were made by the test, a figure a line.
            var activations: [Int] = []
        }

        package init(
            trip: GPIOInput, direct: GPIOInput? = nil, test: GPIOOutput?,
            times: GPIOProfile.ResidualCurrentTest
        ) {
            self.trip = trip
            self.direct = direct
            self.test = test
            self.times = times
            // Without a test line there is nothing to pass: the trip lines are all that is known.
            if test == nil { tested.withLock { $0.isPassed = true } }
        }

        package func isOn(_ trip: GPIOInput, _ direct: GPIOInput?) -> Bool {
            self.trip.key == trip.key && self.direct?.key == direct?.key
        }

        var lines: [GPIOInput] { direct.map { [trip, $0] } ?? [trip] }

        /// What the test line makes active. IEC 62955 asks the d.c. part for a test; an RCD has a button.
        var provoked: GPIOInput { direct ?? trip }

        /// Whether nothing that it guards is closed: a test would open it under load.
        var areAllOpen: Bool {
            lines.allSatisfy { $0.guardedContactors.allSatisfy { !$0.isClosed } }
        }

        func watches() throws(DeviceError) -> [LineWatch] {
            var found: [LineWatch] = []
            for line in lines { found.append(try line.read()) }
            return found
        }

        func holdForTest(_ isHeld: Bool) { for line in lines { line.holdForTest(isHeld) } }
    }

    package let sensor: Sensor
    private let readers = Lock<[PulseReader]>([])
    private static let lookMilliseconds: Int64 = 10

    package init(_ sensor: Sensor) { self.sensor = sensor }

    package func state() async throws(DeviceError) -> Measured<ResidualCurrentState> {
        let askedAt = sensor.trip.board.clock.monotonicMilliseconds
        // In this order: a d.c. line that cannot be read keeps no trip of the other from being heard.
        let trip = try sensor.trip.read()
        var watches = [trip]
        do throws(DeviceError) {
            if let direct = sensor.direct { watches.append(try direct.read()) }
        } catch {
            guard trip.isActive, !sensor.tested.withLock({ $0.isRunning }) else { throw error }
            return sensor.trip.measured(.tripped, askedAt: askedAt)
        }
        let tested = sensor.tested.withLock { $0 }
        let areTripped = readers.withLock { readers in
            if readers.isEmpty { readers = watches.map { PulseReader($0) } }
            return watches.indices.map { line in
                if !tested.activations.isEmpty { readers[line].skip(to: tested.activations[line]) }
                guard !tested.isRunning else {
                    readers[line].forget(watches[line])
                    return false
                }
                return readers[line].isActive(watches[line])
            }
        }
        let state: ResidualCurrentState =
            if tested.isRunning {
                .notTested
            } else if areTripped[0] {
                .tripped
            } else if areTripped.contains(true) {
                .directTripped
            } else {
                tested.isPassed ? .healthy : .notTested
            }
        return sensor.trip.measured(state, askedAt: askedAt)
    }

    package func selfTest() async throws(DeviceError) -> SelfTestOutcome {
        guard let test = sensor.test else { return .passed }
        // Before the line is held: a renewal of a closed contactor must not meet the hold.
        guard sensor.areAllOpen else { return .notRun(Self.isInUse) }
        sensor.holdForTest(true)
        defer { sensor.holdForTest(false) }
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
        let activations = sensor.lines.map { (try? $0.read().activations) ?? 0 }
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
        if try isActive { throw .selfTestFailed("it is tripped") }
        let clock = sensor.trip.board.clock
        let before = try sensor.provoked.read().activations
        let start = clock.monotonicMilliseconds
        try test.set(true)
        var hasTripped = false
        while clock.monotonicMilliseconds - start < Int64(sensor.times.tripsWithinMilliseconds) {
            hasTripped = try sensor.provoked.read().activations > before
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
        while try isActive {
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

    private var isActive: Bool {
        get throws(DeviceError) { try sensor.watches().contains(where: \.isActive) }
    }

    private func pause(_ clock: any ServiceClock) async throws(DeviceError) {
        do { try await clock.sleep(milliseconds: Self.lookMilliseconds) } catch {
            throw .selfTestFailed("the program ends")
        }
    }
}
