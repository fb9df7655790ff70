/// A code that a person may have to type: 80 random bits in sixteen characters, four by four.
///
/// Crockford's alphabet: no I, L, O and U, so that nothing is mistaken for a digit and no word appears.
package struct OneTimeCode: Hashable, Sendable {
    package static let byteCount = 10
    private static let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
    private static let characters = 16

    /// Sixteen characters without hyphens.
    private let plain: String

    /// - Parameter bytes: ten of them, random.
    package init(_ bytes: [UInt8]) {
        precondition(bytes.count == Self.byteCount, "a code has 80 bits")
        var text = ""
        var (held, bits): (UInt32, Int) = (0, 0)
        for byte in bytes {
            held = held << 8 | UInt32(byte)
            bits += 8
            while bits >= 5 {
                bits -= 5
                text.append(Self.alphabet[Int(held >> UInt32(bits) & 31)])
            }
        }
        plain = text
    }

    /// As typed: capitals or not, hyphens and blanks anywhere, O for 0, I and L for 1; nil for what is
    /// no code.
    package init?(_ typed: String) {
        var text = ""
        for letter in typed.uppercased() where letter != "-" && letter != " " {
            switch letter {
            case "O": text.append("0")
            case "I", "L": text.append("1")
            default:
                guard Self.alphabet.contains(letter) else { return nil }
                text.append(letter)
            }
            guard text.count <= Self.characters else { return nil }
        }
        guard text.count == Self.characters else { return nil }
        plain = text
    }

    /// `7K3M-Q2ZD-9V4B-E0HT`
    package var text: String {
        var groups: [Substring] = []
        var rest = plain[...]
        while !rest.isEmpty {
            groups.append(rest.prefix(4))
            rest = rest.dropFirst(4)
        }
        return groups.joined(separator: "-")
    }
}
