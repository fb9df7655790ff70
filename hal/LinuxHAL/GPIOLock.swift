import Charging
import HAL
import Service

/// The plug's lock: a motor driven by two lines for a moment each, or a solenoid held by one, with
/// a feedback line.
package final class GPIOLock: ConnectorLock, GPIOClockwork {
    private let board: GPIOBoard
    private let lock: GPIOOutput
    private let unlock: GPIOOutput?
    private let locked: GPIOInput
    private let pulseMilliseconds: Int64
    private let state = Lock(State())

    /// A bolt that jams is driven again so often, then a person has to look.
    package static let tries = 3
    /// Between two tries, so that the motor does not burn. Ours: about as long as it is driven.
    package static let pauseMilliseconds: Int64 = 500

    private struct State: Sendable {
        var wanted: Bool?
        var drivenUntil: Int64?
        var tryAgainAt: Int64?
        var triesLeft = 0
        var failure: String?
    }

    package init(
        board: GPIOBoard, lock: GPIOOutput, unlock: GPIOOutput?, locked: GPIOInput,
        pulseMilliseconds: Int
    ) {
        self.board = board
        self.lock = lock
        self.unlock = unlock
        self.locked = locked
        self.pulseMilliseconds = Int64(pulseMilliseconds)
        board.add(self)
    }

    package func set(locked: Bool) {
        let now = board.clock.monotonicMilliseconds
        state.withLock { state in
            let isUnderWay = state.drivenUntil != nil || state.tryAgainAt != nil
            if state.wanted == locked, state.failure == nil, isUnderWay || isThere(locked) {
                return
            }
            state.wanted = locked
            state.triesLeft = Self.tries
            drive(&state, locked, now)
        }
        board.wake()
    }

    /// Unreadable is not there: it is driven, and `isLocked` says that it cannot be read.
    private func isThere(_ locked: Bool) -> Bool {
        do throws(DeviceError) { return try self.locked.read().isActive == locked } catch {
            return false
        }
    }

    private func drive(_ state: inout State, _ locked: Bool, _ now: Int64) {
        state.triesLeft -= 1
        state.tryAgainAt = nil
        state.failure = nil
        do throws(DeviceError) {
            guard let unlock else {
                try lock.set(locked)
                return
            }
            // Both at once short the motor's bridge: one is off before the other is on.
            try (locked ? unlock : lock).set(false)
            try (locked ? lock : unlock).set(true)
            state.drivenUntil = now + pulseMilliseconds
        } catch {
            state.failure = "\(error)"
            stop(&state)
        }
    }

    private func stop(_ state: inout State) {
        state.drivenUntil = nil
        for line in [lock, unlock] where unlock != nil {
            do throws(DeviceError) { try line?.set(false) } catch { state.failure = "\(error)" }
        }
    }

    func advance(to now: Int64) -> Int64? {
        state.withLock { state in
            if let until = state.drivenUntil {
                guard now >= until else { return until }
                stop(&state)
                state.tryAgainAt = now + Self.pauseMilliseconds
            }
            guard let at = state.tryAgainAt, let wanted = state.wanted else { return nil }
            guard now >= at else { return at }
            state.tryAgainAt = nil
            guard state.triesLeft > 0, !isThere(wanted) else { return nil }
            drive(&state, wanted, now)
            return state.drivenUntil
        }
    }

    package func isLocked() async throws(DeviceError) -> Measured<Bool> {
        let askedAt = board.clock.monotonicMilliseconds
        if let failure = state.withLock({ $0.failure }) { throw .outputNotSet(failure) }
        let watch = try locked.read()
        return locked.measured(watch.isActive, askedAt: askedAt)
    }
}
