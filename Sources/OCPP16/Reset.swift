import Charging
import JSON
import OCPP

/// The operator asks a station to restart. OCPP 1.6 §5.14, §6.41.
enum Reset {
    static let action = "Reset"
    static let answer = StatusAnswer(words: ["Accepted", "Rejected"])
    private static let kinds = Words<ResetKind>([("Soft", .soft), ("Hard", .hard)])

    static func write(_ kind: ResetKind, _ writer: inout JSONWriter) {
        writer.object { w in w.member("type", kind.rawValue) }
    }

    static func command(in payload: RawSpan) throws(CallError) -> Decoded<StationCommand> {
        var kind: ResetKind?
        var foreign: String?
        let fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "type") {
                kind = try f.word(&r, "type", kinds, foreign: &foreign)
            } else {
                try f.unknown(&r)
            }
        }
        // Restarting in another way than asked for is no leniency.
        if foreign != nil { throw CallError(.propertyViolation, "type is neither Soft nor Hard") }
        return Decoded(.reset(try fields.required(kind, "type")), fields.deviations)
    }
}
