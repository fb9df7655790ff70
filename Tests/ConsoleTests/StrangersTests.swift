import CPO
import Charging
import JSON
import TestSupport
import Testing
import Web

@testable import Console

/// What nobody reads is refused by its name, instead of being dropped with what it would have bounded.
@Suite(.timeLimit(.minutes(2))) struct `What the API does not know` {
    private func path(_ route: APIRoute) -> String {
        "/api/v1/"
            + route.path.split(separator: "/").map { segment in
                segment == "{id}" ? "CS-1" : segment.hasPrefix("{") ? "x" : segment
            }.joined(separator: "/")
    }

    @Test func `is refused in every query`() async throws {
        let test = try await TestConsole()
        // The stream of events would go on where this failed.
        for route in test.console.apiRoutes where route.path != "/events" {
            let answer = try await test.call(
                route.method, "\(path(route))?stray=1", key: test.admin, body: [:])
            #expect(answer.status == 422, "\(route.method) \(route.path)")
            #expect(answer["field"] == "stray", "\(route.method) \(route.path)")
        }
        await test.server.stop()
    }

    @Test func `is refused in every body, and where there is none`() async throws {
        let test = try await TestConsole()
        for route in test.console.apiRoutes
        // Tables are read otherwise; a suspicion that is not there is found first.
        where !route.path.hasPrefix("/import/") && route.path != "/suspicions/{id}/decision" {
            // Before all that is known, by the alphabet.
            let answer = try await test.call(
                route.method, path(route), key: test.admin,
                body: ["a-stray": 1, "reason": "a test", "command": "unlock"])
            #expect(answer.status == 422, "\(route.method) \(route.path)")
            #expect(answer["field"] == "a-stray", "\(route.method) \(route.path)")
        }
        await test.server.stop()
    }

    @Test(arguments: [
        ("GET", "/sessions?stat=ACTIVE", "stat", "state"),
        ("GET", "/sessions?state=ACTIVE&state=COMPLETED", "state", "twice"),
        ("POST", "/import/tokens?dryrun=true", "dryrun", "dryRun"),
        ("PUT", "/locations/L?moves=true", "moves", "move"),
        ("DELETE", "/sites/S/nodes/N/limit?from=DSO", "from", "source"),
    ])
    func `is told beside what is known`(
        method: String, path: String, field: String, mend: String
    ) async throws {
        let test = try await TestConsole()
        let answer = try await test.call(
            method, "/api/v1\(path)", key: test.admin, bytes: Array("uid\nU-1\n".utf8), headers: [:]
        )
        #expect(answer.status == 422)
        #expect(answer["field"]?.string == field)
        #expect(answer["detail"]?.string?.contains(mend) == true)
        #expect(try await test.get("/tokens")["items"]?.array?.isEmpty == true)
        await test.server.stop()
    }

    @Test(
        arguments: [
            (
                ["command": "setLimit", "evse": 1, "amperes": 6, "untill": "2027-06-01T00:00:00Z"],
                "untill"
            ),
            (["command": "setLimit", "evse": 1, "amperes": 6, "stackLevel": "5"], "stackLevel"),
            (["command": "getComposite", "seconds": "60"], "seconds"),
            (["command": "getComposite", "unit": 1], "unit"),
            (["command": "setAvailability", "operative": false, "when": "idle"], "when"),
            (["command": "reset", "evse": 1], "evse"), (["command": "reset", "kind": 1], "kind"),
            (["command": "getSettings", "keys": "A"], "keys"),
            (["command": "unlock", "evse": 1, "connector": 2], "connector"),
            (["action": "Reset", "paylod": [:]], "paylod"),
            (["command": "data", "vendor": "V", "data": ["a": 1]], "data"),
            (["command": "data", "vendor": "V", "message": 1, "data": "x"], "message"),
            (["command": "reboot"], "command"),
            (
                ["command": "updateFirmware", "location": "https://h/f", "certificate": "PEM"],
                "certificate"
            ),
            (
                [
                    "command": "sendLocalList", "kind": "Full", "version": 1,
                    "entries": [
                        ["token": "T", "status": "Accepted", "expire": "2027-06-01T00:00:00Z"]
                    ],
                ], "entries[0].expire"
            ),
            (
                [
                    "command": "sendLocalList", "kind": "Full", "version": 1,
                    "entries": [["token": "T", "status": "Accepted", "expires": "soon"]],
                ], "entries[0].expires"
            ),
        ] as [(JSONValue, String)])
    func `is refused in a command`(_ body: JSONValue, _ field: String) throws {
        let problem = #expect(throws: APIProblem.self) {
            try CommandBody(body, now: Timestamp(seconds: 1_800_000_000))
        }
        #expect(problem?.field == field)
    }

    @Test(arguments: ["evse", "connector"])
    func `is neither name of a connector`(_ name: String) throws {
        let order = try CommandBody(
            ["command": "extendedTrigger", "message": "MeterValues", .init(name): 2],
            now: Timestamp(seconds: 1_800_000_000))
        guard case .other(let command) = order else {
            Issue.record("\(order)")
            return
        }
        #expect(command == .maintenance(.trigger(message: "MeterValues", connector: 2)))
    }

    @Test(
        arguments: [
            (["energy_mix": ["is_green_energy": true]], "energy_mix"),
            (["max_prise": ["excl_vat": 20]], "max_prise"),
            (["max_price": ["excl_vat": 20, "inc_vat": 24]], "max_price.inc_vat"),
            (["max_price": ["before_taxes": 20, "incl_vat": 24]], "max_price.incl_vat"),
            (["tariff_alt_text": [["language": "en", "txt": "x"]]], "tariff_alt_text[0].txt"),
            (
                ["elements": [["price_components": [], "restriction": [:]]]],
                "elements[0].restriction"
            ),
            (
                ["elements": [["price_components": [["type": "ENERGY", "vta": 18]]]]],
                "elements[0].price_components[0].vta"
            ),
        ] as [(JSONValue, String)])
    func `is refused in a tariff, wherever it stands`(
        _ body: JSONValue, _ field: String
    ) async throws {
        let test = try await TestConsole()
        let answer = try await test.call(
            "PUT", "/api/v1/tariffs/T1", key: test.admin, body: body)
        #expect(answer.status == 422)
        #expect(answer["field"]?.string == field)
        await test.server.stop()
    }

    @Test func `is not what a station's own answer shows`() async throws {
        let test = try await TestConsole()
        _ = try await test.house.sessions.apply(
            .booted(StationIdentity(vendor: "V", model: "M", serial: nil, firmware: nil)),
            from: "CS-1", receivedAt: test.clock.now)
        _ = try await test.house.sessions.apply(
            .statusChanged(StatusReport(connector: 1, status: .available, at: test.clock.now)),
            from: "CS-1", receivedAt: test.clock.now)
        var shown = try await test.get("/stations/CS-1").json
        #expect(shown["connectors"]?.array?.isEmpty == false && shown["identity"] != nil)
        shown["registration"] = "Pending"
        let put = try await test.call(
            "PUT", "/api/v1/stations/CS-1", key: test.admin, body: shown)
        #expect(put.status == 200 && put["registration"] == "Pending")
        shown["stray"] = 1
        let odd = try await test.call(
            "PUT", "/api/v1/stations/CS-1", key: test.admin, body: shown)
        #expect(odd.status == 422 && odd["field"] == "stray")
        await test.server.stop()
    }

    @Test(
        arguments: [
            ("/tokens/T", ["type": "RFID", "expire": "2027-06-01T00:00:00Z"], "expire"),
            ("/tokens/T", ["type": "RFID", "energy_contract": [:]], "energy_contract"),
            (
                "/tokens/T", ["type": "RFID", "default_profile_type": "CHEAP"],
                "default_profile_type"
            ),
            ("/stations/CS-1", ["registration": "Accepted", "passwort": "x"], "passwort"),
            (
                "/templates/T",
                [
                    "vendor": "V", "model": "M",
                    "settings": [["key": "K", "value": "1", "unit": "s"]],
                ],
                "settings[0].unit"
            ),
        ] as [(String, JSONValue, String)])
    func `is refused in what is put`(
        _ path: String, _ body: JSONValue, _ field: String
    ) async throws {
        let test = try await TestConsole()
        let answer = try await test.call("PUT", "/api/v1\(path)", key: test.admin, body: body)
        #expect(answer.status == 422)
        #expect(answer["field"]?.string == field)
        await test.server.stop()
    }
}
