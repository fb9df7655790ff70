import HAL
import Service

/// Lights and a buzzer on lines; what is not there stays dark and silent.
package final class GPIOIndicator: Indicator, GPIOClockwork {
    private let board: GPIOBoard
    private let lights: [(LightPattern.Colour, GPIOOutput)]
    private let buzzer: GPIOOutput?
    private let state = Lock(State())

    private struct State: Sendable {
        var steady = LightPattern.of(.unavailable, hasBlue: false)
        var steadySince: Int64 = 0
        /// Played once over the steady one.
        var once: LightPattern?
        var onceSince: Int64 = 0
        var shown: LightPattern.Step?
    }

    /// nil where the board has neither light nor buzzer.
    package init?(board: GPIOBoard, connector: Int) {
        let colours: [(LightPattern.Colour, LineRole)] = [
            (.red, .lightRed), (.green, .lightGreen), (.blue, .lightBlue),
        ]
        lights = colours.compactMap { colour, role in
            board.output(role, connector: connector).map { (colour, $0) }
        }
        buzzer = board.output(.buzzer, connector: connector)
        self.board = board
        guard !lights.isEmpty || buzzer != nil else { return nil }
        board.add(self)
    }

    package func show(_ indication: Indication) {
        let hasBlue = lights.contains { $0.0 == .blue }
        let pattern = LightPattern.of(indication, hasBlue: hasBlue)
        let now = board.clock.monotonicMilliseconds
        state.withLock { state in
            if indication == .refused {
                state.once = pattern
                state.onceSince = now
            } else {
                state.steady = pattern
                state.steadySince = now
            }
        }
        board.wake()
    }

    func advance(to now: Int64) -> Int64? {
        let (step, next): (LightPattern.Step, Int64?) = state.withLock { state in
            if let once = state.once {
                let (step, next) = once.step(after: now - state.onceSince)
                if next != nil { return (step, next) }
                state.once = nil
            }
            return state.steady.step(after: now - state.steadySince)
        }
        let isNew = state.withLock { state in
            defer { state.shown = step }
            return state.shown != step
        }
        if isNew {
            // A dark light is no danger and has nobody to tell; the next step tries again.
            for (colour, line) in lights { try? line.set(step.lit.contains(colour)) }
            try? buzzer?.set(step.isBuzzing)
        }
        return next.map { now + $0 }
    }
}
