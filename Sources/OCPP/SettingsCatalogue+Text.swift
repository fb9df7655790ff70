import JSON

extension SettingsCatalogue {
    /// The keys for a reader: name, access or that no board has it, what may be written, whether it counts after a restart only,
    /// and the value before anybody wrote one. A line a key, columns aligned.
    package var text: String {
        let head = ["key", "access", "value", "restart", "standard"]
        let rows =
            [head]
            + definitions.map { key in
                [
                    key.key, key.isOffered ? key.access.text : "not offered", key.kind.text,
                    key.needsReboot ? "yes" : "",
                    key.standard ?? "",
                ]
            }
        let widths = head.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        let lines = rows.map { row in
            var line = ""
            for (text, width) in zip(row, widths) {
                line += text + String(repeating: " ", count: width - text.count + 2)
            }
            while line.last == " " { line.removeLast() }
            return line
        }
        return lines.joined(separator: "\n")
    }

    /// The same for a program: `[{key, isOffered, access, value, needsReboot, standard}]`.
    package var json: JSONValue {
        .array(
            definitions.map { key in
                .members([
                    "key": .string(key.key), "isOffered": .bool(key.isOffered),
                    "access": .string(key.access.text),
                    "value": .string(key.kind.text), "needsReboot": .bool(key.needsReboot),
                    "standard": key.standard.map { .string($0) } ?? .null,
                ])
            })
    }
}

extension SettingsCatalogue.Access {
    package var text: String {
        switch self {
        case .readOnly: "read"
        case .readWrite: "read, write"
        case .writeOnly: "write"
        }
    }
}

extension SettingsCatalogue.Kind {
    /// What may be written, in a few words.
    package var text: String {
        switch self {
        case .boolean: "true, false"
        case .integer(let range): "\(range.lowerBound)-\(range.upperBound)"
        case .list(let words):
            words.isEmpty ? "list" : "list of " + words.sorted().joined(separator: ", ")
        case .suffixed: "list of measurands, each with or without .PHASE"
        case .text(let maximum): "text, at most \(maximum) characters"
        case .hexadecimal(let digits):
            "\(digits.lowerBound) to \(digits.upperBound) hexadecimal digits"
        }
    }
}
