import Crypto
import Service

/// The operator's own authority on the disk.
///
/// `authority.key` (0600) holds the key that signs and its certificate in one file, so that they change
/// together; `authority.pem` the certificates that listeners trust (`tls.clientCAFile`): the one that
/// signs first, former ones behind it until they end.
package struct AuthorityFolder: Hashable, Sendable {
    package enum Problem: Error, Hashable, Sendable, CustomStringConvertible {
        case thereAlready(String)
        case notThere(String)
        case unfit(String)

        package var description: String {
            switch self {
            case .thereAlready(let path):
                "\(path) is there already; `kerb-cpo authority rotate` makes the next one"
            case .notThere(let path): "\(path): no such file; run `kerb-cpo authority make` first"
            case .unfit(let why): why
            }
        }
    }

    package static let days = 30...7300
    /// Certificates that listeners trust at once.
    static let mostTrusted = 5

    package var folder: String

    package init(_ folder: String) { self.folder = folder }

    package var trustFile: String { "\(folder)/authority.pem" }
    private var keyFile: String { "\(folder)/authority.key" }

    /// A new authority; there must be none.
    package func make(name: String, days: Int) throws -> Certificate {
        guard FileSystem.isAbsent(keyFile) else { throw Problem.thereAlready(keyFile) }
        return try put(CertificateAuthority(commonName: name, validDays: days), at: 0)
    }

    /// The operator's own one. What is there already stays trusted, as after a rotation.
    package func take(certificatePEM: String, keyPEM: String, at now: Int64) throws -> Certificate {
        let authority: CertificateAuthority
        do throws(CryptoError) {
            authority = try CertificateAuthority(
                certificatePEM: certificatePEM, privateKeyPEM: keyPEM)
        } catch { throw Problem.unfit("certificate and key do not belong together: \(error)") }
        guard authority.certificate.isAuthority else {
            throw Problem.unfit("the certificate is no authority's (CA:TRUE is missing)")
        }
        guard authority.certificate.notAfter > now else {
            throw Problem.unfit("the certificate has expired")
        }
        return try put(authority, at: now)
    }

    /// A new key that signs from the next start on; the former authority stays trusted until it ends.
    package func rotate(name: String, days: Int, at now: Int64) throws -> Certificate {
        guard !FileSystem.isAbsent(keyFile) else { throw Problem.notThere(keyFile) }
        return try put(CertificateAuthority(commonName: name, validDays: days), at: now)
    }

    private func put(_ authority: CertificateAuthority, at now: Int64) throws -> Certificate {
        try FileSystem.makeFolder(folder)
        var trusted = [authority.certificate]
        for former in try trustedCertificates() where former.notAfter > now {
            if !trusted.contains(where: { $0.fingerprint == former.fingerprint }) {
                trusted.append(former)
            }
        }
        let bundle = try trusted.prefix(Self.mostTrusted).map { try $0.pem() }.joined()
        let pair = try authority.privateKeyPEM() + authority.certificatePEM()
        // Trust first: an authority that is trusted and signs nothing yet harms nobody.
        try FileSystem.writeAtomically(Array(bundle.utf8), to: trustFile, mode: 0o644)
        try FileSystem.writeAtomically(Array(pair.utf8), to: keyFile)
        return authority.certificate
    }

    /// The one that signs first.
    package func trustedCertificates() throws -> [Certificate] {
        guard !FileSystem.isAbsent(trustFile) else { return [] }
        return try Certificate.all(
            pem: String(decoding: try FileSystem.read(trustFile), as: UTF8.self))
    }

    /// The one that signs.
    package func load() throws -> CertificateAuthority {
        guard !FileSystem.isAbsent(keyFile) else { throw Problem.notThere(keyFile) }
        guard try FileSystem.mode(of: keyFile) & 0o077 == 0 else {
            throw Problem.unfit("\(keyFile) can be read by others; run chmod 600 \(keyFile)")
        }
        let pem = String(decoding: try FileSystem.read(keyFile), as: UTF8.self)
        return try CertificateAuthority(certificatePEM: pem, privateKeyPEM: pem)
    }
}
