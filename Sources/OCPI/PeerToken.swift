import Crypto

/// Credentials tokens: how they are made, hashed for storage, and read from a request.
enum PeerToken {
    /// 64 characters, 256 random bits. OCPI 2.2.1 §4.1.2.
    static func make() -> String { Hex.encode(RandomBytes.make(32)) }

    /// What is stored of a token that a partner uses. The token is random and long, so a plain hash
    /// cannot be searched back, and looking one up gives no timing away.
    static func hash(_ token: String) -> String { Hex.encode(SHA256.hash(token)) }

    static func isUsable(_ token: String) -> Bool {
        (1...64).contains(token.utf8.count) && token.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
    }

    /// `Authorization` for a call of ours.
    static func header(_ token: String, raw: Bool) -> String {
        "Token " + (raw ? token : Base64.encode(Array(token.utf8)))
    }

    /// What a partner may mean: the value as it is, decoded, and decoded twice; some samples of the
    /// standard decode to the token and a line feed.
    static func candidates(_ header: String?) -> [String] {
        guard let header else { return [] }
        let parts = header.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
        guard parts.count == 2, parts[0].lowercased() == "token" else { return [] }
        var found: [String] = []
        var value = parts[1].trimmed
        for _ in 0..<3 {
            guard isUsable(value) || value.utf8.count <= 256 else { break }
            found.append(value)
            guard let bytes = Base64.decodeLeniently(value),
                let text = String(validating: bytes, as: UTF8.self)
            else { break }
            value = text[...].trimmed
        }
        return found
    }
}

extension Substring {
    fileprivate var trimmed: String {
        var text = self
        while let first = text.first, first.isWhitespace { text.removeFirst() }
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return String(text)
    }
}
