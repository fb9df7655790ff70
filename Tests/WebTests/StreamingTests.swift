import Service
import TestSupport
import Testing
import Web

/// Bodies of any size in both directions, with a bounded part of them in memory.
@Suite(.timeLimit(.minutes(1))) struct `A body that is streamed` {
    private func with(
        limits: WebLimits = WebLimits(), most: Int64 = 10 << 20,
        _ handler: @escaping Router.StreamHandler,
        _ body: (TestServer) async throws -> Void
    ) async throws {
        let test = try TestServer(limits: limits) { router in
            router.add("PUT", "/files/{name...}", mostBytes: most, streaming: handler)
            router.add("POST", "/files/{name...}", mostBytes: most, streaming: handler)
        }
        try await body(test)
        await test.server.stop()
    }

    /// Counts what comes; `cut` where the peer left.
    private static func count(_ request: HTTPRequest, _ body: HTTPBody) async -> HTTPResponse {
        var sum = 0
        var last: UInt8 = 0
        do {
            while let bytes = try await body.next() {
                sum += bytes.count
                last = bytes.last ?? last
            }
        } catch { return .text("cut") }
        return .text("\(request[parameter: "name"]):\(sum):\(last).")
    }

    private static func put(_ length: Int, method: String = "PUT") -> String {
        "\(method) /files/a/b HTTP/1.1\r\nHost: x\r\nContent-Length: \(length)\r\n\r\n"
    }

    @Test(arguments: ["PUT", "POST"])
    func `comes whole, however long it is`(method: String) async throws {
        try await with(Self.count) { test in
            let socket = try test.connect()
            // The second one on the same connection: the first left nothing behind.
            for length in [5_000_000, 3, 0] {
                await socket.send(
                    Self.put(length, method: method) + String(repeating: "z", count: length))
                let answer = await socket.read(until: ".")
                #expect(answer.hasSuffix("a/b:\(length):\(length > 0 ? 122 : 0)."))
            }
        }
    }

    @Test func `comes in chunks too`() async throws {
        try await with(Self.count) { test in
            let answer = try await test.probe(
                "PUT /files/c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + "5\r\nhello\r\n3;x=y\r\nyou\r\n0\r\n\r\n", until: ".")
            #expect(answer.hasSuffix("c:8:117."))
        }
    }

    @Test func `of more than the route takes is refused, told or not`() async throws {
        try await with(most: 10, Self.count) { test in
            let told = try await test.probe(Self.put(11), until: "\r\n\r\n")
            #expect(told.contains("413 Content Too Large"))
            let chunked = try await test.probe(
                "PUT /files/c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + "b\r\nhello world\r\n0\r\n\r\n", until: "\r\n\r\n")
            #expect(chunked.contains("413 Content Too Large"))
        }
    }

    @Test func `is refused before its end, with an answer that arrives`() async throws {
        try await with({ _, _ in .problem(410, "gone") }) { test in
            let socket = try test.connect()
            await socket.send(Self.put(8_000_000) + String(repeating: "z", count: 200_000))
            let answer = await socket.read(until: "}")
            #expect(answer.contains("410 Gone") && answer.contains("Connection: close"))
        }
    }

    @Test func `is not read faster than it is taken`() async throws {
        var limits = WebLimits()
        limits.maxStreamedBytes = 100_000
        let gate = Gate()
        let most = Lock(0)
        try await with(
            limits: limits,
            { _, body in
                await gate.wait()
                while let bytes = try? await body.next() {
                    most.withLock { $0 = max($0, bytes.count) }
                }
                return .text("taken.")
            }
        ) { test in
            let socket = try test.connect()
            let sending = Task {
                await socket.send(Self.put(6_000_000) + String(repeating: "z", count: 6_000_000))
            }
            gate.open()
            let answer = await socket.read(until: "taken.")
            await sending.value
            #expect(answer.hasSuffix("taken."))
            // What the C side reads in one go may come on top.
            #expect(most.withLock { $0 } < 100_000 + 66_000)
        }
    }

    @Test func `tells its taker when the peer leaves`() async throws {
        let (told, tell) = AsyncStream.makeStream(of: String.self)
        try await with({ _, body in
            do {
                while let bytes = try await body.next() {
                    tell.yield(String(decoding: bytes, as: UTF8.self))
                }
            } catch { tell.yield("broken") }
            return .text("nobody reads it")
        }) { test in
            let socket = try test.connect()
            await socket.send(Self.put(1000) + "half")
            var heard = told.makeAsyncIterator()
            // Not before its head was read: a reset takes what nobody has read yet.
            #expect(await heard.next() == "half")
            socket.reset()
            #expect(await heard.next() == "broken")
        }
    }
}

@Suite(.timeLimit(.minutes(1))) struct `An answer in pieces` {
    private struct Failed: Error {}

    private func with(
        _ length: Int64, _ pieces: [Int], failing: Bool = false,
        _ body: (TestServer) async throws -> Void
    ) async throws {
        let test = try TestServer { router in
            router.add("GET", "/file") { _ in
                let left = Lock(pieces[...])
                return HTTPResponse(200, length: length) {
                    guard let count = left.withLock({ $0.popFirst() }) else {
                        if failing { throw Failed() }
                        return nil
                    }
                    return [UInt8](repeating: 0x61, count: count)
                }
            }
        }
        try await body(test)
        await test.server.stop()
    }

    private static let get = "GET /file HTTP/1.1\r\nHost: x\r\n\r\n"

    @Test func `arrives whole and tells its length`() async throws {
        let pieces = [Int](repeating: HTTPResponse.pieceBytes, count: 60)
        let length = pieces.reduce(0, +)
        try await with(Int64(length), pieces) { test in
            let answer = try await test.probe(Self.get)
            let head = try #require(answer.firstRange(of: "\r\n\r\n"))
            #expect(answer.contains("Content-Length: \(length)\r\n"))
            #expect(answer[head.upperBound...].utf8.count == length)
        }
    }

    @Test func `ends early, and not with its length, when a piece cannot be had`() async throws {
        try await with(500_000, [1000], failing: true) { test in
            let answer = try await test.probe(Self.get)
            #expect(answer.utf8.count < 2000)
        }
    }

    @Test func `is only told of to HEAD`() async throws {
        try await with(7, [7]) { test in
            let answer = try await test.probe(
                "HEAD /file HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            #expect(answer.contains("Content-Length: 7\r\n") && answer.hasSuffix("\r\n\r\n"))
        }
    }
}
