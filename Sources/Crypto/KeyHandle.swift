import COpenSSL

/// An `EVP_PKEY` that is freed, and its private bytes wiped by OpenSSL, with the last reference.
final class KeyHandle: Sendable {
    // A key is never changed after it was made, and OpenSSL allows its use from many threads.
    nonisolated(unsafe) let pointer: OpaquePointer

    init(_ pointer: OpaquePointer?, _ step: String) throws(CryptoError) {
        guard let pointer else { throw CryptoError.last(step) }
        self.pointer = pointer
    }

    deinit { EVP_PKEY_free(pointer) }

    /// For Ed25519 and X25519: 32 bytes.
    func rawPublicKey() throws(CryptoError) -> [UInt8] {
        var count = 32
        var bytes = [UInt8](repeating: 0, count: count)
        guard EVP_PKEY_get_raw_public_key(pointer, &bytes, &count) == 1, count == 32 else {
            throw CryptoError.last("raw public key")
        }
        return bytes
    }

    func rawPrivateKey() throws(CryptoError) -> SecretBytes {
        var count = 32
        var bytes = [UInt8](repeating: 0, count: count)
        defer { wipe(&bytes) }
        guard EVP_PKEY_get_raw_private_key(pointer, &bytes, &count) == 1, count == 32 else {
            throw CryptoError.last("raw private key")
        }
        return SecretBytes(bytes)
    }

    func sign(_ message: [UInt8], digest: OpaquePointer? = nil) throws(CryptoError) -> [UInt8] {
        let context = EVP_MD_CTX_new()
        defer { EVP_MD_CTX_free(context) }
        guard EVP_DigestSignInit(context, nil, digest, nil, pointer) == 1 else {
            throw CryptoError.last("sign")
        }
        var count = 0
        guard EVP_DigestSign(context, nil, &count, message, message.count) == 1 else {
            throw CryptoError.last("sign")
        }
        var signature = [UInt8](repeating: 0, count: count)
        guard EVP_DigestSign(context, &signature, &count, message, message.count) == 1 else {
            throw CryptoError.last("sign")
        }
        return Array(signature.prefix(count))
    }

    func isValid(
        _ signature: [UInt8], of message: [UInt8], digest: OpaquePointer? = nil
    ) -> Bool {
        let context = EVP_MD_CTX_new()
        defer {
            EVP_MD_CTX_free(context)
            // A wrong signature is an expected answer, not an error to keep.
            ERR_clear_error()
        }
        guard EVP_DigestVerifyInit(context, nil, digest, nil, pointer) == 1 else { return false }
        return EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
    }

    /// Unencrypted PKCS 8 in PEM.
    func privatePEM() throws(CryptoError) -> String {
        try PEM.write { PEM_write_bio_PrivateKey($0, self.pointer, nil, nil, 0, nil, nil) }
    }
}

/// The 32 bytes of a raw key out of what registries hand out: raw, or wrapped in DER.
enum RawKey {
    /// `kind` is the last byte of the algorithm's object identifier: 0x70 Ed25519, 0x6E X25519. RFC 8410.
    static func publicBytes(_ bytes: [UInt8], kind: UInt8) throws(CryptoError) -> [UInt8] {
        let prefix: [UInt8] = [0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, kind, 0x03, 0x21, 0]
        if bytes.count == 32 { return bytes }
        guard bytes.count == 44, Array(bytes.prefix(12)) == prefix else {
            throw .badKey("a public key has 32 raw bytes or 44 in DER, not \(bytes.count)")
        }
        return Array(bytes.dropFirst(12))
    }

    /// 32 bytes, 64 as seed and public key, or 48 as PKCS 8.
    static func privateBytes(_ bytes: [UInt8], kind: UInt8) throws(CryptoError) -> [UInt8] {
        let prefix: [UInt8] = [
            0x30, 0x2E, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, kind, 0x04, 0x22,
            0x04, 0x20,
        ]
        if bytes.count == 32 { return bytes }
        if bytes.count == 64 { return Array(bytes.prefix(32)) }
        guard bytes.count == 48, Array(bytes.prefix(16)) == prefix else {
            throw .badKey("a private key has 32, 64 or 48 bytes, not \(bytes.count)")
        }
        return Array(bytes.dropFirst(16))
    }
}
