import Charging
import JSON
import OCPP

/// The operator empties a station's authorisation cache. OCPP 1.6 §5.4, §6.9.
enum ClearCache {
    static let action = "ClearCache"
    static let answer = StatusAnswer(words: ["Accepted", "Rejected"])

    static func write(_ writer: inout JSONWriter) { writer.object { _ in } }

    static func command(in payload: RawSpan) throws(CallError) -> Decoded<StationCommand> {
        let fields = try FieldReader.read(payload) { r, _, f throws(JSONError) in
            try f.unknown(&r)
        }
        return Decoded(.clearCache, fields.deviations)
    }
}
