import Charging
import JSON
import OCPP

/// A station shows that it lives and asks for the time. OCPP 1.6 §4.6, §6.29.
enum Heartbeat {
    static let action = "Heartbeat"

    static func write(_ writer: inout JSONWriter) { writer.object { _ in } }

    static func event(in payload: RawSpan) throws(CallError) -> Decoded<StationEvent> {
        let fields = try FieldReader.read(payload) { r, _, f throws(JSONError) in
            try f.unknown(&r)
        }
        return Decoded(.alive, fields.deviations)
    }

    static func write(_ now: Timestamp, _ writer: inout JSONWriter) {
        writer.object { w in w.member("currentTime", now) }
    }

    static func reply(in payload: RawSpan) throws(CallError) -> Decoded<StationReply> {
        var now: Timestamp?
        let fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "currentTime") { now = try f.time(&r) } else { try f.unknown(&r) }
        }
        return Decoded(.alive(now: try fields.required(now, "currentTime")), fields.deviations)
    }
}
