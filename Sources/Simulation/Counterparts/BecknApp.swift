import Charging
import Crypto
import HTTPClient
import JSON
import Service
import Web

/// A driver's app on a Beckn network (a BAP): it sends signed requests, takes the callbacks, and checks
/// signature, envelope and sums of everything it gets. Beckn core 1.1.
package final class BecknApp: Sendable {
    package struct Configuration: Sendable {
        package var subscriberID: String
        package var keyID: String
        package var privateKey: Ed25519.PrivateKey
        package var port: Int
        /// Where the BPP takes requests, without the action: `http://127.0.0.1:8080/beckn`.
        package var bppURL: String
        package var bppID: String
        package var bppKey: Ed25519.PublicKey
        package var domain: String

        package init(
            subscriberID: String, keyID: String, privateKey: Ed25519.PrivateKey, port: Int,
            bppURL: String, bppID: String, bppKey: Ed25519.PublicKey, domain: String
        ) {
            self.subscriberID = subscriberID
            self.keyID = keyID
            self.privateKey = privateKey
            self.port = port
            self.bppURL = bppURL
            self.bppID = bppID
            self.bppKey = bppKey
            self.domain = domain
        }
    }

    /// One callback as it came.
    package struct Callback: Sendable {
        package let action: String
        package let transaction: String
        package let message: String
        package let body: JSONValue
    }

    package enum Refusal: Error, Sendable, CustomStringConvertible {
        case notAcknowledged(action: String, status: Int, body: String)
        case error(action: String, text: String)

        package var description: String {
            switch self {
            case .notAcknowledged(let action, let status, let body):
                "\(action) was not acknowledged: HTTP \(status) \(body)"
            case .error(let action, let text): "\(action) came back with an error: \(text)"
            }
        }
    }

    package let configuration: Configuration
    package let callbacks = Mailbox<Callback>()
    private let findings: Findings
    private let client = HTTPClient(.init(rules: .open))
    private let server: WebServer
    /// Seconds from a request to its callback; Beckn's usual ttl.
    private static let ttlSeconds = 30

    package init(_ configuration: Configuration, findings: Findings) throws {
        self.configuration = configuration
        self.findings = findings
        var router = Router()
        let callbacks = callbacks
        router.add("POST", "/bap/{action}") { request in
            Self.receive(request, configuration, findings, callbacks)
        }
        server = try WebServer(
            configuration: WebServerConfiguration(listeners: [
                Listener(name: "bap", port: configuration.port)
            ]), router: router)
    }

    package func start() { server.start() }

    package func stop() async {
        await server.stop()
        client.stop()
    }

    private var url: String { "http://127.0.0.1:\(server.addresses.first?.port ?? 0)/bap" }

    /// Sends a request and waits for the callback that answers it.
    package func call(_ action: String, transaction: String, _ message: JSONValue) async throws
        -> JSONValue
    {
        let messageID = UUID4.make()
        let body = request(action, transaction, messageID, message).encoded()
        let header = try BecknSignature.header(
            signing: body, subscriber: configuration.subscriberID, key: configuration.keyID,
            with: configuration.privateKey, at: SystemClock().now)
        let answer = try await client.call(
            HTTPCall(
                .post, "\(configuration.bppURL)/\(action)",
                headers: [
                    .init("Content-Type", "application/json"), .init("Authorization", header),
                ],
                body: body))
        let ack = try JSONValue(parsing: answer.body)
        guard answer.status == 200, ack["message"]?["ack"]?["status"]?.string == "ACK" else {
            throw Refusal.notAcknowledged(action: action, status: answer.status, body: ack.text)
        }
        let callback = try await callbacks.wait(for: "on_\(action)", seconds: Self.ttlSeconds) {
            $0.message == messageID && $0.action == "on_\(action)"
        }
        if let error = callback.body["error"], error.object?.isEmpty == false {
            throw Refusal.error(action: action, text: error.text)
        }
        return callback.body["message"] ?? .null
    }

    /// A callback nobody asked for, or the newest that fits.
    package func next(
        _ action: String, transaction: String, seconds: Int,
        where fits: @escaping @Sendable (JSONValue) -> Bool
    ) async throws -> JSONValue {
        try await callbacks.wait(for: action, seconds: seconds) {
            $0.action == action && $0.transaction == transaction
                && fits($0.body["message"] ?? .null)
        }.body["message"] ?? .null
    }

    private func request(
        _ action: String, _ transaction: String, _ messageID: String, _ message: JSONValue
    ) -> JSONValue {
        var context: JSONValue = [
            "domain": .string(configuration.domain), "action": .string(action), "version": "1.1.0",
            "bap_id": .string(configuration.subscriberID), "bap_uri": .string(url),
            "transaction_id": .string(transaction), "message_id": .string(messageID),
            "timestamp": .time(SystemClock().now), "ttl": "PT30S",
            "location": ["country": ["code": "IND"], "city": ["code": "std:080"]],
        ]
        if action != "search" {
            context["bpp_id"] = .string(configuration.bppID)
            context["bpp_uri"] = .string(configuration.bppURL)
        }
        return ["context": context, "message": message]
    }

    // MARK: What comes back

    private static func receive(
        _ request: HTTPRequest, _ configuration: Configuration, _ findings: Findings,
        _ callbacks: Mailbox<Callback>
    ) -> HTTPResponse {
        let action = request[parameter: "action"]
        guard let header = request.headers["Authorization"],
            let signature = BecknSignature(header: header)
        else {
            findings.note("\(action) carries no readable Authorization header")
            return nack(401, "no signature")
        }
        if let fault = signature.fault(
            of: request.body, from: configuration.bppID, key: configuration.bppKey,
            at: SystemClock().now)
        {
            findings.note("\(action): \(fault)")
            return nack(401, fault)
        }
        // A body that is no JSON is a finding like any other.
        guard let body = try? JSONValue(parsing: request.body), let context = body["context"],
            let transaction = context["transaction_id"]?.string,
            let message = context["message_id"]?.string
        else {
            findings.note("\(action): the body is no Beckn message")
            return nack(400, "no Beckn message")
        }
        check(context, action, configuration, findings)
        if let order = body["message"]?["order"] { BecknSums.check(order, of: action, findings) }
        callbacks.put(
            Callback(action: action, transaction: transaction, message: message, body: body))
        return .json(["message": ["ack": ["status": "ACK"]]])
    }

    private static func check(
        _ context: JSONValue, _ action: String, _ configuration: Configuration, _ findings: Findings
    ) {
        func expect(_ key: String, _ value: String) {
            findings.expect(
                context[key]?.string == value,
                "\(action): context.\(key) is \(context[key]?.text ?? "missing"), expected \(value)"
            )
        }
        expect("action", action)
        expect("domain", configuration.domain)
        expect("bap_id", configuration.subscriberID)
        expect("bpp_id", configuration.bppID)
        expect("version", "1.1.0")
        findings.expect(
            context["timestamp"]?.time != nil, "\(action): context.timestamp is no time")
        for key in ["transaction_id", "message_id"] {
            findings.expect(
                UUID4.isUUID(context[key]?.string ?? ""), "\(action): context.\(key) is no UUID")
        }
    }

    private static func nack(_ status: Int, _ text: String) -> HTTPResponse {
        .json(
            [
                "message": ["ack": ["status": "NACK"]],
                "error": ["code": "30000", "message": .string(text)],
            ], status: status)
    }
}
