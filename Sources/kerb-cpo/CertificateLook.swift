import Charging
import Crypto
import Service
import Web

/// What a TLS client, and a charger with the authority it was enrolled with, will say of a listener's
/// certificate: found before a fleet stays away.
struct CertificateLook {
    static let expiresSoonDays: Int64 = 14

    /// Why nobody, or no charger, can connect; nil where they can.
    private(set) var problem: String?
    /// The key of the configuration that the problem is about.
    private(set) var key = "certificateFile"
    private(set) var fine = ""
    /// The problem is one of the files' own.
    private(set) var isUnreadable = false

    /// - Parameter authority: PEM file of who signed it, which boards are given when they enrol.
    init(_ tls: TLSListener, authority: String?, now: Timestamp) {
        let file = tls.certificateFile
        do {
            let chain = try Certificate.all(pem: Self.text(file))
            guard let leaf = chain.first else { return }
            let seconds = now.milliseconds / 1000
            let days = (leaf.notAfter - seconds) / 86_400
            fine = "\(file): valid for \(days) days"
            if seconds < leaf.notBefore {
                problem = "\(file) is not valid yet; check the clock, else ask who issued it"
            } else if seconds >= leaf.notAfter {
                problem = "\(file) has expired; nobody connects with it: renew it"
            } else if days <= Self.expiresSoonDays {
                fine += ": renew it soon"
            }
            if problem == nil, try !leaf.matches(privateKeyPEM: Self.text(tls.keyFile)) {
                key = "keyFile"
                problem = "\(tls.keyFile) is not the key of \(file); they were made together"
            }
            guard problem == nil, let authority else { return }
            let roots = try Certificate.all(pem: Self.text(authority))
            if let refusal = leaf.refusal(
                between: Array(chain.dropFirst()), roots: roots, at: seconds)
            {
                problem =
                    "\(file) is not signed by `ocpp.caFile` \(authority) (\(refusal)): a board that "
                    + "enrols is given that file, and refuses this listener"
            }
        } catch {
            isUnreadable = true
            problem = "\(file): \(error)"
        }
    }

    private static func text(_ file: String) throws(FileError) -> String {
        String(decoding: try FileSystem.read(file), as: UTF8.self)
    }
}
