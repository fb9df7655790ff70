/// Base64. RFC 4648 §4 and §5.
package enum Base64 {
    package enum Alphabet: Sendable {
        case standard
        /// `-` and `_` for `+` and `/`.
        case url
    }

    private static let standard = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let url = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    package static func encode(
        _ bytes: [UInt8], alphabet: Alphabet = .standard, padded: Bool = true
    ) -> String {
        let letters = alphabet == .standard ? standard : url
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        var index = 0
        while index < bytes.count {
            let rest = bytes.count - index
            var group = UInt32(bytes[index]) << 16
            if rest > 1 { group |= UInt32(bytes[index + 1]) << 8 }
            if rest > 2 { group |= UInt32(bytes[index + 2]) }
            for step in 0..<4 {
                if step <= min(rest, 3) {
                    text.append(letters[Int(group >> (18 - 6 * UInt32(step)) & 63)])
                } else if padded {
                    text.append(0x3D)
                }
            }
            index += 3
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Standard alphabet, padding, no blanks, no stray bits: the one spelling there is.
    package static func decode(_ text: some StringProtocol) -> [UInt8]? {
        let letters = Array(text.utf8)
        guard letters.count % 4 == 0 else { return nil }
        var body = letters[...]
        for _ in 0..<2 where body.last == 0x3D { body.removeLast() }
        guard letters.count - body.count <= 2 else { return nil }
        return values(of: body, strict: true)
    }

    /// Either alphabet, with or without padding, blanks and line ends ignored: what peers send.
    package static func decodeLeniently(_ text: some StringProtocol) -> [UInt8]? {
        var letters = text.utf8.filter { $0 != 0x20 && $0 != 0x0A && $0 != 0x0D && $0 != 0x09 }
        for _ in 0..<2 where letters.last == 0x3D { letters.removeLast() }
        return values(of: letters[...], strict: false)
    }

    private static func values(of letters: ArraySlice<UInt8>, strict: Bool) -> [UInt8]? {
        guard letters.count % 4 != 1 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(letters.count / 4 * 3 + 2)
        var (group, bits): (UInt32, Int) = (0, 0)
        for letter in letters {
            guard let value = value(of: letter, strict: strict) else { return nil }
            group = group << 6 | value
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: group >> UInt32(bits)))
            }
        }
        let stray = group & ((1 << UInt32(bits)) - 1)
        return strict && stray != 0 ? nil : bytes
    }

    private static func value(of letter: UInt8, strict: Bool) -> UInt32? {
        switch letter {
        case 0x41...0x5A: UInt32(letter - 0x41)
        case 0x61...0x7A: UInt32(letter - 0x61 + 26)
        case 0x30...0x39: UInt32(letter - 0x30 + 52)
        case 0x2B: 62
        case 0x2F: 63
        case 0x2D where !strict: 62
        case 0x5F where !strict: 63
        default: nil
        }
    }
}

/// Hexadecimal, lower case out, either case in.
package enum Hex {
    package static func encode(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    package static func decode(_ text: some StringProtocol) -> [UInt8]? {
        let letters = Array(text.utf8)
        guard letters.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: letters.count, by: 2) {
            guard let high = digit(letters[index]), let low = digit(letters[index + 1]) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    private static func digit(_ letter: UInt8) -> UInt8? {
        switch letter {
        case 0x30...0x39: letter - 0x30
        case 0x41...0x46: letter - 0x37
        case 0x61...0x66: letter - 0x57
        default: nil
        }
    }
}

/// Random UUIDs. RFC 9562 §5.4.
package enum UUID4 {
    /// Lower case, with hyphens.
    package static func make() -> String {
        var bytes = RandomBytes.make(16)
        bytes[6] = bytes[6] & 0x0F | 0x40
        bytes[8] = bytes[8] & 0x3F | 0x80
        return text(bytes)
    }

    /// Eight, four, four, four and twelve hexadecimal digits; any version.
    package static func isUUID(_ text: some StringProtocol) -> Bool {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        return parts.map(\.utf8.count) == [8, 4, 4, 4, 12]
            && parts.allSatisfy { Hex.decode($0) != nil }
    }

    private static func text(_ bytes: [UInt8]) -> String {
        var groups: [String] = []
        var start = 0
        for count in [4, 2, 2, 2, 6] {
            groups.append(Hex.encode(bytes[start..<start + count]))
            start += count
        }
        return groups.joined(separator: "-")
    }
}
