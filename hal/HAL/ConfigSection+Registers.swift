import Charging
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

    /// What one register holds, `0x4200` or `15`; 0 when it is none, which is then noted.
    func word(_ key: String) -> UInt16 {
        let text = text(key)
        guard let bits = Self.bits(text), let word = UInt16(exactly: bits) else {
            if !text.isEmpty {
                problem(key, "`\(text)` does not fit a register; give 0x0000 to 0xFFFF")
            }
            return 0
        }
        return word
    }

    /// A list of bit patterns, each `0x…` or decimal.
    func patterns(_ key: String) -> [UInt64] {
        texts(key).compactMap { text in
            let bits = Self.bits(text)
            if bits == nil { problem(key, "`\(text)` is no bit pattern; give 0x…") }
            return bits
        }
    }

    /// A list of decimal numbers.
    func decimals(_ key: String) -> [Decimal] {
        texts(key).compactMap { text in
            let number = Decimal(text)
            if number == nil { problem(key, "`\(text)` is no number") }
            return number
        }
    }

    private static func bits(_ text: String) -> UInt64? {
        text.hasPrefix("0x") ? UInt64(text.dropFirst(2), radix: 16) : UInt64(text)
    }
}
