import COpenSSL

/// PEM texts through memory BIOs.
enum PEM {
    static func write(_ body: (OpaquePointer) -> Int32) throws(CryptoError) -> String {
        guard let bio = BIO_new(BIO_s_mem()) else { throw CryptoError.last("PEM") }
        defer { BIO_free(bio) }
        guard body(bio) == 1 else { throw CryptoError.last("PEM") }
        var start: UnsafePointer<UInt8>?
        let count = kerb_bio_bytes(bio, &start)
        return String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
    }

    static func read<T>(_ text: String, _ body: (OpaquePointer) -> T?) throws(CryptoError) -> T {
        var bytes = Array(text.utf8)
        defer { wipe(&bytes) }
        guard let bio = BIO_new_mem_buf(bytes, Int32(bytes.count)) else {
            throw CryptoError.last("PEM")
        }
        defer { BIO_free(bio) }
        guard let value = body(bio) else {
            ERR_clear_error()
            throw .badText("no such PEM block")
        }
        return value
    }
}

/// An X.509 certificate to be looked at.
package final class Certificate: Sendable {
    // Only read after it was made.
    nonisolated(unsafe) let pointer: OpaquePointer

    /// The first certificate of a PEM text.
    package init(pem: String) throws(CryptoError) {
        pointer = try PEM.read(pem) { PEM_read_bio_X509($0, nil, nil, nil) }
    }

    init(owning pointer: OpaquePointer) { self.pointer = pointer }

    deinit { X509_free(pointer) }

    package func pem() throws(CryptoError) -> String {
        try PEM.write { PEM_write_bio_X509($0, self.pointer) }
    }

    /// SHA-256 over the DER form, lower-case hexadecimal.
    package var fingerprint: String {
        var hash = [UInt8](repeating: 0, count: 32)
        var count: UInt32 = 0
        let done = X509_digest(pointer, EVP_sha256(), &hash, &count)
        precondition(done == 1, "a certificate that was parsed has a fingerprint")
        return Hex.encode(hash)
    }

    /// Seconds since 1970 after which it is no longer valid.
    package var notAfter: Int64 { seconds(X509_get0_notAfter(pointer)) }

    /// Seconds since 1970 before which it is not valid yet.
    package var notBefore: Int64 { seconds(X509_get0_notBefore(pointer)) }

    /// The subject's common name; nil without one.
    package var commonName: String? { name(X509_get_subject_name(pointer)) }

    /// Whether `issuer` signed it; validity and purpose are not looked at.
    package func isSigned(by issuer: Certificate) -> Bool {
        defer { ERR_clear_error() }
        return X509_verify(pointer, X509_get0_pubkey(issuer.pointer)) == 1
    }

    /// Whether a TLS client would accept it for this host name or address.
    package func covers(host: String) -> Bool {
        X509_check_host(pointer, host, 0, 0, nil) == 1 || X509_check_ip_asc(pointer, host, 0) == 1
    }

    private func seconds(_ time: UnsafePointer<ASN1_TIME>?) -> Int64 {
        let epoch = ASN1_TIME_set(nil, 0)
        defer { ASN1_STRING_free(epoch) }
        var (days, seconds): (Int32, Int32) = (0, 0)
        guard ASN1_TIME_diff(&days, &seconds, epoch, time) == 1 else { return 0 }
        return Int64(days) * 86_400 + Int64(seconds)
    }
}

/// The common name out of a subject.
func name(_ subject: OpaquePointer?) -> String? {
    var text = [CChar](repeating: 0, count: 256)
    let count = X509_NAME_get_text_by_NID(subject, NID_commonName, &text, Int32(text.count))
    guard count > 0 else { return nil }
    return String(decoding: text.prefix(Int(count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// A name a certificate is for.
package enum AlternativeName: Hashable, Sendable {
    case dns(String)
    /// IPv4 or IPv6.
    case ip(String)

    /// OpenSSL's spelling; commas and colons of a hostile name would become further names.
    func spelled() throws(CryptoError) -> String {
        func check(_ text: String, _ allowed: String) throws(CryptoError) {
            guard !text.isEmpty, text.utf8.count <= 253, text.allSatisfy({ allowed.contains($0) })
            else { throw .badText("\(text) as a certificate's name") }
        }
        switch self {
        case .dns(let name):
            try check(name.lowercased(), "abcdefghijklmnopqrstuvwxyz0123456789-._*")
            return "DNS:\(name)"
        case .ip(let address):
            try check(address.lowercased(), "0123456789abcdef.:")
            return "IP:\(address)"
        }
    }
}
