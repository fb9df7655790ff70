import CPO
import Charging
import Crypto
import JSON
import SQL
import Service

package struct AuthoritySettings: Sendable {
    package var authority: CertificateAuthority
    /// The subject's O; the operator's name. Security white paper A00.FR.404.
    package var organisation: String
    package var validityDays = 365
    /// A new one is asked for so long before the end.
    package var renewDays = 30
    /// How long a former certificate counts once its successor was used.
    package var overlapDays = 7
    /// Requests over a weaker link are refused: whoever can read a password on the way, or needs none,
    /// would get the station's identity for good.
    package var lowestProfile = 2

    package init(authority: CertificateAuthority, organisation: String) {
        self.authority = authority
        self.organisation = organisation
    }
}

/// The operator's authority for stations: it signs what they ask for, knows what it signed, and says at
/// the handshake what counts no more. OCPP 1.6 security white paper A02, A03.
package final class StationAuthority: Sendable {
    /// Why a request is not signed; the operator reads it, the station hears Rejected.
    package enum Refusal: String, Error, Hashable, Sendable {
        case unreadable = "the request cannot be read"
        case notItsKey = "the request is not signed by the key it asks a certificate for"
        case wrongName = "the request's common name is not the station's"
        case weakKey = "the key is neither EC on a NIST curve nor RSA of 2048 to 4096 bits"
        case weakLink = "the link's security profile is too low for a certificate"
        case authorityEnds = "the authority itself ends within days; rotate it"
        case notAccepted = "the station is not accepted"
        case tooMany = "the station asked too often today"
    }

    /// OCPP 1.6's and 2.0.1's bound for a request.
    static let requestCharacters = 5500
    /// As much of a refused one is kept.
    static let refusedCharacters = 200
    /// Of one station in a day: it asks once a year, and again when a certificate did not arrive.
    static let mostRequestsADay = 20
    /// Shown to the operator, newest first.
    private static let mostListed = 100

    /// Requests of accepted stations; a restart begins anew.
    private struct Requests {
        var since: Timestamp?
        var counts: [String: Int] = [:]
    }

    let house: ChargePointOperator
    let settings: AuthoritySettings
    package let fingerprint: String
    /// What ends or has ended, by fingerprint: the handshake waits for no row.
    private let ends = Lock([String: Timestamp]())
    private let requests = Lock(Requests())

    package init(house: ChargePointOperator, settings: AuthoritySettings) {
        self.house = house
        self.settings = settings
        fingerprint = settings.authority.certificate.fingerprint
        house.stations.onRemoval { [self] station, transaction in
            try forget(station, in: transaction)
        }
    }

    func load() async throws {
        let rows = try await house.read { transaction in
            try transaction.query(
                "SELECT fingerprint, ends_at FROM csms_certificate WHERE ends_at IS NOT NULL")
        }
        for row in rows { remember(try row.text("fingerprint"), try row.timestamp("ends_at")) }
    }

    private func remember(_ fingerprint: String, _ moment: Timestamp) {
        ends.withLock { $0[fingerprint] = min($0[fingerprint] ?? moment, moment) }
    }

    // MARK: At the handshake

    /// Whether a certificate counts no more; one of another authority is not ours to judge.
    func hasEnded(_ fingerprint: String, at now: Timestamp) -> Bool {
        ends.withLock { $0[fingerprint] }.map { $0 <= now } ?? false
    }

    /// A station came with it: what it had before counts on for the overlap only.
    func used(
        _ fingerprint: String, by station: String, at now: Timestamp, in transaction: Transaction
    ) throws {
        let isFirst = try transaction.execute(
            """
            UPDATE csms_certificate SET used_at = ? WHERE fingerprint = ? AND station = ?
            AND used_at IS NULL
            """, now, fingerprint, station)
        guard isFirst == 1 else { return }
        let end = now.advanced(bySeconds: Int64(settings.overlapDays) * 86_400)
        try finish(
            try certificates(of: station, in: transaction).filter {
                $0.fingerprint != fingerprint && $0.endsAt == nil && $0.usedAt != nil
            }, at: end, "replaced", now: now, in: transaction)
    }

    private func finish(
        _ certificates: [IssuedCertificate], at end: Timestamp, _ reason: String, now: Timestamp,
        in transaction: Transaction
    ) throws {
        for one in certificates {
            try transaction.execute(
                "UPDATE csms_certificate SET ends_at = ?, reason = ? WHERE fingerprint = ?", end,
                reason, one.fingerprint)
            try house.journal.append(
                .stationCertificateRevoked, one.station,
                [
                    "fingerprint": .string(one.fingerprint), "endsAt": .time(end),
                    "reason": .string(reason),
                ], at: now, in: transaction)
            // Before the commit: should it fail, a station is refused until the next start, which is
            // the safer mistake.
            remember(one.fingerprint, end)
        }
    }

    private func forget(_ station: String, in transaction: Transaction) throws {
        let now = house.clock.now
        let known = try certificates(of: station, in: transaction)
        try finish(
            known.filter { $0.endsAt.map { $0 > now } ?? true }, at: now, "station removed",
            now: now, in: transaction)
        for table in ["csms_signing", "csms_renewal"] {
            try transaction.execute("DELETE FROM \(table) WHERE station = ?", station)
        }
    }

    // MARK: For the operator

    package func certificates(of station: String) async throws -> [IssuedCertificate] {
        try await house.read {
            try self.certificates(of: station, limit: Self.mostListed, in: $0)
        }
    }

    /// All where no limit is said: one that is left out would count on.
    func certificates(
        of station: String, limit: Int = .max, in transaction: Transaction
    ) throws -> [IssuedCertificate] {
        try transaction.query(
            "SELECT * FROM csms_certificate WHERE station = ? ORDER BY made_at DESC LIMIT ?",
            station, limit
        ).map(IssuedCertificate.init(row:))
    }

    /// - Returns: false when the station has none of this fingerprint that still counts.
    package func revoke(
        _ fingerprint: String, of station: String,
        note: @escaping @Sendable (Transaction) throws -> Void
    ) async throws -> Bool {
        let now = house.clock.now
        return try await house.write { [self] transaction in
            let found = try transaction.query(
                """
                SELECT * FROM csms_certificate WHERE station = ? AND fingerprint = ?
                AND (ends_at IS NULL OR ends_at > ?)
                """, station, fingerprint, now
            ).map(IssuedCertificate.init(row:))
            guard !found.isEmpty else { return false }
            try finish(found, at: now, "revoked", now: now, in: transaction)
            try note(transaction)
            return true
        }
    }

    // MARK: Requests

    /// A request of a station: kept to be signed, or refused. The certificate follows in a call of our
    /// own, never before this answer.
    func requested(
        _ pem: String, by station: String, name: String, profile: Int, at now: Timestamp
    ) async throws -> Bool {
        var refusal: Refusal?
        do throws(Refusal) {
            guard profile >= settings.lowestProfile else { throw .weakLink }
            try check(pem, name: name, at: now)
        } catch { refusal = error }
        let reason = refusal
        if let reason {
            house.log.warning(
                "certificate request refused", ["station": station, "reason": reason.rawValue])
        }
        return try await house.write { [self] transaction in
            guard let record = try house.stations.station(station, in: transaction) else {
                return false
            }
            var why = record.registration == .accepted ? reason : .notAccepted
            if why != .notAccepted, let count = excess(of: record.id, at: now) {
                // Said once: a journal line for each would be the flood itself.
                guard count == Self.mostRequestsADay + 1 else { return false }
                house.log.warning(
                    "certificate request refused",
                    ["station": record.id, "reason": Refusal.tooMany.rawValue])
                why = .tooMany
            }
            try house.journal.append(
                .stationCertificateRequested, record.id,
                .members([
                    // Nobody needs a refused one whole, and it may be anything.
                    "csr": .string(
                        why == nil ? pem : String(pem.prefix(Self.refusedCharacters))),
                    "accepted": .bool(why == nil),
                    "reason": why.map { .string($0.rawValue) },
                ]), at: now, in: transaction)
            guard why == nil else { return false }
            try transaction.execute(
                """
                INSERT INTO csms_signing (station, name, csr, asked_at) VALUES (?, ?, ?, ?)
                ON CONFLICT (station) DO UPDATE SET name = excluded.name, csr = excluded.csr,
                asked_at = excluded.asked_at, root_command = NULL
                """, record.id, name, pem, now)
            return true
        }
    }

    /// Counts a request. Whoever has a station's link could else have certificates made, and lines
    /// written, without end.
    ///
    /// - Returns: how many it are today, where that is too many.
    private func excess(of station: String, at now: Timestamp) -> Int? {
        requests.withLock { requests in
            if requests.since.map({ now.seconds(since: $0) >= 86_400 }) ?? true {
                requests = Requests(since: now)
            }
            let count = requests.counts[station, default: 0] + 1
            requests.counts[station] = count
            return count > Self.mostRequestsADay ? count : nil
        }
    }

    @discardableResult
    func check(_ pem: String, name: String, at now: Timestamp) throws(Refusal) -> CertificateRequest
    {
        guard pem.unicodeScalars.count <= Self.requestCharacters else { throw .unreadable }
        let request: CertificateRequest
        do throws(CryptoError) { request = try CertificateRequest(pem: pem) } catch {
            throw .unreadable
        }
        guard request.isSelfSigned else { throw .notItsKey }
        guard request.commonName?.lowercased() == name.lowercased() else { throw .wrongName }
        guard request.hasStrongKey else { throw .weakKey }
        guard days(at: now) > 0 else { throw .authorityEnds }
        return request
    }

    /// No certificate outlives its authority.
    func days(at now: Timestamp) -> Int {
        let left = settings.authority.certificate.notAfter - now.milliseconds / 1000
        return min(settings.validityDays, Int(left / 86_400))
    }
}
