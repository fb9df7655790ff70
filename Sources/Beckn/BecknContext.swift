import Charging
import JSON

/// The head of every message. Beckn core 1.1; the official schema requires only `action`, the rest of
/// the checks are ours (facts §4).
package struct BecknContext: Hashable, Sendable, Codable {
    package var domain: String
    package var version: String
    package var bapID: String
    package var bapURI: String
    package var transactionID: String
    package var messageID: String
    package var timestamp: Timestamp
    package var ttlSeconds: Int64
    /// Echoed as it came.
    package var location: JSONValue?

    /// Absent ttl. Facts §5.
    static let defaultTTLSeconds: Int64 = 30
    /// How far ahead of ours a peer's clock may run.
    static let futureSkewSeconds: Int64 = 60

    package init(
        domain: String, version: String, bapID: String, bapURI: String, transactionID: String,
        messageID: String, timestamp: Timestamp, ttlSeconds: Int64 = 30, location: JSONValue? = nil
    ) {
        self.domain = domain
        self.version = version
        self.bapID = bapID
        self.bapURI = bapURI
        self.transactionID = transactionID
        self.messageID = messageID
        self.timestamp = timestamp
        self.ttlSeconds = ttlSeconds
        self.location = location
    }

    /// Reads and checks `$.context` of a request to `action`.
    ///
    /// - Throws: `.invalidRequest` with the path of the first field that is missing or wrong.
    init(
        of message: JSONValue, action: BecknAction, settings: BecknSettings, now: Timestamp
    ) throws(BecknError) {
        let context = try Wire(message).require("context")
        guard try context.requireText("action") == action.rawValue else {
            throw .field("$.context.action", "differs from the path, \(action.rawValue)")
        }
        domain = try context.requireText("domain")
        guard settings.serves(domain: domain) else {
            throw .field("$.context.domain", "\(domain) is not served here")
        }
        version = context.any("version", "core_version")?.text ?? "1.1.0"
        guard version == "1.1" || version.hasPrefix("1.1.") else {
            throw .field("$.context.version", "\(version) is not spoken here, 1.1.0 is")
        }
        bapID = try context.requireText("bap_id")
        bapURI = try context.requireText("bap_uri")
        transactionID = try context.requireText("transaction_id")
        messageID = try context.requireText("message_id")
        let time = try context.requireText("timestamp")
        guard let timestamp = Timestamp(rfc3339: time) else {
            throw .field("$.context.timestamp", "not an RFC 3339 time")
        }
        self.timestamp = timestamp
        if let ttl = context["ttl"] {
            guard let seconds = ttl.text.flatMap({ ISODuration.seconds($0) }) else {
                throw .field(ttl.path, "not an ISO 8601 duration")
            }
            ttlSeconds = seconds
        } else {
            ttlSeconds = Self.defaultTTLSeconds
        }
        location = try context["location"]?.kept()
        try checkAge(action: action, now: now)
        if action != .search, let bpp = context["bpp_id"]?.text, bpp != settings.subscriberID {
            throw .field("$.context.bpp_id", "\(bpp) is not us")
        }
    }

    private func checkAge(action: BecknAction, now: Timestamp) throws(BecknError) {
        let age = now.seconds(since: timestamp)
        guard age >= -Self.futureSkewSeconds else {
            throw .field("$.context.timestamp", "in the future")
        }
        guard age <= ttlSeconds || action.isAboutMoney else {
            throw .field("$.context.timestamp", "its ttl of \(ttlSeconds) s has run out")
        }
    }

    /// The context of an answer to this message, or of an unsolicited message with a new id.
    func callback(
        _ action: BecknCallback, settings: BecknSettings, now: Timestamp, messageID: String? = nil
    ) -> JSONValue {
        .members([
            "action": .string(action.rawValue), "bap_id": .string(bapID),
            "bap_uri": .string(bapURI), "bpp_id": .string(settings.subscriberID),
            "bpp_uri": .string(settings.subscriberURL), "domain": .string(domain),
            "location": location, "message_id": .string(messageID ?? self.messageID),
            "timestamp": .time(now), "transaction_id": .string(transactionID),
            "ttl": .string(ISODuration.text(Self.defaultTTLSeconds)), "version": .string(version),
        ])
    }

    /// Where callbacks go: `bap_uri` with or without its closing slash.
    func callbackURL(_ action: BecknCallback) -> String {
        var base = bapURI
        while base.hasSuffix("/") { base.removeLast() }
        return "\(base)/\(action.rawValue)"
    }
}

/// The parts of a URL that are compared. RFC 3986; user information is refused.
struct PeerURL: Hashable, Sendable {
    let scheme: String
    let host: String
    let port: Int?

    init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, parts[1].isEmpty, parts[0].last == ":" else { return nil }
        scheme = parts[0].dropLast().lowercased()
        guard scheme == "http" || scheme == "https" else { return nil }
        let authority = parts[2].prefix { !"/?#".contains($0) }
        guard !authority.contains("@"), !authority.isEmpty,
            text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\\") })
        else { return nil }
        let bare: Substring
        if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
            bare = authority[...end]
        } else {
            bare = authority.prefix { $0 != ":" }
        }
        host = bare.lowercased()
        let rest = authority.dropFirst(bare.count)
        if rest.isEmpty {
            port = nil
        } else {
            guard rest.first == ":", let number = Int(rest.dropFirst()),
                (1...65_535).contains(number)
            else { return nil }
            port = number
        }
    }
}
