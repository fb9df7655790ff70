/// Takes known secrets out of what leaves the machine.
package struct Redactor: Sendable {
    private let secrets: [[UInt8]]

    /// Shorter ones would black out half of every text and are no secrets.
    package static let shortestSecret = 4
    package static let mark = Array("[secret]".utf8)

    package init(secrets: [[UInt8]]) {
        // The longest first: one may begin another.
        self.secrets = secrets.filter { $0.count >= Self.shortestSecret }
            .sorted { $0.count > $1.count }
    }

    package func redacted(_ bytes: [UInt8]) -> [UInt8] {
        secrets.reduce(bytes) { Self.without($1, in: $0) }
    }

    package func redacted(_ text: String) -> String {
        String(decoding: redacted(Array(text.utf8)), as: UTF8.self)
    }

    private static func without(_ secret: [UInt8], in bytes: [UInt8]) -> [UInt8] {
        guard let first = secret.first, bytes.count >= secret.count else { return bytes }
        var out: [UInt8] = []
        out.reserveCapacity(bytes.count)
        var index = 0
        while index < bytes.count {
            if bytes[index] == first, bytes.count - index >= secret.count,
                bytes[index..<(index + secret.count)].elementsEqual(secret)
            {
                out += mark
                index += secret.count
            } else {
                out.append(bytes[index])
                index += 1
            }
        }
        return out
    }
}
