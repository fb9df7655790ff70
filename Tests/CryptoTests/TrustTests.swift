import Glibc
import Testing

@testable import Crypto

@Suite struct `A chain of certificates` {
    private let now: Int64 = { Int64(time(nil)) }()

    @Test func `leads to its root and to no other`() throws {
        let root = try CertificateAuthority(commonName: "Root")
        let other = try CertificateAuthority(commonName: "Root")
        let leaf = try Certificate(
            pem: try root.issueClient(commonName: "CP1").certificatePEM)
        #expect(leaf.refusal(roots: [other.certificate, root.certificate], at: now) == nil)
        #expect(leaf.refusal(roots: [other.certificate], at: now) != nil)
        #expect(leaf.refusal(roots: [], at: now) != nil)
        #expect(leaf.refusal(roots: [root.certificate], at: now + 91 * 86_400) != nil)
        #expect(leaf.refusal(roots: [root.certificate], at: now - 86_400) != nil)
        #expect(root.certificate.isAuthority && !leaf.isAuthority)
    }

    @Test func `is read whole and never longer than allowed`() throws {
        let root = try CertificateAuthority(commonName: "Root")
        let pem = try root.certificatePEM()
        #expect(try Certificate.all(pem: pem + "noise\n" + pem).count == 2)
        #expect(throws: CryptoError.self) { try Certificate.all(pem: "nothing") }
        #expect(throws: CryptoError.self) {
            try Certificate.all(pem: String(repeating: pem, count: 11))
        }
    }

    @Test func `knows its key and no other`() throws {
        let root = try CertificateAuthority(commonName: "Root")
        let (request, key) = try CertificateRequest.make(commonName: "CP1", organisation: "CPO")
        let leaf = try root.sign(try CertificateRequest(pem: request))
        #expect(leaf.matches(privateKeyPEM: key))
        #expect(!leaf.matches(privateKeyPEM: try root.privateKeyPEM()))
        #expect(!leaf.matches(privateKeyPEM: "nothing"))
    }

    private static func bytes(_ text: String) throws -> [UInt8] {
        try #require(Base64.decode(text.filter { !$0.isWhitespace }))
    }

    @Test(arguments: [
        (SignedVector.elliptic, SignedVector.ellipticSignature),
        (SignedVector.rsa, SignedVector.pssSignature),
    ])
    func `vouches for the file it signed and for no other`(
        _ pem: String, _ signature: String
    ) throws {
        let signer = try Certificate(pem: pem)
        let signature = try Self.bytes(signature)
        #expect(signer.signed(sha256: SHA256.hash("firmware"), signature: signature))
        #expect(!signer.signed(sha256: SHA256.hash("Firmware"), signature: signature))
        #expect(!signer.signed(sha256: [], signature: signature))
        #expect(!signer.signed(sha256: SHA256.hash("firmware"), signature: [1, 2, 3]))
        #expect(!signer.signed(sha256: SHA256.hash("firmware"), signature: []))
    }

    @Test func `does not take the older padding`() throws {
        let signer = try Certificate(pem: SignedVector.rsa)
        let signature = try Self.bytes(SignedVector.oldSignature)
        #expect(!signer.signed(sha256: SHA256.hash("firmware"), signature: signature))
    }

    @Test func `is named by the hashes that OCSP uses`() throws {
        let certificate = try Certificate(pem: SignedVector.elliptic)
        #expect(certificate.serial == "102")
        #expect(certificate.keyHash(.sha256) == SignedVector.keyHash)
        #expect(certificate.issuerNameHash(.sha512) == SignedVector.nameHash)
    }

    @Test func `hashes a file in parts as in one`() {
        let stream = SHA256Stream()
        for part in ["firm", "", "ware"] { Array(part.utf8).withUnsafeBytes { stream.add($0) } }
        #expect(stream.finish() == SHA256.hash("firmware"))
    }
}
