/// An `http` or `https` URL of a partner, taken apart as far as checks need it.
struct PeerURL: Hashable, Sendable {
    let text: String
    let isTLS: Bool
    /// Lower case, without port.
    let host: String

    /// nil for other schemes, user names in the URL, blanks and control characters, no host.
    init?(_ text: String) {
        guard text.utf8.count <= 2048, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }),
            let colon = text.firstRange(of: "://")
        else { return nil }
        let scheme = text[..<colon.lowerBound].lowercased()
        guard scheme == "https" || scheme == "http" else { return nil }
        let authority = text[colon.upperBound...].prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        guard !authority.contains("@"), !authority.contains("\\") else { return nil }
        let host: Substring
        if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
            host = authority[...end]
        } else {
            host = authority.prefix { $0 != ":" }
        }
        guard !host.isEmpty else { return nil }
        self.text = text
        isTLS = scheme == "https"
        self.host = host.lowercased()
    }

    /// `base` with path segments behind it and never two slashes: endpoint URLs are opaque and may
    /// or may not end in one. Segments are percent-encoded.
    static func join(_ base: String, _ segments: String...) -> String {
        var url = base
        for segment in segments {
            if !url.hasSuffix("/") { url += "/" }
            url += encoded(segment)
        }
        return url
    }

    static func encoded(_ text: String) -> String {
        // Else they would climb: whoever fetches a URL takes such segments out of it first.
        if text == "." || text == ".." { return text == "." ? "%2E" : "%2E%2E" }
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"), UInt8(ascii: "~"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                result += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }
        return result
    }
}
