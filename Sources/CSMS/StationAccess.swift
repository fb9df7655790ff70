import Charging
import Crypto
import JSON
import SQL

/// How a station must prove itself, and what is overlooked for it.
package struct StationAccess: Hashable, Sendable {
    /// nil: the house's lowest or better.
    package var securityProfile: Int?
    /// The highest it came by where none is set: it comes by nothing weaker any more.
    package var provenProfile: Int?
    /// nil until a password was set or first seen.
    package var verifier: StationVerifier?
    /// The common name its client certificate must have; nil: the station's id.
    package var certificateName: String?
    /// Takes a Basic user that is not the station's id.
    package var takesAnyUser = false
    /// Takes a handshake that names no version of OCPP: then it speaks 1.6.
    package var takesNoSubprotocol = false
    /// Where its clock is, for times it tells without a zone; nil: UTC.
    package var timeZone: String?
    /// Answers deviations with errors, for certification.
    package var isStrict = false
    /// The neighbourhood it came from while it waits to be taken in.
    var cameFrom: String?
    /// It waits there though it was registered: it takes no place of the unknown ones.
    var wasRegistered = false
    /// What counted before changes, newest first: each counts on until the new was used once, or its
    /// time is over.
    package var formers: [Former] = []

    /// Of each kind that count beside the present one.
    package static let mostFormers = 3

    /// A password or a profile before a change, so that a change that never reaches the station locks
    /// nobody out.
    package struct Former: Hashable, Sendable {
        /// nil: it is a profile.
        package var verifier: StationVerifier?
        /// nil: it is a password.
        package var profile: Profile?
        package var until: Timestamp

        package enum Profile: Hashable, Sendable {
            /// None was set: every profile the house takes.
            case any
            case only(Int)
        }
    }

    package init() {}

    init(row: Row) throws {
        securityProfile = try row.intOrNil("security_profile")
        provenProfile = try row.intOrNil("proven_profile")
        if let salt = try row.blobOrNil("salt"), let verifier = try row.blobOrNil("verifier") {
            self.verifier = StationVerifier(
                salt: salt, verifier: verifier, stretch: try row.int("stretch"))
        }
        certificateName = try row.textOrNil("certificate_name")
        takesAnyUser = try row.bool("takes_any_user")
        takesNoSubprotocol = try row.bool("takes_no_subprotocol")
        timeZone = try row.textOrNil("time_zone")
        isStrict = try row.bool("is_strict")
        cameFrom = try row.textOrNil("came_from")
        wasRegistered = try row.bool("was_registered")
        if let text = try row.textOrNil("formers") {
            formers = try JSONValue(parsing: text).array?.compactMap(Former.init(stored:)) ?? []
            return
        }
        // A row of before there were several.
        guard let until = try row.timestampOrNil("former_until") else { return }
        if let text = try row.textOrNil("former_verifier") {
            formers.append(Former(verifier: StationVerifier(text: text), until: until))
        }
        if let number = try row.intOrNil("former_profile") {
            formers.append(Former(profile: Former.Profile(number: number), until: until))
        }
    }

    /// As it is stored; the plain one where nothing is.
    static func stored(_ id: String, in transaction: Transaction) throws -> StationAccess {
        try transaction.queryOne(
            "SELECT * FROM csms_station WHERE folded = ?", id.lowercased()
        ).map(StationAccess.init(row:)) ?? StationAccess()
    }

    /// The station, in lower case, whose certificate has this name by its access.
    static func station(named name: String, in transaction: Transaction) throws -> String? {
        // Compared here: databases differ in what they take for the same letter.
        try transaction.query(
            "SELECT folded, certificate_name FROM csms_station WHERE certificate_name IS NOT NULL"
        ).first { try $0.text("certificate_name").lowercased() == name.lowercased() }?
        .text("folded")
    }

    /// The station is registered no more: one that is registered under its id later starts anew.
    static func forget(_ id: String, in transaction: Transaction) throws {
        for table in ["csms_station", "csms_enrolment"] {
            try transaction.execute("DELETE FROM \(table) WHERE folded = ?", id.lowercased())
        }
    }

    func store(_ id: String, at: Timestamp, in transaction: Transaction) throws {
        try transaction.execute(
            """
            INSERT INTO csms_station (folded, security_profile, proven_profile, salt, verifier,
            stretch, certificate_name, takes_any_user, takes_no_subprotocol, time_zone, is_strict, came_from,
            was_registered, formers, changed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (folded) DO UPDATE SET security_profile = excluded.security_profile,
            proven_profile = excluded.proven_profile,
            salt = excluded.salt, verifier = excluded.verifier, stretch = excluded.stretch,
            certificate_name = excluded.certificate_name,
            takes_any_user = excluded.takes_any_user,
            takes_no_subprotocol = excluded.takes_no_subprotocol, time_zone = excluded.time_zone,
            is_strict = excluded.is_strict,
            came_from = excluded.came_from, was_registered = excluded.was_registered,
            formers = excluded.formers,
            changed_at = excluded.changed_at
            """, id.lowercased(), securityProfile, provenProfile, verifier?.salt,
            verifier?.verifier, verifier?.stretch ?? 0, certificateName, takesAnyUser,
            takesNoSubprotocol, timeZone,
            isStrict, cameFrom, wasRegistered,
            JSONValue.array(formers.map(\.stored)).text, at)
    }

    /// A station that comes by certificate has no first password.
    var takesFirstPassword: Bool { certificateName == nil }

    // MARK: Changes with overlap

    /// Sets a new password; the present one counts until `until`, or until the new one was used.
    mutating func rotate(
        to password: [UInt8], _ source: StationVerifier.Source = .unknown, until: Timestamp?,
        at now: Timestamp
    ) {
        forgetFormers(at: now)
        if let verifier, verifier.match(password) == .no {
            formers.removeAll { $0.verifier.map { $0.match(password) != .no } ?? false }
            if let until { remember(Former(verifier: verifier, until: until)) }
        }
        if until == nil { passwordUsed() }
        if verifier.map({ $0.match(password) == .no }) ?? true {
            verifier = StationVerifier(password: password, source)
        }
    }

    /// The station refused a password that was set for it: the one before counts again.
    mutating func takeBack(_ password: [UInt8]) {
        guard let verifier, verifier.match(password) != .no else {
            formers.removeAll { $0.verifier.map { $0.match(password) != .no } ?? false }
            return
        }
        guard let index = formers.firstIndex(where: { $0.verifier != nil }) else { return }
        self.verifier = formers.remove(at: index).verifier
    }

    /// Sets the profile; the present one counts until `until`, or until the new one was used.
    mutating func raise(to profile: Int?, until: Timestamp, at now: Timestamp) {
        forgetFormers(at: now)
        guard profile != securityProfile else { return }
        let before: Former.Profile = securityProfile.map { .only($0) } ?? .any
        securityProfile = profile
        guard let profile else { return profileUsed() }
        formers.removeAll { $0.profile == .only(profile) }
        remember(Former(profile: before, until: until))
    }

    /// A station that came over TLS comes in the open no more: its password would be read on the way,
    /// and whoever read it would be the station.
    mutating func pinTLS() { provenProfile = max(provenProfile ?? 0, 2) }

    /// A station that came by certificate comes by nothing else from then on: else the first who shows
    /// a password would be the station.
    mutating func pinCertificate(until: Timestamp, at now: Timestamp) {
        guard securityProfile == nil else { return }
        // One that has a password may need it once more; it is no stranger's.
        guard verifier == nil else { return raise(to: 3, until: until, at: now) }
        securityProfile = 3
    }

    /// As if none had ever been set, nor had anybody come by one.
    mutating func forgetPasswords() {
        verifier = nil
        provenProfile = nil
        formers.removeAll { $0.verifier != nil }
    }

    /// The new password was used: the former ones are over.
    mutating func passwordUsed() { formers.removeAll { $0.verifier != nil } }

    mutating func profileUsed() { formers.removeAll { $0.profile != nil } }

    private mutating func forgetFormers(at now: Timestamp) { formers.removeAll { $0.until <= now } }

    /// What counted before ends with it at the latest. Of too many the oldest stays: that one the
    /// station is known to have had.
    private mutating func remember(_ former: Former) {
        let isPassword = former.verifier != nil
        for index in formers.indices where (formers[index].verifier != nil) == isPassword {
            formers[index].until = min(formers[index].until, former.until)
        }
        formers.insert(former, at: 0)
        let alike = formers.indices.filter { (formers[$0].verifier != nil) == isPassword }
        if alike.count > Self.mostFormers { formers.remove(at: alike[alike.count - 2]) }
    }
}

extension StationAccess.Former {
    init(verifier: StationVerifier?, until: Timestamp) {
        self.init(verifier: verifier, profile: nil, until: until)
    }

    init(profile: Profile, until: Timestamp) {
        self.init(verifier: nil, profile: profile, until: until)
    }

    fileprivate var stored: JSONValue {
        .members([
            "verifier": verifier.map { .string($0.text) },
            "profile": profile.map { .number($0.number) },
            "until": .number(until.milliseconds),
        ])
    }

    /// nil for what this version does not know: it counts for nobody.
    fileprivate init?(stored: JSONValue) {
        guard let until = stored["until"]?.int64 else { return nil }
        self.init(
            verifier: stored["verifier"]?.string.flatMap(StationVerifier.init(text:)),
            profile: stored["profile"]?.int.map(Profile.init(number:)),
            until: Timestamp(milliseconds: until))
    }
}

extension StationAccess.Former.Profile {
    fileprivate var number: Int {
        switch self {
        case .any: -1
        case .only(let profile): profile
        }
    }

    fileprivate init(number: Int) { self = number < 0 ? .any : .only(number) }
}

extension StationVerifier {
    /// Salt and verifier as hexadecimal digits and, where it is stretched, by how much, parted by colons.
    var text: String {
        "\(Hex.encode(salt)):\(Hex.encode(verifier))" + (stretch > 0 ? ":\(stretch)" : "")
    }

    init?(text: String) {
        let parts = text.split(separator: ":")
        guard parts.count == 2 || parts.count == 3, let salt = Hex.decode(String(parts[0])),
            let verifier = Hex.decode(String(parts[1])),
            let stretch = parts.count == 3 ? Int(parts[2]) : 0
        else { return nil }
        self.init(salt: salt, verifier: verifier, stretch: stretch)
    }
}
