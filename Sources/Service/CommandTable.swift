/// How a program ends.
package enum ExitCode: Int32, CaseIterable, Sendable {
    case done = 0
    case failed = 1
    /// The command line or the configuration is wrong.
    case usage = 2
    /// The daemon could not be reached.
    case unreachable = 3
    case refused = 4
    case timedOut = 5
    case someFailed = 7
}

/// The commands of a program: one table for parsing, help and completion.
///
/// Every program understands `--help`, `--version`, `--json`, `--log-level LEVEL` and
/// `--log-format FORMAT` beside what its commands take.
package struct CommandTable: Sendable {
    package struct Flag: Hashable, Sendable {
        package let name: String
        /// The word for its value in the help; nil for a switch.
        package let value: String?
        package let about: String
        package let isRequired: Bool

        /// `Flag("--config", "FILE", "…")`, `Flag("--watch", "…")`.
        package init(_ name: String, _ value: String, _ about: String, isRequired: Bool = false) {
            self.name = name
            self.value = value
            self.about = about
            self.isRequired = isRequired
        }

        package init(_ name: String, _ about: String) {
            self.name = name
            value = nil
            self.about = about
            isRequired = false
        }
    }

    package struct Command: Hashable, Sendable {
        /// One or two words: `serve`, `config check`.
        package let name: String
        /// Words for the arguments; one in brackets may be left out, one with `…` may be repeated.
        package let arguments: [String]
        package let flags: [Flag]
        package let about: String

        package init(
            _ name: String, arguments: [String] = [], flags: [Flag] = [], _ about: String
        ) {
            self.name = name
            self.arguments = arguments
            self.flags = flags
            self.about = about
        }
    }

    package let program: String
    package let version: String
    package let about: String
    package let examples: [String]
    package let commands: [Command]
    /// What the manual page says beside the commands; nil without a page.
    package let manual: Manual?

    package init(
        program: String, version: String, about: String, examples: [String] = [],
        commands: [Command], manual: Manual? = nil
    ) {
        self.program = program
        self.version = version
        self.about = about
        self.examples = examples
        self.commands = commands
        self.manual = manual
    }

    package enum Outcome: Hashable, Sendable {
        case run(Invocation)
        /// Print it on standard output and end with `.done`.
        case help(String)
        /// Print it on standard error and end with `.usage`.
        case wrong(String)
    }

    /// A command line that fits the table.
    package struct Invocation: Hashable, Sendable {
        package let command: String
        package let arguments: [String]
        package let values: [String: String]
        package let switches: Set<String>

        package func value(_ flag: String) -> String? { values[flag] }
        package func has(_ flag: String) -> Bool { switches.contains(flag) }
        package var isJSON: Bool { has("--json") }
        package var logLevel: Log.Level {
            values["--log-level"].flatMap(Log.Level.init(rawValue:)) ?? .info
        }
        package var logFormat: Log.Format {
            values["--log-format"].flatMap(Log.Format.init(rawValue:)) ?? .usual
        }
    }

    package static let everywhere = [
        Flag("--help", "show this help"),
        Flag("--version", "show the version"),
        Flag("--json", "print data as one JSON document"),
        Flag("--log-level", "LEVEL", "debug, info, notice, warning or error (info)"),
        Flag(
            "--log-format", "FORMAT", "logfmt, json or journal (journal under systemd, else logfmt)"
        ),
    ]

    /// Packages make their pages and completions by these, and who copied the program alone.
    static let hidden = Command(
        "help",
        flags: [
            Flag("--man", "PAGE", "print a manual page"),
            Flag("--completion", "SHELL", "print completions: bash, zsh or fish"),
        ], "show this help")

    /// Reads a command line; `words` are without the program's name.
    package func parse(_ words: [String]) -> Outcome {
        var plain: [String] = []
        var flags: [(name: String, value: String?)] = []
        var rest = words[...]
        while let word = rest.popFirst() {
            if word == "--" {
                plain += rest
                break
            }
            // A number below zero is no option; whoever wants one says what is wrong with it.
            let isNumber = word.utf8.dropFirst().first.map { (0x30...0x39).contains($0) } ?? false
            guard word.hasPrefix("-"), word.count > 1, !isNumber else {
                plain.append(word)
                continue
            }
            let name = ["-h": "--help", "-c": "--config"][word] ?? word
            let parts = name.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let flag = anyFlag(String(parts[0])) else {
                return .wrong(unknown(String(parts[0]), among: allFlags.map(\.name), "option"))
            }
            if flag.value == nil {
                guard parts.count == 1 else { return wrong("\(flag.name) takes no value") }
                flags.append((flag.name, nil))
            } else if parts.count == 2 {
                flags.append((flag.name, String(parts[1])))
            } else {
                guard let value = rest.popFirst() else {
                    return wrong("\(flag.name) needs \(flag.value ?? "a value")")
                }
                flags.append((flag.name, value))
            }
        }
        return outcome(plain, flags)
    }

    /// The help of the program, or of one command.
    package func help(for name: String? = nil) -> String {
        guard let command = commands.first(where: { $0.name == name }) else {
            let width = commands.map { usage($0).count }.max() ?? 0
            let lines = commands.map { "  \(padded(usage($0), width))  \($0.about)" }
            let shown = examples.isEmpty ? [] : ["", "Examples:"] + examples.map { "  \($0)" }
            return
                (["\(program): \(about)", "", "Commands:"] + lines + shown
                + ["", "Everywhere:"] + listed(Self.everywhere)
                + ["", "After `help`:"] + listed(Self.hidden.flags)
                + ["  (PAGE: \(pageNames))"]).joined(separator: "\n")
        }
        let own = command.flags.isEmpty ? [] : ["", "Options:"] + listed(command.flags)
        return
            (["\(program) \(usage(command))", "", command.about] + own
            + ["", "Everywhere:"] + listed(Self.everywhere)).joined(separator: "\n")
    }
}

extension CommandTable {
    private func outcome(
        _ plain: [String], _ flags: [(name: String, value: String?)]
    ) -> Outcome {
        let names = Set(flags.map(\.name))
        if names.contains("--version") { return .help("\(program) \(version)") }
        let command = command(plain)
        if plain == ["help"], let printed = generated(flags) { return printed }
        if names.contains("--help") || plain == ["help"] { return .help(help(for: command?.name)) }
        guard let command else {
            guard !plain.isEmpty else { return .wrong(help()) }
            let word = plain.prefix(2).joined(separator: " ")
            return .wrong(unknown(word, among: commands.map(\.name), "command"))
        }
        let arguments = Array(plain.dropFirst(command.name.split(separator: " ").count))
        let allowed = Set((command.flags + Self.everywhere).map(\.name))
        if let stray = flags.first(where: { !allowed.contains($0.name) }) {
            return .wrong(unknown(stray.name, among: allowed.sorted(), "option of \(command.name)"))
        }
        if let missing = command.flags.first(where: { $0.isRequired && !names.contains($0.name) }) {
            return wrong("\(command.name) needs \(missing.name) \(missing.value ?? "")", command)
        }
        if let problem = misfit(arguments, command) { return wrong(problem, command) }
        for (name, value) in flags {
            switch name {
            case "--log-level" where Log.Level(rawValue: value ?? "") == nil,
                "--log-format" where Log.Format(rawValue: value ?? "") == nil:
                return wrong("\(name) does not know \(value ?? "")", command)
            default: break
            }
        }
        return .run(
            Invocation(
                command: command.name, arguments: arguments,
                values: Dictionary(
                    flags.compactMap { flag in flag.value.map { (flag.name, $0) } },
                    uniquingKeysWith: { _, last in last }),
                switches: Set(flags.filter { $0.value == nil }.map(\.name))))
    }

    /// The command whose words begin the line; the longest name wins.
    private func command(_ plain: [String]) -> Command? {
        commands.filter { plain.starts(with: $0.name.split(separator: " ").map(String.init)) }
            .max { $0.name.count < $1.name.count }
    }

    private func misfit(_ arguments: [String], _ command: Command) -> String? {
        let least = command.arguments.count { !$0.hasPrefix("[") }
        if arguments.count < least {
            return "\(command.name) needs \(command.arguments[arguments.count])"
        }
        let isOpen = command.arguments.last?.contains("…") ?? false
        if arguments.count > command.arguments.count, !isOpen {
            return "\(command.name) does not know what to do with "
                + Log.quoted(arguments[command.arguments.count])
        }
        return nil
    }

    private var allFlags: [Flag] {
        Self.everywhere + commands.flatMap(\.flags) + Self.hidden.flags
    }

    /// What `help --man PAGE` and `help --completion SHELL` print.
    private func generated(_ flags: [(name: String, value: String?)]) -> Outcome? {
        for (name, value) in flags {
            let word = value ?? ""
            switch name {
            case "--man":
                guard let page = page(word) else {
                    return wrong("--man does not know \(word); known are \(pageNames)")
                }
                return .help(page)
            case "--completion":
                guard let shell = Shell(rawValue: word) else {
                    return wrong("--completion does not know \(word); say bash, zsh or fish")
                }
                return .help(completion(for: shell))
            default: break
            }
        }
        return nil
    }

    private func anyFlag(_ name: String) -> Flag? { allFlags.first { $0.name == name } }

    private func wrong(_ what: String, _ command: Command? = nil) -> Outcome {
        let use = command.map { "\nuse: \(program) \(usage($0))" } ?? ""
        return .wrong("\(program): \(what)\(use)")
    }

    private func unknown(_ word: String, among known: [String], _ kind: String) -> String {
        let hint = Spelling.nearest(to: word, among: known).map { "did you mean `\($0)`?" }
        return "\(program): unknown \(kind) `\(word)`; \(hint ?? "see \(program) --help")"
    }

    func usage(_ command: Command) -> String {
        ([command.name] + command.arguments
            + command.flags.filter(\.isRequired).map { "\($0.name) \($0.value ?? "")" })
            .joined(separator: " ")
    }

    private func listed(_ flags: [Flag]) -> [String] {
        let names = flags.map { "\($0.name) \($0.value ?? "")" }
        let width = names.map(\.count).max() ?? 0
        return zip(names, flags).map { "  \(padded($0, width))  \($1.about)" }
    }

    private func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}
