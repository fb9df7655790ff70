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

    /// - Parameter isOrdered: it is to be kept, as a list's is, and nobody could mend it later: what
    ///   cannot be read refuses it. Else a car waits for it, and it counts for now.
    @_lifetime(reader: copy reader)
    static func read(
        _ reader: inout JSONReader, _ fields: inout FieldReader, isOrdered: Bool = false
    ) throws(JSONError) -> AuthorizationInfo? {
        var status: AuthorizationStatus?
        var foreign: String?
        var group: String?
        var expires: Timestamp?
        var isEndUnread = false
        let isObject = try fields.object(&reader, "idTagInfo") { r, key, f throws(JSONError) in
            if r.matches(key, "status") {
                status = try f.word(&r, "status", Vocabulary.authorization, foreign: &foreign)
            } else if r.matches(key, "parentIdTag") {
                group = try readGroup(&r, &f, isOrdered)
            } else if r.matches(key, "expiryDate") {
                if try r.peek() == UInt8(ascii: "n") {
                    try r.null()
                    f.deviations.insert(.nullField)
                } else {
                    expires = try f.time(&r)
                    isEndUnread = expires == nil
                }
            } else {
                try f.unknown(&r)
            }
        }
        guard isObject else { return nil }
        // Without its end it would be good for ever.
        if isEndUnread, isOrdered { fields.fail(.propertyViolation, "expiryDate is not a time") }
        // A word nobody knows is no permission.
        if status == nil, foreign != nil { status = .invalid }
        guard let status else {
            fields.fail(.missingField, "a required field is missing: status")
            return nil
        }
        var info = AuthorizationInfo(status, group: group, expires: expires)
        info.isEndUnread = isEndUnread
        return info
    }

    @_lifetime(reader: copy reader)
    private static func readGroup(
        _ reader: inout JSONReader, _ fields: inout FieldReader, _ isOrdered: Bool
    ) throws(JSONError) -> String? {
        if isOrdered { return try fields.orderedGroup(&reader, "parentIdTag") }
        // Two tokens with an empty one are of no group together.
        return try fields.token(&reader, "parentIdTag").flatMap { $0.isEmpty ? nil : $0 }
    }
}
