import Crypto

/// A station's password as it is kept: salted and hashed, and quick to check.
///
/// OCPP passwords are random keys made by a machine, so one HMAC is enough; a slow hash would turn a
/// reconnect storm into an outage. OCPP 1.6 security white paper A00.FR.205, §2.2.
package struct StationVerifier: Hashable, Sendable {
    package var salt: [UInt8]
    package var verifier: [UInt8]

    package init(salt: [UInt8], verifier: [UInt8]) {
        self.salt = salt
        self.verifier = verifier
    }

    /// Of a password given as bytes, or as the 32 to 40 hexadecimal digits of `AuthorizationKey`.
    package init(password: [UInt8]) {
        salt = RandomBytes.make(16)
        verifier = HMACSHA256.authenticate(Self.bytes(fromHex: password) ?? password, key: salt)
    }

    package enum Match: Hashable, Sendable {
        case no, yes
        /// The station sent the hexadecimal digits themselves: common, and not by the book.
        case yesAsHex
    }

    package func match(_ password: [UInt8]) -> Match {
        if constantTimeEqual(HMACSHA256.authenticate(password, key: salt), verifier) { return .yes }
        guard let decoded = Self.bytes(fromHex: password) else { return .no }
        let isSame = constantTimeEqual(HMACSHA256.authenticate(decoded, key: salt), verifier)
        return isSame ? .yesAsHex : .no
    }

    private static func bytes(fromHex password: [UInt8]) -> [UInt8]? {
        guard (32...40).contains(password.count) else { return nil }
        return Hex.decode(String(decoding: password, as: UTF8.self))
    }
}
