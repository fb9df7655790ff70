/// `\u0000` inside JSON texts: fixed buffers that some stations pad with it.
package enum NULEscapes {
    private static let letters = Array("u0000".utf8)
    private static let backslash = UInt8(ascii: "\\")

    /// The message without its escaped U+0000; nil when it has none.
    package static func removed(from message: RawSpan) -> [UInt8]? {
        let bytes = message.withUnsafeBytes { Array($0) }
        var kept: [UInt8] = []
        var at = 0
        while at < bytes.count {
            // An escape is taken whole, so that `\\u0000`, a backslash and letters, stays.
            let isEscape = bytes[at] == backslash && at + 1 < bytes.count
            if isEscape, bytes[(at + 1)...].starts(with: letters) {
                at += 1 + letters.count
                continue
            }
            let end = at + (isEscape ? 2 : 1)
            kept += bytes[at..<end]
            at = end
        }
        return kept.count == bytes.count ? nil : kept
    }
}
