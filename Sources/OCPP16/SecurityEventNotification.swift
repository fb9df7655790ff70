import Charging
import JSON
import OCPP

/// A station tells what a security officer wants to know. Security white paper §4, §6.
enum SecurityEventNotification {
    static let action = "SecurityEventNotification"
    static let typeCharacters = 50
    static let infoCharacters = 255

    static func write(_ event: SecurityEvent, at: Timestamp, _ writer: inout JSONWriter) {
        writer.object { w in
            w.member("techInfo", ifAny: Wire.cut(event.info, infoCharacters))
            w.member("timestamp", at)
            w.member("type", Wire.cut(event.type, typeCharacters))
        }
    }

    /// A kind nobody knows is an event all the same.
    static func event(in payload: RawSpan) throws(CallError) -> Decoded<StationEvent> {
        var event = SecurityEvent(type: "", at: nil)
        var fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "type") {
                event.type = try f.text(&r, "type", maximum: typeCharacters) ?? ""
            } else if r.matches(key, "timestamp") {
                event.at = try f.time(&r)
            } else if r.matches(key, "techInfo") {
                event.info = try f.text(&r, "techInfo", maximum: infoCharacters)
            } else {
                try f.unknown(&r)
            }
        }
        _ = try fields.required(event.type.isEmpty ? nil : event.type, "type")
        if event.at == nil { fields.deviations.insert(.timestampMissing) }
        return Decoded(.maintenance(.security(event)), fields.deviations)
    }
}
