/// What a board's QR code says: whom to ask for its identity, and how to know that it is he.
///
///     kerb:enrol?cpo=https://cpo.example.com:8443&id=CS-0001&code=7K3M-Q2ZD-9V4B-E0HT&ca=9f86d0…
package struct EnrolmentURI: Hashable, Sendable {
    /// Base of the operator's address, without a slash at the end.
    package var cpo: String
    /// The station the code is for; told so that a person sees it, the operator's answer decides.
    package var station: String?
    package var code: OneTimeCode
    /// SHA-256 over the DER form of the authority of the operator's certificate, 64 lower-case
    /// hexadecimal digits; nil where the system's authorities know him.
    package var authority: String?

    package init(cpo: String, station: String?, code: OneTimeCode, authority: String?) {
        self.cpo = cpo
        self.station = station
        self.code = code
        self.authority = authority
    }

    private static let start = "kerb:enrol?"
    /// A reader that was shown something else must not be kept busy.
    private static let longestBytes = 1024

    /// nil for what is no such text; unknown fields are passed over, a doubled one is not.
    package init?(_ text: String) {
        guard text.utf8.count <= Self.longestBytes, text.lowercased().hasPrefix(Self.start) else {
            return nil
        }
        var fields: [String: String] = [:]
        for field in text.dropFirst(Self.start.count).split(separator: "&") {
            let sides = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard sides.count == 2, let value = Self.decoded(sides[1]),
                fields.updateValue(value, forKey: String(sides[0])) == nil
            else { return nil }
        }
        guard let cpo = fields["cpo"].flatMap(Self.base), let word = fields["code"],
            let code = OneTimeCode(word)
        else { return nil }
        self.init(cpo: cpo, station: fields["id"], code: code, authority: nil)
        if let authority = fields["ca"] {
            guard let digits = Self.fingerprint(authority) else { return nil }
            self.authority = digits
        }
    }

    package var text: String {
        var text = "\(Self.start)cpo=\(Self.encoded(cpo))"
        if let station { text += "&id=\(Self.encoded(station))" }
        text += "&code=\(code.text)"
        if let authority { text += "&ca=\(authority)" }
        return text
    }

    /// `https://HOST[:PORT]` without path; nil for anything else.
    package static func base(_ text: String) -> String? {
        let scheme = "https://"
        var text = text
        while text.hasSuffix("/") { text.removeLast() }
        guard text.hasPrefix(scheme), text.utf8.count > scheme.utf8.count,
            text.dropFirst(scheme.count).utf8.allSatisfy({ byte in
                byte > 0x20 && byte < 0x7F && !"/?#@\\\"".utf8.contains(byte)
            })
        else { return nil }
        return text
    }

    /// 64 hexadecimal digits in lower case; colons between them are passed over.
    package static func fingerprint(_ text: String) -> String? {
        let digits = text.lowercased().filter { $0 != ":" }
        guard digits.utf8.count == 64,
            digits.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
        else { return nil }
        return digits
    }

    // MARK: Percent encoding, RFC 3986 §2.1

    private static func encoded(_ text: String) -> String {
        var out = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"), UInt8(ascii: "~"), UInt8(ascii: ":"), UInt8(ascii: "/"),
                UInt8(ascii: "["), UInt8(ascii: "]"):
                out.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                out += digits.count == 1 ? "%0\(digits)" : "%\(digits)"
            }
        }
        return out
    }

    private static func decoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let value = UInt8(String(rest.prefix(2)) ?? "", radix: 16) else {
                return nil
            }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
