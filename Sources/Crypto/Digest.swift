import COpenSSL

/// SHA-256. FIPS 180-4.
package enum SHA256 {
    /// 32 bytes.
    package static func hash(_ bytes: [UInt8]) -> [UInt8] { digest(EVP_sha256(), bytes, 32) }
    package static func hash(_ text: String) -> [UInt8] { hash(Array(text.utf8)) }
}

/// SHA-256 over what comes in parts: a file that does not fit into memory.
package final class SHA256Stream {
    private let context: OpaquePointer?

    package init() {
        context = EVP_MD_CTX_new()
        precondition(
            EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1, "OpenSSL has SHA-256")
    }

    deinit { EVP_MD_CTX_free(context) }

    package func add(_ bytes: UnsafeRawBufferPointer) {
        precondition(
            EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1, "a digest takes bytes")
    }

    /// 32 bytes; nothing may be added afterwards.
    package func finish() -> [UInt8] {
        var hash = [UInt8](repeating: 0, count: 32)
        var count: UInt32 = 0
        precondition(EVP_DigestFinal_ex(context, &hash, &count) == 1, "a digest ends once")
        return hash
    }
}

/// BLAKE2b with 64 bytes out, unkeyed. RFC 7693.
package enum BLAKE2b512 {
    /// 64 bytes.
    package static func hash(_ bytes: [UInt8]) -> [UInt8] { digest(EVP_blake2b512(), bytes, 64) }
}

/// HMAC over SHA-256. RFC 2104.
package enum HMACSHA256 {
    /// 32 bytes.
    package static func authenticate(_ message: [UInt8], key: [UInt8]) -> [UInt8] {
        var code = [UInt8](repeating: 0, count: 32)
        var count: UInt32 = 0
        let done = HMAC(
            EVP_sha256(), key, Int32(key.count), message, message.count, &code, &count)
        precondition(done != nil && count == 32, "HMAC-SHA256 is part of every OpenSSL")
        return code
    }
}

private func digest(_ kind: OpaquePointer?, _ bytes: [UInt8], _ count: Int) -> [UInt8] {
    var result = [UInt8](repeating: 0, count: count)
    var written: UInt32 = 0
    let done = EVP_Digest(bytes, bytes.count, &result, &written, kind, nil)
    precondition(done == 1 && Int(written) == count, "the digest is part of every OpenSSL")
    return result
}

/// Whether two secrets are equal, in a time that does not tell where they differ, nor, for secrets
/// of unequal length, by how much: both are hashed first.
package func constantTimeEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    let (x, y) = (SHA256.hash(a), SHA256.hash(b))
    return CRYPTO_memcmp(x, y, x.count) == 0
}

package func constantTimeEqual(_ a: String, _ b: String) -> Bool {
    constantTimeEqual(Array(a.utf8), Array(b.utf8))
}

package enum RandomBytes {
    /// Bytes nobody can guess.
    package static func make(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        // Going on with guessable keys would be worse than stopping.
        precondition(RAND_bytes(&bytes, Int32(count)) == 1, "the kernel gives random bytes")
        return bytes
    }
}

/// Secret bytes that are wiped when the last reference goes.
package final class SecretBytes: Sendable {
    // Written by init alone; wiped by deinit, when nobody else can see it.
    nonisolated(unsafe) private let storage: UnsafeMutableRawBufferPointer

    /// Copies; the caller wipes its own copy where it can.
    package init(_ bytes: [UInt8]) {
        storage = .allocate(byteCount: bytes.count, alignment: 1)
        storage.copyBytes(from: bytes)
    }

    deinit {
        OPENSSL_cleanse(storage.baseAddress, storage.count)
        storage.deallocate()
    }

    package var count: Int { storage.count }

    /// The bytes as an array, for files and encodings. The copy is not wiped.
    package var bytes: [UInt8] { Array(storage) }

    func withBytes<T>(_ body: (UnsafeRawBufferPointer) -> T) -> T {
        body(UnsafeRawBufferPointer(storage))
    }
}

/// Wipes an array in place.
package func wipe(_ bytes: inout [UInt8]) {
    bytes.withUnsafeMutableBytes { OPENSSL_cleanse($0.baseAddress, $0.count) }
}
