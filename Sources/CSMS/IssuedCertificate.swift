import Charging
import JSON
import SQL

/// A certificate that was made for a station.
package struct IssuedCertificate: Hashable, Sendable {
    /// SHA-256 of the DER form, lower-case hexadecimal.
    package var fingerprint: String
    package var serial: String
    package var station: String
    /// The common name.
    package var name: String
    /// The fingerprint of the authority that signed.
    package var issuer: String
    package var madeAt: Timestamp
    package var notAfter: Timestamp
    package var command: String?
    /// First connection with it.
    package var usedAt: Timestamp?
    /// It counts no more from then on: replaced, or revoked.
    package var endsAt: Timestamp?
    package var reason: String?

    package var shown: JSONValue {
        .members([
            "fingerprint": .string(fingerprint), "serial": .string(serial),
            "station": .string(station), "name": .string(name), "issuer": .string(issuer),
            "madeAt": .time(madeAt), "notAfter": .time(notAfter),
            "command": command.map { .string($0) }, "usedAt": usedAt.map { .time($0) },
            "endsAt": endsAt.map { .time($0) }, "reason": reason.map { .string($0) },
        ])
    }
}

extension IssuedCertificate {
    init(row: Row) throws {
        fingerprint = try row.text("fingerprint")
        serial = try row.text("serial")
        station = try row.text("station")
        name = try row.text("name")
        issuer = try row.text("issuer")
        madeAt = try row.timestamp("made_at")
        notAfter = try row.timestamp("not_after")
        command = try row.textOrNil("command")
        usedAt = try row.timestampOrNil("used_at")
        endsAt = try row.timestampOrNil("ends_at")
        reason = try row.textOrNil("reason")
    }
}
