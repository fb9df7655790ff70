import Charging
import TestSupport
import Testing

@testable import Service

private enum Profile: String, CaseIterable { case plain, tls }

private struct Settings: Sendable, Equatable {
    var name: String
    var seconds: Int
    var price: Decimal?
    var profile: Profile
    var country: String?
    var tags: [String]
    var url: String
    var meters: [String]

    static func read(_ section: ConfigSection) -> Settings {
        let csms = section.section("csms", about: "the central system")
        return Settings(
            name: section.text("stationID", about: "who we are"),
            seconds: section.int("heartbeatSeconds", default: 300, in: 1...900),
            price: section.decimalOrNil("price"),
            profile: section.choice("profile", default: .tls),
            country: section.textOrNil("countryCode"),
            tags: section.texts("tags", default: ["a"]),
            url: csms.text("url"),
            meters: section.list("meters", atMost: 3) { $0.text("unit", default: "1") })
    }
}

private func parse(
    _ text: String, environment: [String: String] = [:]
) throws(ConfigProblems) -> Configuration<Settings> {
    try Configuration.parse(
        Array(text.utf8), file: "edge.yaml", environment: environment, Settings.read)
}

private func problems(_ text: String, environment: [String: String] = [:]) -> String {
    do throws(ConfigProblems) {
        _ = try parse(text, environment: environment)
        return ""
    } catch { return error.description }
}

private let least = "stationID: A\ncsms: {url: wss://x}\n"

@Suite struct `A configuration` {
    @Test func `takes scalars as they are written until a type asks`() throws {
        let value = try parse(
            """
            stationID: 0123
            countryCode: NO
            heartbeatSeconds: 60
            price: 0.2950
            profile: plain
            tags: [x, "null", 'a b']
            csms:
              url: wss://csms.example/ocpp
            meters:
              - unit: 7
              - {}
            """
        ).value
        #expect(
            value
                == Settings(
                    name: "0123", seconds: 60, price: Decimal("0.295"), profile: .plain,
                    country: "NO", tags: ["x", "null", "a b"], url: "wss://csms.example/ocpp",
                    meters: ["7", "1"]))
    }

    @Test func `takes a key without value for one left out`() throws {
        let value = try parse(least + "heartbeatSeconds:\ncountryCode: ~\ntags: null\n").value
        #expect(value.seconds == 300)
        #expect(value.country == nil)
        #expect(value.tags == ["a"])
    }

    @Test func `finds every mistake in one run, in the order of the file`() {
        let found = problems(
            """
            heartbeatSecond: 5
            profile: open
            price: 1,5
            csms:
              uri: wss://x
            meters:
              - unti: 1
            """)
        let lines = found.split(separator: "\n").map(String.init)
        #expect(
            lines.prefix(2).sorted() == [
                "edge.yaml:1:1: `stationID` is missing; add `stationID: …`",
                "edge.yaml:1:1: unknown key `heartbeatSecond`; did you mean `heartbeatSeconds`?",
            ])
        #expect(
            lines.dropFirst(2) == [
                "edge.yaml:2:10: `profile` is \"open\"; it must be plain or tls",
                "edge.yaml:3:8: `price` is \"1,5\"; it must be a number like 0.25",
                "edge.yaml:5:3: unknown key `csms.uri`; did you mean `url`?",
                "edge.yaml:7:5: unknown key `meters[0].unti`; did you mean `unit`?",
            ])
    }

    @Test(arguments: [
        ("stationID: A\nstationID: B\n", "2:1: `stationID` stands here a second time"),
        ("stationID: &x A\n", "1:12: anchors"),
        ("stationID: *x\n", "1:12: aliases"),
        ("stationID: !!str A\n", "1:12: tags"),
        (least + "---\nstationID: B\n", "3:1: a second document"),
        ("? [a]\n: b\n", "1:3: a key must be a plain word"),
        ("stationID: 'A\n", "edge.yaml:"),
        ("- a\n", "1:1: the file must hold `key: value` lines"),
        (
            least + "heartbeatSeconds: 901\n",
            "3:19: `heartbeatSeconds` is \"901\"; it must be a whole number from 1 to 900"
        ),
        (least + "heartbeatSeconds: [1]\n", "3:19: `heartbeatSeconds` must be a whole number"),
        (least + "tags: a\n", "3:7: `tags` must be a list"),
        (least + "meters: [1, 2, 3, 4]\n", "3:9: `meters` has 4 items; give 0 to 3"),
        ("stationID: A\ncsms: wss://x\n", "2:7: `csms` must hold `key: value` lines"),
        ("", "1:1: `stationID` is missing"),
    ])
    func `refuses what it cannot mean`(_ text: String, _ expected: String) {
        let found = problems(text)
        #expect(found.contains(expected), "\(found)")
    }

    @Test func `refuses nesting without end`() {
        let deep = String(repeating: "[", count: 40) + String(repeating: "]", count: 40)
        #expect(problems("stationID: \(deep)\n").contains("nested too deep"))
    }

    @Test func `keeps what follows a zero byte`() {
        #expect(
            problems("stationID: \"A\\0B\"\ncsms: {url: x}\nheartbeatSeconds: \"1\\02\"\n")
                .contains("heartbeatSeconds"))
    }

    @Test func `lets the environment override a key and says so`() throws {
        let read = try parse(
            least + "meters: [{unit: 1}]\n",
            environment: [
                "KERB_STATION_ID": "B", "KERB_CSMS__URL": "wss://u:secret@h/x",
                "KERB_TAGS": "p, q", "KERB_METERS__0__UNIT": "9", "HOME": "/",
            ])
        #expect(read.value.name == "B")
        #expect(read.value.url == "wss://u:secret@h/x")
        #expect(read.value.tags == ["p", "q"])
        #expect(read.value.meters == ["9"])
        let shown = read.settings.map { "\($0.path)=\($0.text) \($0.place)" }
        #expect(shown.contains("stationID=B KERB_STATION_ID"))
        #expect(shown.contains("csms.url=wss://u:…@h/x KERB_CSMS__URL"))
        #expect(shown.contains("heartbeatSeconds=300 default"))
    }

    @Test func `tells what is unwise at its key, and goes on`() throws {
        let read = try Configuration.parse(
            Array("url: ws://x\n".utf8), file: "x", environment: ["KERB_PORT": "80"]
        ) { section -> [Bool] in
            _ = [section.text("url"), section.text("port"), section.text("host", default: "h")]
            section.warn("port", "is low")
            section.warn("url", "is plain")
            return ["url", "port", "host"].map(section.isSet)
        }
        #expect(read.value == [true, true, false])
        #expect(
            read.warnings.map(\.description) == [
                "x:1:6: `url`: is plain", "KERB_PORT: `port`: is low",
            ])
    }

    @Test(arguments: [
        ("stationID: “A”\n", "1:12: the typographic quote “ (U+201C)"),
        ("stationID”: A\n", "1:10: the typographic quote ” (U+201D)"),
        ("\u{A0}stationID: A\n", "1:1: the character U+00A0"),
        ("stationID: \"A\nb: c\n", "1:12: the quote that opens here"),
        ("a: {b: c\nd: e\n", "the `{` of line 1 is not closed before here"),
        ("a: [b\n", "the `[` of line 1 is not closed"), ("a: [\n", "a closing bracket is missing"),
        ("a: b: c\n", "1:5: no `key: value` can stand here"),
        ("a:\n\tb: c\n", "2:1: a tab cannot indent"),
    ])
    func `says what is no YAML in words that mend it`(_ text: String, _ said: String) {
        let found = problems(text)
        #expect(found.contains(said), "\(found)")
    }

    @Test func `takes typographic quotes within a text, and around one in real quotes`() throws {
        let value = try parse(
            "stationID: the “A” of B\ncsms: {url: wss://x}\ntags: ['“p”', q’r]\n"
        ).value
        #expect(value.name == "the “A” of B")
        #expect(value.tags == ["“p”", "q’r"])
    }

    /// They are somebody's name, and a board that has carried it for years starts.
    @Test(arguments: ["Stadtwerke „Nord“", "„Nord“ Stadtwerke", "A’", "\u{A0}A", "A\u{A0}"])
    func `takes what stands at one end of a text as it is`(_ text: String) throws {
        let value = try parse("stationID: \(text)\ncsms: {url: wss://x}\n").value
        #expect(value.name == text)
    }

    @Test func `refuses a variable that no key answers to`() {
        #expect(
            problems(least, environment: ["KERB_STATIONID": "B"])
                == "KERB_STATIONID: no key answers to this variable; did you mean KERB_STATION_ID?")
    }

    @Test func `reads a section from the environment alone`() throws {
        let value = try Configuration.parse(
            [], file: "x", environment: ["KERB_TLS__CA_FILE": "/ca"]
        ) { section in section.sectionOrNil("tls").map { $0.text("caFile") } }.value
        #expect(value == "/ca")
    }

    @Test func `starts relative paths at its own folder`() throws {
        let value = try Configuration.parse(
            Array("a: key\nb: /abs\n".utf8), file: "/etc/kerb/cpo.yaml"
        ) { [$0.path("a"), $0.path("b"), $0.path("c", default: "d")] }.value
        #expect(value == ["/etc/kerb/key", "/abs", "/etc/kerb/d"])
    }

    @Test func `says which file it cannot read`() {
        #expect {
            try Configuration.load(file: "/nowhere/edge.yaml", environment: [:], Settings.read)
        } throws: {
            "\($0)"
                == "/nowhere/edge.yaml:1:1: cannot be read: /nowhere/edge.yaml: no such file or folder"
        }
    }

    @Test func `describes itself as a JSON Schema`() {
        let schema = Configuration.schema(title: "kerb-edge", Settings.read)
        #expect(schema.contains(#""required":["stationID"]"#))
        #expect(
            schema.contains(
                #""heartbeatSeconds":{"type":"integer","minimum":1,"maximum":900,"default":300}"#))
        #expect(schema.contains(#""profile":{"enum":["plain","tls"],"default":"tls"}"#))
        #expect(schema.contains(#""meters":{"type":"array","items":{"type":"object""#))
    }

    @Test(arguments: [
        ("stationID", "KERB_STATION_ID"), ("csms.passwordFile", "KERB_CSMS__PASSWORD_FILE"),
        ("evses[0].meter", "KERB_EVSES__0__METER"), ("beckn.bapURIs", "KERB_BECKN__BAP_URIS"),
        ("x.ocpp16Only", "KERB_X__OCPP16_ONLY"),
    ])
    func `names its variables by one rule`(_ path: String, _ variable: String) {
        #expect(ConfigContext.variable(path) == variable)
    }
}
