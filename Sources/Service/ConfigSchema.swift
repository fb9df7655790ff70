/// What a section's keys are, noted while they are read.
final class ConfigSchema {
    enum Kind: Hashable {
        case text
        case texts
        case integer(ClosedRange<Int>)
        case decimal
        case boolean
        case choice([String])

        /// "it must be …"
        var sentence: String {
            switch self {
            case .text: "a text"
            case .texts: "a list of texts"
            case .integer(let range):
                "a whole number from \(range.lowerBound) to \(range.upperBound)"
            case .decimal: "a number like 0.25"
            case .boolean: "true or false"
            case .choice(let words): words.joined(separator: " or ")
            }
        }

        var example: String {
            switch self {
            case .text: "…"
            case .texts: "[…]"
            case .integer(let range): "\(range.lowerBound)"
            case .decimal: "0.00"
            case .boolean: "true"
            case .choice(let words): words.first ?? "…"
            }
        }
    }

    enum Entry {
        case value(Kind, fallback: String?)
        case section(ConfigSchema)
        case list(ConfigSchema)
    }

    private(set) var entries: [(key: String, about: String, entry: Entry)] = []
    private(set) var required: [String] = []

    func add(
        _ key: String, _ kind: Kind, isRequired: Bool, _ about: String, _ fallback: String?
    ) {
        entries.append((key, about, .value(kind, fallback: fallback)))
        if isRequired { required.append(key) }
    }

    func add(_ key: String, _ schema: ConfigSchema, isList: Bool, _ about: String) {
        entries.append((key, about, isList ? .list(schema) : .section(schema)))
    }

    func text(title: String) -> String {
        let head = [
            member("$schema", "\"https://json-schema.org/draft/2020-12/schema\""),
            member("title", Log.quoted(title)),
        ]
        return "{" + (head + members).joined(separator: ",") + "}"
    }

    private var members: [String] {
        let properties = entries.map { key, about, entry in
            var parts = parts(entry)
            if !about.isEmpty { parts.append(member("description", Log.quoted(about))) }
            return member(key, "{" + parts.joined(separator: ",") + "}")
        }
        var members = [
            member("type", "\"object\""), member("additionalProperties", "false"),
            member("properties", "{" + properties.joined(separator: ",") + "}"),
        ]
        if !required.isEmpty {
            let names = required.map(Log.quoted).joined(separator: ",")
            members.append(member("required", "[\(names)]"))
        }
        return members
    }

    private func parts(_ entry: Entry) -> [String] {
        switch entry {
        case .section(let schema): schema.members
        case .list(let schema):
            [
                member("type", "\"array\""),
                member("items", "{" + schema.members.joined(separator: ",") + "}"),
            ]
        case .value(let kind, let fallback): parts(kind, fallback)
        }
    }

    private func parts(_ kind: Kind, _ fallback: String?) -> [String] {
        switch kind {
        case .text: [member("type", "\"string\"")] + plain(fallback.map(Log.quoted))
        case .texts:
            [
                member("type", "\"array\""), member("items", "{\"type\":\"string\"}"),
            ]
        case .integer(let range):
            [
                member("type", "\"integer\""), member("minimum", "\(range.lowerBound)"),
                member("maximum", "\(range.upperBound)"),
            ] + plain(fallback)
        case .decimal: [member("type", "\"number\"")] + plain(fallback)
        case .boolean: [member("type", "\"boolean\"")] + plain(fallback)
        case .choice(let words):
            [member("enum", "[" + words.map(Log.quoted).joined(separator: ",") + "]")]
                + plain(fallback.map(Log.quoted))
        }
    }

    private func plain(_ fallback: String?) -> [String] {
        fallback.map { [member("default", $0)] } ?? []
    }

    private func member(_ key: String, _ json: String) -> String { "\(Log.quoted(key)):\(json)" }
}
