import Service
import TestSupport
import Testing

@testable import HTTPClient

@Suite(.timeLimit(.minutes(1))) struct `A file transfer` {
    let folder = TemporaryFolder()
    let transfer = FileTransfer(rules: .init(hosts: ["127.0.0.1"]))

    private static func answer(_ body: String, tag: String? = nil, status: String = "200 OK")
        -> String
    {
        let line = tag.map { "ETag: \($0)\r\n" } ?? ""
        return "HTTP/1.1 \(status)\r\n\(line)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    private func failure(
        _ transfer: FileTransfer, _ url: String, limitBytes: Int64 = 1000
    ) async -> FileTransferError? {
        do throws(FileTransferError) {
            try await transfer.download(
                url, to: folder.file("got"), limitBytes: limitBytes)
            return nil
        } catch { return error }
    }

    private func got() throws -> String {
        String(decoding: try FileSystem.read(folder.file("got")), as: UTF8.self)
    }

    @Test func `fetches a file that only we may read`() async throws {
        let server = try ScriptedServer { _ in .send(Self.answer("firmware", tag: "\"v1\"")) }
        let tag = Lock<String?>(nil)
        try await transfer.download(server.url + "/a", to: folder.file("got"), limitBytes: 8) {
            heard in tag.withLock { $0 = heard }
        }
        #expect(tag.withLock { $0 } == "\"v1\"")
        #expect(try got() == "firmware")
        #expect(try FileSystem.mode(of: folder.file("got")) == 0o600)
    }

    @Test func `goes on where an earlier try broke`() async throws {
        let server = try ScriptedServer { request in
            request.contains("Range: bytes=4-")
                ? .send(
                    "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 4-7/8\r\n"
                        + "Content-Length: 4\r\n\r\nware")
                : .sendAndClose("HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 8\r\n\r\nfirm")
        }
        let tag = Lock<String?>(nil)
        await #expect(throws: FileTransferError.self) {
            try await transfer.download(server.url, to: folder.file("got"), limitBytes: 1000) {
                heard in tag.withLock { $0 = heard }
            }
        }
        try await transfer.download(
            server.url, to: folder.file("got"), limitBytes: 1000, resuming: tag.withLock { $0 })
        #expect(try got() == "firmware")
        #expect(server.requests.last?.contains("If-Range: \"v1\"") == true)
    }

    @Test func `begins anew where the place has another file by now`() async throws {
        try FileSystem.writeAtomically(Array("old ".utf8), to: folder.file("got"))
        let server = try ScriptedServer { _ in .sendAndClose(Self.answer("new file")) }
        try await transfer.download(
            server.url, to: folder.file("got"), limitBytes: 1000, resuming: "\"v1\"")
        #expect(try got() == "new file")
    }

    @Test func `stops at its limit, also where no length is told`() async throws {
        let server = try ScriptedServer { _ in
            .flood(head: "HTTP/1.1 200 OK\r\n\r\n", chunk: String(repeating: "x", count: 4096))
        }
        #expect(await failure(transfer, server.url, limitBytes: 100_000) == .tooLarge)
        #expect(try got().utf8.count <= 100_000)
    }

    @Test func `keeps the text of an error out of the file`() async throws {
        let server = try ScriptedServer { _ in
            .send(Self.answer("no such file", status: "404 Not Found"))
        }
        #expect(await failure(transfer, server.url) == .refused(status: 404))
        #expect(try got() == "")
    }

    @Test func `follows a redirect to a place the rules allow and to no other`() async throws {
        let server = try ScriptedServer { request in
            if request.hasPrefix("GET /b") { return .send(Self.answer("there")) }
            let target = request.hasPrefix("GET /a") ? "/b" : "http://localhost:1/"
            return .send("HTTP/1.1 302 Found\r\nLocation: \(target)\r\nContent-Length: 0\r\n\r\n")
        }
        #expect(await failure(transfer, server.url + "/a") == nil)
        #expect(try got() == "there")
        let other = await failure(transfer, server.url + "/c")
        #expect(other == .forbidden("localhost is not among the hosts of the configuration"))
    }

    @Test func `does not follow for ever`() async throws {
        let server = try ScriptedServer { _ in
            .send("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")
        }
        #expect(await failure(transfer, server.url) == .failed("redirected too often"))
    }

    @Test(arguments: [
        "file:///etc/passwd", "gopher://127.0.0.1/", "not a url", "ftp://127.0.0.1/\r\nDELE x",
        "https://", "scp://127.0.0.1/x", "http://example.org/a", "http://127.1.1.1/", "/etc/passwd",
    ])
    func `goes to no other place`(_ url: String) async {
        let error = await failure(transfer, url)
        #expect(error?.mayHeal == false)
    }

    @Test(arguments: [
        "http://192.0.2.1/", "https://127.0.0.1:9/", "https://[::ffff:127.0.0.1]:9/",
        "https://0x7f.1:9/", "ftp://192.0.2.1/", "https://169.254.169.254/", "https://10.0.0.1/",
    ])
    func `stays out of private networks where no host is named`(_ url: String) async {
        let strict = FileTransfer(rules: .init())
        guard case .forbidden = await failure(strict, url) else {
            Issue.record("not forbidden")
            return
        }
    }

    @Test func `sends a file with PUT, and with POST where that is refused`() async throws {
        try FileSystem.writeAtomically(Array("the log".utf8), to: folder.file("log"))
        let server = try ScriptedServer { request in
            request.hasPrefix("PUT /post")
                ? .send("HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
                : .send("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
        }
        try await transfer.upload(folder.file("log"), to: server.url + "/put/a")
        try await transfer.upload(folder.file("log"), to: server.url + "/post/a")
        #expect(server.requests.map { $0.prefix(6) } == ["PUT /p", "PUT /p", "POST /"])
        #expect(server.requests.last?.hasSuffix("\r\n\r\nthe log") == true)
    }

    @Test func `ends when its task is cancelled`() async throws {
        let server = try ScriptedServer { _ in
            .sendAndHang("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        }
        let url = server.url
        let task = Task { await failure(transfer, url) }
        await server.until { !$0.requests.isEmpty }
        task.cancel()
        #expect(await task.value == .cancelled)
    }

    @Test func `shows no log-in in a log`() {
        #expect(
            FileTransfer.masked("ftp://user:pa@ss@host:21/a/b?token=1#x") == "ftp://***@host:21/a/b"
        )
        #expect(FileTransfer.masked("https://host/a@b?c") == "https://host/a@b")
    }
}
