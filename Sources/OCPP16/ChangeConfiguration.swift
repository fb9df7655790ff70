import Charging
import JSON
import OCPP

/// The operator writes one configuration key. OCPP 1.6 §5.3, §6.7.
enum ChangeConfiguration {
    static let action = "ChangeConfiguration"
    static let answer = StatusAnswer(
        words: ["Accepted", "RebootRequired", "NotSupported", "Rejected"])
    static let keyCharacters = 50
    static let valueCharacters = 500

    static func write(_ key: String, _ value: String, _ writer: inout JSONWriter) {
        writer.object { w in
            w.member("key", key)
            w.member("value", value)
        }
    }

    static func command(in payload: RawSpan) throws(CallError) -> Decoded<StationCommand> {
        var name: String?
        var value: String?
        let fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "key") {
                name = try f.text(&r, "key", maximum: keyCharacters)
            } else if r.matches(key, "value") {
                value = try f.text(&r, "value", maximum: valueCharacters)
            } else {
                try f.unknown(&r)
            }
        }
        // A value cut to fit would be another value.
        if fields.deviations.contains(.textTooLong) {
            throw CallError(.propertyViolation, "key or value is too long")
        }
        return Decoded(
            .changeSetting(
                key: try fields.required(name, "key"), value: try fields.required(value, "value")),
            fields.deviations)
    }
}
