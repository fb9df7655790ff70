/// Sets keys in the text of a configuration and leaves all else as a person wrote it, comments and
/// order included.
package struct ConfigEdit: Hashable, Sendable {
    /// What is not understood well enough to be changed.
    package struct Refusal: Error, Hashable, Sendable, CustomStringConvertible {
        /// Counted from 1.
        package let line: Int
        package let what: String
        package var description: String { "line \(line): \(what)" }
    }

    private var lines: [String]

    package init(_ text: String) {
        lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        // The last line's end is no line of its own.
        if lines.last?.isEmpty == true { lines.removeLast() }
    }

    package var text: String { lines.isEmpty ? "" : lines.joined(separator: "\n") + "\n" }

    /// Sets a key at the top; a new one comes first.
    package mutating func set(_ key: String, _ value: String) throws(Refusal) {
        let line = "\(key): \(Self.quoted(value))"
        guard let index = lines.indices.first(where: { Self.key(lines[$0], indent: 0) == key })
        else {
            lines.insert(line, at: 0)
            return
        }
        try refuseMore(index, key)
        lines[index] = line
    }

    /// Sets a key of a section; nil takes it away. Both may be new.
    package mutating func set(
        _ key: String, of section: String, _ value: String?
    ) throws(Refusal) {
        if !lines.contains(where: { Self.key($0, indent: 0) == section }) {
            lines.append("\(section):")
        }
        guard let head = lines.firstIndex(where: { Self.key($0, indent: 0) == section }) else {
            return
        }
        guard Self.value(lines[head]).isEmpty else {
            throw Refusal(
                line: head + 1, what: "write `\(section):` with one key a line below it")
        }
        var body: [Int] = []
        for index in (head + 1)..<lines.count {
            if Self.isCode(lines[index]) {
                guard lines[index].hasPrefix(" ") else { break }
                body.append(index)
            }
        }
        let indent = body.first.map { lines[$0].prefix { $0 == " " }.count } ?? 2
        let place = body.first { Self.key(lines[$0], indent: indent) == key }
        let line = value.map {
            String(repeating: " ", count: indent) + "\(key): \(Self.quoted($0))"
        }
        switch (place, line) {
        case (let place?, let line?):
            try refuseMore(place, key)
            lines[place] = line
        case (let place?, nil):
            try refuseMore(place, key)
            lines.remove(at: place)
        case (nil, let line?): lines.insert(line, at: head + 1)
        case (nil, nil): break
        }
    }

    /// A value over several lines would be cut in two.
    private func refuseMore(_ index: Int, _ key: String) throws(Refusal) {
        let value = Self.value(lines[index])
        let indent = lines[index].prefix { $0 == " " }.count
        let next = lines[(index + 1)...].first(where: Self.isCode)
        let goesOn = next.map { $0.prefix { $0 == " " }.count > indent } ?? false
        if goesOn || value.hasPrefix("|") || value.hasPrefix(">") {
            throw Refusal(line: index + 1, what: "write the value of `\(key)` on one line")
        }
    }

    private static func isCode(_ line: String) -> Bool {
        guard let first = line.first(where: { $0 != " " && $0 != "\r" && $0 != "\t" }) else {
            return false
        }
        return first != "#"
    }

    /// The key that a line at this depth sets; nil for all others.
    private static func key(_ line: String, indent: Int) -> String? {
        guard isCode(line), line.prefix(while: { $0 == " " }).count == indent,
            let colon = line.firstIndex(of: ":")
        else { return nil }
        let after = line[line.index(after: colon)...].first
        guard after == nil || after == " " || after == "\r" else { return nil }
        return String(line[..<colon].filter { $0 != " " && $0 != "\"" && $0 != "'" })
    }

    /// What stands behind the key, without a comment.
    private static func value(_ line: String) -> Substring {
        guard let colon = line.firstIndex(of: ":") else { return "" }
        let rest = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\r" }
        return rest.hasPrefix("#") ? "" : rest
    }

    /// Quoted where YAML could take it for something else.
    private static func quoted(_ text: String) -> String {
        let isPlain =
            !text.isEmpty
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "/"),
                    UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: ":"):
                    true
                default: false
                }
            } && text.first != "-" && text.last != ":"
        return isPlain ? text : Log.quoted(text)
    }
}
