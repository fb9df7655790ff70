import Service
import Testing

@Suite struct `Text within text` {
    @Test(arguments: [
        ("journal.db.damaged-3", ".damaged-", true), ("not yet valid", "not yet valid", true),
        ("damage", ".damaged-", false), ("aab", "ab", true), ("", "a", false), ("abc", "", false),
        ("größe", "öß", true),
    ])
    func `is found byte for byte`(text: String, part: String, isThere: Bool) {
        #expect(text.contains(text: part) == isThere)
    }

    @Test(arguments: [
        ("LED{n}_R", "{n}", ["LED", "_R"]), ("{n}{n}", "{n}", ["", "", ""]),
        ("plain", "{n}", ["plain"]), ("", "{n}", [""]), ("aaa", "aa", ["", "a"]),
    ])
    func `cuts into parts`(text: String, separator: String, parts: [String]) {
        #expect(text.parts(between: separator) == parts)
    }

    @Test func `is cut no more often than asked`() {
        #expect("a://b://c".parts(between: "://", most: 1) == ["a", "b://c"])
    }

    @Test func `gives way to other text`() {
        #expect("a\nb\n".replacing(text: "\n", with: " ") == "a b ")
        #expect("{x}{x}".replacing(text: "{x}", with: "{x}{x}") == "{x}{x}{x}{x}")
    }
}
