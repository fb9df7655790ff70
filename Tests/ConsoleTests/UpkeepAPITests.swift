import CPO
import Charging
import JSON
import SQL
import TestSupport
import Testing
import Web

@testable import Console

@Suite(.timeLimit(.minutes(1))) struct `The API of upkeep` {
    @Test(
        arguments: [
            (["model": "M", "settings": []], "vendor"),
            (["vendor": "V", "model": "M"], "settings"),
            (["vendor": "V", "model": "M", "settings": [["key": "K"]]], "settings[0].value"),
            (
                [
                    "vendor": "V", "model": "M",
                    "settings": [["key": "authorizationKey", "value": "x"]],
                ], "settings[0].key"
            ),
            (
                [
                    "vendor": "V", "model": "M",
                    "settings": [["key": "K", "value": "1"], ["key": "k", "value": "2"]],
                ], "settings[1].key"
            ),
        ] as [(JSONValue, String)])
    func `names what is wrong with a template`(_ body: JSONValue, _ field: String) async throws {
        let test = try await TestConsole()
        let answer = try await test.call(
            "PUT", "/api/v1/templates/T", key: test.operator, body: body)
        #expect(answer.status == 422)
        #expect(answer["field"]?.string == field)
        await test.server.stop()
    }

    @Test func `shows the drift of a station, and that it has no template`() async throws {
        let test = try await TestConsole()
        #expect(try await test.get("/stations/nowhere/settings").status == 404)
        #expect(try await test.get("/stations/CS-1/settings")["template"] == .null)
        let body: JSONValue = [
            "vendor": "V", "model": "M", "settings": [["key": "K", "value": "1"]],
        ]
        #expect(
            try await test.call("PUT", "/api/v1/templates/T", key: test.viewer, body: body).status
                == 403)
        #expect(
            try await test.call("PUT", "/api/v1/templates/T", key: test.operator, body: body)
                .status == 200)
        #expect(
            try await test.call("PUT", "/api/v1/templates/U", key: test.operator, body: body)
                .status == 409)
        let now = test.clock.now
        _ = try await test.house.sessions.apply(
            .booted(StationIdentity(vendor: "V", model: "M")), from: "CS-1", receivedAt: now)
        let found = try await test.get("/stations/CS-1/settings")
        #expect(found["settings"]?[0]?["state"]?.string == "unread")
        let read = try await test.call(
            "POST", "/api/v1/stations/CS-1/settings/read", key: test.operator, body: [:])
        #expect(read.status == 202 && read["commands"]?.array?.count == 1)
        #expect(
            try await test.call(
                "POST", "/api/v1/stations/CS-2/settings/read", key: test.operator, body: [:]
            ).status == 409)
        let whole = try await test.get("/templates/T")
        #expect(whole["stations"]?[0]?["counts"]?["unread"]?.int == 1)
        await test.server.stop()
    }

    @Test(arguments: [50, 51])
    func `lets an operator reach so many stations at once, and an admin more`(count: Int)
        async throws
    {
        let test = try await TestConsole()
        let body: JSONValue = [
            "vendor": "V", "model": "M", "settings": [["key": "K", "value": "1"]],
        ]
        _ = try await test.call("PUT", "/api/v1/templates/T", key: test.operator, body: body)
        let now = test.clock.now
        try await test.house.write { [house = test.house] transaction in
            for number in 1...count {
                let id = "F-\(number)"
                try house.stations.register(id, .accepted, at: now, in: transaction)
                _ = try house.stations.attached(
                    id, subprotocol: "ocpp1.6", at: now, in: transaction)
                _ = try house.sessions.apply(
                    .booted(StationIdentity(vendor: "V", model: "M")), from: id, receivedAt: now,
                    in: transaction)
                try transaction.execute(
                    """
                    INSERT INTO station_setting (station, folded, key, value, is_readonly, read_at)
                    VALUES (?, 'k', 'K', '2', 0, ?)
                    """, id, now)
            }
        }
        func apply(_ key: String) async throws -> TestConsole.Answer {
            try await test.post("/templates/T/apply", [:], key: key)
        }
        let answer = try await apply(test.operator)
        #expect(answer.status == (count > 50 ? 403 : 202))
        let sent = try await test.house.commands.list().count
        #expect(sent == (count > 50 ? 0 : count))
        guard count > 50 else { return await test.server.stop() }
        #expect(answer["detail"]?.string?.contains("51 stations") == true)
        #expect(try await apply(test.admin).status == 202)
        await test.server.stop()
    }

    @Test func `lists reservations by state`() async throws {
        let test = try await TestConsole()
        let order: JSONValue = [
            "command": "reserve", "evse": 1, "token": "T", "expires": "2099-01-01T00:00:00Z",
        ]
        #expect(
            try await test.post("/stations/CS-1/commands", order, key: test.operator).status == 202)
        let page = try await test.get("/reservations?state=asked&station=CS-1")
        #expect(page["items"]?[0]?["token"]?.string == "T")
        #expect(try await test.get("/reservations?state=held")["items"]?.array?.isEmpty == true)
        #expect(try await test.get("/reservations?state=gone")["field"]?.string == "state")
        await test.server.stop()
    }
}
