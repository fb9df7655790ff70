/// What a manual page says beside the commands, which the table knows.
package struct Manual: Sendable {
    /// Paragraphs of DESCRIPTION.
    package let description: [String]
    /// Files and what they are for.
    package let files: [(path: String, about: String)]
    /// Further lists, each under its title.
    package let sections: [(title: String, entries: [(term: String, about: String)])]
    /// `edge.yaml(5)`.
    package let seeAlso: [String]
    /// Further pages by name: `edge.yaml`.
    package let pages: [String: @Sendable () -> String]

    package init(
        description: [String], files: [(path: String, about: String)] = [],
        sections: [(title: String, entries: [(term: String, about: String)])] = [],
        seeAlso: [String] = [], pages: [String: @Sendable () -> String] = [:]
    ) {
        self.description = description
        self.files = files
        self.sections = sections
        self.seeAlso = seeAlso
        self.pages = pages
    }
}

/// Text in the language of `man`, line by line.
struct Roff {
    private(set) var text: String

    init(name: String, section: Int, source: String) {
        text = ".TH \"\(Self.escaped(name.uppercased()))\" \(section) \"\" \"\(source)\" \"Kerb\"\n"
    }

    mutating func heading(_ title: String) { text += ".SH \(title)\n" }
    mutating func paragraph(_ words: String) { text += ".PP\n\(Self.escaped(words))\n" }

    /// A term with its explanation indented below; `term` is already marked up.
    mutating func entry(_ term: String, _ about: String) {
        text += ".TP\n\(term)\n\(Self.escaped(about))\n"
    }

    mutating func indented(_ body: (inout Roff) -> Void) {
        text += ".RS\n"
        body(&self)
        text += ".RE\n"
    }

    mutating func example(_ line: String) { text += ".PP\n.EX\n\(Self.escaped(line))\n.EE\n" }
    mutating func line(_ words: String) { text += Self.escaped(words) + "\n" }
    mutating func raw(_ words: String) { text += words + "\n" }

    static func bold(_ words: String) -> String { "\\fB\(escaped(words))\\fR" }
    static func italic(_ words: String) -> String { "\\fI\(escaped(words))\\fR" }

    /// A backslash begins a command, a bare minus may become a hyphen, a dot at the start of a line
    /// is a request.
    static func escaped(_ words: String) -> String {
        var out = ""
        for scalar in words.unicodeScalars {
            switch scalar {
            case "\\": out += "\\e"
            case "-": out += "\\-"
            case "…": out += "..."
            case ".", "'":
                out += out.isEmpty || out.hasSuffix("\n") ? "\\&" : ""
                out.unicodeScalars.append(scalar)
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out
    }
}

extension CommandTable {
    var pageNames: String {
        ([program] + (manual?.pages.keys.sorted() ?? [])).joined(separator: ", ")
    }

    /// A manual page by its name: the program's own, or a file's format.
    func page(_ name: String) -> String? {
        name == program ? programPage : manual?.pages[name]?()
    }

    private var programPage: String {
        var page = Roff(name: program, section: 1, source: "\(program) \(version)")
        page.heading("NAME")
        page.raw("\(Roff.escaped(program)) \\- \(Roff.escaped(about))")
        page.heading("SYNOPSIS")
        page.raw(
            "\(Roff.bold(program)) \(Roff.italic("COMMAND")) [\(Roff.italic("OPTION"))...] "
                + "[\(Roff.italic("ARGUMENT"))...]")
        page.heading("DESCRIPTION")
        for paragraph in manual?.description ?? [] { page.paragraph(paragraph) }
        page.heading("COMMANDS")
        for command in commands {
            page.entry(terms(command), sentence(command.about))
            guard !command.flags.isEmpty else { continue }
            page.indented { page in
                for flag in command.flags { page.entry(term(flag), sentence(flag.about)) }
            }
        }
        page.heading("OPTIONS")
        page.paragraph("Every command understands these.")
        for flag in Self.everywhere { page.entry(term(flag), sentence(flag.about)) }
        page.heading("EXIT STATUS")
        for code in ExitCode.allCases { page.entry(Roff.bold("\(code.rawValue)"), code.about) }
        for (title, entries) in manual?.sections ?? [] {
            page.heading(title)
            for (term, about) in entries { page.entry(Roff.bold(term), about) }
        }
        if let files = manual?.files, !files.isEmpty {
            page.heading("FILES")
            for (path, about) in files { page.entry(Roff.italic(path), sentence(about)) }
        }
        if !examples.isEmpty {
            page.heading("EXAMPLES")
            for example in examples { page.example(example) }
        }
        if let others = manual?.seeAlso, !others.isEmpty {
            page.heading("SEE ALSO")
            page.line(others.joined(separator: ", "))
        }
        return page.text.trimmedEnd
    }

    private func terms(_ command: Command) -> String {
        ([Roff.bold(command.name)] + command.arguments.map(Roff.italic)).joined(separator: " ")
    }

    private func term(_ flag: Flag) -> String {
        Roff.bold(flag.name) + (flag.value.map { " " + Roff.italic($0) } ?? "")
    }

    private func sentence(_ words: String) -> String {
        (words.first?.uppercased() ?? "") + words.dropFirst() + "."
    }
}

extension String {
    /// `print` adds the last line feed again.
    var trimmedEnd: String { hasSuffix("\n") ? String(dropLast()) : self }
}

extension ExitCode {
    var about: String {
        switch self {
        case .done: "Done."
        case .failed: "It failed; standard error says why."
        case .usage:
            "The command line or the configuration is wrong; what is wrong and the mend are named "
                + "with file, line and column."
        case .unreachable: "The daemon could not be reached."
        case .refused: "The daemon refused."
        case .timedOut: "No answer came in time."
        case .someFailed: "Some of what was asked failed; each is named."
        }
    }
}
