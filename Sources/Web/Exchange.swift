import CWeb

/// One HTTP request on its way to its answer.
///
/// It outlives its connection when the peer leaves first: `conn` is then nil, the handler's task is
/// cancelled, and answering does nothing.
// @unchecked: everything mutable is touched on the shard only.
final class Exchange: @unchecked Sendable {
    let shard: Shard
    private var conn: OpaquePointer?
    private var task: Task<Void, Never>?
    private var stream: EventStream?
    /// Of a request whose body comes piece by piece.
    private var body: HTTPBody?
    /// Waits until what was written of a long answer has gone.
    private var writer: CheckedContinuation<Void, Never>?
    private let isHead: Bool

    private init(shard: Shard, conn: OpaquePointer, isHead: Bool) {
        self.shard = shard
        self.conn = conn
        self.isHead = isHead
    }

    static func begin(_ request: HTTPRequest, _ conn: OpaquePointer, on shard: isolated Shard) {
        let exchange = Exchange(shard: shard, conn: conn, isHead: request.method == "HEAD")
        // Given back in `finished`, the last call about it.
        web_set_user(conn, Unmanaged.passRetained(exchange).toOpaque())
        var request = request
        var handler: Router.Handler = { _ in .problem(404, "not found") }
        if shard.serves(request) {
            switch shard.router.match(method: request.method, path: request.path) {
            case .notFound: break
            case .methodNotAllowed(let allow):
                handler = { _ in
                    .problem(405, "method not allowed", headers: ["Allow": allow])
                }
            case .handler(let found, let parameters):
                request.pathParameters = parameters
                handler = found
            }
        }
        // Always in a task: C must not get an answer within the call that brought the request.
        exchange.run(handler, request, on: shard)
    }

    /// A request whose path may have its body streamed.
    ///
    /// - Returns: how many bytes of it are wanted at most; -1 where it is read whole, as ever.
    static func beginStreaming(
        _ request: HTTPRequest, _ conn: OpaquePointer, on shard: isolated Shard
    ) -> Int64 {
        guard shard.serves(request),
            let (route, parameters) = shard.router.matchStreaming(
                method: request.method, path: request.path)
        else { return -1 }
        let exchange = Exchange(shard: shard, conn: conn, isHead: false)
        // Given back in `finished`, the last call about it.
        web_set_user(conn, Unmanaged.passRetained(exchange).toOpaque())
        var request = request
        request.pathParameters = parameters
        let body = HTTPBody(limit: shard.limits.maxStreamedBytes) {
            Task { await exchange.readOn(on: shard) }
        }
        exchange.body = body
        exchange.run({ await route.handler($0, body) }, request, on: shard)
        return route.mostBytes
    }

    /// Bytes of the body. C calls it on the loop's thread.
    func came(_ bytes: [UInt8], on shard: isolated Shard) {
        guard let body, let conn else { return }
        if body.put(bytes) { web_allow_reading(conn, false) }
    }

    func bodyEnded(on shard: isolated Shard) { body?.end() }

    private func readOn(on shard: isolated Shard) {
        guard let conn, let body, !body.isWhole else { return }
        web_allow_reading(conn, true)
    }

    func drained(on shard: isolated Shard) {
        writer?.resume()
        writer = nil
    }

    /// Hands on a long answer as fast as its reader takes it, two pieces in memory at most.
    private func send(
        _ length: Int64, _ next: @Sendable () async throws -> [UInt8]?, on shard: isolated Shard
    ) async {
        var left = length
        while left > 0, conn != nil {
            // A piece that cannot be had ends the answer before its length, which the reader sees.
            guard let bytes = try? await next(), !bytes.isEmpty, Int64(bytes.count) <= left else {
                return cut(on: shard)
            }
            left -= Int64(bytes.count)
            await room(on: shard)
            guard let conn else { return }
            let sent = bytes.withUnsafeBufferPointer {
                web_stream_write(conn, $0.baseAddress, $0.count)
            }
            if sent != 0 { return }
        }
        if let conn { web_stream_end(conn) }
    }

    private func room(on shard: isolated Shard) async {
        while let conn, web_queued(conn) > 0 {
            await withCheckedContinuation { continuation in
                // Looked at again: on the way here the shard may have done something else.
                if self.conn.map({ web_queued($0) == 0 }) ?? true { return continuation.resume() }
                writer = continuation
            }
        }
    }

    private func run(
        _ handler: @escaping Router.Handler, _ request: HTTPRequest, on shard: isolated Shard
    ) {
        task = Task {
            let response = await handler(request)
            self.answer(response, on: shard)
            if case .events(let body) = response.body, let stream = self.stream {
                await body(stream)
                self.endStream(on: shard)
            }
            if case .pieces(let length, let next) = response.body, !self.isHead {
                await self.send(length, next, on: shard)
            }
        }
    }

    private func answer(_ response: HTTPResponse, on shard: isolated Shard) {
        guard let conn else { return }
        switch response.body {
        case .bytes(let body):
            let hasLength =
                response.status >= 200 && response.status != 204 && response.status != 304
            var bytes = HTTPHead.bytes(
                response.status, response.headers, length: hasLength ? body.count : nil,
                closes: web_will_close(conn), date: shard.date())
            if !isHead && hasLength { bytes += body }
            bytes.withUnsafeBufferPointer { _ = web_respond(conn, $0.baseAddress, $0.count) }
        case .pieces(let length, _):
            let head = HTTPHead.bytes(
                response.status, response.headers, length: Int(length), closes: true,
                date: shard.date())
            begin(head, conn, isEvents: false)
        case .events:
            let head = HTTPHead.bytes(
                response.status, response.headers, length: nil, closes: true, date: shard.date())
            begin(head, conn, isEvents: true)
            if !isHead {
                stream = EventStream(exchange: self, limit: shard.limits.maxEventQueueBytes)
            }
        }
    }

    private func begin(_ head: [UInt8], _ conn: OpaquePointer, isEvents: Bool) {
        head.withUnsafeBufferPointer {
            if isHead {
                _ = web_respond(conn, $0.baseAddress, $0.count)
            } else {
                _ = web_stream_begin(conn, $0.baseAddress, $0.count, isEvents)
            }
        }
    }

    /// Hands the queued bytes of the stream to the connection.
    func flush(_ stream: EventStream, on shard: isolated Shard) {
        let bytes = stream.take()
        guard let conn else { return stream.close() }
        guard !bytes.isEmpty else { return }
        let sent = bytes.withUnsafeBufferPointer {
            web_stream_write(conn, $0.baseAddress, $0.count)
        }
        if sent != 0 { stream.close() }
    }

    /// Bytes of the answer that wait for the peer to read.
    func queuedBytes(on shard: isolated Shard) -> Int { conn.map { web_queued($0) } ?? 0 }

    /// The reader is too slow.
    func cut(on shard: isolated Shard) {
        if let conn { web_cut(conn) }
    }

    private func endStream(on shard: isolated Shard) {
        guard let stream else { return }
        flush(stream, on: shard)
        stream.close()
        if let conn { web_stream_end(conn) }
    }

    /// The answer is out, or the peer has left.
    func finished(on shard: isolated Shard) {
        conn = nil
        stream?.close()
        body?.broke()
        body = nil
        drained(on: shard)
        task?.cancel()
        task = nil
    }
}
