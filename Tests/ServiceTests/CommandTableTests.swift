import Testing

@testable import Service

private let table = CommandTable(
    program: "kerb-x", version: "1.2.3", about: "an example",
    commands: [
        .init("serve", flags: [.init("--config", "FILE", "the file", isRequired: true)], "runs"),
        .init("read", flags: [.init("--watch", "again and again")], "reads"),
        .init("config check", arguments: ["FILE"], "checks"),
        .init("probe", arguments: ["BUS", "[UNIT…]"], "probes"),
    ])

@Suite struct `A command table` {
    private func run(_ line: String) -> CommandTable.Invocation? {
        if case .run(let invocation) = table.parse(line.split(separator: " ").map(String.init)) {
            invocation
        } else {
            nil
        }
    }

    private func text(_ line: String) -> String {
        switch table.parse(line.split(separator: " ").map(String.init)) {
        case .run: "runs"
        case .help(let text): "help: \(text)"
        case .wrong(let text): "wrong: \(text)"
        }
    }

    @Test func `takes values after a blank or an equals sign`() {
        #expect(run("serve --config a.yaml")?.value("--config") == "a.yaml")
        #expect(run("serve --config=a.yaml --json")?.value("--config") == "a.yaml")
        #expect(run("serve -c a.yaml --json")?.isJSON == true)
        #expect(run("--log-level debug read --watch")?.logLevel == .debug)
        #expect(run("read --watch")?.has("--watch") == true)
    }

    @Test func `takes a number below zero for an argument, and no other word with a dash`() {
        #expect(run("config check -5")?.arguments == ["-5"])
        #expect(text("config check -x").hasPrefix("wrong: "))
    }

    @Test func `finds commands of two words and their arguments`() {
        #expect(run("config check a.yaml")?.arguments == ["a.yaml"])
        #expect(run("probe bus1 1 2 3")?.arguments == ["bus1", "1", "2", "3"])
        #expect(run("probe -- --odd")?.arguments == ["--odd"])
    }

    @Test(arguments: [
        ("serv --config x", "unknown command `serv`; did you mean `serve`?"),
        ("serve --confg x", "unknown option `--confg`; did you mean `--config`?"),
        ("read --config x", "unknown option of read `--config`"),
        ("serve", "serve needs --config FILE"),
        ("serve --config", "--config needs FILE"),
        ("read --watch=yes", "--watch takes no value"),
        ("config check", "config check needs FILE"),
        ("config check a b", "config check does not know what to do with \"b\""),
        ("read --log-level loud", "--log-level does not know loud"),
        ("", "wrong: kerb-x: an example"),
    ])
    func `names what is wrong and the mend`(_ line: String, _ expected: String) {
        let found = text(line)
        #expect(found.hasPrefix("wrong: "))
        #expect(found.contains(expected), "\(found)")
    }

    @Test func `shows version and help whatever else is missing`() {
        #expect(text("--version") == "help: kerb-x 1.2.3")
        #expect(text("--help").contains("  config check FILE    checks"))
        #expect(text("serve --help").contains("--config FILE"))
        #expect(text("help").hasPrefix("help: kerb-x"))
    }
}
