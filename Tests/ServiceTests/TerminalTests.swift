import Testing

@testable import Service

@Suite struct `A terminal` {
    private let plain = Terminal(isTerminal: false, hasColour: true)
    private let bright = Terminal(isTerminal: true, hasColour: true)

    @Test func `sends no control sequence into a pipe`() {
        #expect(plain.coloured("Faulted", .red) == "Faulted")
        #expect(plain.redrawn("a\nb") == "a\nb\n")
        #expect(plain.cleared == "")
    }

    @Test func `colours and draws over on a terminal`() {
        #expect(bright.coloured("x", .red) == "\u{1B}[31mx\u{1B}[0m")
        #expect(bright.redrawn("a\nb") == "\u{1B}[Ha\u{1B}[K\nb\u{1B}[K\u{1B}[J")
        #expect(Terminal(isTerminal: true, hasColour: false).coloured("x", .red) == "x")
    }

    @Test(
        arguments: [
            (0, 100, "░░░░"), (50, 100, "██░░"), (100, 100, "████"), (200, 100, "████"),
            (-5, 100, "░░░░"), (5, 0, "░░░░"),
        ] as [(Int64, Int64, String)])
    func `draws a share as blocks`(_ part: Int64, _ whole: Int64, _ bar: String) {
        #expect(Terminal.bar(part, of: whole, width: 4) == bar)
    }

    @Test func `draws a course as one column a value`() {
        #expect(Terminal.sparkline([0, 50, 100, 900, -1], most: 100) == "▁▄██▁")
        #expect(Terminal.sparkline([1, 2], most: 0) == "▁▁")
    }
}

@Suite struct `A redactor` {
    private func redacted(_ text: String, _ secrets: String...) -> String {
        Redactor(secrets: secrets.map { Array($0.utf8) }).redacted(text)
    }

    @Test func `takes every secret out, the longest first`() {
        #expect(redacted("a hunter2 b hunter22", "hunter2", "hunter22") == "a [secret] b [secret]")
        #expect(redacted("tail hunter2", "hunter2") == "tail [secret]")
    }

    @Test func `leaves what only begins like a secret, and takes short words for none`() {
        #expect(redacted("hunter hunt", "hunter2", "h") == "hunter hunt")
        #expect(redacted("", "hunter2") == "")
    }
}
