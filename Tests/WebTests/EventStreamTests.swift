import Service
import TestSupport
import Testing
import Web

@Suite(.timeLimit(.minutes(1))) struct `Server-sent events` {
    private static let request = "GET /events HTTP/1.1\r\nHost: x\r\n\r\n"

    @Test(arguments: [LoopKind.libuv, .poll])
    func `reach the reader as they are written, then the stream ends`(kind: LoopKind) async throws {
        let test = try TestServer(kind: kind) {
            $0.add("GET", "/events") { _ in
                .events { stream in
                    stream.send(event: "session\nx", id: "7", data: "one\ntwo")
                    stream.send(data: "{}")
                }
            }
        }
        let answer = try await test.probe(Self.request)
        #expect(answer.contains("Content-Type: text/event-stream"))
        #expect(answer.hasSuffix("event: session\nid: 7\ndata: one\ndata: two\n\ndata: {}\n\n"))
        await test.server.stop()
    }

    @Test func `keep a quiet stream alive with comments`() async throws {
        var limits = WebLimits()
        limits.eventHeartbeatSeconds = 1
        let end = Gate()
        let test = try TestServer(limits: limits) {
            $0.add("GET", "/events") { _ in .events { _ in await end.wait() } }
        }
        let socket = try test.connect()
        await socket.send(Self.request)
        await #expect(socket.read(until: "\r\n\r\n:\n\n").contains("200 OK"))
        end.open()
        await test.server.stop()
    }

    @Test func `stop their writer when the reader leaves`() async throws {
        let started = Gate()
        let ended = Gate()
        let test = try TestServer {
            $0.add("GET", "/events") { _ in
                .events { stream in
                    stream.send(data: "first")
                    started.open()
                    await withTaskCancellationHandler {
                        await ended.wait()
                    } onCancel: {
                        ended.open()
                    }
                }
            }
        }
        let socket = try test.connect()
        await socket.send(Self.request)
        _ = await socket.read(until: "first")
        await started.wait()
        socket.reset()
        await ended.wait()
        await test.server.stop()
    }

    @Test(arguments: [LoopKind.libuv, .poll])
    func `cut a reader that is too slow`(kind: LoopKind) async throws {
        var limits = WebLimits()
        limits.maxEventQueueBytes = 100_000
        let cut = Gate()
        let test = try TestServer(kind: kind, limits: limits) {
            $0.add("GET", "/events") { _ in
                .events { stream in
                    let line = String(repeating: "x", count: 10_000)
                    while stream.send(data: line) { await Task.yield() }
                    cut.open()
                }
            }
        }
        let socket = try test.connect(receiveBufferBytes: 4096)
        await socket.send(Self.request)
        await cut.wait()
        await test.server.stop()
    }
}
