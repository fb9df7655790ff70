import Crypto
import Service
import TestSupport
import Testing
import Web

@testable import HTTPClient

private let good = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Kerb: a b \r\n\r\nhi"

private func failure(
    _ client: HTTPClient, _ call: HTTPCall
) async -> HTTPCallError? {
    do throws(HTTPCallError) {
        _ = try await client.call(call)
        return nil
    } catch { return error }
}

@Suite struct `An HTTP client` {
    let client = HTTPClient(.init(rules: .open))

    @Test func `sends method, headers and body, and hands the answer over whole`() async throws {
        let server = try ScriptedServer { _ in .send(good) }
        let answer = try await client.call(
            HTTPCall(
                .put, server.url + "/ocpi/x?y=1",
                headers: [
                    HTTPField("Authorization", "Token abc"),
                    HTTPField("Content-Type", "application/json"), HTTPField("X-Empty", ""),
                ],
                body: Array(#"{"a":1}"#.utf8)))
        #expect(answer.status == 200)
        #expect(answer.body == Array("hi".utf8))
        #expect(answer.header("x-kerb")?.hasPrefix("a b") == true)
        let request = try #require(server.requests.first)
        #expect(request.hasPrefix("PUT /ocpi/x?y=1 HTTP/1.1\r\n"))
        #expect(request.contains("\r\nUser-Agent: kerb\r\n"))
        #expect(request.contains("\r\nAuthorization: Token abc\r\n"))
        #expect(request.contains("\r\nX-Empty:\r\n"))
        #expect(!request.contains("Expect"))
        #expect(!request.contains("x-www-form"))
        #expect(request.hasSuffix("\r\n\r\n{\"a\":1}"))
    }

    @Test(arguments: [HTTPCall.Method.get, .post, .put, .patch, .delete])
    func `sends every method without a body too`(_ method: HTTPCall.Method) async throws {
        let server = try ScriptedServer { _ in .send("HTTP/1.1 204 No Content\r\n\r\n") }
        #expect(try await client.call(HTTPCall(method, server.url)).status == 204)
        #expect(server.requests.first?.hasPrefix("\(method.rawValue) / HTTP/1.1") == true)
    }

    @Test func `keeps a connection for the next call`() async throws {
        let server = try ScriptedServer { _ in .send(good) }
        for _ in 0..<5 { _ = try await client.call(HTTPCall(.get, server.url)) }
        #expect(server.connections == 1)
    }

    @Test func `takes a redirect for an answer`() async throws {
        let server = try ScriptedServer { _ in
            .send(
                "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
            )
        }
        let answer = try await client.call(HTTPCall(.get, server.url))
        #expect(answer.status == 302)
        #expect(answer.header("Location") == "http://169.254.169.254/")
        #expect(server.requests.count == 1)
    }

    @Test func `forgets the head of an interim answer`() async throws {
        let server = try ScriptedServer { _ in
            .send("HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\n" + good)
        }
        let answer = try await client.call(HTTPCall(.get, server.url))
        #expect(answer.status == 200)
        #expect(answer.header("X-Early") == nil)
    }

    @Test func `ends at the deadline, whether the peer hangs before or within its answer`()
        async throws
    {
        let silent = try ScriptedServer { _ in .sendAndHang("") }
        let slow = try ScriptedServer { _ in
            .sendAndHang("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        }
        async let first = failure(client, HTTPCall(.get, silent.url, deadlineSeconds: 1))
        async let second = failure(client, HTTPCall(.get, slow.url, deadlineSeconds: 1))
        #expect(await [first, second] == [.deadlinePassed, .deadlinePassed])
        await silent.until { $0.gone == 1 }
        await slow.until { $0.gone == 1 }
    }

    @Test func `ends at the deadline while it waits for its turn`() async throws {
        var configuration = HTTPClient.Configuration(rules: .open)
        configuration.connectionsPerHost = 1
        let client = HTTPClient(configuration)
        let server = try ScriptedServer { _ in .sendAndHang("") }
        async let holder = failure(client, HTTPCall(.get, server.url, deadlineSeconds: 3))
        await server.until { $0.requests.count == 1 }
        #expect(
            await failure(client, HTTPCall(.get, server.url, deadlineSeconds: 1)) == .deadlinePassed
        )
        client.stop()
        #expect(await holder == .stopped)
    }

    @Test func `refuses a body beyond its limit, announced or not`() async throws {
        let server = try ScriptedServer { request in
            request.hasPrefix("GET /told")
                ? .flood(
                    head: "HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n", chunk: "xxxxxxxx")
                : .flood(head: "HTTP/1.1 200 OK\r\n\r\n", chunk: String(repeating: "x", count: 999))
        }
        for path in ["/told", "/endless"] {
            let call = HTTPCall(.get, server.url + path, maxBodyBytes: 5000)
            #expect(await failure(client, call) == .bodyTooLarge)
        }
    }

    @Test func `refuses a head without end`() async throws {
        let server = try ScriptedServer { _ in
            .flood(
                head: "HTTP/1.1 200 OK\r\n", chunk: "X: \(String(repeating: "x", count: 999))\r\n")
        }
        #expect(
            await failure(client, HTTPCall(.get, server.url))
                == .broken("the answer's head is too long"))
    }

    @Test func `tells a broken peer from one that is not there`() async throws {
        let reset = try ScriptedServer { _ in .reset }
        let garbage = try ScriptedServer { _ in .sendAndClose("\u{1}\u{2}\u{3} hello\r\n\r\n") }
        let short = try ScriptedServer { _ in
            .sendAndClose("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        }
        for server in [reset, garbage, short] {
            let failure = await failure(client, HTTPCall(.get, server.url))
            guard case .broken = failure else {
                Issue.record("\(String(describing: failure)) is not .broken")
                continue
            }
        }
        guard case .notConnected = await failure(client, HTTPCall(.get, "http://127.0.0.1:1/"))
        else {
            Issue.record("a closed port is .notConnected")
            return
        }
        #expect(
            await failure(client, HTTPCall(.get, "http://no-such-host.invalid/"))
                == .nameNotResolved)
    }

    @Test func `aborts the transfer when its task is cancelled`() async throws {
        let server = try ScriptedServer { _ in .sendAndHang("") }
        let (client, call) = (client, HTTPCall(.get, server.url, deadlineSeconds: 600))
        let task = Task { await failure(client, call) }
        await server.until { $0.requests.count == 1 }
        task.cancel()
        #expect(await task.value == .cancelled)
        await server.until { $0.gone == 1 }
    }

    @Test func `does not even start a call whose task is cancelled already`() async throws {
        let server = try ScriptedServer { _ in .send(good) }
        let (client, call) = (client, HTTPCall(.get, server.url))
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return await failure(client, call)
        }
        #expect(await task.value == .cancelled)
        #expect(server.connections == 0)
    }

    @Test func `lets no dead peer delay another`() async throws {
        let dead = try ScriptedServer { _ in .sendAndHang("") }
        let alive = try ScriptedServer { _ in .send(good) }
        let client = client
        let ended = Lock(0)
        let stuck = (0..<40).map { _ in
            let call = HTTPCall(.get, dead.url, deadlineSeconds: 600)
            return Task {
                let failure = await failure(client, call)
                ended.withLock { $0 += 1 }
                return failure
            }
        }
        await dead.until { $0.requests.count == 8 }
        for _ in 0..<20 { #expect(try await client.call(HTTPCall(.get, alive.url)).status == 200) }
        #expect(ended.withLock { $0 } == 0)
        #expect(dead.connections == 8)
        client.stop()
        for task in stuck { #expect(await task.value == .stopped) }
        #expect(await failure(client, HTTPCall(.get, alive.url)) == .stopped)
    }

    @Test func `refuses more calls than may wait for one host`() async throws {
        var configuration = HTTPClient.Configuration(rules: .open)
        configuration.callsPerHost = 2
        let client = HTTPClient(configuration)
        let server = try ScriptedServer { _ in .sendAndHang("") }
        let url = server.url
        async let first = failure(client, HTTPCall(.get, url))
        async let second = failure(client, HTTPCall(.get, url))
        await server.until { $0.requests.count == 2 }
        #expect(await failure(client, HTTPCall(.get, url)) == .queueFull)
        client.stop()
        #expect(await [first, second] == [.stopped, .stopped])
    }

    @Test(arguments: [
        HTTPCall(.get, "not a url"), HTTPCall(.get, "/path"),
        HTTPCall(.get, "http://u:p@127.0.0.1/"), HTTPCall(.get, "http://127.0.0.1/a b"),
        HTTPCall(.get, "http://127.0.0.1/\r\nX: y"),
        HTTPCall(.get, "http://127.0.0.1/", headers: [HTTPField("A", "b\r\nC: d")]),
        HTTPCall(.get, "http://127.0.0.1/", headers: [HTTPField("A b", "c")]),
        HTTPCall(.get, "http://127.0.0.1/", deadlineSeconds: 0),
    ])
    func `refuses a call that is not usable`(_ call: HTTPCall) async {
        guard case .badCall = await failure(client, call) else {
            Issue.record("\(call.url) is .badCall")
            return
        }
    }

    @Test func `trusts only the authority it is given, and checks the name`() async throws {
        let folder = TemporaryFolder()
        func write(_ text: String, _ name: String) throws -> String {
            try FileSystem.writeAtomically(Array(text.utf8), to: folder.file(name))
            return folder.file(name)
        }
        let authority = try CertificateAuthority(commonName: "test")
        let key = try authority.issueServer(commonName: "localhost", names: [.dns("localhost")])
        let tls = TLSListener(
            certificateFile: try write(key.certificatePEM, "cert.pem"),
            keyFile: try write(key.privateKeyPEM, "key.pem"))
        var router = Router()
        router.add("GET", "/") { _ in .text("secure") }
        let server = try WebServer(
            configuration: WebServerConfiguration(listeners: [Listener(port: 0, tls: tls)]),
            router: router)
        server.start()
        let port = server.addresses[0].port
        let knowing = HTTPClient(
            .init(rules: .open, caFile: try write(authority.certificatePEM(), "ca.pem")))
        let answer = try await knowing.call(HTTPCall(.get, "https://localhost:\(port)/"))
        #expect(answer.body == Array("secure".utf8))
        for (client, host) in [(knowing, "127.0.0.1"), (client, "localhost")] {
            let failure = await failure(client, HTTPCall(.get, "https://\(host):\(port)/"))
            guard case .notTrusted = failure else {
                Issue.record("\(String(describing: failure)) is not .notTrusted")
                continue
            }
        }
        await server.stop()
    }
}

@Suite struct `The rules for hosts` {
    @Test func `let partners' URLs reach neither plain HTTP nor our own network`() async throws {
        let server = try ScriptedServer { _ in .send(good) }
        #expect(
            await failure(HTTPClient(), HTTPCall(.get, server.url)) == .forbidden("http URLs"))
        let plain = HTTPClient(.init(rules: HostRules(allowsPlain: true)))
        for host in [
            "127.0.0.1", "localhost", "2130706433", "0x7f.1", "0.0.0.0", "[::ffff:127.0.0.1]",
        ] {
            let failure = await failure(plain, HTTPCall(.get, "http://\(host):\(server.port)/"))
            guard case .forbidden(let why) = failure else {
                Issue.record("\(host): \(String(describing: failure)) is not .forbidden")
                continue
            }
            #expect(why.hasSuffix("is a loopback address"))
        }
        #expect(server.connections == 0)
        for url in ["ftp://example.com/", "file:///etc/passwd", "gopher://x/"] {
            let failure = await failure(plain, HTTPCall(.get, url))
            switch failure {
            case .forbidden, .badCall: break
            default: Issue.record("\(url): \(String(describing: failure))")
            }
        }
    }

    @Test(
        arguments: [
            ([10, 1, 2, 3], true), ([172, 31, 0, 1], true), ([172, 32, 0, 1], false),
            ([192, 168, 1, 1], true), ([169, 254, 169, 254], true), ([100, 64, 0, 1], true),
            ([100, 128, 0, 1], false), ([224, 0, 0, 1], true), ([255, 255, 255, 255], true),
            ([192, 0, 2, 1], true), ([192, 0, 78, 1], false), ([8, 8, 8, 8], false),
            ([127, 0, 0, 1], true), ([0, 1, 2, 3], true),
        ] as [([UInt8], Bool)])
    func `know IPv4 addresses that are nobody else's`(_ bytes: [UInt8], _ isRefused: Bool) {
        #expect((HostRules.strict.refusal(ipv4: bytes) != nil) == isRefused)
        #expect(HostRules.open.refusal(ipv4: bytes) == nil)
    }

    @Test(
        arguments: [
            ([0xFC, 0], [1], true), ([0xFE, 0x80], [1], true), ([0xFF, 2], [1], true),
            ([], [1], true),
            ([0x20, 0x01, 0x0D, 0xB8], [1], true), ([0x20, 0x01, 0x48, 0x60], [0x88], false),
            ([0, 0x64, 0xFF, 0x9B], [10, 0, 0, 1], true),
            ([0, 0x64, 0xFF, 0x9B], [8, 8, 8, 8], false),
            ([0x20, 0x02, 192, 168, 0, 1], [], true), ([0x20, 0x02, 8, 8, 8, 8], [], false),
        ] as [([UInt8], [UInt8], Bool)])
    func `know IPv6 addresses that are nobody else's`(
        _ first: [UInt8], _ last: [UInt8], _ isRefused: Bool
    ) {
        let middle = [UInt8](repeating: 0, count: 16 - first.count - last.count)
        let bytes = first + middle + last
        #expect((HostRules.strict.refusal(ipv6: bytes) != nil) == isRefused)
    }
}
