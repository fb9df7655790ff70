import Charging
import Crypto

/// The HTTP signature of Beckn: Ed25519 over created, expires and a BLAKE2b-512 digest of the body.
/// BECKN-006; facts §11.
package struct BecknSignature: Hashable, Sendable {
    package var subscriberID: String
    /// Empty in a two-part key id.
    package var uniqueKeyID: String
    package var created: Int64
    package var expires: Int64
    package var signature: [UInt8]

    /// Seconds our own signatures live.
    static let lifeSeconds: Int64 = 300
    /// How far ahead a peer's clock may run.
    static let skewSeconds: Int64 = 5
    /// How long a peer's may live. Message ids are remembered for longer, so that no signed message
    /// can come back once it is forgotten.
    static let longestLifeSeconds: Int64 = 86_400

    /// Why a request is not believed. The text goes into the NACK; it never holds key material.
    package enum Flaw: Error, Hashable, Sendable, CustomStringConvertible {
        case missing
        case unreadable(String)
        case createdInFuture
        case expired
        case livesTooLong
        case unknownKey
        case wrong
        case notTheSender

        package var description: String {
            switch self {
            case .missing: "no signature"
            case .unreadable(let what): "the signature header is not readable: \(what)"
            case .createdInFuture: "the signature was made in the future"
            case .expired: "the signature has expired"
            case .livesTooLong: "the signature would be valid for too long"
            case .unknownKey: "no valid key of this subscriber is registered"
            case .wrong: "the signature does not fit the body"
            case .notTheSender: "the signer is not the sender"
            }
        }
    }

    // MARK: Signing

    /// The value of `Authorization` for exactly these bytes.
    package static func header(
        for body: [UInt8], subscriberID: String, uniqueKeyID: String, key: Ed25519.PrivateKey,
        now: Timestamp
    ) throws(CryptoError) -> String {
        let created = now.milliseconds / 1000
        let expires = created + lifeSeconds
        let line = signingString(created: created, expires: expires, body: body)
        let signature = Base64.encode(try key.sign(line))
        return #"Signature keyId="\#(subscriberID)|\#(uniqueKeyID)|ed25519",algorithm="ed25519","#
            + #"created="\#(created)",expires="\#(expires)",headers="(created) (expires) digest","#
            + #"signature="\#(signature)""#
    }

    static func signingString(created: Int64, expires: Int64, body: [UInt8]) -> [UInt8] {
        let digest = Base64.encode(BLAKE2b512.hash(body))
        let text = "(created): \(created)\n(expires): \(expires)\ndigest: BLAKE-512=\(digest)"
        return Array(text.utf8)
    }

    // MARK: Reading

    /// Any order of attributes, blanks after commas, values with or without quotes.
    package init(header: String?) throws(Flaw) {
        guard let header else { throw .missing }
        guard header.utf8.count <= 4096, header.prefix(10).lowercased() == "signature " else {
            throw .unreadable("no Signature scheme")
        }
        let attributes = try Self.attributes(String(header.dropFirst(10)))
        guard let keyID = attributes["keyid"] else { throw .unreadable("no keyId") }
        let parts = keyID.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3 || parts.count == 2, let first = parts.first, !first.isEmpty else {
            throw .unreadable("keyId has no subscriber")
        }
        let algorithm = parts.last?.lowercased()
        guard algorithm == "ed25519", attributes["algorithm"]?.lowercased() == algorithm else {
            throw .unreadable("the algorithm is not ed25519")
        }
        guard let created = attributes["created"].flatMap({ Int64($0) }),
            let expires = attributes["expires"].flatMap({ Int64($0) }), created > 0, expires > 0
        else { throw .unreadable("no created or expires") }
        let covered = attributes["headers"] ?? "(created) (expires) digest"
        guard covered.lowercased() == "(created) (expires) digest" else {
            throw .unreadable("headers covered are not (created) (expires) digest")
        }
        guard let signature = attributes["signature"].flatMap({ Base64.decode($0) }) else {
            throw .unreadable("the signature is not base64")
        }
        subscriberID = first
        uniqueKeyID = parts.count == 3 ? parts[1] : ""
        self.created = created
        self.expires = expires
        self.signature = signature
    }

    private static func attributes(_ text: String) throws(Flaw) -> [String: String] {
        var found: [String: String] = [:]
        var rest = Array(text.utf8)[...]
        func skip(_ bytes: String) {
            while let byte = rest.first, bytes.utf8.contains(byte) { rest = rest.dropFirst() }
        }
        while true {
            skip(" ,\t")
            if rest.isEmpty { return found }
            guard let equals = rest.firstIndex(of: 0x3D) else { throw .unreadable("no value") }
            let name = String(decoding: rest[..<equals], as: UTF8.self).trimmedBlanks.lowercased()
            rest = rest[(equals + 1)...]
            let value: ArraySlice<UInt8>
            if rest.first == 0x22 {
                rest = rest.dropFirst()
                guard let end = rest.firstIndex(of: 0x22) else { throw .unreadable("open quote") }
                value = rest[..<end]
                rest = rest[(end + 1)...]
            } else {
                let end = rest.firstIndex(of: 0x2C) ?? rest.endIndex
                value = rest[..<end]
                rest = rest[end...]
            }
            // Given twice, an attribute could mean one thing to a proxy and another to us.
            guard found.updateValue(String(decoding: value, as: UTF8.self), forKey: name) == nil
            else { throw .unreadable("\(name) stands twice") }
        }
    }

    // MARK: Verifying

    /// Checks times, key, digest and signature, in that order, over the raw bytes of the body.
    package func verify(
        body: [UInt8], registry: SubscriberRegistry, now: Timestamp
    ) throws(Flaw) {
        let seconds = now.milliseconds / 1000
        guard created <= seconds + Self.skewSeconds else { throw .createdInFuture }
        guard seconds <= expires else { throw .expired }
        guard expires - created <= Self.longestLifeSeconds else { throw .livesTooLong }
        guard
            let key = registry.key(of: subscriberID, uniqueKeyID: uniqueKeyID, at: now)
        else { throw .unknownKey }
        let line = Self.signingString(created: created, expires: expires, body: body)
        guard key.isValid(signature, of: line) else { throw .wrong }
    }
}
