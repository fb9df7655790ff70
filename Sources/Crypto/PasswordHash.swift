import COpenSSL
import Synchronization

/// Passwords of people, hashed with scrypt (RFC 7914) into
/// `$scrypt$ln=15,r=8,p=1$salt$hash`, base64 without padding.
///
/// One hash costs some 60 ms and 32 MiB, so they run one after another away from every event loop,
/// and at most `queueLimit` wait.
package enum PasswordHash {
    /// What one hash costs.
    package struct Cost: Hashable, Sendable {
        /// N = 2^logN.
        package var logN: Int
        package var r: Int
        package var p: Int

        package init(logN: Int, r: Int, p: Int) {
            self.logN = logN
            self.r = r
            self.p = p
        }

        package static let standard = Cost(logN: 15, r: 8, p: 1)
        /// For tests only: quick and weak.
        package static let weak = Cost(logN: 4, r: 8, p: 1)

        /// A stored text must not be able to ask for gigabytes.
        fileprivate var isAllowed: Bool {
            (1...17).contains(logN) && (1...16).contains(r) && (1...4).contains(p)
        }
    }

    package static let queueLimit = 32

    /// - Throws: `.busy` when the queue is full.
    package static func hash(
        _ password: String, cost: Cost = .standard
    ) async throws(CryptoError) -> String {
        let salt = RandomBytes.make(16)
        let key = try await PasswordWorker.shared.derive(password, salt: salt, cost: cost)
        return "$scrypt$ln=\(cost.logN),r=\(cost.r),p=\(cost.p)"
            + "$" + Base64.encode(salt, padded: false) + "$" + Base64.encode(key, padded: false)
    }

    /// Whether `password` is the one behind `stored`. A text that is no hash is never a match.
    ///
    /// - Throws: `.busy` when the queue is full.
    package static func verify(
        _ password: String, against stored: String
    ) async throws(CryptoError) -> Bool {
        guard let (cost, salt, expected) = parse(stored) else { return false }
        let key = try await PasswordWorker.shared.derive(password, salt: salt, cost: cost)
        return constantTimeEqual(key, expected)
    }

    private static func parse(_ text: String) -> (Cost, salt: [UInt8], hash: [UInt8])? {
        let parts = text.split(separator: "$", omittingEmptySubsequences: false)
        guard parts.count == 5, parts[0].isEmpty, parts[1] == "scrypt" else { return nil }
        var values: [Substring: Int] = [:]
        for pair in parts[2].split(separator: ",") {
            let sides = pair.split(separator: "=")
            guard sides.count == 2, let value = Int(sides[1]) else { return nil }
            values[sides[0]] = value
        }
        guard let logN = values["ln"], let r = values["r"], let p = values["p"],
            let salt = Base64.decodeLeniently(parts[3]),
            let hash = Base64.decodeLeniently(parts[4]), salt.count >= 8, hash.count == 32
        else { return nil }
        let cost = Cost(logN: logN, r: r, p: p)
        return cost.isAllowed ? (cost, salt, hash) : nil
    }

    /// 32 bytes of scrypt, on the caller's thread: for costs of a few milliseconds.
    package static func derive(
        _ password: [UInt8], salt: [UInt8], cost: Cost
    ) throws(CryptoError) -> [UInt8] {
        var key = [UInt8](repeating: 0, count: 32)
        var text = password.map { CChar(bitPattern: $0) }
        defer { text.withUnsafeMutableBytes { OPENSSL_cleanse($0.baseAddress, $0.count) } }
        let memory = UInt64(256 * cost.r) << UInt64(cost.logN)
        let done = EVP_PBE_scrypt(
            text, text.count, salt, salt.count, 1 << UInt64(cost.logN), UInt64(cost.r),
            UInt64(cost.p), memory, &key, key.count)
        guard done == 1 else { throw CryptoError.last("scrypt") }
        return key
    }
}

/// One hash at a time, on the common pool: an actor is the queue.
private actor PasswordWorker {
    static let shared = PasswordWorker()
    private nonisolated let waiting = Atomic(0)

    nonisolated func derive(
        _ password: String, salt: [UInt8], cost: PasswordHash.Cost
    ) async throws(CryptoError) -> [UInt8] {
        let count = waiting.add(1, ordering: .relaxed).newValue
        defer { waiting.subtract(1, ordering: .relaxed) }
        guard count <= PasswordHash.queueLimit else { throw .busy }
        return try await scrypt(password, salt, cost)
    }

    private func scrypt(
        _ password: String, _ salt: [UInt8], _ cost: PasswordHash.Cost
    ) throws(CryptoError) -> [UInt8] {
        try PasswordHash.derive(Array(password.utf8), salt: salt, cost: cost)
    }
}
