import COpenSSL

/// Why a key, a certificate or an encoded text could not be used.
package enum CryptoError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Not a key of this kind, or of a wrong length.
    case badKey(String)
    /// Not the text form asked for: PEM, base64, a name of a certificate.
    case badText(String)
    /// Too many passwords wait to be hashed; try again later.
    case busy
    /// OpenSSL refused; the text is its own.
    case openSSL(String)

    package var description: String {
        switch self {
        case .badKey(let what): "not a usable key: \(what)"
        case .badText(let what): "not readable: \(what)"
        case .busy: "too many passwords wait to be hashed"
        case .openSSL(let text): "OpenSSL: \(text)"
        }
    }

    /// The last error of this thread's OpenSSL queue, which is emptied: an old entry must not be
    /// blamed for a later failure, nor be seen by the TLS code on the same thread.
    static func last(_ step: String) -> CryptoError {
        let code = ERR_peek_last_error()
        ERR_clear_error()
        guard code != 0 else { return .openSSL(step) }
        var text = [CChar](repeating: 0, count: 256)
        ERR_error_string_n(code, &text, text.count)
        let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return .openSSL("\(step): " + String(decoding: bytes, as: UTF8.self))
    }
}
