import Charging
import HAL
import Service

/// A contactor behind a GPIO line, with a feedback line and a kicked line as dead-man.
///
/// `set(closed: true)` holds for `deadMan.opensWithinMilliseconds` less what the circuit itself
/// holds: nobody renews it, the board's thread opens it. Stops the thread as well, the kicks stop
/// and the circuit opens it. An active safety input opens it at its edge, and it stays open until
/// somebody who knows of it has said `set(closed: false)`.
package final class GPIOContactor: Contactor, GPIOClockwork {
    package let name: String
    package let deadMan: DeadMan
    private let profile: GPIOContactorProfile
    private let coil: GPIOOutput?
    private let kick: GPIOOutput?
    private let mirror: GPIOInput?
    /// True for a mirror contact proper, which is closed while the main contacts are open.
    private let isMirrorInverse: Bool
    private let guards: [GPIOInput]
    private let board: GPIOBoard
    private let state = Lock(State())

    private struct State: Sendable {
        /// Energised now, as far as we know.
        var isClosed = false
        /// Until when a closing holds without a renewal.
        var closedUntil = Int64.min
        /// Why it opened without being told; refuses to close until told to open.
        var fell: Fall?
        /// When both lines were last put where nothing is energised.
        var openedAt = Int64.min / 2
        var kickLevel = false
        var kickDue = Int64.min
        /// The opening that did not reach the line; tried again until it does.
        var failure: String?
    }

    private enum Fall: Sendable {
        /// Nobody renewed it in time, or a safety input forbids it: the contactor itself is well.
        case lapsed
        case failed(String)
    }

    /// An opening is ordered again this often for as long as the feedback says closed.
    package static let repeatMilliseconds: Int64 = 1_000
    /// An opening that failed is tried again this often, for ever.
    private static let retryMilliseconds: Int64 = 20

    /// - `guards`: inputs whose edge opens it.
    /// - `feedback`: only `normallyOpen` and `normallyClosed` need the mirror's line.
    package init(
        name: String, deadMan: DeadMan, profile: GPIOContactorProfile, board: GPIOBoard,
        coil: GPIOOutput?, kick: GPIOOutput?, mirror: GPIOInput?,
        feedback: BoardCapabilities.Feedback, guards: [GPIOInput]
    ) {
        self.name = name
        self.deadMan = deadMan
        self.profile = profile
        self.board = board
        self.coil = coil
        self.kick = kick
        self.mirror = mirror
        isMirrorInverse = feedback == .normallyClosed
        self.guards = guards
        board.add(self)
        board.guardContactor(self, by: guards)
    }

    /// How long a closing holds without a renewal; the circuit's own time comes on top.
    private var leaseMilliseconds: Int64 {
        guard kick != nil else {
            // Without a circuit this thread is all there is between a hung agent and the contacts.
            return 2 * Int64(max(1, deadMan.renewMilliseconds))
        }
        let lease = deadMan.opensWithinMilliseconds - profile.kickHoldMilliseconds
        return Int64(max(lease, 1))
    }

    package func set(closed: Bool) {
        let now = board.clock.monotonicMilliseconds
        // The line is set while the lock is held: an edge that opens must not come between the
        // look at the guards and the closing. The call takes microseconds.
        state.withLock { state in
            guard closed else {
                state.fell = nil
                open(&state)
                return
            }
            if state.isClosed, now >= state.closedUntil {
                // Stopped or hung for longer than the dead-man allows, and back.
                fall(&state, .lapsed)
            }
            guard state.fell == nil, state.failure == nil else { return }
            if guards.allSatisfy(\.isClear) { close(&state, now) } else { fall(&state, .lapsed) }
        }
        board.wake()
    }

    private func close(_ state: inout State, _ now: Int64) {
        do throws(DeviceError) {
            if !state.isClosed {
                if let kick {
                    try kick.set(true)
                    state.kickLevel = true
                    state.kickDue = now + Int64(profile.kickMilliseconds)
                }
                try coil?.set(true)
            }
            state.isClosed = true
            state.closedUntil = now + leaseMilliseconds
        } catch {
            fall(&state, .failed("\(error)"))
        }
    }

    /// Puts both lines where nothing is energised, whatever the first one answers.
    private func open(_ state: inout State) {
        state.isClosed = false
        state.closedUntil = .min
        state.kickLevel = false
        state.openedAt = board.clock.monotonicMilliseconds
        var failure: String?
        for line in [coil, kick] {
            do throws(DeviceError) { try line?.set(false) } catch { failure = "\(error)" }
        }
        state.failure = failure
    }

    private func fall(_ state: inout State, _ why: Fall) {
        state.fell = why
        open(&state)
    }

    /// Opens at once because a safety input says so; true if it was closed.
    func fall() -> Bool {
        state.withLock { state in
            let wasClosed = state.isClosed
            if wasClosed {
                fall(&state, .lapsed)
            } else {
                open(&state)
            }
            return wasClosed
        }
    }

    func advance(to now: Int64) -> Int64? {
        state.withLock { state in
            if state.failure != nil {
                open(&state)
                return state.failure == nil ? nil : now + Self.retryMilliseconds
            }
            guard state.isClosed else { return nil }
            guard now < state.closedUntil else {
                fall(&state, .lapsed)
                return state.failure == nil ? nil : now + Self.retryMilliseconds
            }
            guard let kick else { return state.closedUntil }
            if now >= state.kickDue {
                do throws(DeviceError) {
                    try kick.set(!state.kickLevel)
                    state.kickLevel.toggle()
                    state.kickDue = now + Int64(profile.kickMilliseconds)
                } catch {
                    fall(&state, .failed("\(error)"))
                    return now + Self.retryMilliseconds
                }
            }
            return min(state.kickDue, state.closedUntil)
        }
    }

    package func state() async throws(DeviceError) -> Measured<MirrorState> {
        let askedAt = board.clock.monotonicMilliseconds
        let now = state.withLock { $0 }
        if let failure = now.failure { throw .outputNotSet(failure) }
        // Before the mirror: one that says open of a closing which fell is no stuck contact.
        switch now.fell {
        case .lapsed: throw .lapsed
        case .failed(let why): throw .outputNotSet(why)
        case nil: break
        }
        guard let mirror else {
            return Measured(.unknown, source: name, askedAt: askedAt, at: board.clock.now)
        }
        let isClosed = try mirror.read().isActive != isMirrorInverse
        if isClosed { repeatOpening(askedAt) }
        return mirror.measured(isClosed ? MirrorState.closed : .open, askedAt: askedAt)
    }

    /// Orders the opening once more: a weld may break loose, an order may have been lost on the way.
    private func repeatOpening(_ now: Int64) {
        state.withLock { state in
            guard !state.isClosed, now - state.openedAt >= Self.repeatMilliseconds else { return }
            open(&state)
        }
    }

    /// Whether the coil is energised, as far as this program knows.
    package var isClosed: Bool { state.withLock { $0.isClosed } }
}
