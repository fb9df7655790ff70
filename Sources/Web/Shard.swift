import CWeb
import Service

/// One event loop's thread as an actor: it owns the loop's connections and everything about them.
///
/// A connection's callbacks run on it synchronously. What is slow is awaited in a task started there:
/// the task inherits the shard and comes back to it.
package actor Shard {
    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    nonisolated let executor = LoopExecutor()
    nonisolated let router: Router
    nonisolated let limits: WebLimits
    /// Path prefixes by listener; a listener that is not here serves every path.
    nonisolated let pathPrefixes: [String: [String]]
    private var dateSecond = 0
    private var dateText = ""

    private init(router: Router, limits: WebLimits, pathPrefixes: [String: [String]]) {
        self.router = router
        self.limits = limits
        self.pathPrefixes = pathPrefixes
    }

    /// Makes a shard and its loop; `start` gives it a thread.
    package static func make(
        kind: LoopKind, router: Router = Router(), limits: WebLimits = WebLimits(),
        listeners: [Listener] = [], extraHeaders: [String] = HTTPHeaders.carried
    ) throws(WebServerError) -> Shard {
        var prefixes: [String: [String]] = [:]
        for listener in listeners where !listener.pathPrefixes.isEmpty {
            prefixes[listener.name] = listener.pathPrefixes
        }
        let shard = Shard(router: router, limits: limits, pathPrefixes: prefixes)
        guard let loop = shard.makeLoop(kind, extraHeaders) else {
            throw .cannotStart(reason: String(cString: web_reason()))
        }
        shard.executor.attach(loop)
        return shard
    }

    /// Starts the loop's thread, which keeps the shard alive until `stop`.
    package nonisolated func start(name: String) {
        _ = NativeThread.start(name) { [self] in executor.runLoop() }
    }

    /// Cuts every connection and ends the thread.
    package nonisolated func stop() async {
        executor.stop()
        await executor.ended()
    }

    /// Takes over a listening socket. Before `start`.
    nonisolated func listen(_ listener: Listener, socket: Int32) throws(WebServerError) {
        guard let loop = executor.loop else { return }
        let tls = listener.tls
        let wantsClients = tls.map { $0.clientCertificates != .none } ?? false
        let failed = withCStrings([
            listener.name, tls?.certificateFile, tls?.keyFile,
            wantsClients ? tls?.clientCAFile : nil,
        ]) { names in
            var config = web_listener_config()
            config.name = names[0]
            config.certificate_file = names[1]
            config.key_file = names[2]
            config.client_ca_file = names[3]
            config.client_certificate_required = tls?.clientCertificates == .required
            return web_loop_listen(loop, &config, socket) != 0
        }
        if failed {
            throw .cannotStart(
                reason: "listener \(listener.name): \(String(cString: web_reason()))")
        }
    }

    func pauseAccepting() {
        if let loop = executor.loop { web_loop_pause_accepting(loop) }
    }

    /// Closes up to `count` connections; returns how many WebSockets are still open.
    func closeSome(_ count: Int, code: Int) -> Int {
        guard let loop = executor.loop else { return 0 }
        return web_loop_close_some(loop, count, Int32(code))
    }

    /// Exchanges, streams and WebSockets under way.
    package func busyConnections() -> Int { executor.loop.map { web_loop_busy($0) } ?? 0 }

    /// All open connections.
    package func openConnections() -> Int { executor.loop.map { web_loop_connections($0) } ?? 0 }

    /// The `Date` header of now, made once a second.
    func date() -> String {
        let now = HTTPDate.now
        if now != dateSecond {
            dateSecond = now
            dateText = HTTPDate.text(now)
        }
        return dateText
    }

    private nonisolated func makeLoop(_ kind: LoopKind, _ extraHeaders: [String]) -> OpaquePointer?
    {
        var config = web_loop_config()
        config.libuv = kind == .libuv
        config.max_body = limits.maxBodyBytes
        config.max_header = limits.maxHeaderBytes
        config.max_message = limits.maxMessageBytes
        config.max_queued = limits.maxQueuedBytes
        config.max_event_queue = limits.maxEventQueueBytes
        config.event_heartbeat_seconds = Int32(max(1, limits.eventHeartbeatSeconds))
        config.ping_seconds = Int32(limits.pingSeconds)
        config.pong_seconds = Int32(max(1, limits.pongSeconds))
        config.request_seconds = Int32(limits.requestSeconds)
        config.keep_alive_seconds = Int32(limits.keepAliveSeconds)
        config.body_seconds = Int32(limits.streamedBodySeconds)
        config.accepts_per_second = Int32(limits.acceptsPerSecond)
        config.max_connections = Int32(limits.maxConnections)
        let names: [String?] =
            extraHeaders.map { "\($0.lowercased()):" } + [router.bodyPrefix]
        var callbacks = LoopCallbacks.table(context: Unmanaged.passUnretained(self).toOpaque())
        return withCStrings(router.subprotocols) { subprotocols in
            withCStrings(names) { headers in
                subprotocols.withUnsafeBufferPointer { subprotocols in
                    headers.withUnsafeBufferPointer { headers in
                        config.subprotocols = subprotocols.baseAddress
                        config.subprotocol_count = subprotocols.count
                        config.extra_headers = headers.baseAddress
                        config.extra_header_count = extraHeaders.count
                        config.body_prefix = headers[extraHeaders.count]
                        return web_loop_create(&config, &callbacks)
                    }
                }
            }
        }
    }
}

/// Calls `body` with C copies of `texts` that live for the call.
func withCStrings<Result>(
    _ texts: [String?], _ body: ([UnsafePointer<CChar>?]) -> Result
) -> Result {
    let copies = texts.map { text -> UnsafeMutablePointer<CChar>? in
        guard let text else { return nil }
        let copy = UnsafeMutablePointer<CChar>.allocate(capacity: text.utf8.count + 1)
        for (index, byte) in text.utf8.enumerated() { copy[index] = CChar(bitPattern: byte) }
        copy[text.utf8.count] = 0
        return copy
    }
    defer { for copy in copies { copy?.deallocate() } }
    return body(copies.map { $0.map { UnsafePointer($0) } })
}
