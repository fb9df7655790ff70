import JSON
import Service

/// One thing the doctor looked at.
struct Finding: Hashable, Sendable {
    enum Verdict: String, Sendable {
        case fine = "ok"
        /// The station works, but not as it should.
        case warning = "warn"
        case bad = "BAD"
    }

    /// What was looked at, in one word: `clock`.
    var topic: String
    var verdict: Verdict
    var found: String
    /// What to do about it; nil where nothing needs doing.
    var mend: String?

    static func fine(_ topic: String, _ found: String) -> Finding {
        Finding(topic: topic, verdict: .fine, found: found)
    }

    static func warning(_ topic: String, _ found: String, mend: String) -> Finding {
        Finding(topic: topic, verdict: .warning, found: found, mend: mend)
    }

    static func bad(_ topic: String, _ found: String, mend: String) -> Finding {
        Finding(topic: topic, verdict: .bad, found: found, mend: mend)
    }

    var json: JSONValue {
        .members([
            "topic": .string(topic), "verdict": .string(verdict.rawValue),
            "found": .string(found), "mend": mend.map(JSONValue.string),
        ])
    }

    /// One line, and one more for the mend.
    func text(on terminal: Terminal) -> String {
        let colour: Terminal.Colour =
            switch verdict {
            case .fine: .green
            case .warning: .yellow
            case .bad: .red
            }
        let width = 4
        let word = verdict.rawValue + String(repeating: " ", count: width - verdict.rawValue.count)
        let line = "\(terminal.coloured(word, colour)) \(topic): \(found)"
        return mend.map { "\(line)\n     mend: \($0)" } ?? line
    }
}
