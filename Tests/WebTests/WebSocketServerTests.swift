import Crypto
import Service
import TestSupport
import Testing
import Web

@Suite(.timeLimit(.minutes(1))) struct `A WebSocket route` {
    static func handshake(
        path: String = "/ocpp/CP1", offer: String? = "ocpp1.6", user: String? = "CP1:secret",
        version: String = "13", upgrade: String = "websocket"
    ) -> String {
        var text =
            "GET \(path) HTTP/1.1\r\nHost: x\r\nUpgrade: \(upgrade)\r\nConnection: Upgrade\r\n"
            + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: \(version)\r\n"
        if let offer { text += "Sec-WebSocket-Protocol: \(offer)\r\n" }
        if let user { text += "Authorization: Basic \(Base64.encode(Array(user.utf8)))\r\n" }
        return text + "\r\n"
    }

    /// A client's frame, masked with zeroes.
    static func frame(_ payload: [UInt8], opcode: UInt8 = 1, final: Bool = true) -> [UInt8] {
        var bytes = [opcode | (final ? 0x80 : 0)]
        switch payload.count {
        case ..<126: bytes.append(0x80 | UInt8(payload.count))
        case ..<65536:
            bytes += [0x80 | 126, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
        default:
            bytes.append(0x80 | 127)
            bytes += (0..<8).reversed().map { UInt8(payload.count >> ($0 * 8) & 0xFF) }
        }
        return bytes + [0, 0, 0, 0] + payload
    }

    static func frame(_ text: String, opcode: UInt8 = 1, final: Bool = true) -> [UInt8] {
        frame(Array(text.utf8), opcode: opcode, final: final)
    }

    private func open(_ test: TestServer, receiveBufferBytes: Int? = nil) async throws -> RawSocket
    {
        let socket = try test.connect(receiveBufferBytes: receiveBufferBytes)
        await socket.send(Self.handshake())
        await #expect(socket.read(until: "\r\n\r\n").contains("101 Switching Protocols"))
        return socket
    }

    @Test(arguments: [
        ("ocpp1.6", "ocpp1.6"), ("ocpp2.0.1, ocpp1.6", "ocpp2.0.1"), ("foo, ocpp1.6", "ocpp1.6"),
        ("ocpp2.1,ocpp1.6", "ocpp1.6"), ("kerb, http, ocpp1.6", "ocpp1.6"),
    ])
    func `chooses the first subprotocol both know`(offer: String, chosen: String) async throws {
        let test = try TestServer()
        let answer = try await test.probe(Self.handshake(offer: offer), until: "\r\n\r\n")
        #expect(answer.hasPrefix("HTTP/1.1 101 "))
        #expect(answer.lowercased().contains("sec-websocket-protocol: \(chosen)\r\n"))
        #expect(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
        await test.server.stop()
    }

    @Test(arguments: ["ocpp9.9", nil, "http", String(repeating: "x", count: 130)])
    func `finishes the handshake and closes with 1002 if none is in common (9)`(offer: String?)
        async throws
    {
        let test = try TestServer()
        let socket = try test.connect()
        await socket.send(Self.handshake(offer: offer))
        let bytes = await socket.read { _ in false }
        #expect(bytes.starts(with: Array("HTTP/1.1 101 ".utf8)))
        #expect(bytes.suffix(4) == [0x88, 2, 0x03, 0xEA])
        #expect(
            !String(decoding: bytes, as: UTF8.self).lowercased().contains("sec-websocket-protocol"))
        await test.server.stop()
    }

    @Test func `refuses before the upgrade (7)`() async throws {
        let test = try TestServer()
        for (request, status) in [
            (Self.handshake(user: nil), "401"), (Self.handshake(user: "CP1:wrong"), "401"),
            (Self.handshake(user: "CP2:secret"), "401"), (Self.handshake(path: "/nope"), "404"),
            (Self.handshake(version: "8"), "426"), (Self.handshake(upgrade: "h2c"), "400"),
        ] {
            let answer = try await test.probe(request)
            #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(answer)")
            #expect((status == "401") == answer.contains("WWW-Authenticate: Basic"))
        }
        await test.server.stop()
    }

    @Test func `takes an identity with blanks and slashes`() async throws {
        let test = try TestServer()
        let answer = try await test.probe(
            Self.handshake(path: "/ocpp/a%20b%2Fc", user: "a b/c:secret"), until: "\r\n\r\n")
        #expect(answer.hasPrefix("HTTP/1.1 101 "))
        await test.server.stop()
    }

    @Test(arguments: [LoopKind.libuv, .poll])
    func `hears whole messages in order, whatever their frames`(kind: LoopKind) async throws {
        let test = try TestServer(kind: kind)
        let socket = try await open(test)
        let long = String(repeating: "y", count: 70_000)
        await socket.send(
            Self.frame("one") + Self.frame("tw", final: false)
                + Self.frame("", opcode: 9) + Self.frame("o", opcode: 0) + Self.frame(long)
                + Self.frame("later"))
        let answer = await socket.read { String(decoding: $0.suffix(5), as: UTF8.self) == "later" }
        let text = String(decoding: answer, as: UTF8.self)
        let one = try #require(text.firstRange(of: "one"))
        let two = try #require(text.firstRange(of: "two"))
        #expect(text.count { $0 == "y" } == long.count)
        let last = try #require(text.lastIndex(of: "y"))
        #expect(one.upperBound < two.lowerBound && two.upperBound < last)
        await test.server.stop()
    }

    @Test(arguments: [true, false])
    func `closes with 1009 over a message that is too large`(inOneFrame: Bool) async throws {
        var limits = WebLimits()
        limits.maxMessageBytes = 10_000
        limits.pongSeconds = 1
        let test = try TestServer(limits: limits)
        let socket = try await open(test)
        let half = [UInt8](repeating: 0x7A, count: 6_000)
        await socket.send(
            inOneFrame
                ? Self.frame(half + half)
                : Self.frame(half, final: false) + Self.frame(half, opcode: 0))
        let bytes = await socket.read(count: 4)
        #expect(bytes.prefix(4) == [0x88, 2, 0x03, 0xF1])
        await #expect(test.log.nextClosure().code == 1009)
        await test.server.stop()
    }

    @Test func `tells its session how the peer closed`() async throws {
        let test = try TestServer()
        let socket = try await open(test)
        await socket.send(Self.frame([0x03, 0xE9] + Array("moving".utf8), opcode: 8))
        let closure = await test.log.nextClosure()
        #expect(closure == WebSocketClosure(code: 1001, reason: "moving", byPeer: true))
        let other = try await open(test)
        other.reset()
        await #expect(test.log.nextClosure().code == 1006)
        await test.server.stop()
    }

    @Test func `closes with the code its session gives`() async throws {
        let test = try TestServer()
        let socket = try await open(test)
        await socket.send(Self.frame("bye"))
        let bytes = await socket.read(count: 7)
        #expect(bytes == [0x88, 5, 0x03, 0xE8] + Array("bye".utf8))
        await socket.send(Self.frame([0x03, 0xE8], opcode: 8))
        await #expect(test.log.nextClosure() == .init(code: 1000, reason: "bye", byPeer: false))
        await test.server.stop()
    }

    @Test func `cuts a peer that does not read`() async throws {
        let test = try TestServer()
        let socket = try await open(test, receiveBufferBytes: 4096)
        await socket.send(Self.frame("flood"))
        await #expect(test.log.nextClosure().code == 1006)
        await test.server.stop()
    }

    @Test(arguments: [LoopKind.libuv, .poll])
    func `pings a silent peer and cuts one that does not answer (2)`(kind: LoopKind) async throws {
        var limits = WebLimits()
        limits.pingSeconds = 1
        limits.pongSeconds = 1
        let test = try TestServer(kind: kind, limits: limits)
        let silent = try await open(test)
        let bytes = await silent.read(count: 3)
        #expect(bytes.prefix(2) == [0x89, 1])
        await #expect(test.log.nextClosure().code == 1006)
        await test.server.stop()
    }

    @Test func `keeps a peer that answers its pings`() async throws {
        var limits = WebLimits()
        limits.pingSeconds = 1
        limits.pongSeconds = 10
        let test = try TestServer(limits: limits)
        let socket = try await open(test)
        for _ in 0..<3 {
            let ping = await socket.read(count: 3)
            #expect(ping == [0x89, 1, 0x6B])
            await socket.send(Self.frame("k", opcode: 10))
        }
        await socket.send(Self.frame("still here"))
        await #expect(socket.read(until: "still here").contains("still here"))
        await test.server.stop()
    }

    @Test func `is drained with 1012`() async throws {
        let test = try TestServer()
        let sockets = [try await open(test), try await open(test), try await open(test)]
        async let drained: Void = test.server.drain(overSeconds: 2)
        for socket in sockets {
            await #expect(socket.read(count: 4) == [0x88, 2, 0x03, 0xF4])
            await socket.send(Self.frame([0x03, 0xF4], opcode: 8))
            await #expect(test.log.nextClosure().code == 1012)
        }
        await drained
        #expect(throws: RawSocket.SocketFailure.self) { try test.connect() }
    }
}
