import Crypto
import Service

/// A station's password as it is kept: salted and hashed, and quick to check.
///
/// Of a random key that a machine made one HMAC is enough. What an operator typed, or a station of
/// another maker brought, can be guessed, so that is stretched with scrypt; whoever proved itself by it
/// once is known by a fingerprint from then on, so that stations that come back all at once stay cheap.
/// OCPP 1.6 security white paper A00.FR.205, §2.2.
package struct StationVerifier: Hashable, Sendable {
    package var salt: [UInt8]
    package var verifier: [UInt8]
    /// Binary logarithm of scrypt's N; 0: one HMAC.
    package var stretch = 0

    /// Some 4 ms and 2 MiB: on the loop's thread, once a station and start of the server.
    static let usualStretch = 11

    package enum Source: Hashable, Sendable {
        /// A machine made it of random bytes.
        case random
        /// Typed, or of unknown making.
        case unknown
    }

    package init(salt: [UInt8], verifier: [UInt8], stretch: Int = 0) {
        self.salt = salt
        self.verifier = verifier
        self.stretch = stretch
    }

    /// Of a password given as bytes, or as the 32 to 40 hexadecimal digits of `AuthorizationKey`.
    package init(password: [UInt8], _ source: Source) {
        salt = RandomBytes.make(16)
        let bytes = Self.bytes(fromHex: password) ?? password
        if source == .unknown,
            let stretched = Self.derive(bytes, salt: salt, stretch: Self.usualStretch)
        {
            (verifier, stretch) = (stretched, Self.usualStretch)
            ProvenPasswords.shared.remember(
                password, Self.bytes(fromHex: password) == nil ? .yes : .yesAsHex, of: self)
        } else {
            verifier = HMACSHA256.authenticate(bytes, key: salt)
        }
    }

    package enum Match: Hashable, Sendable {
        case no, yes
        /// The station sent the hexadecimal digits themselves: common, and not by the book.
        case yesAsHex
    }

    /// - Parameter mayStretch: asked before it costs milliseconds; no is no match.
    package func match(_ password: [UInt8], mayStretch: () -> Bool = { true }) -> Match {
        guard stretch > 0 else { return compare(password) }
        if let proven = ProvenPasswords.shared.match(password, of: self) { return proven }
        guard mayStretch() else { return .no }
        let match = compare(password)
        if match != .no { ProvenPasswords.shared.remember(password, match, of: self) }
        return match
    }

    private func compare(_ password: [UInt8]) -> Match {
        if isVerifier(of: password) { return .yes }
        guard let decoded = Self.bytes(fromHex: password) else { return .no }
        return isVerifier(of: decoded) ? .yesAsHex : .no
    }

    private func isVerifier(of password: [UInt8]) -> Bool {
        let own =
            stretch == 0
            ? HMACSHA256.authenticate(password, key: salt)
            : Self.derive(password, salt: salt, stretch: stretch)
        return own.map { constantTimeEqual($0, verifier) } ?? false
    }

    /// nil where there is no memory for it, or the stored cost is none of ours.
    private static func derive(_ password: [UInt8], salt: [UInt8], stretch: Int) -> [UInt8]? {
        guard (1...16).contains(stretch) else { return nil }
        // Without memory nobody is let in, and a new password falls back to one HMAC.
        return try? PasswordHash.derive(
            password, salt: salt, cost: PasswordHash.Cost(logN: stretch, r: 8, p: 1))
    }

    /// The bytes that the digits of `AuthorizationKey` stand for; nil where they are none.
    static func bytes(fromHex password: [UInt8]) -> [UInt8]? {
        guard (32...40).contains(password.count) else { return nil }
        return Hex.decode(String(decoding: password, as: UTF8.self))
    }
}

/// Fingerprints, under a key of this process, of passwords that proved right: never stored.
private final class ProvenPasswords: Sendable {
    static let shared = ProvenPasswords()

    /// Then all are forgotten: whoever comes proves itself anew.
    private static let most = 100_000

    private struct Proof {
        var fingerprint: [UInt8]
        var match: StationVerifier.Match
    }

    private let key = RandomBytes.make(32)
    private let proofs = Lock([[UInt8]: Proof]())

    /// nil: not seen yet, which says nothing.
    func match(_ password: [UInt8], of verifier: StationVerifier) -> StationVerifier.Match? {
        guard let proof = proofs.withLock({ $0[verifier.verifier] }),
            constantTimeEqual(proof.fingerprint, fingerprint(password))
        else { return nil }
        return proof.match
    }

    func remember(
        _ password: [UInt8], _ match: StationVerifier.Match, of verifier: StationVerifier
    ) {
        let proof = Proof(fingerprint: fingerprint(password), match: match)
        proofs.withLock { proofs in
            if proofs.count >= Self.most { proofs.removeAll() }
            proofs[verifier.verifier] = proof
        }
    }

    private func fingerprint(_ password: [UInt8]) -> [UInt8] {
        HMACSHA256.authenticate(password, key: key)
    }
}
