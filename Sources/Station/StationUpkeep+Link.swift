import Charging
import Crypto
import OCPP
import Service
import Web

extension StationUpkeep {
    // MARK: Keys of the security extension

    /// Writes a key that changes how the board proves itself; nil for every other key.
    func change(
        _ key: String, _ value: String
    ) async -> (CommandAnswer, mustReconnect: Bool)? {
        switch settings.meaning(of: key) {
        case .basicAuthPassword: await changePassword(value)
        case .securityProfile: await raiseProfile(value)
        default: nil
        }
    }

    /// Hexadecimal of 16 to 20 bytes. Security white paper §2.3.
    private func changePassword(_ value: String) async -> (CommandAnswer, mustReconnect: Bool) {
        guard (32...40).contains(value.utf8.count), let password = Hex.decode(value) else {
            return (.status("Rejected"), false)
        }
        do throws(FileError) {
            try credentials.propose { $0.password = password }
        } catch {
            log.error("password not stored", ["error": error.description])
            return (.status("Rejected"), false)
        }
        await note(.reconfigurationOfSecurityParameters, "AuthorizationKey")
        return (.status("Accepted"), [1, 2].contains(credentials.newest.profile))
    }

    /// Over OCPP a profile only rises, and only where it can be kept. Security white paper A05.
    private func raiseProfile(_ value: String) async -> (CommandAnswer, mustReconnect: Bool) {
        let present = credentials.newest.profile
        guard let profile = Int(value), (0...3).contains(profile), profile >= present else {
            return (.status("Rejected"), false)
        }
        guard profile > present else { return (.status("Accepted"), false) }
        if let missing = missing(for: profile) {
            log.warning("security profile not raised", ["profile": profile, "missing": missing])
            return (.status("Rejected"), false)
        }
        do throws(FileError) {
            try credentials.propose { $0.profile = profile }
        } catch {
            log.error("security profile not stored", ["error": error.description])
            return (.status("Rejected"), false)
        }
        await note(.reconfigurationOfSecurityParameters, "SecurityProfile \(profile)")
        return (.status("Accepted"), true)
    }

    private func missing(for profile: Int) -> String? {
        if profile == 1 || profile == 2,
            credentials.newest.password == nil, credentials.base.password == nil
        {
            return "AuthorizationKey"
        }
        if profile >= 2, roots.roots(.centralSystem).isEmpty {
            return "CentralSystemRootCertificate"
        }
        if profile == 3, !credentials.hasCertificate { return "a certificate of the station" }
        return nil
    }

    // MARK: The link's fate

    /// A connection was made with `identity`; what was on trial is decided.
    package func linkMade(with identity: LinkIdentity) async {
        linkProblem = nil
        do throws(FileError) {
            switch try credentials.succeeded(with: identity) {
            case .unchanged: return
            case .promoted: log.notice("new credentials in force", ["profile": identity.profile])
            case .rolledBack:
                log.warning("new credentials refused, the old ones stay")
                await note(.reconfigurationOfSecurityParameters, "rolled back")
            }
            settings.hold(String(credentials.current.profile), for: "SecurityProfile")
            try credentials.forgetOldCertificates()
        } catch {
            log.error("credentials not stored", ["error": error.description])
        }
    }

    package func linkFailed(_ error: WebSocketClientError) async {
        credentials.failed()
        guard let (kind, info) = Self.event(for: error), kind != linkProblem else { return }
        linkProblem = kind
        await note(kind, info)
    }

    /// The security event that a failed connection is; nil where it is none.
    static func event(for error: WebSocketClientError) -> (SecurityEvent.Kind, String)? {
        switch error {
        case .status(let status) where status == 401 || status == 403:
            return (.failedToAuthenticateAtCentralSystem, "HTTP \(status)")
        case .refused(let reason):
            if reason.hasPrefix("the server's certificate") {
                return (.invalidCentralSystemCertificate, reason)
            }
            guard reason.hasPrefix("TLS alert") else { return nil }
            switch reason.dropFirst("TLS alert: ".count) {
            case "protocol version": return (.invalidTLSVersion, reason)
            case "handshake failure", "insufficient security":
                return (.invalidTLSCipherSuite, reason)
            case "bad certificate", "unsupported certificate", "certificate revoked",
                "certificate expired", "certificate unknown", "unknown CA", "access denied":
                return (.failedToAuthenticateAtCentralSystem, reason)
            // A line that broke in the middle of the hand-shake, for one.
            default: return nil
            }
        case .badConfiguration, .unknownHost, .status, .wrongSubprotocol, .timedOut, .closed,
            .queueFull:
            return nil
        }
    }
}
