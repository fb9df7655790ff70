import Charging
import Service

/// A contactor without hardware, with its dead-man: it falls when nobody renews the closing.
package final class SimulatedContactor: Contactor {
    /// What is wrong with the contacts.
    package enum Defect: Hashable, Sendable {
        /// The contacts stay closed whatever the coil does.
        case welded
        /// The contacts stay open whatever the coil does.
        case stuck
        /// Nothing can be set or read.
        case unreachable(DeviceError)
    }

    package let name: String
    package let deadMan: DeadMan
    private let clock: any ServiceClock
    private let coil = Lock(Coil())

    fileprivate struct Coil: Sendable {
        var closedUntil: Int64?
        var defect: Defect?
        var closings = 0
    }

    package init(
        name: String = "simulated contactor",
        deadMan: DeadMan = DeadMan(
            .simulated, opensWithinMilliseconds: 1000, renewMilliseconds: 300),
        clock: any ServiceClock = .system
    ) {
        self.name = name
        self.deadMan = deadMan
        self.clock = clock
    }

    package func set(closed: Bool) {
        let now = clock.monotonicMilliseconds
        let span = Int64(deadMan.opensWithinMilliseconds)
        coil.withLock { coil in
            if case .unreachable = coil.defect { return }
            let wasClosed = coil.isClosed(at: now)
            if closed {
                if !wasClosed { coil.closings += 1 }
                coil.closedUntil = now + span
            } else {
                coil.closedUntil = nil
            }
        }
    }

    package func state() async throws(DeviceError) -> Measured<MirrorState> {
        let now = clock.monotonicMilliseconds
        let coil = coil.withLock { $0 }
        let isClosed: Bool
        switch coil.defect {
        case .unreachable(let error): throw error
        case .welded: isClosed = true
        case .stuck: isClosed = false
        case nil: isClosed = coil.isClosed(at: now)
        }
        return Measured(isClosed ? .closed : .open, source: name, askedAt: now, at: clock.now)
    }

    /// Breaks or mends the contactor.
    package func suffer(_ defect: Defect?) { coil.withLock { $0.defect = defect } }

    /// Whether the coil is energised now, defects left aside.
    package var isClosed: Bool {
        let now = clock.monotonicMilliseconds
        return coil.withLock { $0.isClosed(at: now) }
    }

    /// How often the coil has been closed.
    package var closings: Int { coil.withLock { $0.closings } }
}

extension SimulatedContactor.Coil {
    fileprivate func isClosed(at now: Int64) -> Bool { (closedUntil ?? .min) > now }
}
