import Charging
import Crypto

/// The Authorization header of a Beckn message, written and read apart from the BPP's own code, so that
/// the two check each other. BECKN-006.
package struct BecknSignature: Sendable {
    package let keyID: String
    package let created: Int64
    package let expires: Int64
    package let signature: [UInt8]

    /// Validity of what we sign, seconds.
    package static let validSeconds: Int64 = 300
    /// A peer's clock may run ahead by this many seconds.
    package static let skewSeconds: Int64 = 5

    package static func header(
        signing body: [UInt8], subscriber: String, key: String, with privateKey: Ed25519.PrivateKey,
        at now: Timestamp
    ) throws -> String {
        let created = now.milliseconds / 1000
        let text = signingText(body, created: created, expires: created + validSeconds)
        let signature = Base64.encode(try privateKey.sign(Array(text.utf8)))
        return "Signature keyId=\"\(subscriber)|\(key)|ed25519\",algorithm=\"ed25519\","
            + "created=\"\(created)\",expires=\"\(created + validSeconds)\","
            + "headers=\"(created) (expires) digest\",signature=\"\(signature)\""
    }

    /// Reads a header; nil when an attribute is missing or is not what it should be.
    package init?(header: String) {
        guard header.hasPrefix("Signature ") else { return nil }
        var attributes: [String: String] = [:]
        for part in header.dropFirst("Signature ".count).split(separator: ",") {
            let pair = part.split(separator: "=", maxSplits: 1)
            guard pair.count == 2 else { return nil }
            let name = pair[0].drop { $0 == " " }
            var value = pair[1]
            if value.hasPrefix("\""), value.hasSuffix("\""), value.count >= 2 {
                value = value.dropFirst().dropLast()
            }
            attributes[String(name)] = String(value)
        }
        guard let keyID = attributes["keyId"], attributes["algorithm"] == "ed25519",
            attributes["headers"] == "(created) (expires) digest",
            let created = attributes["created"].flatMap({ Int64($0) }),
            let expires = attributes["expires"].flatMap({ Int64($0) }),
            let signature = attributes["signature"].flatMap({ Base64.decode($0) })
        else { return nil }
        self.keyID = keyID
        self.created = created
        self.expires = expires
        self.signature = signature
    }

    /// What is wrong with it; nil when nothing is.
    package func fault(
        of body: [UInt8], from subscriber: String, key publicKey: Ed25519.PublicKey,
        at now: Timestamp
    ) -> String? {
        let seconds = now.milliseconds / 1000
        guard keyID.hasPrefix("\(subscriber)|"), keyID.hasSuffix("|ed25519") else {
            return "keyId \(keyID) is not \(subscriber)'s"
        }
        guard created <= seconds + Self.skewSeconds else { return "signed in the future" }
        guard expires >= seconds else { return "signature expired" }
        let text = Self.signingText(body, created: created, expires: expires)
        guard publicKey.isValid(signature, of: Array(text.utf8)) else {
            return "signature does not match"
        }
        return nil
    }

    private static func signingText(_ body: [UInt8], created: Int64, expires: Int64) -> String {
        "(created): \(created)\n(expires): \(expires)\n"
            + "digest: BLAKE-512=\(Base64.encode(BLAKE2b512.hash(body)))"
    }
}
