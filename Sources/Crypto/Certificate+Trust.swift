import COpenSSL

extension Certificate {
    /// A text with more certificates than this is no chain.
    package static let longestChain = 10

    /// All certificates of a PEM text, in order.
    ///
    /// - Throws: `.badText` when there is none, or more than `most`.
    package static func all(
        pem: String, most: Int = longestChain
    ) throws(CryptoError) -> [Certificate] {
        let found = try PEM.read(pem) { bio -> [Certificate]? in
            var found: [Certificate] = []
            while found.count <= most, let one = PEM_read_bio_X509(bio, nil, nil, nil) {
                found.append(Certificate(owning: one))
            }
            ERR_clear_error()
            return found
        }
        guard (1...most).contains(found.count) else {
            throw .badText("\(found.count) certificates where 1 to \(most) are allowed")
        }
        return found
    }

    /// Why it does not lead to one of `roots` over `between` at a time in seconds since 1970; nil if
    /// it does. Signatures, validity and the right to sign are looked at, names and purpose are not.
    package func refusal(
        between: [Certificate] = [], roots: [Certificate], at seconds: Int64
    ) -> String? {
        defer { ERR_clear_error() }
        // The arrays keep what they point at alive during the call.
        let verdict = withExtendedLifetime((between, roots)) {
            let steps = between.map { Optional($0.pointer) }
            let anchors = roots.map { Optional($0.pointer) }
            return kerb_verify_chain(
                pointer, steps, Int32(steps.count), anchors, Int32(anchors.count), seconds)
        }
        guard verdict != X509_V_OK else { return nil }
        return String(cString: X509_verify_cert_error_string(Int(verdict)))
    }

    /// Whether it may sign other certificates.
    package var isAuthority: Bool {
        defer { ERR_clear_error() }
        return X509_check_ca(pointer) == 1
    }

    /// The subject's organisation; nil without one.
    package var organisation: String? {
        var text = [CChar](repeating: 0, count: 256)
        let count = kerb_organisation(pointer, &text, Int32(text.count))
        guard count > 0 else { return nil }
        return String(
            decoding: text.prefix(Int(count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Hexadecimal without leading zeros, in lower case.
    package var serial: String {
        guard let number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(pointer), nil) else {
            return ""
        }
        defer { BN_free(number) }
        guard let text = BN_bn2hex(number) else { return "" }
        defer { CRYPTO_free(text, nil, 0) }
        let digits = String(cString: text).lowercased().drop { $0 == "0" }
        return digits.isEmpty ? "0" : String(digits)
    }

    /// Hashes as OCSP makes them. RFC 6960 §4.1.1
    package enum HashKind: Sendable { case sha256, sha384, sha512 }

    /// Over the issuer's name, lower-case hexadecimal.
    package func issuerNameHash(_ kind: HashKind) -> String {
        var hash = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var count: UInt32 = 0
        let done = X509_NAME_digest(
            X509_get_issuer_name(pointer), Self.digest(kind), &hash, &count)
        return done == 1 ? Hex.encode(hash.prefix(Int(count))) : ""
    }

    /// Over this certificate's key, which is the issuer's where it signed itself.
    package func keyHash(_ kind: HashKind) -> String {
        var hash = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var count: UInt32 = 0
        let done = X509_pubkey_digest(pointer, Self.digest(kind), &hash, &count)
        return done == 1 ? Hex.encode(hash.prefix(Int(count))) : ""
    }

    private static func digest(_ kind: HashKind) -> OpaquePointer? {
        switch kind {
        case .sha256: EVP_sha256()
        case .sha384: EVP_sha384()
        case .sha512: EVP_sha512()
        }
    }

    /// Whether its key made `signature` over a file with this SHA-256: RSA-PSS or ECDSA.
    /// OCPP 1.6 security white paper §5.1
    package func signed(sha256: [UInt8], signature: [UInt8]) -> Bool {
        guard sha256.count == 32, !signature.isEmpty else { return false }
        defer { ERR_clear_error() }
        return kerb_verify_sha256(
            X509_get0_pubkey(pointer), sha256, signature, signature.count) == 1
    }

    /// Whether this private key belongs to it.
    package func matches(privateKeyPEM: String) -> Bool {
        defer { ERR_clear_error() }
        guard
            // A text without a key matches nothing.
            let key = try? PEM.read(
                privateKeyPEM, { PEM_read_bio_PrivateKey($0, nil, nil, nil) })
        else { return false }
        defer { EVP_PKEY_free(key) }
        return X509_check_private_key(pointer, key) == 1
    }
}
