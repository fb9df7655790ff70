import Charging

/// A map of the configuration, read key by key.
///
/// Every reader gives a usable value and notes what is wrong, so that one run finds all mistakes.
/// `about` is one sentence for `config schema`. A key without default is required.
package final class ConfigSection {
    let context: ConfigContext
    let path: String
    let schema = ConfigSchema()
    private let entries: [String: YAMLNode.Entry]
    private let keys: [String]
    private let place: ConfigPlace
    private var asked: Set<String> = []
    /// Required and not there, with what to say of it.
    private var missing: [(key: String, what: String)] = []
    private var children: [String: ConfigSection] = [:]
    private var listed: [ConfigSection] = []

    init(_ context: ConfigContext, path: String, _ node: YAMLNode?, at place: ConfigPlace) {
        self.context = context
        self.path = path
        self.place = node?.place ?? place
        var entries: [YAMLNode.Entry] = []
        if let node, !node.isNull {
            if case .map(let found) = node.content {
                entries = found
            } else {
                let name = path.isEmpty ? "the file" : "`\(path)`"
                context.add(node.place, "\(name) must hold `key: value` lines")
            }
        }
        keys = entries.map(\.key)
        self.entries = Dictionary(
            entries.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
    }

    // MARK: Scalars

    package func text(
        _ key: String, default fallback: String? = nil, about: String = ""
    ) -> String {
        scalar(key, .text, fallback, about, show: { $0 }, placeholder: "") { $0 }
    }

    package func textOrNil(_ key: String, about: String = "") -> String? {
        optional(key, .text, about) { $0 }
    }

    package func int(
        _ key: String, default fallback: Int? = nil, in range: ClosedRange<Int>, about: String = ""
    ) -> Int {
        let kind = ConfigSchema.Kind.integer(range)
        return scalar(key, kind, fallback, about, show: { "\($0)" }, placeholder: range.lowerBound)
        { Self.int($0, in: range) }
    }

    package func intOrNil(
        _ key: String, in range: ClosedRange<Int>, about: String = ""
    ) -> Int? {
        optional(key, .integer(range), about) { Self.int($0, in: range) }
    }

    /// `true` or `false`; YAML 1.1's `yes`, `on` and their kin are refused rather than guessed.
    package func bool(_ key: String, default fallback: Bool? = nil, about: String = "") -> Bool {
        scalar(key, .boolean, fallback, about, show: { "\($0)" }, placeholder: false) {
            $0 == "true" ? true : $0 == "false" ? false : nil
        }
    }

    package func decimal(
        _ key: String, default fallback: Decimal? = nil, about: String = ""
    ) -> Decimal {
        scalar(key, .decimal, fallback, about, show: { "\($0)" }, placeholder: .zero) {
            Decimal($0)
        }
    }

    package func decimalOrNil(_ key: String, about: String = "") -> Decimal? {
        optional(key, .decimal, about) { Decimal($0) }
    }

    /// One of an enum's raw values.
    package func choice<Choice: RawRepresentable<String> & CaseIterable>(
        _ key: String, of: Choice.Type = Choice.self, default fallback: Choice? = nil,
        about: String = ""
    ) -> Choice {
        let words = Choice.allCases.map(\.rawValue)
        guard let first = Choice.allCases.first else {
            preconditionFailure("an enum of choices has cases")
        }
        return scalar(
            key, .choice(words), fallback, about, show: { $0.rawValue }, placeholder: first
        ) { Choice(rawValue: $0) }
    }

    /// A path; a relative one starts at the configuration file's folder.
    package func path(
        _ key: String, default fallback: String? = nil, about: String = ""
    ) -> String {
        resolved(text(key, default: fallback, about: about))
    }

    package func pathOrNil(_ key: String, about: String = "") -> String? {
        textOrNil(key, about: about).map(resolved)
    }

    /// A list of scalars; in the environment separated by commas.
    package func texts(
        _ key: String, default fallback: [String] = [], about: String = ""
    ) -> [String] {
        asked.insert(key)
        schema.add(key, .texts, isRequired: false, about, fallback.joined(separator: ","))
        if let (text, place) = override(key) {
            note(key, text, place)
            return text.isEmpty
                ? []
                : text.split(separator: ",", omittingEmptySubsequences: false).map { trimmed($0) }
        }
        guard let node = node(key) else {
            note(key, fallback.joined(separator: ","), .byDefault)
            return fallback
        }
        guard case .list(let items) = node.content else {
            context.add(node.place, "`\(full(key))` must be a list: [a, b] or one `- item` a line")
            return fallback
        }
        let texts = items.compactMap { item -> String? in
            if case .scalar(let text, _) = item.content, !item.isNull { return text }
            context.add(item.place, "an item of `\(full(key))` must be a plain value")
            return nil
        }
        note(key, texts.joined(separator: ","), node.place)
        return texts
    }

    // MARK: Sections and lists

    /// A section; one that is not there reads as empty, so only its required keys are missed.
    package func section(_ key: String, about: String = "") -> ConfigSection {
        if let child = children[key] { return child }
        asked.insert(key)
        let child = ConfigSection(
            context, path: full(key), node(key), at: entries[key]?.keyPlace ?? place)
        children[key] = child
        schema.add(key, child.schema, isList: false, about)
        return child
    }

    /// A section that may be left out; nil if neither file nor environment has it.
    package func sectionOrNil(_ key: String, about: String = "") -> ConfigSection? {
        asked.insert(key)
        let prefix = ConfigContext.variable(full(key)) + "__"
        let isThere = node(key) != nil || context.environment.keys.contains { $0.hasPrefix(prefix) }
        guard isThere || context.isSchema else { return nil }
        return section(key, about: about)
    }

    /// A list of sections.
    package func list<Element>(
        _ key: String, atLeast least: Int = 0, atMost most: Int = 1000, about: String = "",
        _ read: (ConfigSection) -> Element
    ) -> [Element] {
        asked.insert(key)
        if context.isSchema {
            let item = ConfigSection(context, path: "\(full(key))[0]", nil, at: place)
            schema.add(key, item.schema, isList: true, about)
            return [read(item)]
        }
        var items: [YAMLNode] = []
        let node = node(key)
        if let node {
            if case .list(let found) = node.content {
                items = found
            } else {
                context.add(node.place, "`\(full(key))` must be a list of `- key: value` items")
            }
        }
        if !(least...most).contains(items.count) {
            let what = "`\(full(key))` has \(items.count) items; give \(least) to \(most)"
            context.add(node?.place ?? place, what)
        }
        return items.prefix(most).enumerated().map { index, item in
            let section = ConfigSection(
                context, path: "\(full(key))[\(index)]", item, at: item.place)
            listed.append(section)
            return read(section)
        }
    }

    // MARK: What only the program can check

    /// Notes that a value does not fit for a reason the readers do not know: `what` names the mend.
    ///
    /// It is told at the key: at the value of one line, else where the key stands.
    package func problem(_ key: String, _ what: String) {
        context.add(place(of: key), said(what, of: key))
    }

    /// Notes what works and is not as it should be: it stops nothing. Told as `problem` is.
    package func warn(_ key: String, _ what: String) {
        guard !isSchema else { return }
        context.warnings.append(ConfigProblem(place: place(of: key), what: said(what, of: key)))
    }

    /// Whether file or environment say something of this key.
    package func isSet(_ key: String) -> Bool {
        node(key) != nil || context.environment[ConfigContext.variable(full(key))] != nil
    }

    private func said(_ what: String, of key: String) -> String {
        let name = "`\(full(key))`"
        return what.contains(text: name) ? what : "\(name): \(what)"
    }

    private func place(of key: String) -> ConfigPlace {
        let variable = ConfigContext.variable(full(key))
        if context.environment[variable] != nil { return .environment(variable) }
        guard let entry = entries[key] else { return place }
        let isLine = if case .scalar = entry.value.content { true } else { false }
        return isLine ? entry.value.place : entry.keyPlace
    }

    package var isSchema: Bool { context.isSchema }

    /// Tells what is there and unknown, and what is missing.
    ///
    /// - `isMisspelt`: the section itself is there under another name; all of it is missing then.
    func refuseUnknownKeys(isMisspelt: Bool = false) {
        var misspelt: Set<String> = []
        for key in keys where !asked.contains(key) {
            guard let entry = entries[key] else { continue }
            let hint = Spelling.nearest(to: key, among: asked.sorted())
            if let hint { misspelt.insert(hint) }
            let mend =
                hint.map { "did you mean `\($0)`?" }
                ?? (asked.isEmpty
                    ? "remove it" : "known here: \(asked.sorted().joined(separator: ", "))")
            context.add(entry.keyPlace, "unknown key `\(full(key))`; \(mend)")
        }
        // A key that is there with a slip of the hand is not to be added beside it.
        for (key, what) in missing where !isMisspelt && !misspelt.contains(key) {
            context.add(place, what)
        }
        for (key, child) in children {
            child.refuseUnknownKeys(isMisspelt: isMisspelt || misspelt.contains(key))
        }
        for child in listed { child.refuseUnknownKeys() }
    }
}

// MARK: Reading one value

extension ConfigSection {
    private func scalar<Value>(
        _ key: String, _ kind: ConfigSchema.Kind, _ fallback: Value?, _ about: String,
        show: (Value) -> String, placeholder: Value, _ parse: (String) -> Value?
    ) -> Value {
        schema.add(key, kind, isRequired: fallback == nil, about, fallback.map(show))
        if let value = read(key, kind, parse) { return value.value ?? fallback ?? placeholder }
        if let fallback {
            note(key, show(fallback), .byDefault)
            return fallback
        }
        missing.append((key, "`\(full(key))` is missing; add `\(key): \(kind.example)`"))
        return placeholder
    }

    private func optional<Value>(
        _ key: String, _ kind: ConfigSchema.Kind, _ about: String, _ parse: (String) -> Value?
    ) -> Value? {
        schema.add(key, kind, isRequired: false, about, nil)
        return read(key, kind, parse)?.value
    }

    /// nil: nobody set it. `.value` nil: set, but wrong, and noted.
    private func read<Value>(
        _ key: String, _ kind: ConfigSchema.Kind, _ parse: (String) -> Value?
    ) -> (value: Value?, Void)? {
        asked.insert(key)
        let overridden = override(key).map { (String?.some($0.0), $0.1) }
        guard let (text, place) = overridden ?? fileText(key, kind) else { return nil }
        guard let text else { return (nil, ()) }
        guard let value = parse(text) else {
            context.add(
                place, "`\(full(key))` is \(Log.quoted(text)); it must be \(kind.sentence)")
            return (nil, ())
        }
        note(key, text, place)
        return (value, ())
    }

    private func override(_ key: String) -> (String, ConfigPlace)? {
        let name = ConfigContext.variable(full(key))
        context.knownVariables.insert(name)
        return context.environment[name].map { ($0, .environment(name)) }
    }

    private func fileText(_ key: String, _ kind: ConfigSchema.Kind) -> (String?, ConfigPlace)? {
        guard let node = node(key) else { return nil }
        guard case .scalar(let text, _) = node.content else {
            context.add(node.place, "`\(full(key))` must be \(kind.sentence)")
            return (nil, node.place)
        }
        return (text, node.place)
    }

    private func node(_ key: String) -> YAMLNode? {
        guard let node = entries[key]?.value, !node.isNull else { return nil }
        return node
    }

    private func full(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    private func note(_ key: String, _ text: String, _ place: ConfigPlace) {
        guard !context.isSchema else { return }
        context.settings.append(
            ConfigSetting(path: full(key), text: Self.hidingPassword(text), place: place))
    }

    private func resolved(_ path: String) -> String {
        guard !path.isEmpty, !path.hasPrefix("/"),
            let slash = context.file.lastIndex(of: "/")
        else { return path }
        return context.file[...slash] + path
    }

    private func trimmed(_ text: Substring) -> String {
        var text = text
        while text.first == " " { text.removeFirst() }
        while text.last == " " { text.removeLast() }
        return String(text)
    }

    private static func int(_ text: String, in range: ClosedRange<Int>) -> Int? {
        guard let value = Int(text), range.contains(value) else { return nil }
        return value
    }

    /// `scheme://user:password@host` without the password.
    package static func hidingPassword(_ text: String) -> String {
        let parts = text.parts(between: "://", most: 1)
        guard parts.count == 2 else { return text }
        let authority = parts[1].prefix { $0 != "/" }
        guard let at = authority.lastIndex(of: "@"),
            let colon = authority[..<at].firstIndex(of: ":")
        else { return text }
        return "\(parts[0])://\(authority[..<colon]):…\(parts[1][at...])"
    }
}
