import JSON
import Service
import Testing

@testable import Station

private let status = """
    {"station":"CS-1","link":"up","registration":"Accepted","journalDepth":3,"connectors":[
    {"connector":1,"status":"Charging","energyAllowed":true,"hindrances":[],"contactor":"closed",
    "pilot":"C","signal":"PWM 16 A","limitAmperes":16,"operative":true,
    "charge":{"charge":7,"token":"••••1234","startedAt":"2026-01-01T00:00:00Z","energyWh":1500},
    "meter":{"registerWh":123456,"powerW":5520,"currentsA":[8,8,8.5],"voltagesV":[230,230,230],
    "ageMilliseconds":1250,"quality":"good"}},
    {"connector":2,"status":"Faulted","energyAllowed":false,"reason":"emergency stop",
    "hindrances":["emergency stop","no car connected"],"contactor":"open","signal":"F",
    "limitAmperes":0,"operative":true,"meter":{"error":"no answer"}}]}
    """

@Suite struct `The status for people` {
    private func text(isWatching: Bool, colour: Bool = false, times: Int = 1) throws -> String {
        var screen = StatusScreen(
            terminal: Terminal(isTerminal: colour, hasColour: colour), isWatching: isWatching)
        var text = ""
        for _ in 0..<times { text = screen.text(try JSONValue(parsing: status)) }
        return text
    }

    @Test func `names what forbids energy and what the meter says`() throws {
        let text = try text(isWatching: false)
        #expect(text.contains("no energy: emergency stop; no car connected"))
        #expect(text.contains("meter no answer"))
        #expect(text.contains("charge 7: 1500 Wh"))
        #expect(!text.contains("\u{1B}"))
    }

    @Test(arguments: [
        (
            "Available",
            #""no authorised transaction","no car connected","no current offered on the pilot""#,
            "  ready, waits for a car and an authorisation"
        ),
        (
            "Preparing", #""no authorised transaction","the car does not ask for energy""#,
            "  ready, waits for the car's wish for energy and an authorisation"
        ),
        (
            "Available", #""no car connected","meter never read""#,
            "  no energy: no car connected; meter never read"
        ),
        ("Unavailable", #""no car connected""#, "  no energy: no car connected"),
    ])
    func `tells an idle outlet from a troubled one`(
        _ state: String, _ hindrances: String, _ line: String
    ) throws {
        let status = """
            {"connectors":[{"connector":1,"status":"\(state)","energyAllowed":false,
            "hindrances":[\(hindrances)],"contactor":"open","signal":"X1"}]}
            """
        var screen = StatusScreen(
            terminal: Terminal(isTerminal: false, hasColour: false), isWatching: false)
        let text = screen.text(try JSONValue(parsing: status))
        #expect(text.split(separator: "\n").contains { $0 == line }, "\(text)")
    }

    @Test(arguments: [
        (#""state":"shared""#, #""board":32"#, true), (#""state":"safe""#, #""board":32"#, false),
        (#""state":"shared","socketLimitAmperes":[0,0,0]"#, #""board":32"#, false),
        (#""state":"shared""#, #""board":32,"profile":0"#, false),
    ])
    func `takes no share of a fuse for none only where nobody limits it`(
        _ charging: String, _ others: String, _ isReady: Bool
    ) throws {
        let status = """
            {"charging":{\(charging)},"connectors":[{"connector":1,"status":"Available",
            "energyAllowed":false,"hindrances":["no authorised transaction","no car connected",
            "limit 0 A is below what can be offered"],"limits":{"site":0,\(others)}}]}
            """
        var screen = StatusScreen(
            terminal: Terminal(isTerminal: false, hasColour: false), isWatching: false)
        let text = screen.text(try JSONValue(parsing: status))
        #expect(text.contains("an authorisation; gets its share of the fuse then") == isReady)
        #expect(text.contains("no energy: ") == !isReady)
    }

    @Test func `draws power against the limit and its course while it is watched`() throws {
        let text = try text(isWatching: true, times: 3)
        // 16 A at 3 × 230 V.
        #expect(text.contains("██████████░░░░░░░░░░ 5520 W of 11040 W  ▄▄▄"))
        #expect(text.contains("power unknown"))
    }

    @Test func `keeps a minute and no more`() throws {
        let text = try text(isWatching: true, times: 100)
        #expect(text.split(separator: "▄", omittingEmptySubsequences: false).count == 61)
    }

    @Test func `is coloured on a terminal`() throws {
        #expect(try text(isWatching: false, colour: true).contains("\u{1B}[31mFaulted"))
    }
}

@Suite struct `The station's metrics` {
    private func text() throws -> String {
        var process = StationMetrics.Process()
        process.version = "1.2"
        process.cpuMilliseconds = 1250
        return StationMetrics.text(try JSONValue(parsing: status), process)
    }

    @Test(arguments: [
        "kerb_edge_link_up 1", "kerb_edge_journal_messages 3",
        "kerb_edge_connector_status{connector=\"1\",status=\"Charging\"} 1",
        "kerb_edge_connector_status{connector=\"2\",status=\"Charging\"} 0",
        "kerb_edge_meter_energy_joules_total{connector=\"1\"} 444441600",
        "kerb_edge_meter_current_amperes{connector=\"1\",phase=\"3\"} 8.5",
        "kerb_edge_meter_age_seconds{connector=\"1\"} 1.25",
        "kerb_edge_meter_good{connector=\"2\"} 0", "kerb_edge_hindrances{connector=\"2\"} 2",
        "process_cpu_seconds_total 1.25",
    ])
    func `are in base units`(_ line: String) throws {
        let lines = try text().split(separator: "\n").map(String.init)
        #expect(lines.contains(line), "\(lines)")
    }

    @Test func `say nothing about what is not known`() throws {
        #expect(try !text().contains("kerb_edge_meter_power_watts{connector=\"2\"}"))
        #expect(try !text().contains("kerb_edge_disk_free_bytes"))
    }

    @Test func `have help and type, and counters end in total`() throws {
        for family in StationMetrics.families {
            #expect(family.help.hasSuffix("."))
            #expect((family.kind == .counter) == family.name.hasSuffix("_total"))
        }
        #expect(try !text().contains("1234"), "a token stands in the metrics")
    }
}

@Suite struct `A link that is down` {
    private func screen(_ members: [String: JSONValue]) -> String {
        var status: [String: JSONValue] = [
            "station": "CP1", "link": "down", "connectors": .array([]),
        ]
        status.merge(members) { _, new in new }
        var screen = StatusScreen(
            terminal: Terminal(isTerminal: false, hasColour: false), isWatching: false)
        return screen.text(.object(status))
    }

    @Test func `says why, and when it is tried again`() {
        let why: [String: JSONValue] = [
            "linkError": "connection refused", "nextTrySeconds": .number(40),
        ]
        #expect(screen(why).contains(text: "link down: connection refused; next try in 40 s"))
        #expect(screen(["nextTrySeconds": .number(3)]).contains(text: "link down: next try in 3 s"))
        #expect(!screen([:]).contains(text: "down:"))
        #expect(!screen(why.merging(["link": "up"]) { $1 }).contains(text: "refused"))
    }

    @Test func `shows so much of a reason, in one line`() {
        let reason = "bad\u{1B}[2J\nanswer" + String(repeating: "x", count: 1_000)
        let shown = StationAgent.shown(reason)
        #expect(shown.hasPrefix("bad [2J answer"))
        #expect(shown.unicodeScalars.count == 200)
    }
}
