import Crypto
import JSON
import Service

/// The board's own credentials on its disk: a password, certificates and profile that the operator
/// changed over OCPP, and the change that is still on trial.
///
/// Every file is readable by us alone and replaced in one piece.
package final class LinkCredentials: Sendable {
    /// What the configuration says, to which all else comes back when a person changes it.
    package struct Base: Hashable, Sendable {
        package var url: String
        package var profile: Int
        package var password: [UInt8]?
        package var caFile: String?
        package var certificateFile: String?
        package var keyFile: String?

        package init(
            url: String, profile: Int, password: [UInt8]? = nil, caFile: String? = nil,
            certificateFile: String? = nil, keyFile: String? = nil
        ) {
            self.url = url
            self.profile = profile
            self.password = password
            self.caFile = caFile
            self.certificateFile = certificateFile
            self.keyFile = keyFile
        }

        /// Tells one configuration from another without holding its secret in the clear.
        var fingerprint: String {
            // By their names: a board that takes this one's place may keep them in another folder.
            let files = [certificateFile, keyFile].map { $0?.split(separator: "/").last ?? "" }
            return fingerprint(files: files.map { String($0) })
        }

        /// As it was told before swapped boards: by the whole paths. A board that is upgraded from then
        /// must not lose what the operator gave it since.
        var earlierFingerprint: String {
            fingerprint(files: [certificateFile ?? "", keyFile ?? ""])
        }

        private func fingerprint(files: [String]) -> String {
            let password = password.map { Hex.encode(SHA256.hash($0)) } ?? ""
            let parts = [url, String(profile), password] + files
            return Hex.encode(SHA256.hash(parts.joined(separator: "\n")))
        }
    }

    /// Everything that a connection needs.
    package struct Connection: Sendable {
        package var identity: LinkIdentity
        package var url: String
        package var password: [UInt8]?
        package var certificateFile: String?
        package var keyFile: String?
    }

    package let base: Base
    private let folder: String
    private let trial: Lock<LinkTrial>

    /// Makes the folder and reads what is there; a file that cannot be read leaves the configuration's
    /// credentials in force.
    package init(base: Base, folder: String) throws(FileError) {
        self.base = base
        self.folder = folder
        try FileSystem.makeFolder(folder)
        let own = LinkIdentity(profile: base.profile)
        let (found, isEarlier) = Self.read(folder, base)
        let trial = found ?? LinkTrial(current: own)
        self.trial = Lock(trial)
        if isEarlier { try save(trial) }
    }

    private var path: String { folder + "/link.json" }

    /// - Returns: what is there for this configuration, and whether its fingerprint is the earlier one.
    private static func read(_ folder: String, _ base: Base) -> (LinkTrial?, isEarlier: Bool) {
        // Not there before the first change; an unreadable one is no reason not to start.
        guard let bytes = try? FileSystem.read(folder + "/link.json", limitBytes: 65_536),
            let tree = try? JSONValue(parsing: bytes),
            let print = tree["base"]?.string,
            print == base.fingerprint || print == base.earlierFingerprint,
            let current = tree["current"].flatMap(LinkIdentity.init(json:))
        else { return (nil, false) }
        let trial = LinkTrial(
            current: current, candidate: tree["candidate"].flatMap(LinkIdentity.init(json:)))
        return (trial, print != base.fingerprint)
    }

    /// Passwords that the operator sent, for whoever has to keep them out of a report.
    package static func passwords(in folder: String) -> [[UInt8]] {
        // As in `read`: nothing there, nothing to keep out.
        guard let bytes = try? FileSystem.read(folder + "/link.json", limitBytes: 65_536),
            let tree = try? JSONValue(parsing: bytes)
        else { return [] }
        return ["current", "candidate"].compactMap { name in
            tree[name].flatMap(LinkIdentity.init(json:))?.password
        }
    }

    private func save(_ trial: LinkTrial) throws(FileError) {
        let tree = JSONValue.members([
            "base": .string(base.fingerprint), "current": trial.current.json,
            "candidate": trial.candidate?.json,
        ])
        try FileSystem.writeAtomically(Array(tree.text.utf8), to: path)
    }

    // MARK: What is in force

    package var current: LinkIdentity { trial.withLock { $0.current } }
    package var newest: LinkIdentity { trial.withLock { $0.newest } }

    /// What to connect with now.
    package func next() -> Connection {
        let identity = trial.withLock { $0.next }
        let files = identity.certificate.map { (certificateFile($0), keyFile($0)) }
        let usesCertificate = identity.profile == 3
        return Connection(
            identity: identity, url: Self.url(base.url, profile: identity.profile),
            password: identity.profile == 1 || identity.profile == 2
                ? identity.password ?? base.password : nil,
            certificateFile: usesCertificate ? files?.0 ?? base.certificateFile : nil,
            keyFile: usesCertificate ? files?.1 ?? base.keyFile : nil)
    }

    /// The same place with or without TLS, as the profile needs it.
    static func url(_ url: String, profile: Int) -> String {
        let rest = url.drop { $0 != "/" }
        return (profile >= 2 ? "wss:" : "ws:") + rest
    }

    /// Whether a client certificate is there to raise the profile to 3.
    package var hasCertificate: Bool {
        newest.certificate != nil || base.certificateFile != nil && base.keyFile != nil
    }

    // MARK: Changes

    /// Puts a change on trial; durable when it returns.
    package func propose(_ change: (inout LinkIdentity) -> Void) throws(FileError) {
        var after = trial.withLock { $0 }
        var identity = after.newest
        change(&identity)
        after.propose(identity)
        try save(after)
        let settled = after
        trial.withLock { $0 = settled }
    }

    package func succeeded(with identity: LinkIdentity) throws(FileError) -> LinkTrial.Outcome {
        let (outcome, after) = trial.withLock { trial in
            (trial.succeeded(with: identity), trial)
        }
        // Unsaved, the trial is repeated after the next start, with the same end.
        if outcome != .unchanged { try save(after) }
        return outcome
    }

    package func failed() { trial.withLock { $0.failed() } }

    // MARK: Certificates

    func certificateFile(_ name: String) -> String { "\(folder)/\(name).pem" }
    func keyFile(_ name: String) -> String { "\(folder)/\(name)-key.pem" }
    private var pendingKeyFile: String { folder + "/pending-key.pem" }

    /// The key of the request that waits for its certificate; nil when none waits.
    var pendingKey: String? {
        // No file: nothing was asked for.
        (try? FileSystem.read(pendingKeyFile)).map { String(decoding: $0, as: UTF8.self) }
    }

    func keep(pendingKey pem: String) throws(FileError) {
        try FileSystem.writeAtomically(Array(pem.utf8), to: pendingKeyFile)
    }

    /// Stores a certificate with the key that was waiting for it; what comes first is the key, so
    /// that a certificate that is there has one.
    func keep(chain: String, key: String, name: String) throws(FileError) {
        try FileSystem.writeAtomically(Array(key.utf8), to: keyFile(name))
        try FileSystem.writeAtomically(Array(chain.utf8), to: certificateFile(name))
        try FileSystem.remove(pendingKeyFile)
    }

    /// Removes certificates that no connection will use any more.
    func forgetOldCertificates() throws(FileError) {
        let kept = trial.withLock { [$0.current.certificate, $0.candidate?.certificate] }
            .compactMap { $0 }
        for name in try FileSystem.names(in: folder) where name.hasPrefix("certificate-") {
            if !kept.contains(where: { name.hasPrefix($0) }) {
                try FileSystem.remove(folder + "/" + name)
            }
        }
    }

    /// The certificate in force, if the board has one.
    var certificateInForce: String? {
        let file = current.certificate.map(certificateFile) ?? base.certificateFile
        // Named in the configuration and gone: the connection says so.
        return file.flatMap { try? FileSystem.read($0) }
            .map { String(decoding: $0, as: UTF8.self) }
    }
}

extension LinkIdentity {
    var json: JSONValue {
        .members([
            "profile": .number(profile),
            "password": password.map { .string(Base64.encode($0)) },
            "certificate": certificate.map { .string($0) },
        ])
    }

    init?(json: JSONValue) {
        guard let profile = json["profile"]?.int, (0...3).contains(profile) else { return nil }
        let certificate = json["certificate"]?.string
        // The name of a file: only what we write ourselves.
        if let certificate, !Self.isName(certificate) { return nil }
        self.init(
            profile: profile, password: json["password"]?.string.flatMap { Base64.decode($0) },
            certificate: certificate)
    }

    private static func isName(_ text: String) -> Bool {
        text.hasPrefix("certificate-")
            && text.utf8.allSatisfy {
                $0 == 0x2D || (0x30...0x39).contains($0) || (0x61...0x7A).contains($0)
            }
    }
}
