/// What of a file is asked for. RFC 9110 §14.1.2: one range of bytes; several, other units and what
/// cannot be read mean the whole, as §14.2 allows.
enum ByteRange: Hashable, Sendable {
    case whole(Int64)
    /// Both inclusive.
    case part(Int64, Int64)
    case unsatisfiable

    init(header: String?, size: Int64) {
        self = .whole(size)
        guard let header else { return }
        let sides = header.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard sides.count == 2, sides[0].lowercased() == "bytes" else { return }
        let ends = sides[1].split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard ends.count == 2 else { return }
        let (first, last) = (Self.number(ends[0]), Self.number(ends[1]))
        switch (ends[0].isEmpty, ends[1].isEmpty) {
        case (true, true): return
        case (true, false):
            // The last so many bytes.
            guard let last else { return }
            self = last == 0 || size == 0 ? .unsatisfiable : .part(max(0, size - last), size - 1)
        case (false, true):
            guard let first else { return }
            self = first >= size ? .unsatisfiable : .part(first, size - 1)
        case (false, false):
            guard let first, let last, first <= last else { return }
            self = first >= size ? .unsatisfiable : .part(first, min(last, size - 1))
        }
    }

    private static func number(_ text: Substring) -> Int64? {
        guard !text.isEmpty, text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else { return nil }
        return Int64(text)
    }
}
