/// One call to another party's server.
package struct HTTPCall: Sendable {
    package enum Method: String, Sendable {
        case get = "GET"
        case post = "POST"
        case put = "PUT"
        case patch = "PATCH"
        case delete = "DELETE"
        case head = "HEAD"
    }

    package var method: Method
    /// `http://…` or `https://…`, percent-encoded.
    package var url: String
    package var headers: [HTTPField]
    package var body: [UInt8]
    /// From the hand-over to the last byte of the answer, waiting in the queue included.
    package var deadlineSeconds: Int
    /// A longer answer ends the call with `.bodyTooLarge`.
    package var maxBodyBytes: Int

    package init(
        _ method: Method, _ url: String, headers: [HTTPField] = [], body: [UInt8] = [],
        deadlineSeconds: Int = 10, maxBodyBytes: Int = 1 << 20
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.deadlineSeconds = deadlineSeconds
        self.maxBodyBytes = maxBodyBytes
    }
}

/// A header line.
package struct HTTPField: Hashable, Sendable {
    package var name: String
    package var value: String

    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// What the server answered, whatever its status.
package struct HTTPAnswer: Sendable {
    package let status: Int
    /// In the order received.
    package let headers: [HTTPField]
    package let body: [UInt8]

    package init(status: Int, headers: [HTTPField] = [], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// The first header of that name, capitals or not.
    package func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }
}

/// Why there is no answer. Nothing here says whether the server acted on the call.
package enum HTTPCallError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The URL, a header or a limit is not usable.
    case badCall(String)
    /// The rules against calls into the own network forbid this address.
    case forbidden(String)
    case nameNotResolved
    case notConnected(String)
    /// The server's certificate or the TLS hand-shake is not good.
    case notTrusted(String)
    case deadlinePassed
    case bodyTooLarge
    /// The connection broke, or what came was no HTTP.
    case broken(String)
    /// Too many calls wait for this host, or for all.
    case queueFull
    case cancelled
    /// The client has been stopped.
    case stopped

    package var description: String {
        switch self {
        case .badCall(let why): "the call cannot be made: \(why)"
        case .forbidden(let why): "the address is not allowed: \(why)"
        case .nameNotResolved: "the name is not known; check it, the network and the name server"
        case .notConnected(let why): "nobody answers there: \(why)"
        case .notTrusted(let why): "the server's certificate is not trusted: \(why)"
        case .deadlinePassed: "no answer in time"
        case .bodyTooLarge: "the answer is longer than allowed"
        case .broken(let why): "the connection broke: \(why)"
        case .queueFull: "too many calls wait already"
        case .cancelled: "the call was given up"
        case .stopped: "the program ends"
        }
    }
}
