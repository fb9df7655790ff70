import Service

extension ConfigSection {
    /// A register's number, `0x0048` or `72`; nil when it is none, which is then noted.
    func register(_ key: String) -> Int? {
        let text = text(key)
        guard let bits = Self.bits(text), bits <= 0xFFFF else {
            if !text.isEmpty {
                problem(key, "`\(text)` is no register; give 0x0000 to 0xFFFF")
            }
            return nil
        }
        return Int(bits)
    }

    /// A list of bit patterns, each `0x…` or decimal.
    func patterns(_ key: String) -> [UInt64] {
        texts(key).compactMap { text in
            let bits = Self.bits(text)
            if bits == nil { problem(key, "`\(text)` is no bit pattern; give 0x…") }
            return bits
        }
    }

    private static func bits(_ text: String) -> UInt64? {
        text.hasPrefix("0x") ? UInt64(text.dropFirst(2), radix: 16) : UInt64(text)
    }
}
