import CPO
import Charging
import Crypto
import SQL
import Service

/// A one-time code by which a board gets its identity, instead of a password that somebody types.
///
/// Kept only as a hash. A newer code of the same station ends the older one.
package struct Enrolment: Hashable, Sendable {
    package static let minutes = 1...10_080
    /// A day: made in the office, used at the pole.
    package static let usualMinutes = 1440
    /// Of the password that the board made for itself. OCPP 1.6 security white paper §2.2: at least 16
    /// bytes, at most 20 characters; more is taken.
    static let passwordBytes = 16...40
    /// Used and expired ones are remembered for it, so that the board is told what happened.
    private static let keptSeconds: Int64 = 30 * 86_400

    package var code: OneTimeCode
    package var station: String
    package var expiresAt: Timestamp

    /// Makes a code for a station, which is registered as accepted by it. The password of one that waits
    /// in the inbox is not the board's, who brings his own.
    package static func make(
        _ station: String, minutes: Int = usualMinutes, in house: ChargePointOperator,
        at: Timestamp,
        transaction: Transaction
    ) throws -> Enrolment {
        if try house.stations.station(station, in: transaction)?.registration == .pending {
            var access = try StationAccess.stored(station, in: transaction)
            access.forgetPasswords()
            try access.store(station, at: at, in: transaction)
        }
        let record = try house.stations.register(station, .accepted, at: at, in: transaction)
        let code = OneTimeCode(RandomBytes.make(OneTimeCode.byteCount))
        let expires = at.advanced(bySeconds: Int64(minutes) * 60)
        try transaction.execute(
            "DELETE FROM csms_enrolment WHERE (folded = ? AND used_at IS NULL) OR expires_at < ?",
            record.id.lowercased(), at.advanced(bySeconds: -keptSeconds))
        try transaction.execute(
            "INSERT INTO csms_enrolment (hash, folded, made_at, expires_at) VALUES (?, ?, ?, ?)",
            hash(code.text), record.id.lowercased(), at, expires)
        return Enrolment(code: code, station: record.id, expiresAt: expires)
    }

    /// Why a code is not taken. One answer for a wrong and an old code would keep a person guessing;
    /// 80 random bits give nothing away by being told apart.
    package enum Refusal: Error, Hashable, Sendable {
        case unknown
        case expired
        case used
        case badPassword
        case removedStation
    }

    /// Exchanges a code for the identity: the password becomes the station's.
    ///
    /// The same code with the same password is answered again, since the first answer may have been
    /// lost on its way.
    static func redeem(
        _ code: OneTimeCode, password: String, in house: ChargePointOperator, at: Timestamp,
        transaction: Transaction
    ) throws -> (record: StationRecord, access: StationAccess) {
        guard passwordBytes.contains(password.utf8.count),
            password.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { throw Refusal.badPassword }
        guard
            let row = try transaction.queryOne(
                "SELECT * FROM csms_enrolment WHERE hash = ?", hash(code.text))
        else { throw Refusal.unknown }
        let mark = hash(password)
        let isUsed = try row.timestampOrNil("used_at") != nil
        if isUsed {
            guard constantTimeEqual(try row.textOrNil("used_by") ?? "", mark) else {
                throw Refusal.used
            }
        }
        guard try row.timestamp("expires_at") > at else { throw Refusal.expired }
        guard let record = try house.stations.station(try row.text("folded"), in: transaction),
            record.registration != .rejected
        else { throw Refusal.removedStation }
        var access = try StationAccess.stored(record.id, in: transaction)
        if isUsed {
            // A password that was changed since is not taken back by an old code.
            guard let verifier = access.verifier, verifier.match(Array(password.utf8)) != .no else {
                throw Refusal.used
            }
            return (record, access)
        }
        try transaction.execute(
            "UPDATE csms_enrolment SET used_at = ?, used_by = ? WHERE hash = ?", at, mark,
            hash(code.text))
        access.rotate(to: Array(password.utf8), .random, until: nil, at: at)
        try access.store(record.id, at: at, in: transaction)
        // A stranger who came first by its id put it into the inbox; the code is the operator's word.
        let taken = try house.stations.register(record.id, .accepted, at: at, in: transaction)
        return (taken, access)
    }

    private static func hash(_ text: String) -> String { Hex.encode(SHA256.hash(text)) }
}
