import CPO
import Charging
import JSON
import TestSupport
import Testing
import Web

@testable import Console

@Suite(.timeLimit(.minutes(2))) struct `The admin API` {
    @Test func `turns pages by cursor`() async throws {
        let test = try await TestConsole()
        var (ids, cursor) = ([String](), "")
        repeat {
            let page = try await test.get("/stations?limit=2&cursor=\(cursor)")
            ids += (page["items"]?.array ?? []).compactMap { $0["id"]?.string }
            cursor = page["next"]?.string ?? ""
        } while !cursor.isEmpty
        #expect(ids == ["CS-1", "CS-2", "CS-3"])
        await test.server.stop()
    }

    @Test(arguments: [
        ("GET", "/stations?limit=0", "limit"), ("GET", "/sessions?from=yesterday", "from"),
        ("GET", "/sessions?state=done", "state"),
        ("POST", "/stations/CS-1/commands?wait=90", "wait"),
        ("POST", "/stations/CS-1/commands", "command"), ("PUT", "/stations/CS-1", "registration"),
        ("PUT", "/locations/L", "coordinates"), ("PUT", "/tariffs/T", "elements"),
    ])
    func `names the field that is wrong and the mend`(
        method: String, path: String, field: String
    ) async throws {
        let test = try await TestConsole()
        let answer = try await test.call(method, "/api/v1\(path)", key: test.admin, body: [:])
        #expect(answer.status == 422)
        #expect(answer["field"]?.string == field)
        #expect(answer["detail"]?.string?.isEmpty == false)
        await test.server.stop()
    }

    @Test func `says why a command cannot be`() async throws {
        let test = try await TestConsole()
        let start: JSONValue = ["command": "start", "evse": 1, "token": "T"]
        for (path, body, status) in [
            ("/stations/CS-9/commands", start, 404), ("/stations/CS-2/commands", start, 409),
            ("/stations/CS-1/commands", ["command": "stop", "session": "none"], 404),
        ] as [(String, JSONValue, Int)] {
            #expect(try await test.post(path, body, key: test.operator).status == status)
        }
        await test.server.stop()
    }

    @Test(
        arguments: [
            (["command": "reserve", "evse": 1, "expires": "2099-01-01T00:00:00Z"], "token"),
            (["command": "reserve", "evse": 1, "token": "T"], "expires"),
            (["command": "reserve", "token": "T", "expires": "2020-01-01T00:00:00Z"], "expires"),
            (["command": "cancelReservation"], "reservation"),
            (["command": "sendLocalList", "kind": "Some", "version": 1], "kind"),
            (["command": "sendLocalList", "kind": "Full", "version": 0], "version"),
            (
                [
                    "command": "sendLocalList", "kind": "Full", "version": 1,
                    "entries": [["token": "T"]],
                ],
                "entries"
            ),
        ] as [(JSONValue, String)])
    func `says what an order for lists and reservations lacks`(
        _ body: JSONValue, _ field: String
    ) async throws {
        let test = try await TestConsole()
        let answer = try await test.post("/stations/CS-1/commands", body, key: test.operator)
        #expect(answer.status == 422)
        #expect(answer["field"]?.string == field)
        await test.server.stop()
    }

    @Test func `keeps an availability until its time, also of a station that is away`() async throws
    {
        let test = try await TestConsole()
        let now = test.clock.now
        func order(_ at: JSONValue, _ name: String = "setAvailability") async throws
            -> TestConsole.Answer
        {
            try await test.post(
                "/stations/CS-2/commands",
                ["command": .string(name), "evse": 1, "operative": false, "at": at],
                key: test.operator)
        }
        for wrong in ["soon", .time(now), .time(now.advanced(bySeconds: 367 * 86_400))]
            as [JSONValue]
        {
            let refused = try await order(wrong)
            #expect(refused.status == 422 && refused["field"] == "at")
        }
        let other = try await order(.time(now.advanced(bySeconds: 60)), "unlock")
        #expect(other.status == 422 && other["field"] == "at")
        let due = now.advanced(bySeconds: 3600)
        let made = try await order(.time(due))
        #expect(made.status == 202)
        #expect(made["state"] == "queued" && made["notBefore"]?.time == due)
        let id = try #require(made["id"]?.string)
        let gone = try await test.call("DELETE", "/api/v1/commands/\(id)", key: test.operator)
        #expect(gone["state"] == "failed")
        await test.server.stop()
    }

    @Test func `reserves a plug under a number and cancels it by that number`() async throws {
        let test = try await TestConsole()
        let reserved = try await test.post(
            "/stations/CS-1/commands",
            ["command": "reserve", "evse": 1, "token": "T", "expires": "2099-01-01T00:00:00Z"],
            key: test.operator)
        #expect(reserved.status == 202)
        let number = try #require(reserved["reservation"]?.int)
        let cancelled = try await test.post(
            "/stations/CS-1/commands",
            ["command": "cancelReservation", "reservation": .number(number)], key: test.operator)
        #expect(cancelled.status == 202)
        #expect(cancelled["reservation"]?.int == number)
        let unknown = try await test.post(
            "/stations/CS-2/commands",
            ["command": "cancelReservation", "reservation": .number(number)], key: test.operator)
        #expect(unknown.status == 404)
        await test.server.stop()
    }

    @Test func `waits for the station's answer and writes down who ordered`() async throws {
        let test = try await TestConsole()
        let house = test.house
        let carrier = Task { try await house.commands.run(house, over: ObedientStations()) }
        let answer = try await test.post(
            "/stations/CS-1/commands?wait=60", ["command": "unlock", "evse": 1],
            key: test.operator)
        #expect(answer.status == 200)
        #expect(answer["state"]?.string == "seen")
        #expect(answer["answer"]?.string == "Accepted")
        let id = answer["id"]?.string ?? ""
        #expect(try await test.get("/commands/\(id)")["state"]?.string == "seen")
        let audit = try await test.get("/audit").json
        #expect(audit["items"]?[0]?["action"]?.string == "command.unlock")
        #expect(audit["items"]?[0]?["who"]?.string == "key desk")
        carrier.cancel()
        await test.server.stop()
    }

    @Test func `streams the journal and resumes where a reader was`() async throws {
        let test = try await TestConsole()
        let house = test.house
        let before = try await house.journal.newest()
        let reader = try RawSocket(port: test.server.addresses[0].port)
        func request(_ last: Int64?) -> String {
            "GET /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \(test.viewer)\r\n"
                + (last.map { "Last-Event-ID: \($0)\r\n" } ?? "") + "\r\n"
        }
        await reader.send(request(nil))
        let hello = await reader.read(until: "event: hello\nid: \(before)\n")
        #expect(hello.contains("text/event-stream"))
        let now = test.clock.now
        _ = try await house.write { transaction in
            try house.stations.register("CS-4", .accepted, at: now, in: transaction)
        }
        let news = await reader.read(until: "\"subject\":\"CS-4\"}\n\n")
        #expect(news.contains("id: \(before + 1)\n"))
        let again = try RawSocket(port: test.server.addresses[0].port)
        await again.send(request(before))
        #expect(await again.read(until: "CS-4\"}\n\n").contains("id: \(before + 1)\n"))
        await test.server.stop()
    }

    @Test func `describes every path it serves`() async throws {
        let test = try await TestConsole()
        let document = try await test.call("GET", "/api/v1/openapi.json").json
        for route in test.console.apiRoutes {
            let operation = document["paths"]?["/api/v1\(route.path)"]?[route.method.lowercased()]
            #expect(operation?["summary"]?.string == route.summary)
        }
        await test.server.stop()
    }

    @Test func `serves its pages with a strict policy, and only changed ones again`() async throws {
        let test = try await TestConsole()
        let shell = try await test.call("GET", "/console/sessions")
        #expect(shell.status == 200 && shell.body.contains("/console/assets/main.js"))
        #expect(
            shell.head.contains("Content-Security-Policy: default-src 'self'; script-src 'self'"))
        #expect(!shell.head.contains("unsafe-inline"))
        let tag = try #require(
            shell.head.split(separator: "\r\n").first { $0.hasPrefix("ETag: ") }?.dropFirst(6))
        let known = try await test.call(
            "GET", "/console/", headers: ["If-None-Match": String(tag)])
        #expect(known.status == 304)
        #expect(try await test.call("GET", "/console/assets/../../etc/passwd").status != 500)
        #expect(try await test.call("GET", "/console/assets/none.js").status == 404)
        await test.server.stop()
    }
}

@Suite struct `A CSV cell` {
    @Test(arguments: [
        ("plain", "plain"), ("a,b", "\"a,b\""), ("say \"hi\"", "\"say \"\"hi\"\"\""),
        ("=1+1", "'=1+1"), ("@x", "'@x"), ("-3", "-3"), ("-3+1", "'-3+1"),
        ("two\nlines", "\"two\nlines\""),
        ("A\r\n=1+1", "\"A\r\n=1+1\""), ("a,\u{301}b", "\"a,\u{301}b\""),
        ("=\u{301}1", "'=\u{301}1"),
    ])
    func `is quoted, and never a formula`(text: String, cell: String) {
        #expect(CSV.cell(text) == cell)
    }
}
