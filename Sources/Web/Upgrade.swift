import CWeb

/// The decision about one WebSocket handshake, made while C waits for it.
struct Upgrade {
    let shard: Shard
    let conn: OpaquePointer
    var request: HTTPRequest

    private enum Outcome: Int32 {
        case accepted = 0
        case noCommonSubprotocol = 1
        case refused = 2
    }

    /// libwebsockets drops connections whose list is longer.
    private static let maxSubprotocolListBytes = 126

    func decide() -> Int32 { outcome().rawValue }

    private func outcome() -> Outcome {
        guard shard.serves(request),
            let (route, parameters) = shard.router.matchWebSocket(
                path: request.path)
        else { return refuse(404, [:]) }
        var request = request
        request.pathParameters = parameters
        let list = request.headers["sec-websocket-protocol"] ?? ""
        let offered = list.split(separator: ",").map { Self.trimmed($0) }
        let chosen = offered.first { route.subprotocols.contains($0) }
        // libwebsockets takes the first name that any route knows; where that is not the one
        // chosen here, and where it would drop the connection silently, say so instead: before anybody
        // is asked, who would count on what never opens.
        guard
            chosen == nil
                || (list.utf8.count <= Self.maxSubprotocolListBytes
                    && offered.first(where: { shard.router.subprotocols.contains($0) }) == chosen)
        else { return refuse(400, [:]) }
        let upgrade = UpgradeRequest(
            http: request,
            credentials: BasicCredentials(header: request.headers["authorization"]),
            offeredSubprotocols: offered, subprotocol: chosen)
        switch route.decide(upgrade) {
        case .refuse(let status, let headers): return refuse(status, headers)
        case .accept(let isNamed, let makeSession):
            let needsName = isNamed && !route.subprotocols.isEmpty
            guard chosen != nil || (!needsName && offered.isEmpty) else {
                return .noCommonSubprotocol
            }
            let connection = WebSocketConnection(
                shard: shard, remoteAddress: request.remoteAddress, makeSession: makeSession)
            connection.conn = conn
            // Given back in `closed`, the last call about it.
            web_set_user(conn, Unmanaged.passRetained(connection).toOpaque())
            return .accepted
        }
    }

    private func refuse(_ status: Int, _ headers: HTTPHeaders) -> Outcome {
        var headers = headers
        if status == 401, headers["WWW-Authenticate"] == nil {
            headers.add("WWW-Authenticate", "Basic realm=\"ocpp\", charset=\"UTF-8\"")
        }
        if status == 429 || status == 503, headers["Retry-After"] == nil {
            headers.add("Retry-After", "30")
        }
        let answer = HTTPHead.bytes(status, headers, length: 0, closes: true, date: nil)
        answer.withUnsafeBufferPointer { web_refuse(conn, $0.baseAddress, $0.count) }
        return .refused
    }

    private static func trimmed(_ text: Substring) -> String {
        var text = text
        while text.first == " " || text.first == "\t" { text.removeFirst() }
        while text.last == " " || text.last == "\t" { text.removeLast() }
        return String(text)
    }
}

extension Shard {
    /// Whether the listener a request came in by serves its path.
    nonisolated func serves(_ request: HTTPRequest) -> Bool {
        guard let prefixes = pathPrefixes[request.listener] else { return true }
        return prefixes.contains { request.path.hasPrefix($0) }
    }
}
