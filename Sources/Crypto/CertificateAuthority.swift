import COpenSSL

/// A certificate and its private key as PEM.
package struct CertifiedKey: Sendable {
    package let certificatePEM: String
    package let privateKeyPEM: String
}

/// A small authority with a P-256 key: for the demo, for tests, and for sites without their own PKI.
package final class CertificateAuthority: Sendable {
    private let key: KeyHandle
    package let certificate: Certificate

    /// A new, self-signed authority.
    package init(commonName: String, validDays: Int = 365) throws(CryptoError) {
        key = try KeyHandle(kerb_generate_p256(), "generate a P-256 key")
        certificate = try Self.make(
            commonName: commonName, key: key.pointer, issuer: nil, signer: key,
            validDays: validDays,
            extensions: [
                (NID_basic_constraints, "critical,CA:TRUE,pathlen:0"),
                (NID_key_usage, "critical,keyCertSign,cRLSign"),
                (NID_subject_key_identifier, "hash"),
            ])
    }

    /// One that was kept as PEM.
    package init(certificatePEM: String, privateKeyPEM: String) throws(CryptoError) {
        certificate = try Certificate(pem: certificatePEM)
        let pointer = try PEM.read(privateKeyPEM) { PEM_read_bio_PrivateKey($0, nil, nil, nil) }
        key = try KeyHandle(pointer, "private key")
        guard X509_check_private_key(certificate.pointer, key.pointer) == 1 else {
            ERR_clear_error()
            throw .badKey("the key does not belong to the certificate")
        }
    }

    package func certificatePEM() throws(CryptoError) -> String { try certificate.pem() }
    package func privateKeyPEM() throws(CryptoError) -> String { try key.privatePEM() }

    /// A server's certificate with a new P-256 key.
    package func issueServer(
        commonName: String, names: [AlternativeName], validDays: Int = 90
    ) throws(CryptoError) -> CertifiedKey {
        try issue(commonName: commonName, names: names, usage: "serverAuth", validDays: validDays)
    }

    /// A client's certificate; a station's common name is its serial number. OCPP security profile 3.
    package func issueClient(
        commonName: String, names: [AlternativeName] = [], validDays: Int = 90
    ) throws(CryptoError) -> CertifiedKey {
        try issue(commonName: commonName, names: names, usage: "clientAuth", validDays: validDays)
    }

    /// A client's certificate for a request whose signature has been checked here.
    package func sign(
        _ request: CertificateRequest, validDays: Int = 90
    ) throws(CryptoError) -> Certificate {
        guard request.isSelfSigned, let name = request.commonName else {
            throw .badText("a certificate request without valid signature or common name")
        }
        return try Self.make(
            commonName: name, key: X509_REQ_get0_pubkey(request.pointer), issuer: certificate,
            signer: key, validDays: validDays, extensions: Self.leaf(usage: "clientAuth"),
            request: request)
    }

    /// The same under names of our own: of the request only the key is taken.
    package func sign(
        _ request: CertificateRequest, commonName: String, organisation: String, validDays: Int
    ) throws(CryptoError) -> Certificate {
        guard request.isSelfSigned else {
            throw .badText("a certificate request without valid signature")
        }
        return try Self.make(
            commonName: commonName, organisation: organisation,
            key: X509_REQ_get0_pubkey(request.pointer), issuer: certificate, signer: key,
            validDays: validDays, extensions: Self.leaf(usage: "clientAuth"))
    }

    private func issue(
        commonName: String, names: [AlternativeName], usage: String, validDays: Int
    ) throws(CryptoError) -> CertifiedKey {
        let own = try KeyHandle(kerb_generate_p256(), "generate a P-256 key")
        var extensions = Self.leaf(usage: usage)
        var spelled: [String] = []
        for name in names { spelled.append(try name.spelled()) }
        if !spelled.isEmpty {
            extensions.append((NID_subject_alt_name, spelled.joined(separator: ",")))
        }
        let made = try Self.make(
            commonName: commonName, key: own.pointer, issuer: certificate, signer: key,
            validDays: validDays, extensions: extensions)
        return CertifiedKey(certificatePEM: try made.pem(), privateKeyPEM: try own.privatePEM())
    }

    private static func leaf(usage: String) -> [(Int32, String)] {
        [
            (NID_basic_constraints, "critical,CA:FALSE"),
            (NID_key_usage, "critical,digitalSignature"),
            (NID_ext_key_usage, usage),
            (NID_subject_key_identifier, "hash"),
            (NID_authority_key_identifier, "keyid"),
        ]
    }

    /// Builds and signs. `issuer` nil means self-signed.
    private static func make(
        commonName: String, organisation: String? = nil, key: OpaquePointer?,
        issuer: Certificate?, signer: KeyHandle, validDays: Int, extensions: [(Int32, String)],
        request: CertificateRequest? = nil
    ) throws(CryptoError) -> Certificate {
        guard let pointer = X509_new() else { throw CryptoError.last("certificate") }
        let certificate = Certificate(owning: pointer)
        var serial = RandomBytes.make(8)
        serial[0] &= 0x7F
        let number = serial.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let subject = X509_get_subject_name(pointer)
        let name = Array(commonName.utf8)
        // An hour back, because a board's clock may be a little behind ours.
        guard X509_set_version(pointer, 2) == 1,
            ASN1_INTEGER_set_uint64(X509_get_serialNumber(pointer), number) == 1,
            X509_gmtime_adj(X509_getm_notBefore(pointer), -3600) != nil,
            X509_gmtime_adj(X509_getm_notAfter(pointer), validDays * 86_400) != nil,
            X509_NAME_add_entry_by_txt(
                subject, "CN", MBSTRING_UTF8, name, Int32(name.count), -1, 0) == 1,
            X509_set_issuer_name(
                pointer, X509_get_subject_name(issuer?.pointer ?? pointer)) == 1,
            X509_set_pubkey(pointer, key) == 1
        else { throw CryptoError.last("certificate") }
        if let organisation {
            let text = Array(organisation.utf8)
            guard
                X509_NAME_add_entry_by_txt(
                    subject, "O", MBSTRING_UTF8, text, Int32(text.count), -1, 0) == 1
            else { throw CryptoError.last("organisation of a certificate") }
        }
        for (nid, value) in extensions {
            guard kerb_add_extension(pointer, issuer?.pointer ?? pointer, nid, value) == 1 else {
                throw CryptoError.last("extension \(value)")
            }
        }
        if let request { _ = kerb_copy_alternative_names(pointer, request.pointer) }
        guard X509_sign(pointer, signer.pointer, EVP_sha256()) > 0 else {
            throw CryptoError.last("sign a certificate")
        }
        return certificate
    }
}

/// A PKCS 10 request. RFC 2986.
package final class CertificateRequest: Sendable {
    // Only read after it was made.
    nonisolated(unsafe) let pointer: OpaquePointer

    package init(pem: String) throws(CryptoError) {
        pointer = try PEM.read(pem) { PEM_read_bio_X509_REQ($0, nil, nil, nil) }
    }

    private init(owning pointer: OpaquePointer) { self.pointer = pointer }

    deinit { X509_REQ_free(pointer) }

    /// A request for a new P-256 key, both as PEM.
    package static func make(
        commonName: String, organisation: String?, names: [AlternativeName] = []
    ) throws(CryptoError) -> (requestPEM: String, privateKeyPEM: String) {
        let key = try KeyHandle(kerb_generate_p256(), "generate a P-256 key")
        guard let pointer = X509_REQ_new() else { throw CryptoError.last("request") }
        let request = CertificateRequest(owning: pointer)
        let subject = X509_REQ_get_subject_name(pointer)
        for (field, value) in [("CN", commonName), ("O", organisation)] {
            guard let value else { continue }
            let text = Array(value.utf8)
            guard
                X509_NAME_add_entry_by_txt(
                    subject, field, MBSTRING_UTF8, text, Int32(text.count), -1, 0) == 1
            else { throw CryptoError.last("subject of a request") }
        }
        var spelled: [String] = []
        for name in names { spelled.append(try name.spelled()) }
        guard X509_REQ_set_version(pointer, 0) == 1, X509_REQ_set_pubkey(pointer, key.pointer) == 1,
            spelled.isEmpty
                || kerb_add_request_extension(
                    pointer, NID_subject_alt_name, spelled.joined(separator: ",")) == 1,
            X509_REQ_sign(pointer, key.pointer, EVP_sha256()) > 0
        else { throw CryptoError.last("request") }
        return (try request.pem(), try key.privatePEM())
    }

    package func pem() throws(CryptoError) -> String {
        try PEM.write { PEM_write_bio_X509_REQ($0, self.pointer) }
    }

    package var commonName: String? { name(X509_REQ_get_subject_name(pointer)) }

    /// EC on a NIST curve, or RSA of 2048 to 4096 bits.
    package var hasStrongKey: Bool { kerb_is_strong(X509_REQ_get0_pubkey(pointer)) == 1 }

    /// Whether its own key signed it: the sender holds the key it asks a certificate for.
    package var isSelfSigned: Bool {
        defer { ERR_clear_error() }
        return X509_REQ_verify(pointer, X509_REQ_get0_pubkey(pointer)) == 1
    }
}
