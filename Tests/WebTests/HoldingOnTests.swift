import Glibc
import TestSupport
import Testing
import Web

/// Peers that hold their connection by doing almost nothing.
@Suite(.timeLimit(.minutes(1))) struct `A connection` {
    @Test(
        arguments: [LoopKind.libuv, .poll],
        ["Content-Length: 1000\r\n", "Transfer-Encoding: chunked\r\n"])
    func `ends when its body only trickles in`(kind: LoopKind, framing: String) async throws {
        var limits = WebLimits()
        limits.requestSeconds = 2
        let test = try TestServer(kind: kind, limits: limits)
        let socket = try test.connect()
        let chunk = framing.hasPrefix("T") ? "ff\r\n" : ""
        await socket.send("POST /echo/p HTTP/1.1\r\nHost: x\r\n\(framing)\r\n\(chunk)")
        // libwebsockets' own clock starts again with every byte.
        #expect(await socket.trickle(0x61, everyMilliseconds: 250, most: 60) < 60)
        await test.server.stop()
    }

    @Test(arguments: [LoopKind.libuv, .poll])
    func `ends when its answer is not read`(kind: LoopKind) async throws {
        var limits = WebLimits()
        limits.keepAliveSeconds = 1
        let test = try TestServer(kind: kind, limits: limits) {
            $0.add("GET", "/huge") { _ in
                HTTPResponse(200, body: [UInt8](repeating: 0x61, count: 32 << 20))
            }
        }
        let socket = try test.connect(receiveBufferBytes: 4096)
        await socket.send("GET /huge HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(await socket.read(count: 1000).count >= 1000)
        var left = 300
        while await test.server.shards[0].openConnections() > 0, left > 0 {
            left -= 1
            await onThread { _ = poll(nil, 0, 50) }
        }
        #expect(left > 0)
        await test.server.stop()
    }
}
