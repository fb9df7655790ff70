import CWeb

/// One HTTP request on its way to its answer.
///
/// It outlives its connection when the peer leaves first: `conn` is then nil, the handler's task is
/// cancelled, and answering does nothing.
// @unchecked: `conn`, `task` and `stream` are touched on the shard only.
final class Exchange: @unchecked Sendable {
    let shard: Shard
    private var conn: OpaquePointer?
    private var task: Task<Void, Never>?
    private var stream: EventStream?
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
        case .events:
            let head = HTTPHead.bytes(
                response.status, response.headers, length: nil, closes: true, date: shard.date())
            if isHead {
                head.withUnsafeBufferPointer { _ = web_respond(conn, $0.baseAddress, $0.count) }
            } else {
                head.withUnsafeBufferPointer {
                    _ = web_stream_begin(conn, $0.baseAddress, $0.count)
                }
                stream = EventStream(exchange: self, limit: shard.limits.maxEventQueueBytes)
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
        task?.cancel()
        task = nil
    }
}
