import CPO
import Charging
import SQL
import Service

/// Who may connect, in memory: the handshake is decided on the loop's thread and waits for nothing.
final class StationDirectory: Sendable {
    struct Entry: Hashable, Sendable {
        /// The registry's spelling.
        var id: String
        var registration: RegistrationStatus
        var access = StationAccess()
    }

    private let entries = Lock([String: Entry]())

    subscript(id: String) -> Entry? { entries.withLock { $0[id.lowercased()] } }

    func put(_ record: StationRecord) {
        entries.withLock { entries in
            let folded = record.id.lowercased()
            var entry =
                entries[folded] ?? Entry(id: record.id, registration: record.registration)
            entry.id = record.id
            entry.registration = record.registration
            entries[folded] = entry
        }
    }

    func put(_ access: StationAccess, for id: String) {
        entries.withLock { $0[id.lowercased()]?.access = access }
    }

    /// Makes a first password the station's at once, so that of two strangers with one id only one
    /// comes in; false when another password stands already.
    func claim(_ id: String, password: [UInt8]) -> Bool {
        let fresh = StationVerifier(password: password)
        return entries.withLock { entries in
            let folded = id.lowercased()
            var entry = entries[folded] ?? Entry(id: id, registration: .pending)
            if let verifier = entry.access.verifier { return verifier.match(password) != .no }
            entry.access.verifier = fresh
            entries[folded] = entry
            return true
        }
    }

    /// Stations in the inbox.
    var pendingCount: Int {
        entries.withLock { entries in entries.values.count { $0.registration == .pending } }
    }

    func remove(_ id: String) { entries.withLock { _ = $0.removeValue(forKey: id.lowercased()) } }

    /// Reads the registry page by page, then what each station proves itself by.
    func load(from house: ChargePointOperator) async throws {
        var last = ""
        while true {
            let page = try await house.stations.list(after: last)
            for record in page { put(record) }
            guard let next = page.last?.id else { break }
            last = next
        }
        let rows = try await house.read { try $0.query("SELECT * FROM csms_station") }
        for row in rows { put(try StationAccess(row: row), for: try row.text("folded")) }
    }
}

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

    package init() {}

    init(row: Row) throws {
        securityProfile = try row.intOrNil("security_profile")
        if let salt = try row.blobOrNil("salt"), let verifier = try row.blobOrNil("verifier") {
            self.verifier = StationVerifier(salt: salt, verifier: verifier)
        }
        certificateName = try row.textOrNil("certificate_name")
        takesAnyUser = try row.bool("takes_any_user")
        isStrict = try row.bool("is_strict")
    }

    func store(_ id: String, at: Timestamp, in transaction: Transaction) throws {
        try transaction.execute(
            """
            INSERT INTO csms_station (folded, security_profile, salt, verifier, certificate_name,
            takes_any_user, is_strict, changed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (folded) DO UPDATE SET security_profile = excluded.security_profile,
            salt = excluded.salt, verifier = excluded.verifier,
            certificate_name = excluded.certificate_name,
            takes_any_user = excluded.takes_any_user, is_strict = excluded.is_strict,
            changed_at = excluded.changed_at
            """, id.lowercased(), securityProfile, verifier?.salt, verifier?.verifier,
            certificateName, takesAnyUser, isStrict, at)
    }
}
