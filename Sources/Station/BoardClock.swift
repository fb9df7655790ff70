import Charging
import Service

/// How far the board's time can be believed.
package enum ClockTrust: String, Hashable, Sendable, CaseIterable {
    /// Nobody has said what time it is: after power-on without a battery, before the operator.
    case untrusted
    /// The board's battery clock said so.
    case rtc
    /// The operator said so, in an answer to a BootNotification or Heartbeat.
    case `operator`
    /// The kernel is synchronised by a time server.
    case ntp
}

/// What the kernel knows of its own clock.
package struct ClockSource: Hashable, Sendable {
    package var isSynchronised: Bool
    /// The time at power-on came from a clock with a battery.
    package var hasBattery: Bool

    package init(isSynchronised: Bool = false, hasBattery: Bool = false) {
        self.isSynchronised = isSynchronised
        self.hasBattery = hasBattery
    }
}

/// The board's clock and how far it can be believed. The kernel's time stands while a time server
/// keeps it; otherwise the operator's, counted on by the monotonic clock, so that whoever sets the
/// kernel's clock meanwhile moves nothing. Monotonic time is never touched.
package final class BoardClock: ServiceClock {
    private let system: any ServiceClock
    private let kernel: @Sendable () -> ClockSource
    private let state = Lock(State())

    private struct State {
        /// What the wall reads at the monotonic zero, by the operator.
        var base: Int64?
        var kernel = ClockSource()
        var kernelReadAt: Int64?
    }

    /// Below this the board's own time stands: an answer's way over the network is no clock.
    package static let tolerancesMilliseconds: Int64 = 60_000
    /// A clock that is only disciplined, and not set, moves less than this between two looks.
    static let smallestStep: Int64 = 1_000
    /// Before this nothing of Kerb was written; 2026-01-01.
    package static let earliest = Timestamp(milliseconds: 1_767_225_600_000)
    /// After this nobody's time is believed: a board does not live thirty years, and whoever says it does
    /// has a broken clock, or wants every token and reservation to be over; 2056-01-01.
    package static let latest = Timestamp(milliseconds: 2_713_910_400_000)
    private static let kernelIsReadEvery: Int64 = 1_000

    package init(
        _ system: any ServiceClock = .system,
        kernel: @escaping @Sendable () -> ClockSource = { ClockSource() }
    ) {
        self.system = system
        self.kernel = kernel
    }

    package var now: Timestamp {
        let monotonic = system.monotonicMilliseconds
        let isKept = isKeptByServer(at: monotonic)
        guard !isKept, let base = state.withLock({ $0.base }) else { return system.now }
        return Timestamp(milliseconds: base + monotonic)
    }

    /// The time by this machine's own word, which nobody far away can move; nil while it knows none.
    package var ownTime: Timestamp? {
        let isKept = isKeptByServer(at: system.monotonicMilliseconds)
        let hasBattery = state.withLock { $0.kernel.hasBattery }
        return isKept || hasBattery && system.now >= Self.earliest ? system.now : nil
    }

    package var monotonicMilliseconds: Int64 { system.monotonicMilliseconds }

    package func sleep(milliseconds: Int64) async throws {
        try await system.sleep(milliseconds: milliseconds)
    }

    package var trust: ClockTrust {
        if isKeptByServer(at: system.monotonicMilliseconds) { return .ntp }
        let (base, hasBattery) = state.withLock { ($0.base, $0.kernel.hasBattery) }
        if base != nil { return .operator }
        return hasBattery && system.now >= Self.earliest ? .rtc : .untrusted
    }

    private func isKeptByServer(at monotonic: Int64) -> Bool {
        let kernel = kernel
        let isSynchronised = state.withLock { state in
            if let at = state.kernelReadAt, monotonic - at < Self.kernelIsReadEvery {
                return state.kernel.isSynchronised
            }
            state.kernel = kernel()
            state.kernelReadAt = monotonic
            return state.kernel.isSynchronised
        }
        return isSynchronised && system.now >= Self.earliest
    }

    /// Whether an operator can mean this time.
    static func isPlausible(_ operators: Timestamp) -> Bool {
        operators >= earliest && operators <= latest
    }

    /// Hears the operator's time and takes it over where it differs and no time server keeps ours.
    ///
    /// - Returns: by how much the board's was wrong, where it was.
    package func correct(to operators: Timestamp) -> Int64? {
        // An operator who lives before us has no clock either, nor one who lives long after.
        guard Self.isPlausible(operators) else { return nil }
        let (now, monotonic) = (now, system.monotonicMilliseconds)
        let difference = operators.milliseconds - now.milliseconds
        let isKept = isKeptByServer(at: monotonic)
        let isClose = abs(difference) <= Self.tolerancesMilliseconds
        if !isKept {
            state.withLock { $0.base = (isClose ? now : operators).milliseconds - monotonic }
        }
        return isClose || isKept ? nil : difference
    }

    /// Takes up what an earlier run of the program learned from the operator in this same boot; not what
    /// he cannot have meant, as damage or an older program may have left it.
    package func resume(base: Int64) {
        let (now, isBeyond) = base.addingReportingOverflow(system.monotonicMilliseconds)
        guard !isBeyond, Self.isPlausible(Timestamp(milliseconds: now)) else { return }
        state.withLock { $0.base = base }
    }
}
