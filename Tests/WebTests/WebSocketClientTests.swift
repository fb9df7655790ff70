import Crypto
import Glibc
import Service
import TestSupport
import Testing
import Web

@Suite(.timeLimit(.minutes(1))) struct `A WebSocket client` {
    private static let credentials = BasicCredentials(
        user: Array("CP1".utf8), password: Array("secret".utf8))

    private func configuration(_ test: TestServer, _ path: String = "/ocpp/CP1")
        -> WebSocketClient.Configuration
    {
        var configuration = WebSocketClient.Configuration(
            url: "ws://127.0.0.1:\(test.port)\(path)", subprotocols: ["ocpp2.0.1", "ocpp1.6"])
        configuration.credentials = Self.credentials
        configuration.connectSeconds = 15
        return configuration
    }

    private func failure(_ configuration: WebSocketClient.Configuration) async
        -> WebSocketClientError?
    {
        do throws(WebSocketClientError) {
            _ = try await WebSocketClient.connect(configuration)
            return nil
        } catch {
            return error
        }
    }

    @Test func `talks to a server in order and learns how it ended`() async throws {
        let test = try TestServer()
        let client = try await WebSocketClient.connect(configuration(test))
        #expect(client.subprotocol == "ocpp2.0.1")
        for text in ["one", "two", String(repeating: "z", count: 100_000)] {
            try await client.send(Array(text.utf8))
            await #expect(client.messages.next() == Array(text.utf8))
        }
        try await client.send(Array("bye".utf8))
        await #expect(client.messages.next() == nil)
        await #expect(client.closure() == .init(code: 1000, reason: "bye", byPeer: true))
        await #expect(throws: WebSocketClientError.closed) { try await client.send([0x78]) }
        await test.server.stop()
    }

    @Test func `lets the server wait while its inbox is full`() async throws {
        let test = try TestServer()
        var configuration = configuration(test)
        configuration.maxInboxMessages = 4
        let client = try await WebSocketClient.connect(configuration)
        for number in 0..<500 { try await client.send(Array("message \(number)".utf8)) }
        for number in 0..<500 {
            await #expect(client.messages.next() == Array("message \(number)".utf8))
        }
        await client.close()
        await #expect(client.closure().code == 1000)
        await test.server.stop()
    }

    @Test func `says why it has no connection`() async throws {
        let test = try TestServer()
        var wrong = configuration(test)
        wrong.credentials = nil
        await #expect(failure(wrong) == .status(401))
        var unknown = configuration(test)
        unknown.subprotocols = ["ocpp9.9"]
        await #expect(failure(unknown) == .wrongSubprotocol)
        var nowhere = configuration(test, "/nope")
        nowhere.credentials = nil
        await #expect(failure(nowhere) == .status(404))
        var nobody = configuration(test)
        nobody.url = "ws://nobody.invalid/"
        await #expect(failure(nobody) == .unknownHost("nobody.invalid"))
        nobody.url = "http://127.0.0.1/"
        #expect(
            await failure(nobody)
                == .badConfiguration(reason: "not a ws:// or wss:// URL: http://127.0.0.1/"))
        let closed = configuration(test)
        await test.server.stop()
        guard case .refused = await failure(closed) else {
            Issue.record("a closed port is refused")
            return
        }
    }

    @Test func `gives up on a server that says nothing`() async throws {
        let silent = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(silent) }
        listen(silent, 4)
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(silent, $0, &length)
            }
        }
        var configuration = WebSocketClient.Configuration(
            url: "ws://127.0.0.1:\(UInt16(bigEndian: address.sin_port))/", subprotocols: ["ocpp1.6"]
        )
        configuration.connectSeconds = 1
        await #expect(failure(configuration) == .timedOut)
    }
}

/// A throw-away authority with a server and two clients, one of them signed by nobody.
private struct PKI {
    let folder = TemporaryFolder()
    var caFile: String { folder.file("ca.pem") }

    init() throws {
        let authority = try CertificateAuthority(commonName: "test authority")
        let stranger = try CertificateAuthority(commonName: "another authority")
        try write("ca.pem", authority.certificatePEM())
        try write("other-ca.pem", stranger.certificatePEM())
        try keep(
            "server",
            authority.issueServer(
                commonName: "localhost", names: [.dns("localhost"), .ip("127.0.0.1")]))
        try keep("client", authority.issueClient(commonName: "CP1"))
        try keep("stranger", stranger.issueClient(commonName: "CP1"))
    }

    private func keep(_ name: String, _ pair: CertifiedKey) throws {
        try write("\(name).pem", pair.certificatePEM)
        try write("\(name).key", pair.privateKeyPEM)
    }

    private func write(_ name: String, _ text: String) throws {
        try FileSystem.writeAtomically(Array(text.utf8), to: folder.file(name))
    }

    func listener(_ name: String, _ clients: TLSListener.ClientCertificates) -> Listener {
        Listener(
            name: name, port: 0,
            tls: TLSListener(
                certificateFile: folder.file("server.pem"), keyFile: folder.file("server.key"),
                clientCAFile: caFile, clientCertificates: clients))
    }
}

@Suite(.timeLimit(.minutes(1))) struct `TLS` {
    private func connect(
        _ pki: PKI, _ server: WebServer, _ listener: String, host: String = "localhost",
        ca: String? = "ca.pem", client: String? = nil
    ) async -> Result<String, WebSocketClientError> {
        guard let address = server.addresses.first(where: { $0.name == listener }) else {
            return .failure(.refused(reason: "no such listener"))
        }
        var configuration = WebSocketClient.Configuration(
            url: "wss://\(host):\(address.port)/who", subprotocols: ["ocpp1.6"])
        configuration.connectSeconds = 15
        configuration.caFile = ca.map { pki.folder.file($0) }
        configuration.certificateFile = client.map { pki.folder.file("\($0).pem") }
        configuration.keyFile = client.map { pki.folder.file("\($0).key") }
        do throws(WebSocketClientError) {
            let client = try await WebSocketClient.connect(configuration)
            let text = await client.messages.next().map { String(decoding: $0, as: UTF8.self) }
            await client.close()
            return .success(text ?? "nothing")
        } catch {
            return .failure(error)
        }
    }

    private func makeServer(_ pki: PKI, kind: LoopKind) throws -> WebServer {
        var router = Router()
        let route = WebSocketRoute(subprotocols: ["ocpp1.6"]) { request in
            let name = request.http.clientCertificate?.commonName ?? "none"
            let text = "\(request.http.listener) \(name) \(request.http.isTLS)"
            return .accept { connection, _ in Greeter(connection, text) }
        }
        router.add("/who", webSocket: route)
        // The lax listener comes first: lws would let a client's SNI or Host choose it.
        let server = try WebServer(
            configuration: WebServerConfiguration(
                listeners: [
                    pki.listener("none", .none), pki.listener("optional", .optional),
                    pki.listener("required", .required),
                ], loopKind: kind), router: router)
        server.start()
        return server
    }

    @Test(arguments: [LoopKind.libuv, .poll])
    func `checks client certificates as each listener asks (4)`(kind: LoopKind) async throws {
        let pki = try PKI()
        let server = try makeServer(pki, kind: kind)
        await #expect(connect(pki, server, "none") == .success("none none true"))
        await #expect(connect(pki, server, "optional") == .success("optional none true"))
        #expect(
            await connect(pki, server, "optional", client: "client")
                == .success("optional CP1 true"))
        #expect(
            await connect(pki, server, "required", client: "client")
                == .success("required CP1 true"))
        for refused in [
            await connect(pki, server, "required"),
            await connect(pki, server, "required", client: "stranger"),
            await connect(pki, server, "optional", client: "stranger"),
        ] {
            guard case .failure(.refused) = refused else {
                Issue.record("\(refused)")
                continue
            }
        }
        await server.stop()
    }

    @Test func `checks the server's name and authority`() async throws {
        let pki = try PKI()
        let server = try makeServer(pki, kind: .libuv)
        await #expect(connect(pki, server, "none", host: "127.0.0.1") == .success("none none true"))
        for refused in [
            await connect(pki, server, "none", host: "other.localhost"),
            await connect(pki, server, "none", ca: "other-ca.pem"),
            await connect(pki, server, "none", ca: nil),
        ] {
            guard case .failure(.refused(let reason)) = refused else {
                Issue.record("\(refused)")
                continue
            }
            #expect(reason.hasPrefix("the server's certificate: "))
        }
        await server.stop()
    }

    @Test func `names the listener whose files are unusable`() throws {
        let pki = try PKI()
        var listener = pki.listener("broken", .none)
        listener.tls?.certificateFile = pki.folder.file("missing.pem")
        #expect(throws: WebServerError.self) {
            _ = try WebServer(
                configuration: WebServerConfiguration(listeners: [listener]), router: Router())
        }
    }
}

/// Says one thing.
private final class Greeter: WebSocketSession {
    private let connection: WebSocketConnection
    private let text: String

    init(_ connection: WebSocketConnection, _ text: String) {
        self.connection = connection
        self.text = text
    }

    func opened(on shard: isolated Shard) { connection.send(Array(text.utf8), on: shard) }
    func received(_ message: RawSpan, isText: Bool, on shard: isolated Shard) {}
    func closed(_ closure: WebSocketClosure, on shard: isolated Shard) {}
}
