import Service
import TestSupport
import Testing
import Web

/// Raw probes of what libwebsockets does differently than HTTP asks; the numbers are those of the
/// traps in the module's notes.
@Suite(.timeLimit(.minutes(1))) struct `HTTP on a plain listener` {
    private static func get(_ path: String, close: Bool = false) -> String {
        "GET \(path) HTTP/1.1\r\nHost: x\r\n\(close ? "Connection: close\r\n" : "")\r\n"
    }

    private static func post(_ headers: String, _ body: String) -> String {
        "POST /echo/p HTTP/1.1\r\nHost: x\r\n\(headers)\r\n\(body)"
    }

    private func with(
        kind: LoopKind = .libuv, limits: WebLimits = WebLimits(),
        adding more: (inout Router) -> Void = { _ in },
        _ body: (TestServer) async throws -> Void
    ) async throws {
        let test = try TestServer(kind: kind, limits: limits, adding: more)
        try await body(test)
        await test.server.stop()
    }

    @Test(arguments: [LoopKind.libuv, .poll])
    func `answers pipelined requests on one connection in order`(kind: LoopKind) async throws {
        try await with(kind: kind) { test in
            let answer = try await test.probe(
                Self.post("Content-Length: 5\r\n", "hello") + Self.get("/echo/a")
                    + Self.get("/echo/b", close: true))
            let first = try #require(answer.firstRange(of: "POST|/echo/p|p||hello|"))
            let second = try #require(answer.firstRange(of: "GET|/echo/a|a|||"))
            let third = try #require(answer.firstRange(of: "GET|/echo/b|b|||"))
            #expect(first.upperBound < second.lowerBound && second.upperBound < third.lowerBound)
            #expect(answer.ranges(of: "HTTP/1.1 200 OK").count == 3)
            #expect(answer.ranges(of: "Connection: close").count == 1)
        }
    }

    @Test(arguments: [LoopKind.libuv, .poll])
    func `answers one request after the other on one connection`(kind: LoopKind) async throws {
        try await with(kind: kind) { test in
            let socket = try test.connect()
            for number in 0..<20 {
                await socket.send(Self.post("Content-Length: 5\r\n", "hello"))
                await #expect(socket.read(until: "|.").contains("|hello|"))
                await socket.send(Self.get("/echo/\(number)"))
                await #expect(socket.read(until: "|.").contains("|/echo/\(number)|"))
            }
        }
    }

    @Test(arguments: [LoopKind.libuv, .poll])
    func `does not hang over what is pipelined behind a pipelined body`(kind: LoopKind)
        async throws
    {
        try await with(kind: kind) { test in
            for path in ["/echo/p", "/nope"] {
                let post = "POST \(path) HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
                _ = try await test.probe(Self.get("/echo/a") + post + Self.get("/echo/b"))
            }
            try await #expect(test.probe(Self.get("/echo/a", close: true)).contains("200 OK"))
        }
    }

    @Test func `answers a request that came while an earlier one is being handled`() async throws {
        let gate = Gate()
        try await with(adding: {
            $0.add("GET", "/slow") { _ in
                await gate.wait()
                return .text("slow")
            }
        }) { test in
            let socket = try test.connect()
            await socket.send(Self.get("/slow") + Self.get("/echo/fast", close: true))
            gate.open()
            let answer = await socket.readAll()
            let slow = try #require(answer.firstRange(of: "slow"))
            let fast = try #require(answer.firstRange(of: "/echo/fast"))
            #expect(slow.upperBound < fast.lowerBound)
        }
    }

    @Test func `decodes a chunked body with extensions and trailers, and closes (6)`() async throws
    {
        try await with { test in
            let answer = try await test.probe(
                Self.post(
                    "Transfer-Encoding: chunked\r\n",
                    "5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n"
                        + Self.get("/echo/evil")))
            #expect(answer.contains("|hello world|"))
            #expect(answer.contains("Connection: close"))
            #expect(!answer.contains("evil"))
        }
    }

    @Test(arguments: [
        ("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n", "400"),
        ("Content-Length: 3\r\nContent-Length: 5\r\n", "abcde", "400"),
        ("Content-Length: -1\r\n", "", "400"),
        ("Content-Length: 5x\r\n", "abcde", "400"),
        ("Transfer-Encoding: gzip\r\n", "", "501"),
        ("Transfer-Encoding: chunked\r\n", "zz\r\n", "400"),
        ("Transfer-Encoding: chunked\r\n", "\r\n", "400"),
        ("Transfer-Encoding: chunked\r\n", "3\r\nabcX", "400"),
    ])
    func `refuses what frames a body ambiguously (6)`(
        headers: String, body: String, status: String
    ) async throws {
        try await with { test in
            let answer = try await test.probe(Self.post(headers, body), until: "\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 \(status) "))
        }
    }

    @Test(arguments: ["Content-Length: 2000\r\n", "Transfer-Encoding: chunked\r\n"])
    func `refuses a body over the limit with 413`(headers: String) async throws {
        var limits = WebLimits()
        limits.maxBodyBytes = 1000
        try await with(limits: limits) { test in
            let body = "7d0\r\n" + String(repeating: "x", count: 2000)
            let answer = try await test.probe(Self.post(headers, body), until: "\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 413 "))
        }
    }

    @Test func `answers a POST without any length and closes (6)`() async throws {
        try await with { test in
            let answer = try await test.probe(Self.post("", ""))
            #expect(answer.contains("200 OK") && answer.contains("Connection: close"))
        }
    }

    @Test(arguments: ["POST", "PUT", "PATCH", "DELETE"])
    func `answers an empty body and keeps the connection`(method: String) async throws {
        try await with { test in
            let socket = try test.connect()
            for _ in 0..<3 {
                await socket.send(
                    "\(method) /echo/e HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
                await #expect(socket.read(until: "|.").contains("\(method)|/echo/e|"))
            }
        }
    }

    @Test func `says 100 before it reads an expected body (7)`() async throws {
        try await with { test in
            let socket = try test.connect()
            await socket.send(Self.post("Expect: 100-continue\r\nContent-Length: 3\r\n", ""))
            await #expect(socket.read(until: "\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n")
            await socket.send("abc")
            await #expect(socket.read(until: "|.").contains("|abc|"))
        }
    }

    @Test func `answers HEAD with the length and no body`() async throws {
        try await with { test in
            let answer = try await test.probe(
                "HEAD /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            #expect(answer.contains("Content-Length: 3000000") && answer.hasSuffix("\r\n\r\n"))
        }
    }

    @Test func `tells an unknown path from an unknown method`() async throws {
        try await with { test in
            try await #expect(test.probe(Self.get("/nope", close: true)).contains(" 404 "))
            let answer = try await test.probe(
                "DELETE /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            #expect(answer.contains(" 405 ") && answer.contains("Allow: GET, HEAD"))
        }
    }

    @Test func `decodes path and query once and keeps query items apart (10)`() async throws {
        try await with { test in
            let answer = try await test.probe(
                Self.get("/echo/%2541?a=1%262&b&c=x%3Dy&&d=p+q", close: true))
            #expect(answer.contains("|%41|a=1&2,b=,c=x=y,d=p q|"))
        }
    }

    @Test func `carries the headers handlers ask for, in any case`() async throws {
        try await with { test in
            let answer = try await test.probe(
                "GET /echo/h HTTP/1.1\r\nHost: x\r\nx-ReQuest-iD:  r-1 \r\nConnection: close\r\n\r\n"
            )
            #expect(answer.contains("|r-1|plain|"))
        }
    }

    @Test func `drops a connection whose head is over the limit, and serves the next (10)`()
        async throws
    {
        try await with { test in
            let huge = "X-Big: " + String(repeating: "y", count: 20_000) + "\r\n"
            try await #expect(test.probe("GET /echo/a HTTP/1.1\r\nHost: x\r\n\(huge)\r\n").isEmpty)
            try await #expect(test.probe(Self.get("/echo/a", close: true)).contains("200 OK"))
        }
    }

    @Test(arguments: [LoopKind.libuv, .poll])
    func `sends an answer of megabytes whole and goes on (8)`(kind: LoopKind) async throws {
        try await with(kind: kind) { test in
            let socket = try test.connect(receiveBufferBytes: 4096)
            await socket.send(Self.get("/large") + Self.get("/echo/after", close: true))
            let answer = await socket.readAll()
            #expect(answer.contains("/echo/after"))
            #expect(answer.utf8.count > 3_000_000)
        }
    }

    @Test func `closes behind an HTTP/1.0 request`() async throws {
        try await with { test in
            let answer = try await test.probe("GET /echo/old HTTP/1.0\r\n\r\n")
            #expect(answer.contains("/echo/old") && answer.contains("Connection: close"))
        }
    }

    @Test func `survives garbage and a foreign protocol`() async throws {
        try await with { test in
            for garbage in [
                "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "BREW /x HTTP/1.1\r\n\r\n",
                "\u{0}\u{1}\u{2}\r\n\r\n",
                "GET http://x/ HTTP/1.1\r\n\r\n", "GET /%zz HTTP/1.1\r\n\r\n",
            ] {
                let socket = try test.connect()
                await socket.send(garbage)
                socket.reset()
            }
            try await #expect(test.probe(Self.get("/echo/a", close: true)).contains("200 OK"))
        }
    }

    @Test func `lets no handler write further header lines`() async throws {
        try await with(adding: {
            $0.add("GET", "/evil") { _ in
                HTTPResponse(200, headers: ["X-Evil": "a\r\nX-More: b", "X-Good": "c"])
            }
        }) { test in
            let answer = try await test.probe(Self.get("/evil", close: true))
            #expect(!answer.contains("X-More") && answer.contains("X-Good: c"))
        }
    }

    @Test func `cancels the handler of a peer that left, and ignores its answer (15)`() async throws
    {
        let started = Gate()
        let cancelled = Gate()
        try await with(adding: {
            $0.add("GET", "/wait") { _ in
                started.open()
                await withTaskCancellationHandler {
                    await cancelled.wait()
                } onCancel: {
                    cancelled.open()
                }
                return .text("too late")
            }
        }) { test in
            let socket = try test.connect()
            await socket.send(Self.get("/wait"))
            await started.wait()
            socket.reset()
            await cancelled.wait()
            try await #expect(test.probe(Self.get("/echo/a", close: true)).contains("200 OK"))
        }
    }

    @Test func `shares a port between two loops (5)`() async throws {
        let test = try TestServer(loops: 2)
        for _ in 0..<8 {
            try await #expect(test.probe(Self.get("/echo/a", close: true)).contains("200 OK"))
        }
        await test.server.stop()
    }

    @Test func `refuses a port that is taken`() async throws {
        try await with { test in
            #expect(throws: WebServerError.self) {
                _ = try WebServer(
                    configuration: WebServerConfiguration(listeners: [Listener(port: test.port)]),
                    router: Router())
            }
        }
    }

    @Test func `listens on IPv6 and serves each listener its own paths`() async throws {
        let test = try TestServer(listeners: [
            Listener(name: "plain", port: 0, pathPrefixes: ["/echo/"]),
            Listener(name: "six", address: "::1", port: 0),
        ])
        #expect(test.server.addresses.count == 2 && test.server.addresses[1].port > 0)
        try await #expect(test.probe(Self.get("/large", close: true)).contains(" 404 "))
        try await #expect(test.probe(Self.get("/echo/a", close: true)).contains("|plain|"))
        await test.server.stop()
    }

    @Test func `lets further connections wait while its rate is used up`() async throws {
        var limits = WebLimits()
        limits.acceptsPerSecond = 2
        try await with(limits: limits) { test in
            for _ in 0..<5 {
                try await #expect(test.probe(Self.get("/echo/a", close: true)).contains("200 OK"))
            }
        }
    }
}

/// Something to wait for that happens once.
final class Gate: Sendable {
    private let state = Lock((isOpen: false, waiters: [CheckedContinuation<Void, Never>]()))

    func open() {
        let waiters = state.withLock { state in
            state.isOpen = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    func wait() async {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiters.append(continuation) }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }
}
