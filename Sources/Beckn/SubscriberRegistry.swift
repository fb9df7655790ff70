import Charging
import Crypto
import JSON

/// Who may talk to us and with which keys: a closed network's registry, from a file.
///
/// The file is JSON: an array of records, or an object with it under `subscribers`. A record has
/// `subscriber_id`, `url` (or `subscriber_url`), `type` (BAP, BPP, BG), `status` (SUBSCRIBED counts
/// as usable, absent too), and its keys under `keys` or, as registries' look-ups answer, beside them:
/// `unique_key_id` (or `key_id`, `ukId`), `signing_public_key`, `valid_from`, `valid_until`.
package struct SubscriberRegistry: Sendable {
    package struct Key: Sendable {
        package var uniqueKeyID: String
        package var publicKey: Ed25519.PublicKey
        package var validFrom: Timestamp?
        package var validUntil: Timestamp?
    }

    package struct Subscriber: Sendable {
        package var id: String
        package var url: String
        /// `BAP`, `BPP` or `BG`.
        package var type: String
        package var keys: [Key]

        package init(id: String, url: String, type: String, keys: [Key]) {
            self.id = id
            self.url = url
            self.type = type
            self.keys = keys
        }
    }

    private var subscribers: [String: [Subscriber]] = [:]

    package init(_ subscribers: [Subscriber]) {
        for subscriber in subscribers {
            self.subscribers[subscriber.id, default: []].append(subscriber)
        }
    }

    /// - Throws: `BecknError` with the path of the first record that is wrong.
    package init(json bytes: [UInt8]) throws(BecknError) {
        let root: JSONValue
        do throws(JSONError) {
            root = try JSONValue(parsing: bytes, limits: .file)
        } catch {
            throw .field(error.path, error.description)
        }
        let list = Wire(
            root["subscribers"] ?? root, path: root["subscribers"] == nil ? "$" : "$.subscribers")
        var all: [Subscriber] = []
        for record in list.elements {
            let status = record["status"]?.text ?? "SUBSCRIBED"
            guard status == "SUBSCRIBED" else { continue }
            let id = try record.requireText("subscriber_id")
            guard let url = record.any("url", "subscriber_url")?.text, PeerURL(url) != nil else {
                throw .field(record.path + ".url", "an http or https URL is needed")
            }
            var keys: [Key] = []
            for key in record["keys"]?.elements ?? [record] { keys.append(try Self.key(key)) }
            all.append(
                Subscriber(
                    id: id, url: url, type: record["type"]?.text?.uppercased() ?? "BAP", keys: keys)
            )
        }
        self.init(all)
    }

    private static func key(_ wire: Wire) throws(BecknError) -> Key {
        let text = try wire.requireText("signing_public_key")
        let publicKey: Ed25519.PublicKey
        do throws(CryptoError) {
            publicKey = try Ed25519.PublicKey(Base64.decodeLeniently(text) ?? [])
        } catch {
            throw .field(wire.path + ".signing_public_key", error.description)
        }
        func time(_ name: String) throws(BecknError) -> Timestamp? {
            guard let text = wire[name]?.text else { return nil }
            guard let time = Timestamp(rfc3339: text) else {
                throw .field("\(wire.path).\(name)", "not an RFC 3339 time")
            }
            return time
        }
        return Key(
            uniqueKeyID: wire.any("unique_key_id", "key_id", "ukId")?.text ?? "",
            publicKey: publicKey, validFrom: try time("valid_from"),
            validUntil: try time("valid_until"))
    }

    package var ids: [String] { subscribers.keys.sorted() }

    package func subscriber(_ id: String, type: String) -> Subscriber? {
        subscribers[id]?.first { $0.type == type }
    }

    func isGateway(_ id: String) -> Bool { subscriber(id, type: "BG") != nil }

    /// A key within its validity. Without a unique key id only if the subscriber has exactly one.
    func key(of id: String, uniqueKeyID: String, at now: Timestamp) -> Ed25519.PublicKey? {
        let all = (subscribers[id] ?? []).flatMap(\.keys)
        let valid = all.filter { key in
            (key.validFrom.map { $0 <= now } ?? true) && (key.validUntil.map { now < $0 } ?? true)
        }
        if uniqueKeyID.isEmpty { return all.count == 1 ? valid.first?.publicKey : nil }
        return valid.first { $0.uniqueKeyID == uniqueKeyID }?.publicKey
    }

    /// Whether callbacks may go to `uri`: its host is the one registered for the BAP, and the scheme is
    /// https unless plain is allowed. Keeps a signed request from sending us elsewhere.
    func mayCall(_ uri: String, of bap: String, allowsPlain: Bool) -> Bool {
        guard let record = subscriber(bap, type: "BAP"), let known = PeerURL(record.url),
            let asked = PeerURL(uri)
        else { return false }
        guard asked.host == known.host, asked.port == known.port else { return false }
        return asked.scheme == "https" || allowsPlain && asked.scheme == known.scheme
    }
}

/// A new key pair for the registry: what `kerb-cpo beckn keygen` prints and keeps.
package struct BecknKeyPair: Sendable {
    package let uniqueKeyID: String
    /// Base64 of the 32-byte seed: the content of `keyFile`.
    package let privateKeyText: String
    /// Base64 of the 32-byte public key: for the registry.
    package let publicKeyText: String

    package static func generate() throws(CryptoError) -> BecknKeyPair {
        let key = try Ed25519.PrivateKey()
        return BecknKeyPair(
            uniqueKeyID: UUID4.make(), privateKeyText: Base64.encode(try key.seed().bytes),
            publicKeyText: Base64.encode(key.publicKey.bytes))
    }

    /// Reads `keyFile`: base64 of 32, 48 or 64 bytes, blanks around it allowed.
    package static func privateKey(_ text: String) throws(CryptoError) -> Ed25519.PrivateKey {
        guard var bytes = Base64.decodeLeniently(text) else {
            throw .badText("the key file is not base64")
        }
        defer { wipe(&bytes) }
        return try Ed25519.PrivateKey(bytes)
    }
}
