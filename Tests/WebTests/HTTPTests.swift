import Service
import Testing
import Web

@Suite(.timeLimit(.minutes(1))) struct `HTTP on a plain listener` {
    @Test(arguments: [LoopKind.libuv, .poll])
    func `answers several requests on one connection`(kind: LoopKind) async throws {
        let test = try TestServer(kind: kind)
        let request = "GET /echo/a HTTP/1.1\r\nHost: x\r\n\r\n"
        let last = "GET /echo/b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        let answer = try await test.probe(request + request + last)
        #expect(answer.components("HTTP/1.1 200 OK").count == 4)
        #expect(answer.contains("GET|/echo/b|b|||"))
        #expect(answer.contains("Connection: close"))
        await test.server.stop()
    }
}

extension String {
    func components(_ separator: String) -> [Substring] {
        split(separator: separator, omittingEmptySubsequences: false)
    }
}
