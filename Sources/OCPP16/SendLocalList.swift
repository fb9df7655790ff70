import Charging
import JSON
import OCPP

/// The operator sends the tokens a station may judge by itself. OCPP 1.6 §5.16, §6.41.
enum SendLocalList {
    static let action = "SendLocalList"
    static let answer = StatusAnswer(
        words: ["Accepted", "NotSupported", "VersionMismatch", "Failed"])

    static func write(_ update: LocalListUpdate, _ writer: inout JSONWriter) {
        writer.object { w in
            w.member("listVersion", update.version)
            if !update.entries.isEmpty {
                w.key("localAuthorizationList")
                w.array { w in for entry in update.entries { write(entry, &w) } }
            }
            w.member("updateType", update.kind.rawValue)
        }
    }

    private static func write(_ entry: LocalListUpdate.Entry, _ w: inout JSONWriter) {
        w.object { w in
            w.member("idTag", entry.token)
            if let info = entry.info { IdTagInfo.write(info, &w) }
        }
    }

    static func command(in payload: RawSpan) throws(CallError) -> Decoded<StationCommand> {
        var version: Int?
        var kind: LocalListUpdate.Kind?
        var foreign: String?
        var entries: [LocalListUpdate.Entry] = []
        var fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "listVersion") {
                version = try f.integer(&r, "listVersion")
            } else if r.matches(key, "updateType") {
                kind = try f.word(&r, "updateType", Vocabulary.update, foreign: &foreign)
            } else if r.matches(key, "localAuthorizationList") {
                try f.list(
                    &r, "localAuthorizationList", maximum: LocalListUpdate.mostEntries
                ) { r, f throws(JSONError) in
                    if let entry = try readEntry(&r, &f) { entries.append(entry) }
                }
            } else {
                try f.unknown(&r)
            }
        }
        try fields.checked()
        // Half a list would lock out the drivers of the other half.
        if fields.deviations.contains(.listTooLong) {
            throw CallError(.occurrenceViolation, "localAuthorizationList has too many entries")
        }
        if kind == nil, foreign != nil {
            throw CallError(.propertyViolation, "updateType must be Full or Differential")
        }
        // An empty list and none at all say the same.
        fields.deviations.remove(.emptyList)
        let update = LocalListUpdate(
            kind: try fields.required(kind, "updateType"),
            version: try fields.required(version, "listVersion"), entries: entries)
        return Decoded(.sendLocalList(update), fields.deviations)
    }

    @_lifetime(reader: copy reader)
    private static func readEntry(_ reader: inout JSONReader, _ fields: inout FieldReader)
        throws(JSONError) -> LocalListUpdate.Entry?
    {
        var token: String?
        var info: AuthorizationInfo?
        _ = try fields.object(&reader, "localAuthorizationList") { r, key, f throws(JSONError) in
            if r.matches(key, "idTag") {
                token = try f.orderedToken(&r, "idTag")
            } else if r.matches(key, "idTagInfo") {
                info = try IdTagInfo.read(&r, &f, isOrdered: true)
            } else {
                try f.unknown(&r)
            }
        }
        guard let token else {
            fields.fail(.missingField, "a required field is missing: idTag")
            return nil
        }
        return LocalListUpdate.Entry(token: token, info: info)
    }
}

/// The operator asks which version of its list a station holds. OCPP 1.6 §5.10, §6.25.
enum GetLocalListVersion {
    static let action = "GetLocalListVersion"

    static func write(_ writer: inout JSONWriter) { writer.object { _ in } }

    static func command(in payload: RawSpan) throws(CallError) -> Decoded<StationCommand> {
        let fields = try FieldReader.read(payload) { r, _, f throws(JSONError) in
            try f.unknown(&r)
        }
        var deviations = fields.deviations
        deviations.remove(.payloadMissing)
        return Decoded(.getLocalListVersion, deviations)
    }

    /// 0 is an empty list, −1 a station without local lists.
    static func write(_ version: Int, _ writer: inout JSONWriter) {
        writer.object { w in w.member("listVersion", version) }
    }

    static func answer(in payload: RawSpan) throws(CallError) -> Decoded<CommandAnswer> {
        var version: Int?
        let fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "listVersion") {
                version = try f.integer(&r, "listVersion")
            } else {
                try f.unknown(&r)
            }
        }
        return Decoded(
            .listVersion(try fields.required(version, "listVersion")), fields.deviations)
    }
}
