import CPO
import Charging
import Crypto
import HTTPClient
import JSON
import SQL
import Service
import StoreSupport
import TestSupport
import Testing
import Web

@testable import Beckn

/// A driver's app that keeps what it is sent and answers as the test says.
private final class CallbackServer: Sendable {
    struct Received: Sendable {
        let action: String
        let authorization: String?
        let body: [UInt8]
    }

    let server: WebServer
    private let state: Lock<(answers: [(Int, String)], received: [Received])>
    private let arrived: AsyncStream<Received>

    /// - Parameter answers: for the first callbacks; later ones are acknowledged.
    init(answers: [(Int, String)] = []) throws {
        state = Lock((answers, []))
        let (stream, continuation) = AsyncStream.makeStream(of: Received.self)
        arrived = stream
        var router = Router()
        router.add("POST", "/bap/{action}") { [state] request in
            let received = Received(
                action: request[parameter: "action"],
                authorization: request.headers["Authorization"], body: request.body)
            let answer = state.withLock { state in
                state.received.append(received)
                return state.answers.isEmpty
                    ? (200, #"{"message":{"ack":{"status":"ACK"}}}"#) : state.answers.removeFirst()
            }
            continuation.yield(received)
            return .json(Array(answer.1.utf8), status: answer.0)
        }
        server = try WebServer(
            configuration: WebServerConfiguration(
                listeners: [Listener(port: 0)], loopKind: .poll), router: router)
        server.start()
    }

    var uri: String { "http://127.0.0.1:\(server.addresses[0].port)/bap" }

    /// The next `count` callbacks.
    func next(_ count: Int) async -> [Received] {
        var all: [Received] = []
        for await received in arrived {
            all.append(received)
            if all.count == count { break }
        }
        return all
    }
}

@Suite(.timeLimit(.minutes(1))) struct `The outbox` {
    private struct Post {
        let database: Database
        let outbox: Outbox
        let identity: BecknIdentity
        let clock: ManualClock
        let client: HTTPClient

        init() async throws {
            clock = ManualClock(Sample.noon)
            database = try await TestStore.open(readers: 0, clock: clock)
            try await database.migrate(BecknDoor.migrations)
            identity = BecknIdentity(
                subscriberID: "bpp.example.org", uniqueKeyID: "key-1",
                key: try Ed25519.PrivateKey())
            client = HTTPClient(.init(rules: .open))
            outbox = Outbox(
                database: database, client: client, identity: identity, clock: clock, log: .silent)
        }

        func put(_ action: BecknCallback, to uri: String, subject: String, _ id: String)
            async throws
        {
            let now = clock.now
            try await database.write { [outbox] transaction in
                try outbox.put(
                    Outbox.Callback(
                        subject: subject, url: "\(uri)/\(action.rawValue)",
                        bapID: "bap.example.org", action: action, messageID: id,
                        body: ["context": ["message_id": .string(id)], "message": [:]]),
                    at: now, in: transaction)
            }
        }

        func states() async throws -> [String] {
            try await database.read { transaction in
                try transaction.query("SELECT state FROM beckn_outbox ORDER BY seq").map {
                    try $0.text("state")
                }
            }
        }
    }

    @Test func `delivers signed bytes, in order for each subject`() async throws {
        let (post, app) = (try await Post(), try CallbackServer())
        for number in 1...3 {
            try await post.put(.onStatus, to: app.uri, subject: "a", "m-\(number)")
        }
        post.clock.advance(milliseconds: 50)
        let task = Task { try await post.outbox.run() }
        let received = await app.next(3)
        task.cancel()
        #expect(received.map(\.action) == ["on_status", "on_status", "on_status"])
        for (number, callback) in received.enumerated() {
            let json = try JSONValue(parsing: callback.body)
            #expect(json["context"]?["message_id"]?.string == "m-\(number + 1)")
            let signature = try BecknSignature(header: callback.authorization)
            let registry = SubscriberRegistry([
                .init(
                    id: "bpp.example.org", url: "https://bpp.example.org", type: "BPP",
                    keys: [
                        .init(uniqueKeyID: "key-1", publicKey: post.identity.publicKey)
                    ])
            ])
            try signature.verify(body: callback.body, registry: registry, now: post.clock.now)
        }
        await app.server.stop()
        post.client.stop()
    }

    @Test func `tries again after a refusal, and nobody else waits for it`() async throws {
        let nack = #"{"message":{"ack":{"status":"NACK"}}}"#
        let (post, sick) = (
            try await Post(), try CallbackServer(answers: [(500, "{}"), (200, nack)])
        )
        let well = try CallbackServer()
        try await post.put(.onUpdate, to: sick.uri, subject: "a", "m-1")
        try await post.put(.onUpdate, to: sick.uri, subject: "a", "m-2")
        try await post.put(.onUpdate, to: well.uri, subject: "b", "m-3")
        post.clock.advance(milliseconds: 50)
        let task = Task { try await post.outbox.run() }
        #expect(await well.next(1).count == 1)
        var arrived = await sick.next(1)
        for _ in 0..<2 {
            // The letter is laid back with a pause; the outbox sleeps on the clock by then.
            while try await post.states().first != "queued" { await Task.yield() }
            async let more = sick.next(1)
            let jumps = Task {
                while !Task.isCancelled {
                    post.clock.advance(milliseconds: 1000)
                    await Task.yield()
                }
            }
            arrived += await more
            jumps.cancel()
        }
        arrived += await sick.next(1)
        task.cancel()
        let ids = try arrived.map {
            try JSONValue(parsing: $0.body)["context"]?["message_id"]?.string
        }
        #expect(ids == ["m-1", "m-1", "m-1", "m-2"])
        await sick.server.stop()
        await well.server.stop()
        post.client.stop()
    }

    @Test func `forgets after its week what it gave up, but of money`() async throws {
        let (post, app) = (try await Post(), try CallbackServer())
        try await post.put(.onUpdate, to: app.uri, subject: "app|t-1", "m-1")
        try await post.put(.onSearch, to: app.uri, subject: "app|t-2", "m-2")
        let later = post.clock.now.advanced(bySeconds: 1)
        let left = try await post.database.write { transaction in
            try transaction.execute("UPDATE beckn_outbox SET state = 'parked'")
            try OrderStore().forgetRequests(before: later, in: transaction)
            return try transaction.query("SELECT action FROM beckn_outbox").map {
                try $0.text("action")
            }
        }
        #expect(left == ["on_update"])
        await app.server.stop()
        post.client.stop()
    }

    @Test func `shows what it gave up of money, and sends it when a person wants it`() async throws
    {
        let (post, app) = (try await Post(), try CallbackServer())
        let store = OutboxDeliveries(outbox: post.outbox)
        try await post.put(.onUpdate, to: app.uri, subject: "app|t-1", "m-1")
        try await post.put(.onSearch, to: app.uri, subject: "app|t-2", "m-2")
        try await post.put(.onStatus, to: app.uri, subject: "app|t-3", "m-3")
        let made = post.clock.now
        func late(_ moment: Timestamp) async throws -> [LateDelivery] {
            try await post.database.read { try store.late(before: moment, in: $0) }
        }
        #expect(try await late(made.advanced(bySeconds: -1)) == [])
        #expect(
            try await late(made)
                == [LateDelivery(reader: "beckn/bap.example.org", since: made)])
        _ = try await post.database.write { transaction in
            try transaction.execute(
                "UPDATE beckn_outbox SET state = 'parked', attempts = 9, last_error = 'HTTP 500'")
        }
        #expect(try await late(made) == [])
        let counts = try await post.database.read { try store.counts(in: $0) }
        #expect(counts == [StuckCount(reader: "beckn/bap.example.org", count: 2, since: made)])
        // A search is worth nothing minutes later.
        let stuck = try await post.database.read { try store.stuck(limit: 10, in: $0) }
        #expect(stuck.map(\.kind) == ["on_status", "on_update"])
        #expect(stuck.map(\.reason) == ["HTTP 500", "HTTP 500"])
        post.clock.advance(milliseconds: 30 * 86_400_000)
        let now = post.clock.now
        func retry(_ id: String, in store: OutboxDeliveries) async throws -> DeliveryRetry? {
            try await post.database.write { try store.retry(id, at: now, in: $0) }
        }
        func dismiss(_ id: String) async throws -> Bool {
            try await post.database.write { try store.dismiss(id, in: $0) }
        }
        let gone = OutboxDeliveries(outbox: nil)
        #expect(try await retry("callback~1", in: gone) == .nobodyReads)
        #expect(try await retry("callback~9", in: store) == nil)
        #expect(try await retry("1~ocpi~P~bill", in: store) == nil)
        #expect(try await retry("callback~1", in: store) == .asked)
        // What a person just had tried is not late since a month ago.
        let hours = now.advanced(bySeconds: -21_600)
        #expect(try await late(hours) == [])
        #expect(
            try await late(now) == [LateDelivery(reader: "beckn/bap.example.org", since: now)])
        #expect(try await dismiss("callback~3"))
        #expect(try await !dismiss("callback~3"))
        let task = Task { try await post.outbox.run() }
        let received = await app.next(1)
        #expect(received.map(\.action) == ["on_update"])
        while try await post.states().first != "delivered" {
            try Task.checkCancellation()
            await Task.yield()
        }
        task.cancel()
        #expect(try await post.states() == ["delivered", "parked", "dismissed"])
        try await post.database.write {
            try OrderStore().forgetRequests(before: now.advanced(bySeconds: 1), in: $0)
        }
        #expect(try await post.states() == [])
        await app.server.stop()
        post.client.stop()
    }

    @Test func `gives money a week and a search five minutes`() async throws {
        let post = try await Post()
        try await post.put(.onUpdate, to: "http://127.0.0.1:1", subject: "a", "m-1")
        try await post.put(.onSearch, to: "http://127.0.0.1:1", subject: "b", "m-2")
        let lives = try await post.database.read { transaction in
            try transaction.query("SELECT give_up_at, created_at FROM beckn_outbox ORDER BY seq")
                .map { try $0.int64("give_up_at") - $0.int64("created_at") }
        }
        #expect(lives == [7 * 86_400_000, 300_000])
    }
}
