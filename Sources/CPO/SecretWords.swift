import Charging
import JSON
import Service

/// What a person may read who may read a log, and what not: passwords travel as values of settings and
/// in the addresses of files. OCPP 1.6 security white paper A05.
package enum SecretWords {
    /// The text without its passwords. Of one that names a secret and cannot be read nothing is kept.
    static func hidden(in text: String) -> String {
        // What is no JSON is a word or a sentence.
        guard let tree = try? JSONValue(parsing: text) else {
            return StationCommand.isSecret(text)
                ? "(not kept: it names a password)" : ConfigSection.hidingPassword(text)
        }
        let hidden = hidden(in: tree)
        return hidden == tree ? text : hidden.text
    }

    package static func hidden(in value: JSONValue) -> JSONValue {
        switch value {
        case .array(let elements): return .array(elements.map(hidden(in:)))
        case .object(var members):
            if let key = members["key"]?.string, StationCommand.isSecret(key),
                members["value"]?.isNull == false
            {
                members["value"] = "***"
            }
            for (name, member) in members
            where StationCommand.isSecret(name) && (member.string != nil || member.number != nil) {
                members[name] = "***"
            }
            return .object(members.mapValues(hidden(in:)))
        case .string(let text): return .string(ConfigSection.hidingPassword(text))
        case .null, .bool, .number: return value
        }
    }
}
