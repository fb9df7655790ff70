/// Files put together as `tar` reads them. POSIX.1-1988 ustar.
package struct TarArchive: Sendable {
    private static let block = 512
    private static let longestName = 100

    private var bytes: [UInt8] = []
    private let seconds: Int64

    /// `seconds` since 1970 becomes the time of every file.
    package init(seconds: Int64) { self.seconds = max(0, seconds) }

    /// Adds a file, readable by its owner alone.
    ///
    /// - Precondition: `name` is at most 100 bytes and relative.
    package mutating func add(_ name: String, _ content: [UInt8]) {
        precondition(name.utf8.count <= Self.longestName && !name.hasPrefix("/"))
        var header = [UInt8](repeating: 0, count: Self.block)
        func put(_ text: String, at offset: Int) {
            for (index, byte) in text.utf8.enumerated() { header[offset + index] = byte }
        }
        put(name, at: 0)
        put("0000600", at: 100)
        put("0000000", at: 108)
        put("0000000", at: 116)
        put(Self.octal(Int64(content.count), digits: 11), at: 124)
        put(Self.octal(seconds, digits: 11), at: 136)
        // The sum is taken with blanks in its own place.
        put("        ", at: 148)
        put("0", at: 156)
        put("ustar", at: 257)
        put("00", at: 263)
        let sum = header.reduce(Int64(0)) { $0 + Int64($1) }
        put(Self.octal(sum, digits: 6) + "\0 ", at: 148)
        bytes += header
        bytes += content
        let rest = content.count % Self.block
        if rest > 0 { bytes += [UInt8](repeating: 0, count: Self.block - rest) }
    }

    /// The archive with its end.
    package var finished: [UInt8] { bytes + [UInt8](repeating: 0, count: 2 * Self.block) }

    private static func octal(_ value: Int64, digits: Int) -> String {
        let text = String(value, radix: 8)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
}
