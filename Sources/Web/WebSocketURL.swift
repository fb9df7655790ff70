/// The parts of a `ws://` or `wss://` URL. RFC 6455 §3.
package struct WebSocketURL: Sendable, Hashable {
    var isTLS: Bool
    /// A name or numeric address, IPv6 without its brackets.
    var host: String
    var port: Int
    /// With the query; at least `/`.
    var path: String

    init?(_ text: String) {
        let rest: Substring
        if text.hasPrefix("ws://") {
            isTLS = false
            rest = text.dropFirst(5)
        } else if text.hasPrefix("wss://") {
            isTLS = true
            rest = text.dropFirst(6)
        } else {
            return nil
        }
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        let tail = rest[authority.endIndex...]
        path = tail.hasPrefix("/") ? String(tail) : "/" + tail
        guard !authority.contains("@"), path.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            return nil
        }
        var portText: Substring = ""
        if authority.hasPrefix("[") {
            guard let end = authority.firstIndex(of: "]") else { return nil }
            host = String(authority[authority.index(after: authority.startIndex)..<end])
            portText = authority[authority.index(after: end)...]
        } else {
            host = String(authority.prefix { $0 != ":" })
            portText = authority.dropFirst(host.count)
        }
        port = isTLS ? 443 : 80
        if !portText.isEmpty {
            guard portText.hasPrefix(":"), let number = Int(portText.dropFirst()),
                (1...65535).contains(number)
            else { return nil }
            port = number
        }
        guard !host.isEmpty, host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
    }

    /// Host and port of a URL; nil if it is none.
    package static func place(_ text: String) -> (host: String, port: Int)? {
        WebSocketURL(text).map { ($0.host, $0.port) }
    }

    /// For the Host header, SNI and the certificate's name.
    var hostHeader: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (isTLS ? 443 : 80) ? name : "\(name):\(port)"
    }
}
