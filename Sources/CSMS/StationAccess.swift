import Charging
import Crypto
import SQL

/// How a station must prove itself, and what is overlooked for it.
package struct StationAccess: Hashable, Sendable {
    /// nil: the house's lowest or better.
    package var securityProfile: Int?
    /// nil until a password was set or first seen.
    package var verifier: StationVerifier?
    /// The common name its client certificate must have; nil: the station's id.
    package var certificateName: String?
    /// Takes a Basic user that is not the station's id.
    package var takesAnyUser = false
    /// Answers deviations with errors, for certification.
    package var isStrict = false
    /// What counted before a change: it counts on until the new was used once, or its time is over.
    package var former: Former?

    /// The identity before a change, so that a change that never reaches the station locks nobody out.
    package struct Former: Hashable, Sendable {
        /// The password before; nil where that did not change.
        package var verifier: StationVerifier?
        /// The profile before; nil where that did not change.
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
        if let salt = try row.blobOrNil("salt"), let verifier = try row.blobOrNil("verifier") {
            self.verifier = StationVerifier(salt: salt, verifier: verifier)
        }
        certificateName = try row.textOrNil("certificate_name")
        takesAnyUser = try row.bool("takes_any_user")
        isStrict = try row.bool("is_strict")
        guard let until = try row.timestampOrNil("former_until") else { return }
        former = Former(
            verifier: try row.textOrNil("former_verifier").flatMap(StationVerifier.init(text:)),
            profile: try row.intOrNil("former_profile").map { $0 < 0 ? .any : .only($0) },
            until: until)
    }

    /// As it is stored; the plain one where nothing is.
    static func stored(_ id: String, in transaction: Transaction) throws -> StationAccess {
        try transaction.queryOne(
            "SELECT * FROM csms_station WHERE folded = ?", id.lowercased()
        ).map(StationAccess.init(row:)) ?? StationAccess()
    }

    func store(_ id: String, at: Timestamp, in transaction: Transaction) throws {
        var formerProfile: Int?
        switch former?.profile {
        case .any: formerProfile = -1
        case .only(let profile): formerProfile = profile
        case nil: break
        }
        try transaction.execute(
            """
            INSERT INTO csms_station (folded, security_profile, salt, verifier, certificate_name,
            takes_any_user, is_strict, former_verifier, former_profile, former_until, changed_at)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (folded) DO UPDATE SET security_profile = excluded.security_profile,
            salt = excluded.salt, verifier = excluded.verifier,
            certificate_name = excluded.certificate_name,
            takes_any_user = excluded.takes_any_user, is_strict = excluded.is_strict,
            former_verifier = excluded.former_verifier, former_profile = excluded.former_profile,
            former_until = excluded.former_until, changed_at = excluded.changed_at
            """, id.lowercased(), securityProfile, verifier?.salt, verifier?.verifier,
            certificateName, takesAnyUser, isStrict, former?.verifier?.text, formerProfile,
            former?.until, at)
    }

    // MARK: Changes with overlap

    /// Sets a new password; the present one counts until `until`, or until the new one was used.
    mutating func rotate(to password: [UInt8], until: Timestamp?) {
        if let until, let verifier, verifier.match(password) == .no {
            former = Former(verifier: verifier, profile: former?.profile, until: until)
        } else {
            former?.verifier = nil
        }
        verifier = StationVerifier(password: password)
        forgetEmptyFormer()
    }

    /// Sets the profile; the present one counts until `until`, or until the new one was used.
    mutating func raise(to profile: Int?, until: Timestamp) {
        guard profile != securityProfile else { return }
        former = Former(
            verifier: former?.verifier,
            profile: securityProfile.map { .only($0) } ?? .any, until: until)
        securityProfile = profile
        if profile == nil { former?.profile = nil }
        forgetEmptyFormer()
    }

    /// The new password was used: the former one is over.
    mutating func passwordUsed() {
        former?.verifier = nil
        forgetEmptyFormer()
    }

    mutating func profileUsed() {
        former?.profile = nil
        forgetEmptyFormer()
    }

    private mutating func forgetEmptyFormer() {
        if former?.verifier == nil, former?.profile == nil { former = nil }
    }
}

extension StationVerifier {
    /// Salt and verifier as hexadecimal digits, parted by a colon.
    var text: String { "\(Hex.encode(salt)):\(Hex.encode(verifier))" }

    init?(text: String) {
        let parts = text.split(separator: ":")
        guard parts.count == 2, let salt = Hex.decode(String(parts[0])),
            let verifier = Hex.decode(String(parts[1]))
        else { return nil }
        self.init(salt: salt, verifier: verifier)
    }
}
