import Charging
import Crypto
import SQL
import Service

/// A URL that fetches or brings one file, for a while and a bounded number of times.
///
/// Kept only as a hash: who reads the database, or a backup of it, cannot use it.
struct FileLink: Hashable, Sendable {
    enum Direction: String, Hashable, Sendable { case get, put }

    enum Refusal: Error, Hashable, Sendable {
        case unknown, expired, usedUp
    }

    /// 192 bits; the address stays short enough for the 512 characters stations take.
    static let tokenBytes = 24

    /// Whether a text can be one at all: strangers who guess cost no look into the rows.
    static func isToken(_ text: String) -> Bool {
        text.utf8.count == tokenBytes / 3 * 4
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }

    var hash: String
    var direction: Direction
    var file: String
    /// Whom it was made for; nil: a person.
    var station: String?
    var uses: Int
    var mostUses: Int
    var expiresAt: Timestamp

    /// - Returns: the token, which nobody can be told again.
    static func make(
        _ direction: Direction, file: String, station: String?, uses: Int, expires: Timestamp,
        at: Timestamp, in transaction: Transaction
    ) throws -> String {
        let token = Base64.encode(RandomBytes.make(tokenBytes), alphabet: .url)
        try transaction.execute(
            """
            INSERT INTO csms_link (hash, direction, file, station, uses, most_uses, made_at,
            expires_at) VALUES (?, ?, ?, ?, 0, ?, ?, ?)
            """, hash(token), direction.rawValue, file, station, uses, at, expires)
        return token
    }

    /// The link of a token, counted as used once more.
    static func use(
        _ token: String, _ direction: Direction, at: Timestamp, in transaction: Transaction
    ) throws -> FileLink {
        let link = try find(token, direction, at: at, in: transaction)
        guard link.uses < link.mostUses else { throw Refusal.usedUp }
        try transaction.execute(
            "UPDATE csms_link SET uses = uses + 1, used_at = ? WHERE hash = ?", at, link.hash)
        return link
    }

    static func find(
        _ token: String, _ direction: Direction, at: Timestamp, in transaction: Transaction
    ) throws -> FileLink {
        guard
            let row = try transaction.queryOne(
                "SELECT * FROM csms_link WHERE hash = ? AND direction = ?", hash(token),
                direction.rawValue)
        else { throw Refusal.unknown }
        let link = try FileLink(row: row)
        guard link.expiresAt > at else { throw Refusal.expired }
        return link
    }

    /// What nobody may use any more; kept a while, so that who comes late is told why.
    static func forget(before moment: Timestamp, in transaction: Transaction) throws {
        try transaction.execute("DELETE FROM csms_link WHERE expires_at < ?", moment)
    }

    /// `…/files/TOKEN…` without the token, as logs keep it.
    static func hidingTokens(in text: String) -> String {
        let parts = text.parts(between: "/files/")
        return parts.dropFirst().reduce(parts[0]) { whole, part in
            let rest = part.drop { $0.isASCII && ($0.isLetter || $0.isNumber || "-_".contains($0)) }
            return "\(whole)/files/***\(rest)"
        }
    }

    private static func hash(_ token: String) -> String { Hex.encode(SHA256.hash(token)) }

    private init(row: Row) throws {
        hash = try row.text("hash")
        direction = Direction(rawValue: try row.text("direction")) ?? .get
        file = try row.text("file")
        station = try row.textOrNil("station")
        uses = try row.int("uses")
        mostUses = try row.int("most_uses")
        expiresAt = try row.timestamp("expires_at")
    }
}
