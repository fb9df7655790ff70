import Charging
import JSON
import OCPP

/// The operator reads configuration keys, all of them when it names none. OCPP 1.6 §5.8, §6.21.
enum GetConfiguration {
    static let action = "GetConfiguration"

    static func write(_ keys: [String], _ writer: inout JSONWriter) {
        writer.object { w in
            guard !keys.isEmpty else { return }
            w.key("key")
            w.array { w in for key in keys { w.string(key) } }
        }
    }

    static func command(in payload: RawSpan) throws(CallError) -> Decoded<StationCommand> {
        var keys: [String] = []
        var fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "key") {
                try readTexts(&r, "key", &f, into: &keys)
            } else {
                try f.unknown(&r)
            }
        }
        try fields.checked()
        // An empty list asks for all, here and in the specification.
        fields.deviations.remove(.emptyList)
        return Decoded(.getSettings(keys: keys), fields.deviations)
    }

    static func write(_ settings: [Setting], _ unknown: [String], _ writer: inout JSONWriter) {
        writer.object { w in
            if !settings.isEmpty {
                w.key("configurationKey")
                w.array { w in for setting in settings { write(setting, &w) } }
            }
            guard !unknown.isEmpty else { return }
            w.key("unknownKey")
            w.array { w in
                for key in unknown { w.string(Wire.cut(key, ChangeConfiguration.keyCharacters)) }
            }
        }
    }

    private static func write(_ setting: Setting, _ w: inout JSONWriter) {
        w.object { w in
            w.member("key", Wire.cut(setting.key, ChangeConfiguration.keyCharacters))
            w.member("readonly", setting.isReadOnly)
            w.member("value", ifAny: Wire.cut(setting.value, ChangeConfiguration.valueCharacters))
        }
    }

    static func answer(in payload: RawSpan) throws(CallError) -> Decoded<CommandAnswer> {
        var settings: [Setting] = []
        var unknown: [String] = []
        let fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "configurationKey") {
                try f.list(&r, "configurationKey", maximum: OCPPLimits.settings) {
                    r, f throws(JSONError) in
                    if let setting = try readSetting(&r, &f) { settings.append(setting) }
                }
            } else if r.matches(key, "unknownKey") {
                try readTexts(&r, "unknownKey", &f, into: &unknown)
            } else {
                try f.unknown(&r)
            }
        }
        try fields.checked()
        return Decoded(.settings(settings, unknown: unknown), fields.deviations)
    }

    @_lifetime(reader: copy reader)
    private static func readSetting(_ reader: inout JSONReader, _ fields: inout FieldReader)
        throws(JSONError) -> Setting?
    {
        var name: String?
        var value: String?
        var isReadOnly = false
        _ = try fields.object(&reader, "configurationKey") { r, key, f throws(JSONError) in
            if r.matches(key, "key") {
                name = try f.text(&r, "key", maximum: ChangeConfiguration.keyCharacters)
            } else if r.matches(key, "value") {
                value = try f.text(&r, "value", maximum: ChangeConfiguration.valueCharacters)
            } else if r.matches(key, "readonly") {
                isReadOnly = try f.truth(&r, "readonly") ?? false
            } else {
                try f.unknown(&r)
            }
        }
        return name.map { Setting(key: $0, value: value, isReadOnly: isReadOnly) }
    }

    @_lifetime(reader: copy reader)
    private static func readTexts(
        _ reader: inout JSONReader, _ field: StaticString, _ fields: inout FieldReader,
        into texts: inout [String]
    ) throws(JSONError) {
        try fields.list(&reader, field, maximum: OCPPLimits.settings) { r, f throws(JSONError) in
            if let text = try f.text(&r, field, maximum: ChangeConfiguration.keyCharacters) {
                texts.append(text)
            }
        }
    }
}
