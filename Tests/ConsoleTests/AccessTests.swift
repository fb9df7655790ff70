import Charging
import JSON
import TestSupport
import Testing
import Web

@testable import Console

@Suite(.timeLimit(.minutes(2))) struct `The admin API's door` {
    @Test func `turns every path but log-in away from strangers`() async throws {
        let test = try await TestConsole()
        var walked = 0
        for (method, pattern) in test.router.table where pattern.hasPrefix("/api/v1/") {
            let path = pattern.split(separator: "/").map { $0.hasPrefix("{") ? "x" : $0 }
                .joined(separator: "/")
            guard path != "api/v1/login", path != "api/v1/openapi.json" else { continue }
            let answer = try await test.call(method, "/\(path)", body: [:])
            #expect(answer.status == 401, "\(method) \(pattern)")
            walked += 1
        }
        #expect(walked > 20)
        await test.server.stop()
    }

    @Test func `lets each role do what it may and no more`() async throws {
        let test = try await TestConsole()
        for route in test.console.apiRoutes {
            guard case .role(let role) = route.need, route.path != "/events" else { continue }
            let path =
                "/api/v1"
                + route.path.split(separator: "/").map { segment in
                    "/" + (segment.hasPrefix("{") ? "x" : segment)
                }.joined()
            for (key, has) in [(test.viewer, Role.viewer), (test.operator, .operator)] {
                let answer = try await test.call(route.method, path, key: key, body: [:])
                #expect((answer.status == 403) == (has < role), "\(route.method) \(path) \(has)")
            }
        }
        await test.server.stop()
    }

    @Test func `gives a log-in a cookie that scripts and other sites cannot use`() async throws {
        let test = try await TestConsole()
        let answer = try await test.post("/login", ["user": "anna", "password": "correct horse"])
        #expect(answer.status == 200)
        #expect(answer.head.contains("; Path=/; HttpOnly; SameSite=Strict"))
        #expect(answer["role"]?.string == "operator")
        await test.server.stop()
    }

    @Test func `asks writes of a log-in for its CSRF token and its own origin`() async throws {
        let test = try await TestConsole()
        let (cookie, csrf) = try await test.logIn()
        let path = "/api/v1/stations/CS-9"
        let body: JSONValue = ["registration": "Accepted"]
        func put(_ headers: [String: String]) async throws -> Int {
            try await test.call(
                "PUT", path, body: body, headers: headers.merging(["Cookie": cookie]) { $1 }
            ).status
        }
        #expect(try await put([:]) == 403)
        #expect(try await put(["X-CSRF-Token": "wrong"]) == 403)
        #expect(
            try await put(["X-CSRF-Token": csrf, "Origin": "http://evil.example"]) == 403)
        #expect(try await put(["X-CSRF-Token": csrf, "Origin": "http://localhost"]) == 200)
        #expect(try await test.get("/audit").body.contains("user anna"))
        await test.server.stop()
    }

    @Test func `ends a log-in when it logs out or has been idle for long`() async throws {
        let test = try await TestConsole()
        let first = try await test.logIn()
        func me(_ cookie: String) async throws -> Int {
            try await test.call("GET", "/api/v1/me", headers: ["Cookie": cookie]).status
        }
        #expect(try await me(first.cookie) == 200)
        let out = try await test.call(
            "POST", "/api/v1/logout",
            headers: ["Cookie": first.cookie, "X-CSRF-Token": first.csrf])
        #expect(out.status == 204)
        #expect(try await me(first.cookie) == 401)
        let second = try await test.logIn()
        test.clock.advance(milliseconds: (Logins.idleSeconds + 1) * 1000)
        #expect(try await me(second.cookie) == 401)
        await test.server.stop()
    }

    @Test func `makes guessers wait, whether the name exists or not`() async throws {
        let test = try await TestConsole()
        for user in ["nobody", "anna"] {
            for _ in 0..<LoginThrottle.freeTries {
                let wrong = try await test.post("/login", ["user": .string(user), "password": "x"])
                #expect(wrong.status == 401 || wrong.status == 429)
            }
        }
        let answer = try await test.post("/login", ["user": "anna", "password": "correct horse"])
        #expect(answer.status == 429 && answer.head.contains("Retry-After: "))
        test.clock.advance(milliseconds: LoginThrottle.windowMilliseconds + 1)
        #expect(
            try await test.post("/login", ["user": "anna", "password": "correct horse"]).status
                == 200)
        await test.server.stop()
    }

    @Test(arguments: ["kerb_0_0", "kerb__", "Bearer", "kerb_00000000_"])
    func `knows no key but the ones it made`(key: String) async throws {
        let test = try await TestConsole()
        #expect(try await test.get("/stations", key: key).status == 401)
        #expect(try await test.get("/stations", key: test.viewer + "0").status == 401)
        await test.server.stop()
    }
}
