import Charging
import JSON
import OCPP

/// What an operator says of a token. OCPP 1.6 §7.14.
enum IdTagInfo {
    static func write(_ info: AuthorizationInfo, _ w: inout JSONWriter) {
        w.key("idTagInfo")
        w.object { w in
            w.member("expiryDate", ifAny: info.expires)
            // A group cut to fit would be another group; none at all is safer.
            w.member("parentIdTag", ifAny: info.group.flatMap { Wire.isToken($0) ? $0 : nil })
            w.member("status", info.status.rawValue)
        }
    }

    @_lifetime(reader: copy reader)
    static func read(_ reader: inout JSONReader, _ fields: inout FieldReader) throws(JSONError)
        -> AuthorizationInfo?
    {
        var status: AuthorizationStatus?
        var foreign: String?
        var group: String?
        var expires: Timestamp?
        let isObject = try fields.object(&reader, "idTagInfo") { r, key, f throws(JSONError) in
            if r.matches(key, "status") {
                status = try f.word(&r, "status", Vocabulary.authorization, foreign: &foreign)
            } else if r.matches(key, "parentIdTag") {
                group = try f.token(&r, "parentIdTag")
            } else if r.matches(key, "expiryDate") {
                expires = try f.time(&r)
            } else {
                try f.unknown(&r)
            }
        }
        guard isObject else { return nil }
        // A word nobody knows is no permission.
        if status == nil, foreign != nil { status = .invalid }
        guard let status else {
            fields.fail(.missingField, "a required field is missing: status")
            return nil
        }
        return AuthorizationInfo(status, group: group, expires: expires)
    }
}
