import Charging
import Crypto
import Service

/// The roots that the operator installed, one file each, and those of the configuration, which only
/// a person at the board changes. Security white paper §2.4.
package final class RootStore: Sendable {
    package struct Limits: Hashable, Sendable {
        /// Installed roots of both kinds together.
        package var certificates = 16
        package var chainCharacters = 10_000
        /// Of a file with authorities.
        package var bundleBytes = 4 << 20
        package var bundleCertificates = 1000

        package init() {}
    }

    package enum Refusal: Error, Hashable, Sendable {
        /// Not one certificate, no authority, or not valid now.
        case unfit(String)
        /// A new root of the central system must be signed by one that is trusted already.
        case notSignedByOld
        case storeFull
        case notThere
        /// It is in the configuration, or the last one that the link depends on.
        case inUse
        case disk(FileError)
    }

    struct Root: Sendable {
        var file: String
        var certificate: Certificate
        var isFixed: Bool
    }

    package let limits: Limits
    private let folder: String
    private let fixed: [RootKind: String]
    private let needsSignatureOfOld: Bool

    /// - Parameter fixed: the configuration's files of authorities.
    package init(
        folder: String, fixed: [RootKind: String] = [:], needsSignatureOfOld: Bool = false,
        limits: Limits = Limits()
    ) throws(FileError) {
        self.folder = folder
        self.fixed = fixed
        self.needsSignatureOfOld = needsSignatureOfOld
        self.limits = limits
        try FileSystem.makeFolder(folder)
    }

    private static func prefix(_ kind: RootKind) -> String {
        switch kind {
        case .centralSystem: "central-"
        case .manufacturer: "manufacturer-"
        }
    }

    /// All of a kind; a file that is no certificate is passed over.
    func roots(_ kind: RootKind) -> [Root] {
        var found: [Root] = []
        // An unreadable folder holds no roots: nothing is trusted that cannot be read.
        for name in (try? FileSystem.names(in: folder)) ?? []
        where name.hasPrefix(Self.prefix(kind)) && name.hasSuffix(".pem") {
            let file = folder + "/" + name
            for certificate in read(file) {
                found.append(Root(file: file, certificate: certificate, isFixed: false))
            }
        }
        for certificate in fixed[kind].map(read) ?? [] {
            found.append(Root(file: "", certificate: certificate, isFixed: true))
        }
        return found
    }

    private func read(_ file: String) -> [Certificate] {
        // See above: what cannot be read is not trusted.
        guard let bytes = try? FileSystem.read(file, limitBytes: limits.bundleBytes) else {
            return []
        }
        let text = String(decoding: bytes, as: UTF8.self)
        // See above.
        return (try? Certificate.all(pem: text, most: limits.bundleCertificates)) ?? []
    }

    package func install(
        _ kind: RootKind, pem: String, at seconds: Int64
    ) throws(Refusal) {
        let certificate: Certificate
        do throws(CryptoError) {
            let all = try Certificate.all(pem: pem)
            guard all.count == 1, let one = all.first else {
                throw CryptoError.badText("more than one certificate")
            }
            certificate = one
        } catch {
            throw .unfit(error.description)
        }
        guard certificate.isAuthority else { throw .unfit("not an authority's certificate") }
        guard certificate.notAfter > seconds else { throw .unfit("it has expired") }
        let present = roots(kind)
        let print = certificate.fingerprint
        if present.contains(where: { $0.certificate.fingerprint == print }) { return }
        if kind == .centralSystem, needsSignatureOfOld, !present.isEmpty,
            !present.contains(where: { certificate.isSigned(by: $0.certificate) })
        {
            throw .notSignedByOld
        }
        let installed = RootKind.allCases.flatMap(roots).filter { !$0.isFixed }
        guard installed.count < limits.certificates else { throw .storeFull }
        do {
            let text = try certificate.pem()
            try FileSystem.writeAtomically(
                Array(text.utf8), to: "\(folder)/\(Self.prefix(kind))\(print.prefix(32)).pem")
        } catch let error as FileError {
            throw .disk(error)
        } catch {
            throw .unfit("\(error)")
        }
    }

    /// - Parameter isNeeded: the link is TLS, so that its last root must stay.
    package func delete(_ hash: CertificateHash, isNeeded: Bool) throws(Refusal) {
        for kind in RootKind.allCases {
            let present = roots(kind)
            guard
                let found = present.first(where: {
                    Self.hash($0.certificate, hash.algorithm) == hash
                })
            else { continue }
            guard !found.isFixed else { throw .inUse }
            if kind == .centralSystem, isNeeded, present.count == 1 { throw .inUse }
            do throws(FileError) {
                try FileSystem.remove(found.file)
                try FileSystem.syncFolder(of: found.file)
            } catch {
                throw .disk(error)
            }
            return
        }
        throw .notThere
    }

    package func list(_ kind: RootKind) -> [CertificateHash] {
        roots(kind).map { Self.hash($0.certificate, .sha256) }
    }

    static func hash(
        _ certificate: Certificate, _ algorithm: CertificateHash.Algorithm
    ) -> CertificateHash {
        let kind: Certificate.HashKind =
            switch algorithm {
            case .sha256: .sha256
            case .sha384: .sha384
            case .sha512: .sha512
            }
        return CertificateHash(
            algorithm: algorithm, issuerName: certificate.issuerNameHash(kind),
            issuerKey: certificate.keyHash(kind), serial: certificate.serial)
    }

    /// A file with every authority that the operator's server may have: installed ones beside the
    /// configuration's, or the system's where it names none. nil while nothing is installed.
    ///
    /// Its name changes with its content, because TLS contexts are kept by name.
    package func bundle() throws(FileError) -> String? {
        let installed = roots(.centralSystem).filter { !$0.isFixed }
        guard !installed.isEmpty else { return fixed[.centralSystem] }
        var text: [UInt8] = []
        for root in installed {
            // A certificate that was read is written again.
            if let pem = try? root.certificate.pem() { text += Array(pem.utf8) }
        }
        let others = fixed[.centralSystem] ?? Self.systemBundle
        if FileSystem.exists(others) {
            text += try FileSystem.read(others, limitBytes: limits.bundleBytes)
        }
        let name = "bundle-\(Hex.encode(SHA256.hash(text)).prefix(16)).pem"
        let file = folder + "/" + name
        guard !FileSystem.exists(file) else { return file }
        for old in try FileSystem.names(in: folder) where old.hasPrefix("bundle-") {
            try FileSystem.remove(folder + "/" + old)
        }
        try FileSystem.writeAtomically(text, to: file)
        return file
    }

    private static let systemBundle = "/etc/ssl/certs/ca-certificates.crt"
}
