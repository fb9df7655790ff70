import JSON

/// What a handler answers.
package struct HTTPResponse: Sendable {
    package enum Body: Sendable {
        case bytes([UInt8])
        /// Exactly `length` bytes, asked for piece by piece as the reader takes them; nil ends them. With
        /// fewer bytes, or when it throws, the connection is cut, so that nobody takes a part for the
        /// whole. A piece has at most `HTTPResponse.pieceBytes`.
        case pieces(length: Int64, @Sendable () async throws -> [UInt8]?)
        /// Server-sent events: the closure writes until it returns or its task is cancelled because
        /// the reader left or was cut.
        case events(@Sendable (EventStream) async -> Void)
    }

    package var status: Int
    /// `Content-Length`, `Connection` and `Date` are the server's; set here they are left out.
    package var headers: HTTPHeaders
    package var body: Body

    package init(_ status: Int, headers: HTTPHeaders = [:], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = .bytes(body)
    }

    package static let pieceBytes = 64 << 10

    package init(
        _ status: Int, headers: HTTPHeaders = [:], length: Int64,
        pieces: @escaping @Sendable () async throws -> [UInt8]?
    ) {
        self.status = status
        self.headers = headers
        self.body = .pieces(length: length, pieces)
    }

    package init(
        _ status: Int, headers: HTTPHeaders = [:],
        events: @escaping @Sendable (EventStream) async -> Void
    ) {
        self.status = status
        self.headers = headers
        self.body = .events(events)
    }

    /// JSON bytes that are ready.
    package static func json(_ bytes: [UInt8], status: Int = 200, headers: HTTPHeaders = [:])
        -> Self
    {
        .typed("application/json", bytes, status, headers)
    }

    package static func json(_ value: JSONValue, status: Int = 200, headers: HTTPHeaders = [:])
        -> Self
    {
        .json(value.encoded(), status: status, headers: headers)
    }

    package static func text(
        _ text: String, status: Int = 200, type: String = "text/plain; charset=utf-8"
    )
        -> Self
    {
        .typed(type, Array(text.utf8), status, [:])
    }

    /// Starts a stream of server-sent events. WHATWG HTML §9.2.
    package static func events(_ body: @escaping @Sendable (EventStream) async -> Void) -> Self {
        HTTPResponse(
            200, headers: ["Content-Type": "text/event-stream", "Cache-Control": "no-store"],
            events: body)
    }

    /// An error a program and a person can read. RFC 9457.
    ///
    /// - Parameters:
    ///   - title: what is wrong, the same words for the same problem.
    ///   - detail: this case: the reason and the mend.
    ///   - field: which member of the body or query is meant.
    package static func problem(
        _ status: Int, _ title: String, detail: String? = nil, field: String? = nil,
        headers: HTTPHeaders = [:]
    ) -> Self {
        var value: [String: JSONValue] = [
            "status": .number(JSONNumber(status)), "title": .string(title),
        ]
        if let detail { value["detail"] = .string(detail) }
        if let field { value["field"] = .string(field) }
        return .typed(
            "application/problem+json", JSONValue.object(value).encoded(), status, headers)
    }

    package static let noContent = HTTPResponse(204)

    private static func typed(
        _ type: String, _ bytes: [UInt8], _ status: Int, _ headers: HTTPHeaders
    ) -> Self {
        var headers = headers
        if headers["Content-Type"] == nil { headers.add("Content-Type", type) }
        return HTTPResponse(status, headers: headers, body: bytes)
    }
}
