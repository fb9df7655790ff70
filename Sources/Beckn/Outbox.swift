import Charging
import Crypto
import HTTPClient
import JSON
import SQL
import Service

/// Callbacks on their way: rows first, then the wire, again with back-off until the peer took them.
///
/// Callbacks of one transaction keep their order; one BAP that is down delays nobody else.
final class Outbox: Sendable {
    /// Callbacks in the air at once.
    static let flightLimit = 64
    static let deadlineSeconds = 10
    /// What a reply may be long; only its acknowledgement is looked at.
    static let answerBytes = 64 << 10
    /// The first try waits this long, so that the acknowledgement is there before the callback.
    static let leadMilliseconds: Int64 = 20
    static let moneySeconds: Int64 = 7 * 86_400
    static let otherSeconds: Int64 = 300

    struct Callback: Sendable {
        var subject: String
        var url: String
        var bapID: String
        var action: BecknCallback
        var messageID: String
        var body: JSONValue
    }

    private struct Letter: Sendable {
        var seq: Int64
        var url: String
        var action: String
        var bapID: String
        var body: [UInt8]
        var attempts: Int
        var giveUpAt: Timestamp
    }

    private let database: Database
    private let client: HTTPClient
    private let identity: BecknIdentity
    private let clock: any ServiceClock
    private let log: Log
    private let wakeup = Wakeup()
    private let flying = Lock(Set<Int64>())

    init(
        database: Database, client: HTTPClient, identity: BecknIdentity, clock: any ServiceClock,
        log: Log
    ) {
        self.database = database
        self.client = client
        self.identity = identity
        self.clock = clock
        self.log = log
    }

    func put(_ callback: Callback, at now: Timestamp, in transaction: Transaction) throws {
        let life = callback.action.isAboutMoney ? Self.moneySeconds : Self.otherSeconds
        try transaction.execute(
            """
            INSERT INTO beckn_outbox (subject, bap_id, url, action, message_id, body, state, attempts,
            next_at, give_up_at, created_at) VALUES (?, ?, ?, ?, ?, ?, 'queued', 0, ?, ?, ?)
            """, callback.subject, callback.bapID, callback.url, callback.action.rawValue,
            callback.messageID, callback.body.text,
            now.advanced(byMilliseconds: Self.leadMilliseconds), now.advanced(bySeconds: life), now)
    }

    /// After a commit that put something in.
    func wake() { wakeup.signal() }

    /// Delivers until cancelled.
    func run() async throws {
        try await withThrowingDiscardingTaskGroup { group in
            while !Task.isCancelled {
                let now = clock.now
                // Asked before the look at the table: a letter that lands in between is still queued in
                // what was read, and would be sent a second time.
                let busy = flying.withLock { $0 }
                let (letters, next) = try await due(at: now)
                for letter in letters where !busy.contains(letter.seq) {
                    _ = flying.withLock { $0.insert(letter.seq) }
                    group.addTask {
                        await self.deliver(letter)
                        self.flying.withLock { _ = $0.remove(letter.seq) }
                        self.wakeup.signal()
                    }
                }
                let wait = next.map { max(5, $0.milliseconds(since: now)) } ?? 60_000
                await wakeup.wait(milliseconds: min(wait, 60_000), clock: clock)
            }
        }
    }

    /// The oldest letter of each subject if its time has come, and when the next one's comes.
    private func due(at now: Timestamp) async throws -> ([Letter], Timestamp?) {
        let room = Self.flightLimit
        return try await database.read { transaction in
            let head =
                """
                FROM beckn_outbox o WHERE state = 'queued' AND NOT EXISTS (SELECT 1 FROM beckn_outbox p
                WHERE p.subject = o.subject AND p.state = 'queued' AND p.seq < o.seq)
                """
            let rows = try transaction.query(
                "SELECT * \(head) AND next_at <= ? ORDER BY next_at, seq LIMIT ?", now, room)
            let next = try transaction.queryOne(
                "SELECT MIN(next_at) AS next_at \(head) AND next_at > ?", now)
            let letters = try rows.map { row in
                Letter(
                    seq: try row.int64("seq"), url: try row.text("url"),
                    action: try row.text("action"), bapID: try row.text("bap_id"),
                    body: Array(try row.text("body").utf8), attempts: try row.int("attempts"),
                    giveUpAt: try row.timestamp("give_up_at"))
            }
            return (letters, try next?.timestampOrNil("next_at"))
        }
    }

    private func deliver(_ letter: Letter) async {
        let failure = await send(letter)
        let now = clock.now
        let attempts = letter.attempts + 1
        let isOver = failure != nil && now >= letter.giveUpAt
        var backoff = Backoff(firstMilliseconds: 1000, longestMilliseconds: 300_000)
        var pause = backoff.next()
        for _ in 0..<min(letter.attempts, 16) { pause = backoff.next() }
        let state = failure == nil ? "delivered" : isOver ? "parked" : "queued"
        let nextAt = now.advanced(byMilliseconds: pause)
        do {
            try await database.write { transaction in
                try transaction.execute(
                    """
                    UPDATE beckn_outbox SET state = ?, attempts = ?, next_at = ?, last_error = ?
                    WHERE seq = ?
                    """, state, attempts, nextAt, failure, letter.seq)
            }
        } catch {
            log.warning("callback's fate not stored", ["error": LogError(error)])
            // It will be sent again, because nobody knows that it went; but not at once, or a full disk
            // would turn into a flood at the peer. A cancellation may cut the pause short.
            try? await clock.sleep(milliseconds: pause)
        }
        if let failure {
            log.warning(
                isOver ? "beckn callback given up" : "beckn callback failed",
                ["bap": letter.bapID, "action": letter.action, "reason": failure])
        }
    }

    /// nil when the peer took it: any 2xx without an explicit NACK.
    private func send(_ letter: Letter) async -> String? {
        do throws(CryptoError) {
            let header = try identity.header(for: letter.body, now: clock.now)
            let call = HTTPCall(
                .post, letter.url,
                headers: [
                    HTTPField("Authorization", header),
                    HTTPField("Content-Type", "application/json"),
                ], body: letter.body, deadlineSeconds: Self.deadlineSeconds,
                maxBodyBytes: Self.answerBytes)
            return await answer(to: call)
        } catch {
            return "not signed: \(error)"
        }
    }

    private func answer(to call: HTTPCall) async -> String? {
        do throws(HTTPCallError) {
            let answer = try await client.call(call)
            guard (200..<300).contains(answer.status) else { return "HTTP \(answer.status)" }
            // An answer that is no JSON is still a 2xx.
            let json = try? JSONValue(parsing: answer.body, limits: WireLimits.json)
            let status = json?["message"]?["ack"]?["status"]?.string ?? json?["ack_status"]?.string
            return status?.folded == "nack" ? "NACK" : nil
        } catch {
            return "\(error)"
        }
    }
}

/// Our name and key towards the networks.
package struct BecknIdentity: Sendable {
    package let subscriberID: String
    package let uniqueKeyID: String
    private let key: Ed25519.PrivateKey

    package init(subscriberID: String, uniqueKeyID: String, key: Ed25519.PrivateKey) {
        self.subscriberID = subscriberID
        self.uniqueKeyID = uniqueKeyID
        self.key = key
    }

    package var publicKey: Ed25519.PublicKey { key.publicKey }

    func header(for body: [UInt8], now: Timestamp) throws(CryptoError) -> String {
        try BecknSignature.header(
            for: body, subscriberID: subscriberID, uniqueKeyID: uniqueKeyID, key: key, now: now)
    }

    /// A code only we can make: for links that need no log-in.
    func seal(_ text: String) throws(CryptoError) -> String {
        var seed = try key.seed().bytes
        defer { wipe(&seed) }
        let code = HMACSHA256.authenticate(Array("track|\(text)".utf8), key: seed)
        return Base64.encode(Array(code.prefix(18)), alphabet: .url, padded: false)
    }
}
