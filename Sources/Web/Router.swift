/// Which handler answers which path.
///
/// A pattern is literal segments, `{name}` for one segment, and as the last one `{name...}` for the
/// rest of the path with its slashes. Literals win over names. A path that is known for another
/// method is answered 405 with `Allow`, an unknown one 404; `HEAD` is served by the `GET` handler.
package struct Router: Sendable {
    package typealias Handler = @Sendable (HTTPRequest) async -> HTTPResponse
    /// Gets the body as it comes; it may answer before the body's end, which drops the rest.
    package typealias StreamHandler = @Sendable (HTTPRequest, HTTPBody) async -> HTTPResponse

    struct Streaming: Sendable {
        let mostBytes: Int64
        let handler: StreamHandler
    }

    private var root = Node()
    /// Every subprotocol any route knows, in the order they were added.
    private(set) var subprotocols: [String] = []
    /// What the paths begin with whose bodies may be streamed; nil: none.
    private(set) var bodyPrefix: String?
    /// Method and pattern of every route, for tests that walk the table.
    package private(set) var table: [(method: String, pattern: String)] = []

    package init() {}

    /// - Precondition: `pattern` starts with a slash, and the pair is added once.
    package mutating func add(_ method: String, _ pattern: String, _ handler: @escaping Handler) {
        root.insert(Self.segments(pattern)[...]) { node, names in
            precondition(node.handlers[method] == nil, "route \(method) \(pattern) added twice")
            node.handlers[method] = Node.Entry(handler: handler, names: names)
        }
        table.append((method, pattern))
    }

    /// Adds a route that takes bodies of any size, piece by piece.
    ///
    /// - Parameter mostBytes: longer bodies are answered 413, where they tell their length at once.
    /// - Precondition: `PUT`, `POST` or `PATCH`; all such routes begin with the same literals.
    package mutating func add(
        _ method: String, _ pattern: String, mostBytes: Int64,
        streaming handler: @escaping StreamHandler
    ) {
        let prefix = String(pattern.prefix { $0 != "{" })
        precondition(bodyPrefix == nil || bodyPrefix == prefix, "one prefix of streamed bodies")
        bodyPrefix = prefix
        let streaming = Streaming(mostBytes: mostBytes, handler: handler)
        root.insert(Self.segments(pattern)[...]) { node, names in
            precondition(node.handlers[method] == nil, "route \(method) \(pattern) added twice")
            // A request without a body comes the usual way.
            node.handlers[method] = Node.Entry(
                handler: { await handler($0, HTTPBody(whole: $0.body)) }, names: names,
                streaming: streaming)
        }
        table.append((method, pattern))
    }

    func matchStreaming(
        method: String, path: String
    ) -> (route: Streaming, parameters: [String: String])? {
        var values: [String] = []
        guard
            let node = root.find(
                Self.segments(path)[...], &values, where: { !$0.handlers.isEmpty }),
            let entry = node.handlers[method], let streaming = entry.streaming
        else { return nil }
        return (streaming, Self.pairs(entry.names, values))
    }

    /// Adds a place where WebSocket connections are accepted.
    package mutating func add(_ pattern: String, webSocket route: WebSocketRoute) {
        root.insert(Self.segments(pattern)[...]) { node, names in
            precondition(node.webSocket == nil, "WebSocket route \(pattern) added twice")
            node.webSocket = (route, names)
        }
        for name in route.subprotocols where !subprotocols.contains(name) {
            subprotocols.append(name)
        }
        table.append(("WEBSOCKET", pattern))
    }

    enum Match {
        case handler(Handler, parameters: [String: String])
        case methodNotAllowed(allow: String)
        case notFound
    }

    func match(method: String, path: String) -> Match {
        var values: [String] = []
        guard
            let node = root.find(Self.segments(path)[...], &values, where: { !$0.handlers.isEmpty })
        else { return .notFound }
        if let entry = node.handlers[method] ?? (method == "HEAD" ? node.handlers["GET"] : nil) {
            return .handler(entry.handler, parameters: Self.pairs(entry.names, values))
        }
        var allowed = Set(node.handlers.keys)
        if allowed.contains("GET") { allowed.insert("HEAD") }
        return .methodNotAllowed(allow: allowed.sorted().joined(separator: ", "))
    }

    func matchWebSocket(path: String) -> (route: WebSocketRoute, parameters: [String: String])? {
        var values: [String] = []
        guard
            let node = root.find(Self.segments(path)[...], &values, where: { $0.webSocket != nil }),
            let (route, names) = node.webSocket
        else { return nil }
        return (route, Self.pairs(names, values))
    }

    /// `/a/b` and `/a/b/` differ: the latter ends in an empty segment.
    private static func segments(_ path: String) -> [String] {
        guard path.utf8.first == UInt8(ascii: "/") else { return [path] }
        return path.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map(
            String.init)
    }

    private static func pairs(_ names: [String], _ values: [String]) -> [String: String] {
        Dictionary(zip(names, values), uniquingKeysWith: { first, _ in first })
    }
}

extension Router {
    /// One segment of the tree. Values, so that a router is Sendable once built.
    private struct Node: Sendable {
        struct Entry: Sendable {
            let handler: Handler
            let names: [String]
            var streaming: Streaming?
        }

        var literals: [String: Node] = [:]
        /// At most one: the node behind `{name}`.
        var parameter: [Node] = []
        /// At most one: the node behind `{name...}`.
        var tail: [Node] = []
        var handlers: [String: Entry] = [:]
        var webSocket: (route: WebSocketRoute, names: [String])?

        mutating func insert(
            _ segments: ArraySlice<String>, names: [String] = [],
            _ body: (inout Node, [String]) -> Void
        ) {
            guard let segment = segments.first else { return body(&self, names) }
            let rest = segments.dropFirst()
            guard segment.hasPrefix("{"), segment.hasSuffix("}") else {
                return literals[segment, default: Node()].insert(rest, names: names, body)
            }
            let name = String(segment.dropFirst().dropLast())
            if name.hasSuffix("...") {
                precondition(rest.isEmpty, "only the last segment of a pattern takes the rest")
                if tail.isEmpty { tail = [Node()] }
                body(&tail[0], names + [String(name.dropLast(3))])
            } else {
                if parameter.isEmpty { parameter = [Node()] }
                parameter[0].insert(rest, names: names + [name], body)
            }
        }

        func find(
            _ segments: ArraySlice<String>, _ values: inout [String], where wanted: (Node) -> Bool
        ) -> Node? {
            guard let segment = segments.first else { return wanted(self) ? self : nil }
            let rest = segments.dropFirst()
            if let node = literals[segment]?.find(rest, &values, where: wanted) { return node }
            if !segment.isEmpty, let next = parameter.first {
                values.append(segment)
                if let node = next.find(rest, &values, where: wanted) { return node }
                values.removeLast()
            }
            if let next = tail.first, wanted(next) {
                values.append(segments.joined(separator: "/"))
                return next
            }
            return nil
        }
    }
}
