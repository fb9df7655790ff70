import Charging
import Service

/// One value that a test or the simulated board sets and a twin tells.
private struct Told<Value: Hashable & Sendable>: Sendable {
    var value: Value
    var failure: DeviceError?
}

/// What all simulated inputs share: a value or a failure, set from outside.
package final class SimulatedInput<Value: Hashable & Sendable>: Sendable {
    package let name: String
    private let clock: any ServiceClock
    private let told: Lock<Told<Value>>

    package init(_ value: Value, name: String, clock: any ServiceClock = .system) {
        self.name = name
        self.clock = clock
        told = Lock(Told(value: value))
    }

    package func show(_ value: Value) { told.withLock { $0 = Told(value: value) } }
    package func fail(_ failure: DeviceError) { told.withLock { $0.failure = failure } }

    package func measured() throws(DeviceError) -> Measured<Value> {
        let told = told.withLock { $0 }
        if let failure = told.failure { throw failure }
        return Measured(
            told.value, source: name, askedAt: clock.monotonicMilliseconds, at: clock.now)
    }
}

package final class SimulatedProximity: Proximity {
    package let input: SimulatedInput<Amperes?>

    package init(clock: any ServiceClock = .system) {
        input = SimulatedInput(nil, name: "simulated proximity", clock: clock)
    }

    package func rating() async throws(DeviceError) -> Measured<Amperes?> { try input.measured() }
}

package final class SimulatedLock: ConnectorLock {
    package let input: SimulatedInput<Bool>
    private let isJammed = Lock(false)

    package init(clock: any ServiceClock = .system) {
        input = SimulatedInput(false, name: "simulated lock", clock: clock)
    }

    package func set(locked: Bool) { if !isJammed.withLock({ $0 }) { input.show(locked) } }
    package func isLocked() async throws(DeviceError) -> Measured<Bool> { try input.measured() }
    /// A jammed bolt stays where it is.
    package func jam(_ jammed: Bool) { isJammed.withLock { $0 = jammed } }
}

package final class SimulatedResidualCurrentDevice: ResidualCurrentDevice {
    package let input: SimulatedInput<ResidualCurrentState>
    private let isBroken = Lock(false)

    package init(clock: any ServiceClock = .system) {
        input = SimulatedInput(.notTested, name: "simulated residual current device", clock: clock)
    }

    package func state() async throws(DeviceError) -> Measured<ResidualCurrentState> {
        try input.measured()
    }

    package func selfTest() async throws(DeviceError) {
        if isBroken.withLock({ $0 }) { throw .selfTestFailed("the sensor does not trip") }
        if try input.measured().value == .notTested { input.show(.healthy) }
    }

    /// From now on the self-test fails.
    package func breakSensor() { isBroken.withLock { $0 = true } }
}

package final class SimulatedEmergencyStop: EmergencyStop {
    package let input: SimulatedInput<Bool>

    package init(clock: any ServiceClock = .system) {
        input = SimulatedInput(false, name: "simulated emergency stop", clock: clock)
    }

    package func isActive() async throws(DeviceError) -> Measured<Bool> { try input.measured() }
}

package final class SimulatedDoor: Door {
    package let input: SimulatedInput<Bool>

    package init(clock: any ServiceClock = .system) {
        input = SimulatedInput(false, name: "simulated door", clock: clock)
    }

    package func isOpen() async throws(DeviceError) -> Measured<Bool> { try input.measured() }
}

package final class SimulatedTemperatureSensor: TemperatureSensor {
    package let input: SimulatedInput<Int>

    /// - `tenthsOfDegree`: 215 is 21.5 °C.
    package init(tenthsOfDegree: Int = 215, clock: any ServiceClock = .system) {
        input = SimulatedInput(tenthsOfDegree, name: "simulated temperature", clock: clock)
    }

    package func tenthsOfDegree() async throws(DeviceError) -> Measured<Int> {
        try input.measured()
    }
}

package final class SimulatedTokenReader: TokenReader {
    package let tokens: AsyncStream<String>
    private let hand: AsyncStream<String>.Continuation

    /// Tokens that nobody has read yet; older ones are dropped.
    package static let kept = 4

    package init() {
        (tokens, hand) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(Self.kept))
    }

    /// Holds a token before the reader.
    package func present(_ token: String) { hand.yield(token.uppercased()) }
}

package final class SimulatedIndicator: Indicator {
    private let last = Lock<Indication?>(nil)

    package init() {}

    package func show(_ indication: Indication) { last.withLock { $0 = indication } }
    package var shown: Indication? { last.withLock { $0 } }
}
