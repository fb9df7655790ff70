import CWeb
import Crypto
import Service

/// One attempt to reach a server: every address in turn, within one deadline.
final class ClientAttempt: Sendable {
    typealias Outcome = Result<WebSocketClient, WebSocketClientError>

    private struct State {
        var waiter: CheckedContinuation<Outcome, Never>?
        var connection: WebSocketConnection?
        var isOver = false
    }

    private let configuration: WebSocketClient.Configuration
    private let url: WebSocketURL
    private let shard: Shard
    private let state = Lock(State())

    init(_ configuration: WebSocketClient.Configuration, _ url: WebSocketURL, on shard: Shard) {
        self.configuration = configuration
        self.url = url
        self.shard = shard
    }

    func run() async throws(WebSocketClientError) -> WebSocketClient {
        let deadline = Task {
            do {
                try await Task.sleep(for: .seconds(configuration.connectSeconds))
            } catch {
                return  // the attempt is over already
            }
            giveUp(.timedOut)
        }
        defer { deadline.cancel() }
        let outcome = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    state.waiter = continuation
                    return state.isOver
                }
                if isOver { return settle(.failure(.closed)) }
                Task { await tryAddresses() }
            }
        } onCancel: {
            giveUp(.closed)
        }
        return try outcome.get()
    }

    /// libwebsockets' word for an address that takes no connection.
    private static let nobody = WebSocketClientError.refused(reason: "Unable to connect")

    private func tryAddresses() async {
        let addresses = await Resolver.addresses(of: url.host)
        if addresses.isEmpty { return settle(.failure(.unknownHost(url.host))) }
        var told: WebSocketClientError?
        for address in addresses {
            if state.withLock({ $0.isOver }) { return }
            switch await one(address) {
            case .success(let client): return settle(.success(client))
            case .failure(let error):
                // What a peer said tells more than an address at which nobody is.
                if told == nil || told == Self.nobody { told = error }
                // Only a refused connection may fare better at the next address.
                guard case .refused = error else { return settle(.failure(error)) }
            }
        }
        settle(.failure(told ?? .refused(reason: "no address")))
    }

    private func one(_ address: String) async -> Outcome {
        await withCheckedContinuation { continuation in
            let once = Once(continuation)
            Task { await connect(to: address, once, on: shard) }
        }
    }

    private func connect(to address: String, _ once: Once, on shard: isolated Shard) {
        guard let loop = shard.executor.loop else {
            return once.resume(.failure(.refused(reason: "the loop has ended")))
        }
        let maxMessages = configuration.maxInboxMessages
        let connection = WebSocketConnection(shard: shard, remoteAddress: address) {
            connection, _ in
            ClientSession(connection, maxMessages: maxMessages) { once.resume($0) }
        }
        connection.onFailure = { status, reason in
            once.resume(.failure(Self.error(status, reason)))
        }
        let isOver = state.withLock { state in
            state.connection = connection
            return state.isOver
        }
        if isOver { return once.resume(.failure(.closed)) }
        // Given back in `closed` or `failed`, one of which is the last call about it.
        let user = Unmanaged.passRetained(connection).toOpaque()
        let conn = withCStrings([
            address, url.hostHeader, url.path, configuration.subprotocols.joined(separator: ","),
            authorization, configuration.caFile, configuration.certificateFile,
            configuration.keyFile,
        ]) { texts in
            var config = web_client_config()
            config.address = texts[0]
            config.host = texts[1]
            config.port = Int32(url.port)
            config.path = texts[2]
            config.subprotocols = texts[3]
            config.authorization = texts[4]
            config.tls = url.isTLS
            config.ca_file = texts[5]
            config.certificate_file = texts[6]
            config.key_file = texts[7]
            return web_connect(loop, &config, user)
        }
        if let conn { connection.conn = conn }
    }

    private var authorization: String? {
        configuration.credentials.map { credentials in
            "Basic "
                + Base64.encode(credentials.user + [UInt8(ascii: ":")] + credentials.password)
        }
    }

    private static func error(_ status: Int, _ reason: String) -> WebSocketClientError {
        if reason == "subprotocol" || reason == "HS: PROTOCOL malformed" {
            return .wrongSubprotocol
        }
        if reason == "the TLS files are unusable" { return .badConfiguration(reason: reason) }
        if status >= 200 { return .status(status) }
        return .refused(reason: reason)
    }

    private func giveUp(_ error: WebSocketClientError) {
        let connection = state.withLock { state in
            state.isOver = true
            return state.connection
        }
        settle(.failure(error))
        if let connection { Task { await connection.cut(on: connection.shard) } }
    }

    private func settle(_ outcome: Outcome) {
        let waiter = state.withLock { state in
            state.isOver = true
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(returning: outcome)
    }
}

/// A continuation that the first of several outcomes resumes.
private final class Once: Sendable {
    private let waiter: Lock<CheckedContinuation<ClientAttempt.Outcome, Never>?>

    init(_ continuation: CheckedContinuation<ClientAttempt.Outcome, Never>) {
        waiter = Lock(continuation)
    }

    func resume(_ outcome: ClientAttempt.Outcome) {
        let first = waiter.withLock { waiter in
            defer { waiter = nil }
            return waiter
        }
        first?.resume(returning: outcome)
    }
}
