import CYAML

/// A value of a YAML file with its place.
struct YAMLNode {
    struct Entry {
        let key: String
        let keyPlace: ConfigPlace
        let value: YAMLNode
    }

    enum Content {
        /// `isPlain`: written without quotes, so that `null` and `~` mean nothing.
        case scalar(String, isPlain: Bool)
        case list([YAMLNode])
        case map([Entry])
    }

    let content: Content
    let place: ConfigPlace

    /// `key:` without value, `~` and `null` are the same as leaving the key out.
    var isNull: Bool {
        if case .scalar(let text, true) = content {
            ["", "~", "null"].contains(text)
        } else {
            false
        }
    }
}

/// Reads the small part of YAML that a configuration needs: maps, lists, scalars, one document.
///
/// Scalars stay text until a field of a known type asks, so that `NO` is Norway and `0123` keeps
/// its zero. Anchors, aliases, tags, keys that are no scalar, duplicate keys and a second document
/// are refused; libyaml by itself lets them all through.
struct YAMLReader: ~Copyable {
    static let longestFileBytes = 1 << 20
    static let deepestNesting = 32

    private let file: String
    private let bytes: [UInt8]
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private var event = yaml_event_t()
    private(set) var problems: [ConfigProblem] = []

    init(file: String, bytes: [UInt8]) {
        self.file = file
        self.bytes = bytes
        parser = .allocate(capacity: 1)
        parser.initialize(to: yaml_parser_t())
        yaml_parser_initialize(parser)
    }

    deinit {
        yaml_parser_delete(parser)
        parser.deallocate()
    }

    /// The document's top node; nil for an empty file. Problems that let reading go on are kept.
    static func read(
        _ bytes: [UInt8], file: String
    ) throws(ConfigProblem) -> (node: YAMLNode?, problems: [ConfigProblem]) {
        var reader = YAMLReader(file: file, bytes: bytes)
        defer { yaml_event_delete(&reader.event) }
        let node = try reader.document()
        return (node, reader.problems)
    }

    private mutating func document() throws(ConfigProblem) -> YAMLNode? {
        // libyaml keeps the address, so the bytes must stay where they are until the last event.
        let input = UnsafeMutablePointer<UInt8>.allocate(capacity: max(bytes.count, 1))
        input.initialize(repeating: 0, count: max(bytes.count, 1))
        input.update(from: bytes, count: bytes.count)
        defer { input.deallocate() }
        yaml_parser_set_input_string(parser, input, bytes.count)
        try advance()  // the stream's start
        try advance()
        if event.type == YAML_STREAM_END_EVENT { return nil }
        try advance()
        let top = try node(depth: 0)
        try advance()  // the document's end
        guard event.type == YAML_STREAM_END_EVENT else {
            throw problem("a second document begins here; keep everything in one document")
        }
        return top
    }

    /// Reads the node whose first event is the current one; afterwards the event behind it is.
    private mutating func node(
        depth: Int, isKey: Bool = false
    ) throws(ConfigProblem) -> YAMLNode {
        guard depth < Self.deepestNesting else { throw problem("nested too deep") }
        let place = here
        switch event.type {
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            try refuse(anchor: scalar.anchor, tag: scalar.tag)
            var text = self.text(scalar.value, scalar.length)
            let isPlain = scalar.style == YAML_PLAIN_SCALAR_STYLE
            if isPlain {
                text = try withoutStrangers(text, isKey: isKey, at: event.start_mark)
            }
            try advance()
            return YAMLNode(content: .scalar(text, isPlain: isPlain), place: place)
        case YAML_SEQUENCE_START_EVENT:
            let start = event.data.sequence_start
            try refuse(anchor: start.anchor, tag: start.tag)
            try advance()
            var items: [YAMLNode] = []
            while event.type != YAML_SEQUENCE_END_EVENT { items.append(try node(depth: depth + 1)) }
            try advance()
            return YAMLNode(content: .list(items), place: place)
        case YAML_MAPPING_START_EVENT:
            let start = event.data.mapping_start
            try refuse(anchor: start.anchor, tag: start.tag)
            try advance()
            let entries = try self.entries(depth: depth)
            return YAMLNode(content: .map(entries), place: place)
        case YAML_ALIAS_EVENT:
            throw problem("aliases (`*name`) are not supported; write the value out")
        default:
            throw problem("not a value")
        }
    }

    private mutating func entries(depth: Int) throws(ConfigProblem) -> [YAMLNode.Entry] {
        var entries: [YAMLNode.Entry] = []
        while event.type != YAML_MAPPING_END_EVENT {
            guard event.type == YAML_SCALAR_EVENT else {
                throw problem("a key must be a plain word")
            }
            let place = here
            guard case .scalar(let key, _) = try node(depth: depth + 1, isKey: true).content
            else {
                throw problem("a key must be a plain word")
            }
            let value = try node(depth: depth + 1)
            if let first = entries.first(where: { $0.key == key }) {
                let what =
                    "`\(key)` stands here a second time (first at \(first.keyPlace)); keep one"
                problems.append(ConfigProblem(place: place, what: what))
                continue
            }
            entries.append(YAMLNode.Entry(key: key, keyPlace: place, value: value))
        }
        try advance()
        return entries
    }

    private func refuse(
        anchor: UnsafePointer<yaml_char_t>?, tag: UnsafePointer<yaml_char_t>?
    ) throws(ConfigProblem) {
        if anchor != nil {
            throw problem("anchors (`&name`) are not supported; write the value out")
        }
        if tag != nil { throw problem("tags (`!name`) are not supported; leave it out") }
    }

    private mutating func advance() throws(ConfigProblem) {
        yaml_event_delete(&event)
        guard yaml_parser_parse(parser, &event) == 1 else {
            let mistake = YAMLMistake(parser.pointee, bytes)
            throw ConfigProblem(
                place: .file(file, line: mistake.line, column: mistake.column), what: mistake.what)
        }
    }

    /// What word processors and web pages leave around a word: to YAML it is part of the text. No key
    /// has any of it; a value may (`Stadtwerke „Nord“`), unless false quotes stand around all of it.
    ///
    /// - Throws: for a blank that is none around a key: its line stands elsewhere than it seems to.
    private mutating func withoutStrangers(
        _ text: String, isKey: Bool, at mark: yaml_mark_t
    ) throws(ConfigProblem) -> String {
        var scalars = Array(text.unicodeScalars)
        func place(_ index: Int) -> ConfigPlace {
            .file(file, line: Int(mark.line) + 1, column: Int(mark.column) + 1 + index)
        }
        for index in [0, scalars.count - 1] where isKey && scalars.indices.contains(index) {
            guard YAMLMistake.falseBlanks.contains(scalars[index]) else { continue }
            throw ConfigProblem(
                place: place(index),
                what: "\(YAMLMistake.name(scalars[index])) is no blank to YAML; type a real one")
        }
        let isFirst = scalars.first.map(YAMLMistake.falseQuotes.contains) ?? false
        let isLast = scalars.last.map(YAMLMistake.falseQuotes.contains) ?? false
        guard isFirst && isLast || isKey && (isFirst || isLast) else { return text }
        let index = isFirst ? 0 : scalars.count - 1
        problems.append(
            ConfigProblem(
                place: place(index),
                what:
                    "\(YAMLMistake.name(scalars[index])) quotes nothing in YAML; type \" or ', around "
                    + "it too where it belongs to the value"))
        if isLast { scalars.removeLast() }
        if isFirst, !scalars.isEmpty { scalars.removeFirst() }
        var rest = String.UnicodeScalarView()
        rest.append(contentsOf: scalars)
        return String(rest)
    }

    private var here: ConfigPlace { place(event.start_mark) }

    private func place(_ mark: yaml_mark_t) -> ConfigPlace {
        .file(file, line: Int(mark.line) + 1, column: Int(mark.column) + 1)
    }

    private func problem(_ what: String) -> ConfigProblem {
        ConfigProblem(place: here, what: what)
    }

    private func text(_ start: UnsafeMutablePointer<yaml_char_t>?, _ count: Int) -> String {
        String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
    }
}
