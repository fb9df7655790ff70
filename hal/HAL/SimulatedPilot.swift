import Charging
import Service

/// A control pilot without hardware: the car's side is set by hand.
package final class SimulatedPilot: Pilot {
    package let name: String
    private let clock: any ServiceClock
    private let line = Lock(Line())

    fileprivate struct Line: Sendable {
        var state = PilotState.a
        var diode = DiodeCheck.unknown
        var signal = PilotSignal.x1
        var failure: DeviceError?
    }

    package init(name: String = "simulated pilot", clock: any ServiceClock = .system) {
        self.name = name
        self.clock = clock
    }

    package func set(_ signal: PilotSignal) { line.withLock { $0.signal = signal } }

    package func reading() async throws(DeviceError) -> Measured<PilotReading> {
        let line = line.withLock { $0 }
        if let failure = line.failure { throw failure }
        var offered = Amperes.zero
        if case .pwm(let current) = line.signal { offered = current }
        return Measured(
            PilotReading(state: line.state, diode: line.diode, offered: offered), source: name,
            askedAt: clock.monotonicMilliseconds, at: clock.now)
    }

    /// The car loads the line like this from now on.
    package func car(_ state: PilotState, diode: DiodeCheck = .passed) {
        line.withLock {
            $0.state = state
            $0.diode = state == .a ? .unknown : diode
        }
    }

    package func fail(_ failure: DeviceError?) { line.withLock { $0.failure = failure } }

    /// What the board last put on the line.
    package var signal: PilotSignal { line.withLock { $0.signal } }
}
