/// Looking for text within text, byte for byte.
///
/// The toolchain's own search for text is part of its regular expressions, which weigh over a megabyte in a
/// program; nothing on a board needs them.
extension StringProtocol {
    /// The first place where `part` stands; none when it does not, or is empty.
    private func place(of part: [UInt8]) -> Range<Index>? {
        guard !part.isEmpty else { return nil }
        var start = utf8.startIndex
        while start < utf8.endIndex {
            if let end = utf8.index(start, offsetBy: part.count, limitedBy: utf8.endIndex),
                utf8[start..<end].elementsEqual(part)
            {
                return start..<end
            }
            utf8.formIndex(after: &start)
        }
        return nil
    }

    /// Whether `part` stands in it.
    package func contains(text part: String) -> Bool { place(of: Array(part.utf8)) != nil }

    /// What stands before, between and after each `separator`, empty parts included.
    ///
    /// - Parameter most: how often it is cut at most.
    package func parts(between separator: String, most: Int = .max) -> [String] {
        let bytes = Array(separator.utf8)
        var parts: [String] = []
        var rest = self[...]
        while parts.count < most, let found = rest.place(of: bytes) {
            parts.append(String(rest[..<found.lowerBound]))
            rest = rest[found.upperBound...]
        }
        return parts + [String(rest)]
    }

    /// With `new` wherever `old` stood.
    package func replacing(text old: String, with new: String) -> String {
        parts(between: old).joined(separator: new)
    }
}
