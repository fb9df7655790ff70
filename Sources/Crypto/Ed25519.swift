import COpenSSL

/// Pure Ed25519 signatures. RFC 8032 §5.1.
package enum Ed25519 {
    package final class PrivateKey: Sendable {
        private let key: KeyHandle
        package let publicKey: PublicKey

        /// A new key.
        package init() throws(CryptoError) {
            key = try KeyHandle(kerb_generate_raw("ED25519"), "generate an Ed25519 key")
            publicKey = try PublicKey(key.rawPublicKey())
        }

        /// From the 32-byte seed, from seed and public key (64 bytes), or from PKCS 8.
        ///
        /// - Throws: `.badKey` when 64 bytes are given and their halves do not belong together.
        package init(_ bytes: [UInt8]) throws(CryptoError) {
            var seed = try RawKey.privateBytes(bytes, kind: 0x70)
            defer { wipe(&seed) }
            key = try KeyHandle(
                EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nil, seed, seed.count),
                "Ed25519 seed")
            publicKey = try PublicKey(key.rawPublicKey())
            guard bytes.count != 64 || Array(bytes.suffix(32)) == publicKey.bytes else {
                throw .badKey("the public half does not belong to the seed")
            }
        }

        /// The 32-byte seed, to be kept in a file.
        package func seed() throws(CryptoError) -> SecretBytes { try key.rawPrivateKey() }

        /// 64 bytes.
        package func sign(_ message: [UInt8]) throws(CryptoError) -> [UInt8] {
            try key.sign(message)
        }
    }

    package final class PublicKey: Sendable, Hashable {
        /// 32 raw bytes.
        package let bytes: [UInt8]
        private let key: KeyHandle

        /// From 32 raw bytes or 44 bytes of DER.
        package init(_ bytes: [UInt8]) throws(CryptoError) {
            self.bytes = try RawKey.publicBytes(bytes, kind: 0x70)
            key = try KeyHandle(
                EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nil, self.bytes, 32),
                "Ed25519 public key")
        }

        package func isValid(_ signature: [UInt8], of message: [UInt8]) -> Bool {
            signature.count == 64 && key.isValid(signature, of: message)
        }

        package static func == (a: PublicKey, b: PublicKey) -> Bool { a.bytes == b.bytes }
        package func hash(into hasher: inout Hasher) { hasher.combine(bytes) }
    }
}

/// Key agreement. RFC 7748 §5.
package enum X25519 {
    package final class PrivateKey: Sendable {
        private let key: KeyHandle

        package init() throws(CryptoError) {
            key = try KeyHandle(kerb_generate_raw("X25519"), "generate an X25519 key")
        }

        /// From 32 raw bytes or PKCS 8.
        package init(_ bytes: [UInt8]) throws(CryptoError) {
            var raw = try RawKey.privateBytes(bytes, kind: 0x6E)
            defer { wipe(&raw) }
            key = try KeyHandle(
                EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nil, raw, raw.count), "X25519 key")
        }

        /// 32 raw bytes.
        package func publicKey() throws(CryptoError) -> [UInt8] { try key.rawPublicKey() }

        package func raw() throws(CryptoError) -> SecretBytes { try key.rawPrivateKey() }

        /// The secret shared with the owner of `peer` (32 raw bytes or DER).
        ///
        /// - Throws: also for a peer key of small order, whose secret would be known to everyone.
        package func sharedSecret(with peer: [UInt8]) throws(CryptoError) -> SecretBytes {
            let raw = try RawKey.publicBytes(peer, kind: 0x6E)
            let other = try KeyHandle(
                EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nil, raw, 32), "X25519 public key")
            let context = EVP_PKEY_CTX_new(key.pointer, nil)
            defer { EVP_PKEY_CTX_free(context) }
            var count = 32
            var secret = [UInt8](repeating: 0, count: count)
            defer { wipe(&secret) }
            guard EVP_PKEY_derive_init(context) == 1,
                EVP_PKEY_derive_set_peer(context, other.pointer) == 1,
                EVP_PKEY_derive(context, &secret, &count) == 1, count == 32
            else { throw CryptoError.last("X25519") }
            return SecretBytes(secret)
        }
    }
}

/// AES-256 in ECB mode with PKCS 7 padding: only for the Beckn registry's challenge, which asks for it.
package enum AES256ECB {
    package static func decrypt(
        _ ciphertext: [UInt8], key: SecretBytes
    ) throws(CryptoError) -> [UInt8] {
        guard key.count == 32 else { throw .badKey("AES-256 takes 32 bytes") }
        let context = EVP_CIPHER_CTX_new()
        defer { EVP_CIPHER_CTX_free(context) }
        var plain = [UInt8](repeating: 0, count: ciphertext.count + 16)
        var (first, last): (Int32, Int32) = (0, 0)
        let isReady = key.withBytes { bytes in
            EVP_DecryptInit_ex(
                context, EVP_aes_256_ecb(), nil,
                bytes.assumingMemoryBound(to: UInt8.self).baseAddress,
                nil) == 1
        }
        let isDone = plain.withUnsafeMutableBufferPointer { buffer in
            guard let start = buffer.baseAddress, isReady else { return false }
            return EVP_DecryptUpdate(context, start, &first, ciphertext, Int32(ciphertext.count))
                == 1
                && EVP_DecryptFinal_ex(context, start + Int(first), &last) == 1
        }
        guard isDone else { throw CryptoError.last("AES-256-ECB") }
        return Array(plain.prefix(Int(first + last)))
    }
}
