import Charging
import JSON
import OCPP

/// A station asks whether a token may charge. OCPP 1.6 §4.1, §6.1.
enum Authorize {
    static let action = "Authorize"

    static func write(_ token: String, _ writer: inout JSONWriter) {
        writer.object { w in w.member("idTag", token) }
    }

    static func event(in payload: RawSpan) throws(CallError) -> Decoded<StationEvent> {
        var token: String?
        let fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "idTag") {
                token = try f.token(&r, "idTag")
            } else {
                try f.unknown(&r)
            }
        }
        return Decoded(
            .authorizing(token: try fields.required(token, "idTag")), fields.deviations)
    }

    static func write(_ info: AuthorizationInfo, _ writer: inout JSONWriter) {
        writer.object { w in IdTagInfo.write(info, &w) }
    }

    static func reply(in payload: RawSpan) throws(CallError) -> Decoded<StationReply> {
        var info: AuthorizationInfo?
        let fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "idTagInfo") {
                info = try IdTagInfo.read(&r, &f)
            } else {
                try f.unknown(&r)
            }
        }
        return Decoded(
            .authorization(try fields.required(info, "idTagInfo")), fields.deviations)
    }
}
