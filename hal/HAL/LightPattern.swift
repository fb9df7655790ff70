/// What light and buzzer do for one indication: a list of steps, repeated or played once.
package struct LightPattern: Hashable, Sendable {
    package enum Colour: Hashable, Sendable { case red, green, blue }

    package struct Step: Hashable, Sendable {
        package var lit: Set<Colour>
        package var isBuzzing: Bool
        package var milliseconds: Int64
    }

    /// A driver at the plug hears and sees three of these, with as long a pause behind each.
    package static let refusalMilliseconds: Int64 = 150

    package var steps: [Step]
    package var repeats: Bool

    /// How an indication looks.
    ///
    /// - `hasBlue`: a charge is blue where the board has blue, else it breathes green.
    package static func of(_ indication: Indication, hasBlue: Bool) -> LightPattern {
        let busy: Set<Colour> = hasBlue ? [.blue] : [.green]
        switch indication {
        case .available: return steady([.green])
        case .preparing: return blink([.green], 500)
        case .charging: return hasBlue ? steady(busy) : blink(busy, 1_500)
        case .suspended: return blink(busy, 1_000)
        case .finishing: return blink([.green], 250)
        case .unavailable: return blink([.red], 1_000)
        case .faulted: return steady([.red])
        case .refused:
            // Three short ones with the buzzer, then the light is somebody else's again.
            let on = Step(lit: [.red], isBuzzing: true, milliseconds: refusalMilliseconds)
            let off = Step(lit: [], isBuzzing: false, milliseconds: refusalMilliseconds)
            return LightPattern(steps: [on, off, on, off, on, off], repeats: false)
        }
    }

    private static func steady(_ lit: Set<Colour>) -> LightPattern {
        LightPattern(steps: [Step(lit: lit, isBuzzing: false, milliseconds: 0)], repeats: false)
    }

    private static func blink(_ lit: Set<Colour>, _ half: Int64) -> LightPattern {
        LightPattern(
            steps: [
                Step(lit: lit, isBuzzing: false, milliseconds: half),
                Step(lit: [], isBuzzing: false, milliseconds: half),
            ], repeats: true)
    }

    /// The step shown after a time, and how long until the next one; nil when nothing follows.
    package func step(after milliseconds: Int64) -> (step: Step, next: Int64?) {
        let length = steps.reduce(Int64(0)) { $0 + $1.milliseconds }
        guard let last = steps.last, length > 0 else {
            return (steps.first ?? Step(lit: [], isBuzzing: false, milliseconds: 0), nil)
        }
        guard repeats || milliseconds < length else { return (last, nil) }
        var rest = milliseconds % length
        for step in steps {
            if rest < step.milliseconds { return (step, step.milliseconds - rest) }
            rest -= step.milliseconds
        }
        return (last, nil)
    }
}
