import Charging
import LinuxHAL
import Station

/// What was wrong with a person's word, and what is right.
struct Mistake: Error, Hashable, CustomStringConvertible {
    var field: String
    var reason: String
    var mend: String

    init(_ field: String, _ reason: String, mend: String) {
        self.field = field
        self.reason = reason
        self.mend = mend
    }

    var description: String { "\(field): \(reason); \(mend)" }
}

/// `limit AMPERES|off [SECONDS]`, read the same way by the command and by the running agent.
struct LimitOrder: Hashable {
    /// nil takes the limit away.
    var limit: LocalLimit?

    init(_ words: [String]) throws(Mistake) {
        guard let first = words.first, words.count <= 2 else {
            throw Mistake(
                "AMPERES", words.isEmpty ? "is missing" : "is followed by too much",
                mend: "say `limit 16`, `limit 16 3600` or `limit off`")
        }
        guard first != "off" else {
            guard words.count == 1 else {
                throw Mistake(
                    "SECONDS", "has no meaning with off", mend: "leave it out, or give amperes")
            }
            return
        }
        let currents = PhaseCurrents(Amperes(milliamperes: try Self.milliamperes(first)))
        limit = LocalLimit(
            currents: currents, seconds: words.count == 2 ? try Self.seconds(words[1]) : nil)
    }

    private static func milliamperes(_ word: String) throws(Mistake) -> Int64 {
        let digits = word.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2E }
        guard digits, word.utf8.count <= 8, let amperes = Decimal(word)?.reduced,
            amperes.scale <= 1,
            let most = amperes.multiplied(by: Decimal(1000))?.floor,
            (0...LocalLimit.mostMilliamperes).contains(most)
        else {
            throw Mistake(
                "AMPERES", "`\(word.prefix(32))` is no limit",
                mend: "give 0 to 1000 with at most one digit after the point, such as 16 or 12.5, "
                    + "or off")
        }
        return most
    }

    private static func seconds(_ word: String) throws(Mistake) -> Int64 {
        guard word.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let seconds = Int64(word),
            (1...LocalLimit.longestSeconds).contains(seconds)
        else {
            throw Mistake(
                "SECONDS", "`\(word.prefix(32))` is no duration",
                mend: "give whole seconds from 1 to \(LocalLimit.longestSeconds), or leave it out")
        }
        return seconds
    }
}

/// `token UID [CONNECTOR]`, read the same way by the command and by the running agent.
struct TokenOrder: Hashable {
    var token: String
    /// nil: wherever it fits, as at a reader that serves all.
    var connector: Int?

    init(_ words: [String]) throws(Mistake) {
        let mend = "give 1 to 20 printable characters without blanks, such as 04A2F3B1"
        guard let first = words.first, words.count <= 2 else {
            throw Mistake(
                "UID", words.isEmpty ? "is missing" : "is followed by too much", mend: mend)
        }
        if let fault = LineTokenReader.fault(of: first) {
            throw Mistake("UID", "`\(first.prefix(32))` \(fault)", mend: mend)
        }
        token = first
        guard words.count == 2 else { return }
        guard words[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let connector = Int(words[1]), connector > 0
        else {
            throw Mistake(
                "CONNECTOR", "`\(words[1].prefix(32))` is no number of a connector",
                mend: "give 1 or another of this board, or leave it out")
        }
        self.connector = connector
    }
}
