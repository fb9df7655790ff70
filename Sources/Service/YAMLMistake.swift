import CYAML

/// What libyaml could not read, in words that name the mend.
struct YAMLMistake {
    /// Where it is to be seen, from 1.
    let line: Int
    let column: Int
    let what: String

    /// Typographic quotes: they look like quotes and are letters.
    static let falseQuotes: Set<Unicode.Scalar> = [
        "\u{2018}", "\u{2019}", "\u{201A}", "\u{201B}", "\u{201C}", "\u{201D}", "\u{201E}",
        "\u{201F}", "\u{AB}", "\u{BB}", "\u{2039}", "\u{203A}",
    ]
    /// They look like blanks, or like nothing, and are letters.
    static let falseBlanks: Set<Unicode.Scalar> = [
        "\u{A0}", "\u{2002}", "\u{2003}", "\u{2007}", "\u{2009}", "\u{200B}", "\u{202F}",
        "\u{3000}", "\u{FEFF}",
    ]

    /// libyaml's own words, and ours: where it wonders is often not where the mistake is.
    private static let mends: [String: String] = [
        "mapping values are not allowed in this context":
            "no `key: value` can stand here: the line before lacks its `:`, this one is indented "
            + "deeper than its neighbours, or a value with `: ` in it needs quotes",
        "did not find expected key":
            "this line stands neither beside the keys above nor below them; indent it as they are",
        "could not find expected ':'": "a line without `:`; write `key: value`",
        "did not find expected '-' indicator":
            "the list above goes on with `- ` lines; indent this line as the others of its item",
        "block sequence entries are not allowed in this context":
            "a list's `- ` begins on a line of its own, below its key",
        "found unknown escape character":
            "in double quotes a backslash begins an escape; use single quotes",
        "did not find expected <document start>":
            "a value stands here already; write one `key: value` a line",
        "found a tab character that violates indentation": "a tab cannot indent; type blanks",
        "found a tab character where an indentation space is expected":
            "a tab cannot indent; type blanks",
        "did not find expected node content": "a value or a closing bracket is missing here",
    ]

    /// - Parameter bytes: the file's.
    init(_ parser: yaml_parser_t, _ bytes: [UInt8]) {
        let raw = parser.problem.map { String(cString: $0) } ?? "not YAML"
        if parser.error == YAML_READER_ERROR {
            (line, column) = Self.place(of: parser.problem_offset, in: bytes)
            what = Self.coding(raw, UInt32(bitPattern: parser.problem_value))
            return
        }
        let opened = parser.context_mark
        let isOpen = raw.hasPrefix("did not find expected ',' or")
        if raw == "found unexpected end of stream", parser.context != nil {
            (line, column) = (Int(opened.line) + 1, Int(opened.column) + 1)
            what = "the quote that opens here is never closed"
            return
        }
        let mark = parser.problem_mark
        (line, column) = (Int(mark.line) + 1, Int(mark.column) + 1)
        if isOpen {
            let bracket = raw.hasSuffix("']'") ? "[" : "{"
            what =
                "the `\(bracket)` of line \(opened.line + 1) is not closed before here; a `,` or "
                + "`\(bracket == "[" ? "]" : "}")` is missing"
        } else if raw == "found character that cannot start any token" {
            what = Self.start(Self.character(line, column, bytes))
        } else {
            what = Self.mends[raw] ?? "no YAML: \(raw); check indentation, quotes and brackets"
        }
    }

    /// `the typographic quote “ (U+201C)`
    static func name(_ scalar: Unicode.Scalar) -> String {
        let digits = String(scalar.value, radix: 16, uppercase: true)
        let code = String(repeating: "0", count: max(0, 4 - digits.count)) + digits
        if falseQuotes.contains(scalar) { return "the typographic quote \(scalar) (U+\(code))" }
        return "the character U+\(code)"
            + (falseBlanks.contains(scalar) ? ", which nobody sees," : "")
    }

    private static func start(_ character: Unicode.Scalar?) -> String {
        switch character {
        case "\t": "a tab cannot indent; type blanks"
        case let character?: "no value begins with `\(character)`; put it in quotes"
        case nil: "no value begins so; put it in quotes"
        }
    }

    /// Bytes that are no UTF-8, and those that no text has.
    private static func coding(_ raw: String, _ value: UInt32) -> String {
        let hex = "0x\(String(value & 0xFF, radix: 16, uppercase: true))"
        guard raw.contains(text: "UTF-8") else {
            return
                "the control character U+\(String(value, radix: 16, uppercase: true)) is no text; "
                + "remove it"
        }
        let windows: [UInt32: Unicode.Scalar] = [
            0x82: "\u{201A}", 0x84: "\u{201E}", 0x91: "\u{2018}", 0x92: "\u{2019}",
            0x93: "\u{201C}", 0x94: "\u{201D}", 0xAB: "\u{AB}", 0xBB: "\u{BB}",
        ]
        if let quote = windows[value] {
            return
                "the byte \(hex) is no UTF-8, but Windows' typographic quote \(quote); type \" or ', "
                + "and save the file as UTF-8"
        }
        return "the byte \(hex) is no UTF-8; save the file as UTF-8"
    }

    private static func place(of offset: Int, in bytes: [UInt8]) -> (Int, Int) {
        var (line, column) = (1, 1)
        for byte in bytes.prefix(offset) {
            if byte == 0x0A {
                (line, column) = (line + 1, 1)
            } else if byte & 0xC0 != 0x80 {
                column += 1
            }
        }
        return (line, column)
    }

    private static func character(_ line: Int, _ column: Int, _ bytes: [UInt8]) -> Unicode.Scalar? {
        let lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
        guard lines.indices.contains(line - 1) else { return nil }
        return String(decoding: lines[line - 1], as: UTF8.self).unicodeScalars
            .dropFirst(column - 1).first
    }
}
