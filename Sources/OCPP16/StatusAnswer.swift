import Charging
import JSON
import OCPP

/// The answer of most commands: one status word, and nothing else. OCPP 1.6 §6.
struct StatusAnswer: Sendable {
    /// The words of the action; the last is what any other is sent as.
    let words: [String]

    func write(_ status: String, _ writer: inout JSONWriter) {
        writer.object { w in
            w.member("status", words.contains(status) ? status : words.last ?? "Rejected")
        }
    }

    /// A word the action does not have is kept as it came, with a deviation.
    func read(_ payload: RawSpan) throws(CallError) -> Decoded<CommandAnswer> {
        var status: String?
        var fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "status") {
                status = try f.text(&r, "status", maximum: OCPPLimits.textCharacters)
            } else {
                try f.unknown(&r)
            }
        }
        let word = try fields.required(status, "status")
        if !words.contains(word) { fields.deviations.insert(.unknownEnumValue) }
        return Decoded(.status(word), fields.deviations)
    }
}
