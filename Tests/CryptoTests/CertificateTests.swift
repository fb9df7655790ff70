import Crypto
import Testing

@Suite struct `A certificate authority` {
    let authority: CertificateAuthority
    init() throws { authority = try CertificateAuthority(commonName: "Throw-away CA") }

    @Test func `issues server certificates for names and addresses`() throws {
        let made = try authority.issueServer(
            commonName: "localhost", names: [.dns("localhost"), .ip("127.0.0.1"), .ip("::1")])
        let certificate = try Certificate(pem: made.certificatePEM)
        #expect(certificate.commonName == "localhost")
        #expect(certificate.covers(host: "localhost"))
        #expect(certificate.covers(host: "127.0.0.1"))
        #expect(certificate.covers(host: "::1"))
        #expect(!certificate.covers(host: "example.org"))
        #expect(certificate.isSigned(by: authority.certificate))
        #expect(!authority.certificate.isSigned(by: certificate))
        #expect(made.privateKeyPEM.hasPrefix("-----BEGIN PRIVATE KEY-----"))
        #expect(certificate.notAfter - certificate.notBefore == 90 * 86_400 + 3600)
        #expect(certificate.fingerprint.count == 64)
        #expect(certificate.fingerprint != authority.certificate.fingerprint)
    }

    @Test func `comes back from its PEM and refuses a foreign key`() throws {
        let again = try CertificateAuthority(
            certificatePEM: authority.certificatePEM(), privateKeyPEM: authority.privateKeyPEM())
        let made = try again.issueClient(commonName: "CP-1")
        #expect(try Certificate(pem: made.certificatePEM).isSigned(by: authority.certificate))
        let other = try CertificateAuthority(commonName: "Other")
        #expect(throws: CryptoError.self) {
            try CertificateAuthority(
                certificatePEM: authority.certificatePEM(), privateKeyPEM: other.privateKeyPEM())
        }
    }

    @Test(arguments: ["a,DNS:b", "a\nb", "", "a b", "email:copy"])
    func `refuses names that would become others`(name: String) {
        #expect(throws: CryptoError.self) {
            try authority.issueServer(commonName: "x", names: [.dns(name)])
        }
    }

    @Test func `signs requests whose sender holds the key`() throws {
        let (pem, key) = try CertificateRequest.make(
            commonName: "CP000001", organisation: "Örg", names: [.dns("cp1.example")])
        #expect(key.hasPrefix("-----BEGIN PRIVATE KEY-----"))
        let request = try CertificateRequest(pem: pem)
        #expect(request.isSelfSigned)
        let certificate = try authority.sign(request)
        #expect(certificate.commonName == "CP000001")
        #expect(certificate.covers(host: "cp1.example"))
        #expect(certificate.isSigned(by: authority.certificate))
    }

    @Test(arguments: [
        "", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ])
    func `does not read what is no certificate`(pem: String) {
        #expect(throws: CryptoError.self) { try Certificate(pem: pem) }
        #expect(throws: CryptoError.self) { try CertificateRequest(pem: pem) }
    }
}
