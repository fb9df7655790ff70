import Charging
import Crypto
import JSON
import TestSupport
import Testing

@testable import Beckn

@Suite struct `A Beckn signature` {
    private let key: Ed25519.PrivateKey
    private let registry: SubscriberRegistry
    private let body = Array(#"{"message":"₹18 — चार्ज"}"#.utf8)
    private let now = Sample.noon

    init() throws {
        key = try Ed25519.PrivateKey([UInt8](repeating: 7, count: 32))
        registry = SubscriberRegistry([
            .init(
                id: "bap.example.org", url: "https://bap.example.org/beckn", type: "BAP",
                keys: [.init(uniqueKeyID: "k1", publicKey: key.publicKey)])
        ])
    }

    private func header(_ now: Timestamp? = nil) throws -> String {
        try BecknSignature.header(
            for: body, subscriberID: "bap.example.org", uniqueKeyID: "k1", key: key,
            now: now ?? self.now)
    }

    private func flaw(_ header: String, body: [UInt8]? = nil, at: Timestamp? = nil)
        -> BecknSignature.Flaw?
    {
        do throws(BecknSignature.Flaw) {
            let signature = try BecknSignature(header: header)
            try signature.verify(body: body ?? self.body, registry: registry, now: at ?? now)
            return nil
        } catch {
            return error
        }
    }

    @Test func `of our own making is believed for five minutes`() throws {
        let header = try header()
        #expect(flaw(header) == nil)
        #expect(flaw(header, at: now.advanced(bySeconds: 300)) == nil)
        #expect(flaw(header, at: now.advanced(bySeconds: 301)) == .expired)
        #expect(flaw(header, at: now.advanced(bySeconds: -5)) == nil)
        #expect(flaw(header, at: now.advanced(bySeconds: -6)) == .createdInFuture)
    }

    @Test func `may not live longer than message ids are remembered`() throws {
        let created = now.milliseconds / 1000
        let (known, longest) = (created + 300, created + BecknSignature.longestLifeSeconds)
        let header = try header()
        func living(until: Int64) -> String {
            header.replacing("expires=\"\(known)\"", with: "expires=\"\(until)\"")
        }
        #expect(flaw(living(until: longest + 1)) == .livesTooLong)
        // Long enough, and no more what was signed.
        #expect(flaw(living(until: longest)) == .wrong)
        #expect(BecknSignature.longestLifeSeconds < BecknDoor.requestMemorySeconds)
    }

    @Test func `does not fit another body, key or time`() throws {
        let header = try header()
        #expect(flaw(header, body: body + [0x20]) == .wrong)
        #expect(flaw(header.replacing("|k1|", with: "|k2|")) == .unknownKey)
        #expect(flaw(header.replacing("bap.", with: "evil.")) == .unknownKey)
        let other = try self.header(now.advanced(bySeconds: 1))
        let created = "created=\"\(now.milliseconds / 1000 + 1)\""
        #expect(
            flaw(other.replacing(created, with: "created=\"\(now.milliseconds / 1000)\"")) == .wrong
        )
    }

    @Test(arguments: [
        "", "Bearer x", "Signature", "Signature ", "Signature keyId", "Signature keyId=\"",
        "Signature keyId=\"a|b|rsa\",algorithm=\"rsa\"",
        "Signature keyId=\"a|b|ed25519\",algorithm=\"ed25519\",created=\"x\",expires=\"1\"",
        "Signature keyId=\"a|b|ed25519\",keyId=\"c|b|ed25519\"",
        "Signature keyId=\"||ed25519\",algorithm=\"ed25519\"",
    ])
    func `that cannot be read is refused`(header: String) {
        guard case .unreadable = flaw(header) else {
            Issue.record("\(header): \(String(describing: flaw(header)))")
            return
        }
    }

    @Test func `is checked against the shared vectors`() throws {
        guard let bytes = Cases.read("beckn/beckn-sign-vector.json") else { return }
        let vector = try #require(try JSONValue(parsing: bytes)["ev_vector_v1"])
        let original = try #require(vector["body"]?.string)
        let header = try #require(vector["authorization_header"]?.string)
        let publicKey = try Ed25519.PublicKey(
            try #require(vector["signing_public_key_b64"]?.string.flatMap { Base64.decode($0) }))
        let registry = SubscriberRegistry([
            .init(
                id: "bpp.example.org", url: "https://bpp.example.org", type: "BPP",
                keys: [
                    .init(
                        uniqueKeyID: try #require(vector["unique_key_id"]?.string),
                        publicKey: publicKey)
                ])
        ])
        let cases = try #require(vector["verify_cases"]?.array)
        #expect(cases.count >= 12)
        for item in cases {
            let name = item["name"]?.string ?? ""
            var (text, line) = (original, item["header"]?.string ?? header)
            if let change = item["body_replace"]?.array?.compactMap(\.string), change.count == 2 {
                text = text.replacing(change[0], with: change[1])
            }
            if name == "body_reserialised_ascii" { text = Self.escaped(text) }
            if let change = item["header_replace"]?.array?.compactMap(\.string), change.count == 2 {
                line = line.replacing(change[0], with: change[1])
            }
            let now = Timestamp(seconds: try #require(item["now"]?.int64))
            var isGood = true
            do throws(BecknSignature.Flaw) {
                try BecknSignature(header: line).verify(
                    body: Array(text.utf8), registry: registry, now: now)
            } catch { isGood = false }
            #expect(isGood == (item["expect"]?.string == "ok"), "\(name)")
        }
    }

    private static func escaped(_ text: String) -> String {
        var out = ""
        for unit in text.utf16 {
            if unit < 0x80, let scalar = Unicode.Scalar(unit) {
                out.unicodeScalars.append(scalar)
            } else {
                let digits = String(unit, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }
        }
        return out
    }
}

@Suite struct `A registry` {
    private let key = Base64.encode([UInt8](repeating: 9, count: 32))

    @Test func `reads records as files and look-ups spell them`() throws {
        let key = try BecknKeyPair.generate().publicKeyText
        let text = """
            [{"subscriber_id":"a","subscriber_url":"https://a.org/x","type":"bap","ukId":"1",
              "signing_public_key":"\(key)","status":"SUBSCRIBED"},
             {"subscriber_id":"gone","url":"https://b.org","status":"UNSUBSCRIBED"},
             {"subscriber_id":"c","url":"https://c.org","type":"BG","keys":[
              {"unique_key_id":"old","signing_public_key":"\(key)",
               "valid_until":"2020-01-01T00:00:00Z"},
              {"unique_key_id":"new","signing_public_key":"\(key)"}]}]
            """
        for form in [text, "{\"subscribers\":\(text)}"] {
            let registry = try SubscriberRegistry(json: Array(form.utf8))
            #expect(registry.ids == ["a", "c"])
            #expect(registry.key(of: "a", uniqueKeyID: "1", at: Sample.noon) != nil)
            #expect(registry.key(of: "a", uniqueKeyID: "", at: Sample.noon) != nil)
            #expect(registry.key(of: "c", uniqueKeyID: "old", at: Sample.noon) == nil)
            #expect(registry.key(of: "c", uniqueKeyID: "new", at: Sample.noon) != nil)
            #expect(registry.key(of: "c", uniqueKeyID: "", at: Sample.noon) == nil)
            #expect(registry.isGateway("c"))
            #expect(!registry.isGateway("a"))
        }
    }

    @Test(arguments: [
        ("{", "$"),
        (#"[{"url":"https://a.org"}]"#, "$[0].subscriber_id"),
        (#"[{"subscriber_id":"a","url":"ftp://a"}]"#, "$[0].url"),
        (#"[{"subscriber_id":"a","url":"https://a.org"}]"#, "$[0].signing_public_key"),
        (
            #"[{"subscriber_id":"a","url":"https://a.org","signing_public_key":"AAAA"}]"#,
            "$[0].signing_public_key"
        ),
    ])
    func `says which record is wrong`(text: String, path: String) throws {
        let error = try #require(throws: BecknError.self) {
            try SubscriberRegistry(json: Array(text.utf8))
        }
        #expect(error.path == path)
    }

    @Test func `lets callbacks go to the registered host alone`() throws {
        let registry = SubscriberRegistry([
            .init(id: "a", url: "https://bap.org:8443/x", type: "BAP", keys: []),
            .init(id: "p", url: "http://127.0.0.1:9000", type: "BAP", keys: []),
        ])
        func may(_ uri: String, _ id: String = "a", plain: Bool = false) -> Bool {
            registry.mayCall(uri, of: id, allowsPlain: plain)
        }
        #expect(may("https://bap.org:8443/callbacks/"))
        #expect(may("https://BAP.org:8443"))
        #expect(!may("https://bap.org"))
        #expect(!may("http://bap.org:8443"))
        #expect(!may("https://bap.org:8443@evil.org/"))
        #expect(!may("https://bap.org.evil.org:8443/"))
        #expect(!may("https://evil.org:8443/"))
        #expect(!may("https://bap.org:8443\\@evil.org"))
        #expect(!may("file:///etc/passwd"))
        #expect(!may("https://bap.org:8443", "unknown"))
        #expect(!may("http://127.0.0.1:9000/x", "p"))
        #expect(may("http://127.0.0.1:9000/x", "p", plain: true))
    }
}
