import Testing

@testable import Service

private let table = CommandTable(
    program: "kerb-x", version: "1.2.3", about: "an example",
    commands: [
        .init("serve", flags: [.init("--config", "FILE", "the file")], "runs"),
        .init("config check", arguments: ["FILE"], "checks it's-a path C:\\x"),
    ],
    manual: Manual(
        description: [".dot first"], files: [("/etc/x", "what it is")], seeAlso: ["y(5)"],
        pages: ["x.yaml": { "the page" }]))

@Suite struct `A manual` {
    private func printed(_ line: String) -> String {
        switch table.parse(line.split(separator: " ").map(String.init)) {
        case .run: "runs"
        case .help(let text): text
        case .wrong(let text): "wrong: \(text)"
        }
    }

    @Test func `has every command, option and exit status of the table`() {
        let page = printed("help --man kerb-x")
        #expect(page.hasPrefix(".TH \"KERB\\-X\" 1"))
        for word in ["\\fBserve\\fR", "\\fB\\-\\-config\\fR \\fIFILE\\fR", "\\fB\\-\\-json\\fR"] {
            #expect(page.contains(word), "\(word)")
        }
        for code in ExitCode.allCases { #expect(page.contains("\\fB\(code.rawValue)\\fR")) }
    }

    @Test func `lets no text begin a request or a command of its own`() {
        let page = printed("help --man kerb-x")
        #expect(page.contains("\n\\&.dot first"))
        #expect(page.contains("C:\\ex"))
    }

    @Test func `prints further pages and names them when asked for an unknown one`() {
        #expect(printed("help --man x.yaml") == "the page")
        #expect(printed("help --man z").contains("known are kerb-x, x.yaml"))
    }

    @Test func `of a configuration has every key with range and default`() {
        let page = Configuration.manual(name: "x.yaml", program: "kerb-x", about: "keys") {
            section in
            _ = section.list("buses", about: "lines") { bus in
                _ = bus.int("baud", default: 9600, in: 300...115_200, about: "how fast")
            }
            _ = section.text("name", about: "who")
        }
        #expect(page.contains("\\fBbuses[].baud\\fR\nhow fast. A whole number from 300 to 115200."))
        #expect(page.contains("Default 9600."))
        #expect(page.contains("\\fBname\\fR\nwho. A text. Required."))
    }

    @Test(arguments: ["bash", "zsh", "fish"])
    func `makes completions that know every command and option`(_ shell: String) {
        let text = printed("help --completion \(shell)")
        for word in ["serve", "check", "config", "log-level", "warning"] {
            #expect(text.contains(word), "\(word)")
        }
    }

    @Test func `is named in the program's help, with its pages`() {
        let help = printed("--help")
        #expect(help.contains("After `help`:\n  --man PAGE"))
        #expect(help.contains("--completion SHELL") && help.contains("(PAGE: kerb-x, x.yaml)"))
        #expect(!printed("serve --help").contains("--man"))
        #expect(printed("help --completion tcsh").hasPrefix("wrong: "))
        #expect(printed("serve --man x").hasPrefix("wrong: "))
    }
}
