import CPO
import Charging
import Crypto
import OCPP
import Web

/// Whether a socket may become a station's link: a pure decision on what the handshake shows.
/// OCPP-J 1.6 §3, §6; OCPP 1.6 security white paper §2.
struct Admission {
    /// Why a handshake was refused; shown to the operator, never to the peer.
    enum Refusal: String, Hashable, Sendable, CaseIterable {
        case badStationID = "the path names no station id that can be used"
        case unknownStation = "the station is not registered"
        case rejectedStation = "the station is registered as rejected"
        case noCredentials = "no password was sent"
        case wrongUser = "the user is not the station's id"
        case wrongPassword = "the password is wrong"
        case tooManyTries = "too many wrong passwords from this address"
        case noPasswordSet = "no password is set for the station"
        case endedCertificate = "the client certificate was replaced or revoked"
        case wrongCertificate = "the client certificate names another station"
        case foreignCertificate = "the client certificate is of another operator"
        case weakProfile = "the security profile is too low"
        case wrongProfile = "the security profile is not the station's"
        case downgraded = "it came over TLS before and now came without (ocpp.pinTLS)"
        case noSubprotocol = "no OCPP version in common"
        case noUpgradeToken = "its Connection header does not say Upgrade"
        case digitsAsPassword = "it sends its password's digits, and is held to the letter"
        case otherSpelling = "the path spells its id otherwise, and it is held to the letter"
        case inboxFull = "too many stations wait to be adopted"
        case inboxFullHere = "too many stations from this address wait to be adopted"
        case heldOff = "it is held off for connecting too often"

        var status: Int {
            switch self {
            case .badStationID, .unknownStation, .rejectedStation, .otherSpelling: 404
            case .noCredentials, .wrongUser, .wrongPassword, .noPasswordSet, .digitsAsPassword: 401
            case .wrongCertificate, .foreignCertificate, .endedCertificate, .weakProfile,
                .wrongProfile, .downgraded:
                403
            case .noSubprotocol, .noUpgradeToken: 400
            case .heldOff, .inboxFull, .inboxFullHere, .tooManyTries: 429
            }
        }

        /// What a station that is held to the letter was refused for; counted all the same.
        var deviation: Deviation? {
            switch self {
            case .digitsAsPassword: .passwordAsHex
            case .otherSpelling: .idSpelledOtherwise
            default: nil
            }
        }
    }

    struct Granted: Hashable, Sendable {
        /// The registry's spelling where it is known.
        var station: String
        var version: ProtocolVersion
        var deviations: Deviations
        /// A first password, to be remembered.
        var firstPassword: [UInt8]?
        /// What is kept of it; nil until it is admitted.
        var firstVerifier: StationVerifier?
        /// The password it proved itself by; nil for a first one, and where none was asked for.
        var provenBy: StationVerifier?
        var isStrict: Bool
        /// For times without a zone; nil: UTC.
        var timeZone: String?
        /// What was new of its access was used, so that what counted before is over.
        var usedNewPassword: StationVerifier?
        var usedNewProfile: Int?
        /// How it proved itself: 0 to 3.
        var profile = 0
        /// Fingerprint of the certificate it came with.
        var certificate: String?
        /// It came by certificate for the first time.
        var pinsCertificate = false
        /// It came over TLS for the first time.
        var pinsTLS = false

        /// The station's access is to be written down with its admission.
        var changesAccess: Bool {
            firstPassword != nil || usedNewPassword != nil || usedNewProfile != nil
                || pinsCertificate || pinsTLS
        }

        /// Whether what it proved itself by at the handshake still counts.
        func stands(in access: StationAccess, at now: Timestamp) -> Bool {
            let counting =
                [access.verifier].compactMap { $0 }
                + access.formers.filter { now < $0.until }.compactMap(\.verifier)
            if let firstPassword { return counting.contains { $0.match(firstPassword) != .no } }
            guard let provenBy else { return profile == 3 || access.verifier == nil }
            return counting.contains(provenBy)
        }

        /// What it means for the station's access; again for the row, which may have changed since.
        ///
        /// - Returns: false where the access is another's by now.
        func apply(to access: inout StationAccess, at now: Timestamp) -> Bool {
            if let firstPassword {
                if let verifier = access.verifier {
                    return verifier.match(firstPassword) != .no
                }
                guard access.takesFirstPassword, access.securityProfile != 3 else { return false }
                access.verifier =
                    firstVerifier ?? StationVerifier(password: firstPassword, .unknown)
            }
            if let usedNewPassword, access.verifier == usedNewPassword { access.passwordUsed() }
            if let usedNewProfile, access.securityProfile == usedNewProfile {
                access.profileUsed()
            }
            if pinsTLS { access.pinTLS() }
            if pinsCertificate {
                access.pinCertificate(
                    until: now.advanced(bySeconds: CentralSystem.openOverlapSeconds), at: now)
            }
            return true
        }
    }

    enum Verdict: Hashable, Sendable {
        case granted(Granted)
        case refused(Refusal)
        /// 101 and close at once: nothing in common to speak. OCPP-J 1.6 §3.2.
        case speechless
    }

    /// Characters of a station id. OCPP 2.0.1 part 4 §3.1.1.
    static let stationIDCharacters = 48

    let settings: CentralSystemSettings
    let unknownStations: UnknownStations
    let versions: [ProtocolVersion]
    /// Whether a password that costs milliseconds is looked at.
    var mayStretch: @Sendable () -> Bool = { true }

    /// - `isOthersName`: whether certificates of this name are another station's.
    func decide(
        _ request: UpgradeRequest, at now: Timestamp,
        isOthersName: (String) -> Bool = { _ in false },
        _ known: (String) -> StationDirectory.Entry?
    ) -> Verdict {
        guard let wanted = Self.stationID(path: request.http.path) else {
            return .refused(.badStationID)
        }
        // libwebsockets would drop it without an answer, after it counted here.
        guard Self.asksForUpgrade(request.http.headers["connection"] ?? "") else {
            return .refused(.noUpgradeToken)
        }
        let entry = known(wanted)
        if entry == nil, unknownStations == .refuse { return .refused(.unknownStation) }
        if entry?.registration == .rejected { return .refused(.rejectedStation) }
        var granted = Granted(
            station: entry?.id ?? wanted, version: .v16, deviations: Deviations(),
            firstPassword: nil, isStrict: entry?.access.isStrict ?? false)
        granted.timeZone = entry?.access.timeZone
        let access = entry?.access ?? StationAccess()
        if request.http.path != "/ocpp/" + granted.station {
            guard !access.isStrict else { return .refused(.otherSpelling) }
            granted.deviations.insert(.idSpelledOtherwise)
        }
        let isOthers = isOthersName(granted.station)
        if let refusal = prove(request, access, isOthersName: isOthers, now, &granted) {
            return .refused(refusal)
        }
        guard let offered = request.subprotocol.flatMap({ ProtocolVersion(subprotocol: $0) }),
            versions.contains(offered)
        else {
            // What it says then is read as the oldest version, which knows stations without a name for it.
            guard access.takesNoSubprotocol, !access.isStrict, request.offeredSubprotocols.isEmpty,
                versions.contains(.v16)
            else { return .speechless }
            granted.deviations.insert(.subprotocolMissing)
            return .granted(granted)
        }
        granted.version = offered
        return .granted(granted)
    }

    /// A list of options, of which one is meant. RFC 6455 §4.2.1.
    private static func asksForUpgrade(_ header: String) -> Bool {
        header.lowercased().split { ",; \t".contains($0) }.contains("upgrade")
    }

    /// The last segment of the path that is not empty: any prefix is taken.
    ///
    /// Letters and digits and `*-_=:+|@.` are 2.0.1's identifierString; 1.6 stations use blanks,
    /// slashes and more, so only what could hurt is refused.
    static func stationID(path: String) -> String? {
        guard let last = path.split(separator: "/").last else { return nil }
        let id = String(last)
        // A browser takes dots out of a path, so such a station could not be managed.
        guard id.unicodeScalars.count <= stationIDCharacters, !["ocpp", ".", ".."].contains(id)
        else { return nil }
        return id.unicodeScalars.contains(where: isDeceptive) ? nil : id
    }

    /// Control characters, marks that reverse or hide text, and what stands for bytes that are no
    /// text: two ids could look, or be, the same.
    private static func isDeceptive(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F...0x9F, 0x200B...0x200F, 0x2028...0x202E, 0x2060...0x2069, 0xFEFF,
            0xFFFD:
            true
        default: false
        }
    }

    private func prove(
        _ request: UpgradeRequest, _ access: StationAccess, isOthersName: Bool, _ now: Timestamp,
        _ granted: inout Granted
    ) -> Refusal? {
        let profile: Int
        if let certificate = request.http.clientCertificate {
            let name = access.certificateName ?? granted.station
            guard certificate.commonName.lowercased() == name.lowercased(),
                // One that has another's name for its id does not come in with that one's certificate.
                access.certificateName != nil || !isOthersName
            else { return .wrongCertificate }
            // An authority of makers or of several operators signs for others, too. OCPP 1.6 security
            // white paper A00.FR.404.
            if let ours = settings.certificateOrganisation,
                certificate.organization.lowercased() != ours.lowercased()
            {
                return .foreignCertificate
            }
            profile = 3
            granted.pinsCertificate = access.securityProfile == nil
        } else if let credentials = request.credentials {
            if let refusal = check(credentials, access, now, &granted) { return refusal }
            profile = request.http.isTLS ? 2 : 1
        } else {
            // A station that has a password never gets in without it.
            if access.verifier != nil { return .noCredentials }
            profile = 0
        }
        granted.profile = profile
        granted.certificate = request.http.clientCertificate?.sha256
        if profile < settings.lowestSecurityProfile {
            return profile == 0 ? .noCredentials : .weakProfile
        }
        let proven = settings.pinsTLS ? access.provenProfile ?? 0 : 0
        guard let wanted = access.securityProfile else {
            // Whoever comes first with a password that nobody vouched for decides nothing.
            granted.pinsTLS =
                settings.pinsTLS && profile == 2 && proven < 2 && granted.firstPassword == nil
            return profile < proven ? .downgraded : nil
        }
        if wanted == profile {
            if access.formers.contains(where: { $0.profile != nil }) {
                granted.usedNewProfile = profile
            }
            return nil
        }
        // A station that could not take the new profile falls back to the former one by itself.
        let isFormer = access.formers.contains {
            now < $0.until
                && ($0.profile == .only(profile) || $0.profile == .any && profile >= proven)
        }
        return isFormer ? nil : .wrongProfile
    }

    private func check(
        _ credentials: BasicCredentials, _ access: StationAccess, _ now: Timestamp,
        _ granted: inout Granted
    ) -> Refusal? {
        let user = String(decoding: credentials.user, as: UTF8.self)
        if user.lowercased() != granted.station.lowercased() {
            guard access.takesAnyUser, !access.isStrict else { return .wrongUser }
            granted.deviations.insert(.userNotStation)
        }
        // It would make security profile 1 of nothing.
        guard !credentials.password.isEmpty else { return .noCredentials }
        guard let verifier = access.verifier else {
            // The first password of a station that is being adopted or listed becomes its password.
            // One that is known by a certificate's name never had one.
            guard unknownStations != .refuse, access.takesFirstPassword else {
                return .noPasswordSet
            }
            granted.firstPassword = credentials.password
            return nil
        }
        var match = verifier.match(credentials.password, mayStretch: mayStretch)
        if match != .no {
            granted.provenBy = verifier
            if access.formers.contains(where: { $0.verifier != nil }) {
                granted.usedNewPassword = verifier
            }
        } else {
            for former in access.formers.filter({ now < $0.until }).compactMap(\.verifier) {
                match = former.match(credentials.password, mayStretch: mayStretch)
                guard match == .no else {
                    granted.provenBy = former
                    break
                }
            }
        }
        switch match {
        case .no: return .wrongPassword
        case .yesAsHex:
            guard !access.isStrict else { return .digitsAsPassword }
            granted.deviations.insert(.passwordAsHex)
        case .yes: break
        }
        return nil
    }
}
