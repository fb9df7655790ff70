import Charging
import Crypto
import HTTPClient
import JSON
import Service
import Web

/// An e-mobility service provider that registers with the CPO, takes what it pushes and checks every
/// request: token, headers, envelope, ids in the URL against the body, sums. OCPI 2.2.1.
package final class EMSP: Sendable {
    package struct Configuration: Sendable {
        package var party: PartyID
        package var name: String
        package var port: Int
        /// The CPO's versions URL and the TOKEN_A its operator handed over.
        package var versionsURL: String
        package var tokenA: String

        package init(party: PartyID, name: String, port: Int, versionsURL: String, tokenA: String) {
            self.party = party
            self.name = name
            self.port = port
            self.versionsURL = versionsURL
            self.tokenA = tokenA
        }
    }

    /// One pushed object, as it stood after the push.
    package struct Push: Sendable {
        package let module: String
        package let method: String
        package let path: String
        package let object: JSONValue
    }

    package struct HandshakeFailed: Error, Sendable, CustomStringConvertible {
        package let description: String
    }

    struct State: Sendable {
        /// What the CPO uses towards us.
        var tokenB: String
        /// What we use towards the CPO.
        var tokenC: String?
        var endpoints: [String: String] = [:]
        var objects: [String: JSONValue] = [:]
    }

    package let configuration: Configuration
    package let pushes = Mailbox<Push>()
    let findings: Findings
    let state: Lock<State>
    private let client = HTTPClient(.init(rules: .open))
    private let server: Lock<WebServer?>

    package init(_ configuration: Configuration, findings: Findings) throws {
        self.configuration = configuration
        self.findings = findings
        state = Lock(State(tokenB: UUID4.make()))
        server = Lock(nil)
        var router = Router()
        mount(on: &router)
        let bound = try WebServer(
            configuration: WebServerConfiguration(listeners: [
                Listener(name: "emsp", port: configuration.port)
            ]), router: router)
        server.withLock { $0 = bound }
    }

    package func start() { server.withLock { $0 }?.start() }

    package func stop() async {
        await server.withLock { $0 }?.stop()
        client.stop()
    }

    var url: String {
        "http://127.0.0.1:\(server.withLock { $0?.addresses.first?.port } ?? 0)/ocpi/emsp"
    }

    // MARK: The hand-shake, as its sender. OCPI 2.2.1 §7.

    /// GET versions and details with TOKEN_A, POST our credentials, keep TOKEN_C.
    package func register() async throws {
        let versions = try await get(configuration.versionsURL, token: configuration.tokenA)
        guard
            let details = versions.array?.first(where: { $0["version"]?.string == "2.2.1" })?[
                "url"]?.string
        else {
            throw HandshakeFailed(description: "the CPO offers no version 2.2.1: \(versions.text)")
        }
        let endpoints = try await endpoints(details, token: configuration.tokenA)
        guard let credentialsURL = endpoints["credentials"] else {
            throw HandshakeFailed(description: "the CPO names no credentials endpoint")
        }
        let body = credentials(token: state.withLock { $0.tokenB }).encoded()
        let answer = try await call(.post, credentialsURL, token: configuration.tokenA, body: body)
        guard let tokenC = answer["token"]?.string, tokenC != configuration.tokenA else {
            throw HandshakeFailed(description: "the CPO answered no TOKEN_C: \(answer.text)")
        }
        findings.expect(
            answer["roles"]?.array?.contains { $0["role"]?.string == "CPO" } == true,
            "credentials: no role CPO in \(answer.text)")
        let all = try await self.endpoints(details, token: tokenC)
        state.withLock {
            $0.tokenC = tokenC
            $0.endpoints = all
        }
    }

    private func endpoints(_ url: String, token: String) async throws -> [String: String] {
        var endpoints: [String: String] = [:]
        for endpoint in try await get(url, token: token)["endpoints"]?.array ?? [] {
            guard let identifier = endpoint["identifier"]?.string, let url = endpoint["url"]?.string
            else { continue }
            endpoints[identifier] = url
        }
        return endpoints
    }

    func credentials(token: String) -> JSONValue {
        [
            "token": .string(token), "url": .string("\(url)/versions"),
            "roles": [
                [
                    "role": "EMSP", "party_id": .string(configuration.party.party),
                    "country_code": .string(configuration.party.country),
                    "business_details": ["name": .string(configuration.name)],
                ]
            ],
        ]
    }

    // MARK: What it asks of the CPO

    /// All pages of one of the CPO's lists.
    package func pull(_ module: String, query: String = "") async throws -> [JSONValue] {
        guard let (token, url) = address(of: module) else {
            throw HandshakeFailed(description: "not registered, or no \(module) endpoint")
        }
        var objects: [JSONValue] = []
        var next: String? = query.isEmpty ? url : "\(url)?\(query)"
        while let page = next {
            let answer = try await exchange(.get, page, token: token)
            objects += answer.data.array ?? []
            next = answer.link
        }
        return objects
    }

    /// Sends a command and gives the CPO's immediate answer.
    package func command(_ name: String, _ body: JSONValue) async throws -> JSONValue {
        guard let (token, url) = address(of: "commands") else {
            throw HandshakeFailed(description: "not registered, or no commands endpoint")
        }
        return try await call(.post, "\(url)/\(name)", token: token, body: body.encoded())
    }

    /// Where the CPO shall send the result of a command.
    package func responseURL(_ id: String) -> String { "\(url)/2.2.1/commands/\(id)" }

    private func address(of module: String) -> (token: String, url: String)? {
        state.withLock { state in
            guard let token = state.tokenC, let url = state.endpoints[module] else { return nil }
            return (token, url.hasSuffix("/") ? String(url.dropLast()) : url)
        }
    }

    private func get(_ url: String, token: String) async throws -> JSONValue {
        try await call(.get, url, token: token)
    }

    private func call(
        _ method: HTTPCall.Method, _ url: String, token: String, body: [UInt8] = []
    ) async throws -> JSONValue {
        try await exchange(method, url, token: token, body: body).data
    }

    private func exchange(
        _ method: HTTPCall.Method, _ url: String, token: String, body: [UInt8] = []
    ) async throws -> (data: JSONValue, link: String?) {
        let requestID = UUID4.make()
        let answer = try await client.call(
            HTTPCall(
                method, url,
                headers: [
                    .init("Authorization", "Token \(Base64.encode(Array(token.utf8)))"),
                    .init("Content-Type", "application/json"), .init("X-Request-ID", requestID),
                    .init("X-Correlation-ID", UUID4.make()),
                ], body: body))
        let envelope = try JSONValue(parsing: answer.body)
        guard (200..<300).contains(answer.status), envelope["status_code"]?.int == 1000 else {
            throw HandshakeFailed(
                description: "\(method.rawValue) \(url): HTTP \(answer.status) \(envelope.text)")
        }
        findings.expect(
            answer.header("X-Request-ID") == requestID, "\(url): X-Request-ID does not come back")
        findings.expect(
            envelope["timestamp"]?.time != nil, "\(url): the envelope has no readable timestamp")
        return (envelope["data"] ?? .null, answer.header("Link").flatMap(Self.nextLink))
    }

    /// The URL of `<url>; rel="next"`.
    private static func nextLink(_ header: String) -> String? {
        guard header.contains("rel=\"next\""), let start = header.firstIndex(of: "<"),
            let end = header.firstIndex(of: ">"), start < end
        else { return nil }
        return String(header[header.index(after: start)..<end])
    }
}
