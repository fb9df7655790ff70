import Glibc

/// What a program may draw on its standard output.
package struct Terminal: Hashable, Sendable {
    package enum Colour: String, Sendable {
        case red = "31"
        case green = "32"
        case yellow = "33"
        case grey = "90"
    }

    /// False for a pipe or a file: no control sequence may reach it.
    package let isTerminal: Bool
    package let hasColour: Bool

    package init(isTerminal: Bool, hasColour: Bool) {
        self.isTerminal = isTerminal
        self.hasColour = isTerminal && hasColour
    }

    /// Colours only on a terminal, and not where `NO_COLOR` is set (no-color.org).
    package static var standardOutput: Terminal {
        let environment = Environment.all
        let isTerminal = isatty(1) == 1 && environment["TERM"] != "dumb"
        return Terminal(
            isTerminal: isTerminal, hasColour: (environment["NO_COLOR"] ?? "").isEmpty)
    }

    package func coloured(_ text: String, _ colour: Colour) -> String {
        hasColour ? "\u{1B}[\(colour.rawValue)m\(text)\u{1B}[0m" : text
    }

    /// Draws `text` in the place of what was drawn before; elsewhere than on a terminal, below it.
    package func redrawn(_ text: String) -> String {
        guard isTerminal else { return text + "\n" }
        // Home, then each line's rest and what is below: no flicker, and no trace of longer lines.
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        return "\u{1B}[H" + lines.joined(separator: "\u{1B}[K\n") + "\u{1B}[K\u{1B}[J"
    }

    /// Begins a screen of its own redrawing.
    package var cleared: String { isTerminal ? "\u{1B}[2J" : "" }

    /// `part` of `whole` as `width` blocks.
    package static func bar(_ part: Int64, of whole: Int64, width: Int) -> String {
        let share = whole > 0 ? min(max(part, 0), whole) : 0
        let filled = whole > 0 ? Int((share * Int64(width) * 2 + whole) / (whole * 2)) : 0
        return String(repeating: "█", count: filled)
            + String(repeating: "░", count: width - filled)
    }

    /// One column a value, from nothing to `most`.
    package static func sparkline(_ values: some Collection<Int64>, most: Int64) -> String {
        let steps = Array("▁▂▃▄▅▆▇█")
        return String(
            values.map { value in
                guard most > 0 else { return steps[0] }
                let share = min(max(value, 0), most)
                return steps[Int(share * Int64(steps.count - 1) / most)]
            })
    }
}
