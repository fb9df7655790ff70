import Charging
import Service

/// One simulated EVSE shared by the devices that stand around it; time passes when it is looked at.
package final class EVSEBench: Sendable {
    package let name: String
    private let evse: Lock<SimulatedEVSE>
    private let clock: any ServiceClock

    package init(
        name: String, phases: Int, millivolts: Int64 = 230_000, startWattHours: Int64,
        clock: any ServiceClock = .system
    ) {
        self.name = name
        self.clock = clock
        evse = Lock(
            SimulatedEVSE(
                name: name, phases: phases, millivolts: millivolts,
                startWattHours: startWattHours,
                at: clock.monotonicMilliseconds * 1_000_000))
    }

    /// Looks at the EVSE as it is now, or does something to it.
    package func now<Result: Sendable>(_ body: (inout SimulatedEVSE) -> Result) -> Result {
        let nanoseconds = clock.monotonicMilliseconds * 1_000_000
        return evse.withLock { evse in
            evse.advance(to: nanoseconds)
            return body(&evse)
        }
    }

    /// The wall's time of a monotonic moment.
    package func wall(_ nanoseconds: Int64) -> Timestamp {
        let ago = clock.monotonicMilliseconds - nanoseconds / 1_000_000
        return Timestamp(milliseconds: clock.now.milliseconds - ago)
    }
}
