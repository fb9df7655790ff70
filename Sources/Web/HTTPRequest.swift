import Crypto

/// One HTTP request, its body read whole, its path and query decoded once.
package struct HTTPRequest: Sendable {
    /// One `name=value` of the query. `&` and `=` inside a value are already decoded.
    package struct QueryItem: Sendable, Hashable {
        package var name: String
        package var value: String

        package init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    /// Upper case, as it came: `GET`, `POST`, ….
    package var method: String
    /// Percent-decoded, without the query. `%2F` cannot be told from `/` any more.
    package var path: String
    /// What the route's `{names}` matched.
    package var pathParameters: [String: String]
    package var queryItems: [QueryItem]
    package var headers: HTTPHeaders
    package var body: [UInt8]
    /// The peer's numeric address without port.
    package var remoteAddress: String
    package var isTLS: Bool
    /// The verified certificate of the peer, if it showed one.
    package var clientCertificate: ClientCertificate?
    /// The name of the listener it came in by.
    package var listener: String

    package init(
        method: String = "GET", path: String, pathParameters: [String: String] = [:],
        queryItems: [QueryItem] = [], headers: HTTPHeaders = [:], body: [UInt8] = [],
        remoteAddress: String = "127.0.0.1", isTLS: Bool = false,
        clientCertificate: ClientCertificate? = nil, listener: String = ""
    ) {
        self.method = method
        self.path = path
        self.pathParameters = pathParameters
        self.queryItems = queryItems
        self.headers = headers
        self.body = body
        self.remoteAddress = remoteAddress
        self.isTLS = isTLS
        self.clientCertificate = clientCertificate
        self.listener = listener
    }

    /// The first value of the query item `name`.
    package func query(_ name: String) -> String? {
        queryItems.first { $0.name == name }?.value
    }

    /// What `{name}` of the route matched; empty if the route has no such name.
    package subscript(parameter name: String) -> String { pathParameters[name] ?? "" }
}

/// A peer's certificate after its chain was verified.
package struct ClientCertificate: Sendable, Hashable {
    /// Subject common name; empty if it has none.
    package var commonName: String
    /// Subject organisation; empty if it has none.
    package var organization: String
    /// SHA-256 of the DER form, lower-case hex.
    package var sha256: String

    package init(commonName: String, organization: String, sha256: String) {
        self.commonName = commonName
        self.organization = organization
        self.sha256 = sha256
    }
}

/// User and password of a Basic `Authorization` header, as bytes. RFC 7617.
///
/// The password stays bytes because OCPP 1.6 stations may send any 16–20 octets (security white
/// paper A00.FR.205), not only text.
package struct BasicCredentials: Sendable, Hashable {
    package var user: [UInt8]
    package var password: [UInt8]

    package init(user: [UInt8], password: [UInt8]) {
        self.user = user
        self.password = password
    }

    /// Nil if the header is no Basic one, not Base64, or has no colon.
    package init?(header: String?) {
        guard let header, let space = header.utf8.firstIndex(of: UInt8(ascii: " ")),
            HTTPHeaders.same(String(header[..<space]), "Basic"),
            let decoded = Base64.decodeLeniently(header[space...]),
            let colon = decoded.firstIndex(of: UInt8(ascii: ":"))
        else { return nil }
        self.init(user: Array(decoded[..<colon]), password: Array(decoded[(colon + 1)...]))
    }
}
