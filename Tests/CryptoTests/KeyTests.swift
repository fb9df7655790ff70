import Crypto
import JSON
import TestSupport
import Testing

@Suite struct `Ed25519 signatures` {
    /// RFC 8032 §7.1, tests 1 to 3.
    static let vectors: [(seed: String, key: String, message: String, signature: String)] = [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ]

    @Test(arguments: vectors.indices)
    func `answers RFC 8032`(index: Int) throws {
        let vector = Self.vectors[index]
        let key = try Ed25519.PrivateKey(hex(vector.seed))
        #expect(Hex.encode(key.publicKey.bytes) == vector.key)
        let signature = try key.sign(hex(vector.message))
        #expect(Hex.encode(signature) == vector.signature)
        #expect(key.publicKey.isValid(signature, of: hex(vector.message)))
    }

    @Test func `refuses what was changed`() throws {
        let key = try Ed25519.PrivateKey()
        let message = Array("kWh".utf8)
        var signature = try key.sign(message)
        #expect(key.publicKey.isValid(signature, of: message))
        #expect(!key.publicKey.isValid(signature, of: message + [0]))
        #expect(!key.publicKey.isValid(Array(signature.dropLast()), of: message))
        #expect(!key.publicKey.isValid([], of: message))
        signature[10] ^= 1
        #expect(!key.publicKey.isValid(signature, of: message))
        let other = try Ed25519.PrivateKey()
        #expect(other.publicKey != key.publicKey)
    }

    @Test func `takes keys in every form registries use`() throws {
        let key = try Ed25519.PrivateKey()
        let seed = try key.seed().bytes
        let prefix = hex("302a300506032b6570032100")
        let pkcs8 = hex("302e020100300506032b657004220420")
        #expect(try Ed25519.PrivateKey(seed + key.publicKey.bytes).publicKey == key.publicKey)
        #expect(try Ed25519.PrivateKey(pkcs8 + seed).publicKey == key.publicKey)
        #expect(try Ed25519.PublicKey(prefix + key.publicKey.bytes) == key.publicKey)
        #expect(throws: CryptoError.self) { try Ed25519.PrivateKey(seed + seed) }
        #expect(throws: CryptoError.self) { try Ed25519.PrivateKey([1, 2, 3]) }
        #expect(throws: CryptoError.self) { try Ed25519.PublicKey([]) }
        #expect(throws: CryptoError.self) {
            try Ed25519.PublicKey(hex("302a300506032b656e032100") + key.publicKey.bytes)
        }
    }
}

@Suite struct `X25519 agreement` {
    @Test func `answers RFC 7748 section 5`() throws {
        let key = try X25519.PrivateKey(
            hex("a546e36bf0527c9d 3b16154b82465edd 62144c0ac1fc5a18 506a2244ba449ac4"))
        let shared = try key.sharedSecret(
            with: hex("e6db6867583030db 3594c1a424b15f7c 726624ec26b3353b 10a903a6d0ab1c4c"))
        #expect(
            Hex.encode(shared.bytes)
                == "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552")
    }

    @Test func `agrees both ways and refuses a point of small order`() throws {
        let (a, b) = (try X25519.PrivateKey(), try X25519.PrivateKey())
        let one = try a.sharedSecret(with: b.publicKey()).bytes
        #expect(one == (try b.sharedSecret(with: a.publicKey()).bytes))
        #expect(throws: CryptoError.self) {
            try a.sharedSecret(with: [UInt8](repeating: 0, count: 32))
        }
    }
}

@Suite struct `The signing vectors` {
    private func vectors() throws -> JSONValue? {
        try Cases.read("beckn/beckn-sign-vector.json").map { try JSONValue(parsing: $0) }
    }

    private func bytes(_ value: JSONValue?) throws -> [UInt8] {
        try #require(value?.string.flatMap { Base64.decode($0) })
    }

    @Test func `have our digests`() throws {
        guard let all = try vectors() else { return }
        let fox = try #require(all["blake2b_512_fox"])
        let text = try #require(fox["text"]?.string)
        #expect(BLAKE2b512.hash(Array(text.utf8)) == (try bytes(fox["digest_b64"])))
        let ev = try #require(all["ev_vector_v1"])
        let body = try #require(ev["body_hex"]?.string.flatMap { Hex.decode($0) })
        #expect(BLAKE2b512.hash(body) == (try bytes(ev["digest_b64"])))
    }

    @Test(arguments: [
        "official_BECKN_006", "ev_vector_v1", "gateway_vector_v1", "ack_signature_v2",
    ])
    func `have our signatures`(name: String) throws {
        guard let all = try vectors() else { return }
        let vector = try #require(all[name])
        let line = Array(try #require(vector["signing_string"]?.string).utf8)
        let signature = try bytes(vector["signature_b64"])
        let ev = try #require(all["ev_vector_v1"])
        let secret: [UInt8]
        if let seed = vector["ed25519_seed_hex"]?.string {
            secret = hex(seed)
        } else {
            secret = try bytes(
                (vector["signing_private_key_b64_seed_plus_pub"]
                    ?? ev["signing_private_key_b64_seed_plus_pub"]))
        }
        let key = try Ed25519.PrivateKey(secret)
        #expect(try key.sign(line) == signature)
        #expect(key.publicKey.isValid(signature, of: line))
    }

    @Test func `have our answer to a registry's challenge`() throws {
        guard let vector = try vectors()?["on_subscribe_challenge_v1"] else { return }
        let own = try X25519.PrivateKey(try bytes(vector["subscriber_private_pkcs8_der_b64"]))
        #expect(try own.publicKey() == (try bytes(vector["subscriber_public_raw_b64"])))
        let secret = try own.sharedSecret(with: try bytes(vector["registry_public_spki_der_b64"]))
        #expect(Hex.encode(secret.bytes) == vector["shared_secret_hex"]?.string)
        let plain = try AES256ECB.decrypt(try bytes(vector["ciphertext_b64"]), key: secret)
        #expect(String(decoding: plain, as: UTF8.self) == vector["plaintext"]?.string)
        var damaged = try bytes(vector["ciphertext_b64"])
        damaged.removeLast()
        #expect(throws: CryptoError.self) { try AES256ECB.decrypt(damaged, key: secret) }
    }
}
