import CWeb

/// What the C loop calls, on its own thread. Each finds its shard or connection and goes there.
enum LoopCallbacks {
    static func table(context: UnsafeMutableRawPointer) -> web_callbacks {
        var table = web_callbacks()
        table.context = context
        table.upgrade = upgrade
        table.opened = opened
        table.message = message
        table.closed = closed
        table.failed = failed
        table.request = requested
        table.streaming = streaming
        table.body = body
        table.body_end = bodyEnd
        table.drained = drained
        table.finished = finished
        table.jobs = jobs
        return table
    }

    static func shard(_ context: UnsafeMutableRawPointer?) -> Shard? {
        context.map { Unmanaged<Shard>.fromOpaque($0).takeUnretainedValue() }
    }

    private static func connection(_ user: UnsafeMutableRawPointer?) -> WebSocketConnection? {
        user.map { Unmanaged<WebSocketConnection>.fromOpaque($0).takeUnretainedValue() }
    }

    private static let jobs: @convention(c) (UnsafeMutableRawPointer?) -> Void = { context in
        shard(context)?.executor.drain()
    }

    private static let upgrade:
        @convention(c) (
            UnsafeMutableRawPointer?, OpaquePointer?, UnsafePointer<web_request>?
        ) -> Int32 = { context, conn, request in
            guard let shard = shard(context), let conn, let request else { return 2 }
            return Upgrade(shard: shard, conn: conn, request: HTTPRequest(request.pointee)).decide()
        }

    private static let opened:
        @convention(c) (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, UnsafePointer<CChar>?)
            -> Void = { _, user, subprotocol in
                guard let connection = connection(user) else { return }
                let name = subprotocol.map { String(cString: $0) } ?? ""
                connection.shard.assumeIsolated { connection.opened(name, on: $0) }
            }

    private static let message:
        @convention(c) (
            UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, UnsafePointer<UInt8>?, Int, Bool
        ) -> Void = { _, user, bytes, length, isText in
            guard let connection = connection(user) else { return }
            // Used within this call only, on the thread it was given to.
            nonisolated(unsafe) let bytes = UnsafeRawBufferPointer(start: bytes, count: length)
            connection.shard.assumeIsolated { shard in
                connection.session?.received(bytes.bytes, isText: isText, on: shard)
            }
        }

    private static let closed:
        @convention(c) (
            UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, Int32, UnsafePointer<CChar>?, Int,
            Bool
        ) -> Void = { _, user, code, reason, length, byPeer in
            guard let user else { return }
            let connection = Unmanaged<WebSocketConnection>.fromOpaque(user).takeRetainedValue()
            let reason = String(
                decoding: UnsafeRawBufferPointer(start: reason, count: length), as: UTF8.self)
            let closure = WebSocketClosure(code: Int(code), reason: reason, byPeer: byPeer)
            connection.shard.assumeIsolated { connection.closed(closure, on: $0) }
        }

    private static let failed:
        @convention(c) (
            UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, Int32, UnsafePointer<CChar>?
        ) -> Void = { _, user, status, reason in
            guard let user else { return }
            let connection = Unmanaged<WebSocketConnection>.fromOpaque(user).takeRetainedValue()
            let reason = reason.map { String(cString: $0) } ?? ""
            connection.shard.assumeIsolated { connection.failed(Int(status), reason, on: $0) }
        }

    private static let requested:
        @convention(c) (
            UnsafeMutableRawPointer?, OpaquePointer?, UnsafePointer<web_request>?
        ) -> Void = { context, conn, request in
            guard let shard = shard(context), let conn, let raw = request?.pointee else { return }
            let request = HTTPRequest(raw)
            // Both are used on this thread only: the exchange lets go of it when C says so.
            nonisolated(unsafe) let pointer = conn
            shard.assumeIsolated { shard in
                Exchange.begin(request, pointer, on: shard)
            }
        }

    private static let streaming:
        @convention(c) (
            UnsafeMutableRawPointer?, OpaquePointer?, UnsafePointer<web_request>?
        ) -> Int64 = { context, conn, request in
            guard let shard = shard(context), let conn, let raw = request?.pointee else {
                return -1
            }
            let request = HTTPRequest(raw)
            // Both are used on this thread only: the exchange lets go of it when C says so.
            nonisolated(unsafe) let pointer = conn
            return shard.assumeIsolated { shard in
                Exchange.beginStreaming(request, pointer, on: shard)
            }
        }

    private static func exchange(_ user: UnsafeMutableRawPointer?) -> Exchange? {
        user.map { Unmanaged<Exchange>.fromOpaque($0).takeUnretainedValue() }
    }

    private static let body:
        @convention(c) (
            UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, UnsafePointer<UInt8>?, Int
        ) -> Void = { _, user, bytes, length in
            guard let exchange = exchange(user) else { return }
            let piece = Array(UnsafeBufferPointer(start: bytes, count: length))
            exchange.shard.assumeIsolated { exchange.came(piece, on: $0) }
        }

    private static let bodyEnd:
        @convention(c) (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?) -> Void = { _, user in
            guard let exchange = exchange(user) else { return }
            exchange.shard.assumeIsolated { exchange.bodyEnded(on: $0) }
        }

    private static let drained:
        @convention(c) (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?) -> Void = { _, user in
            guard let exchange = exchange(user) else { return }
            exchange.shard.assumeIsolated { exchange.drained(on: $0) }
        }

    private static let finished:
        @convention(c) (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?) -> Void = { _, user in
            guard let user else { return }
            let exchange = Unmanaged<Exchange>.fromOpaque(user).takeRetainedValue()
            exchange.shard.assumeIsolated { exchange.finished(on: $0) }
        }
}

extension HTTPRequest {
    init(_ request: web_request) {
        self.init(
            method: String(cString: request.method),
            path: Self.text(request.path, request.path_length),
            body: Array(UnsafeBufferPointer(start: request.body, count: request.body_length)),
            remoteAddress: String(cString: request.remote_address), isTLS: request.tls,
            listener: String(cString: request.listener))
        for field in UnsafeBufferPointer(start: request.headers, count: request.header_count) {
            headers.add(
                Self.text(field.name, field.name_length), Self.text(field.value, field.value_length)
            )
        }
        for item in UnsafeBufferPointer(start: request.query, count: request.query_count) {
            queryItems.append(
                QueryItem(
                    name: Self.text(item.name, item.name_length),
                    value: Self.text(item.value, item.value_length)))
        }
        if let name = request.common_name {
            clientCertificate = ClientCertificate(
                commonName: String(cString: name),
                organization: String(cString: request.organization),
                sha256: String(cString: request.sha256_hex))
        }
    }

    private static func text(_ start: UnsafePointer<CChar>?, _ count: Int) -> String {
        String(decoding: UnsafeRawBufferPointer(start: start, count: count), as: UTF8.self)
    }
}
