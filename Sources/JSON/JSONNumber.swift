import Charging

/// A JSON number as it was spelled, so that no digit is lost or invented on the way.
package struct JSONNumber: Sendable {
    /// Follows JSON's grammar.
    package let text: String

    /// nil when the text is not a JSON number.
    package init?(_ text: String) {
        guard Self.isNumber(text) else { return nil }
        self.text = text
    }

    /// The reader has checked the grammar already.
    init(checked text: String) { self.text = text }

    package init(_ value: some BinaryInteger) { self.text = String(value) }

    /// The shortest plain spelling: 5.50 becomes `5.5`.
    package init(_ value: Decimal) { self.text = value.reduced.description }

    /// nil with more than 36 digits or an exponent beyond them.
    package var decimal: Decimal? { Decimal(text) }

    /// nil when it has a fraction or does not fit; `1.0` and `1e3` do.
    package var int64: Int64? {
        if let plain = Int64(text) { return plain }
        guard let decimal else { return nil }
        let whole = decimal.reduced
        return whole.scale == 0 ? Int64(exactly: whole.significand) : nil
    }

    package var uint64: UInt64? {
        if let plain = UInt64(text) { return plain }
        guard let decimal else { return nil }
        let whole = decimal.reduced
        return whole.scale == 0 ? UInt64(exactly: whole.significand) : nil
    }

    /// The nearest binary fraction: for geometry and statistics, never for money or billed energy.
    package var double: Double? {
        guard let value = Double(text), value.isFinite else { return nil }
        return value
    }

    private static func isNumber(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        return bytes.withUnsafeBytes { buffer in
            var reader = JSONReader(buffer.bytes, limits: .standard)
            guard let slice = try? reader.number() else { return false }  // Any reason means no.
            return slice.start == 0 && slice.end == bytes.count
        }
    }
}

extension JSONNumber: Hashable {
    /// By value where both are decimals, so `1.0` equals `1`; otherwise by spelling.
    package static func == (a: JSONNumber, b: JSONNumber) -> Bool {
        if a.text == b.text { return true }
        guard let x = a.decimal, let y = b.decimal else { return false }
        return x == y
    }

    package func hash(into hasher: inout Hasher) {
        if let decimal { hasher.combine(decimal) } else { hasher.combine(text) }
    }
}

extension JSONNumber: ExpressibleByIntegerLiteral {
    package init(integerLiteral value: Int64) { self.init(value) }
}
