import CPO
import Charging
import JSON
import SQL
import TestSupport
import Testing
import Web

@testable import CSMS

@Suite struct `A station's messages` {
    @Test func `come as fast as they may, with a store for a burst`() {
        var bucket = TokenBucket(perSecond: 20, burst: 200, at: 0)
        for _ in 1...199 { #expect(bucket.take(at: 0) == 0) }
        // Twenty are there again after a second.
        #expect(bucket.take(at: 0) == 1000)
        for _ in 1...19 { #expect(bucket.take(at: 1000) == 0) }
        #expect(bucket.take(at: 1000) == 1000)
        // What had been read already is a debt.
        #expect(bucket.take(at: 1000) == 1050)
        // A night of silence gives no more than the burst.
        for _ in 1...199 { #expect(bucket.take(at: 90_000_000) == 0) }
        #expect(bucket.take(at: 90_000_000) == 1000)
    }

    @Test func `have no bound where none is set`() {
        var bucket = TokenBucket(perSecond: 0, burst: 1, at: 0)
        for _ in 1...1000 { #expect(bucket.take(at: 0) == 0) }
    }

    @Test func `wait in its own queue when they are too many, and all are answered`() async throws {
        let rig = try await Rig {
            $0.lowestSecurityProfile = 0
            $0.messagesPerSecond = 1
            $0.messageBurst = 2
        }
        let station = try await rig.connect()
        _ = try await station.boot()
        #expect(try await station.ask(#"[2,"1","Heartbeat",{}]"#).hasPrefix(#"[3,"1""#))
        let link = try #require(rig.center.links["CS-1"])
        try #require(await !isReading(link, on: link.connection.shard))
        for id in 2...4 { try await station.send(#"[2,"\#(id)","Heartbeat",{}]"#) }
        // Beside the bucket's wait sleeps the one that asks for a status.
        var answered: [String] = []
        for _ in 2...4 {
            await rig.clock.sleepers(atLeast: 2)
            rig.clock.advance(milliseconds: 1000)
            answered.append(String(await station.next().prefix(6)))
        }
        #expect(answered == [#"[3,"2""#, #"[3,"3""#, #"[3,"4""#])
        let seen = try await rig.center.deviations(of: "CS-1")
        #expect(seen.map(\.kind) == ["too-many-messages"])
        await rig.end()
    }

    private func isReading(_ link: StationLink, on shard: isolated Shard) -> Bool { link.isReading }
}

@Suite(.timeLimit(.minutes(1))) struct `Two devices by one id` {
    @Test func `are held off by what they say they are, though they share an address`() async throws
    {
        let rig = try await Rig {
            $0.lowestSecurityProfile = 0
            $0.replacementsInFiveMinutes = 3
        }
        func boot(_ station: Peer, _ serial: String) async throws -> String {
            try await station.ask(
                #"[2,"\#(serial)","BootNotification",{"chargePointModel":"M","#
                    + #""chargePointVendor":"V","chargePointSerialNumber":"\#(serial)"}]"#)
        }
        // One that says the same each time is one.
        for _ in 0..<5 { _ = try await boot(rig.connect(), "A") }
        for serial in ["B", "A", "B"] { _ = try await boot(rig.connect(), serial) }
        #expect(rig.center.holds().isEmpty)
        let last = try await rig.connect()
        _ = try await boot(last, "A")
        #expect(await last.next() == "closed")
        #expect(await rig.refusal() == 429)
        let hold = try #require(rig.center.holds().first)
        #expect(hold.reason == .severalDevices)
        #expect(hold.devices == ["V M, serial B", "V M, serial A"])
        await rig.end()
    }
}

@Suite struct `A station that connects too often` {
    private func restless() async throws -> Rig {
        let rig = try await Rig {
            $0.lowestSecurityProfile = 0
            $0.connectsAnHour = 2
        }
        for _ in 1...2 { #expect(await rig.refusal() == nil) }
        #expect(await rig.refusal() == 429)
        return rig
    }

    @Test func `is held off for an hour, and nobody else is`() async throws {
        let rig = try await restless()
        let hold = try #require(rig.center.holds().first)
        #expect(hold.station == "CS-1")
        #expect(hold.reason == .tooManyConnects)
        #expect(hold.addresses == ["127.0.0.1"])
        #expect(await rig.refusal("CS-2") == nil)
        #expect(
            try await rig.center.refusals().map(\.reason)
                == ["it is held off for connecting too often"])
        rig.clock.advance(milliseconds: 3_600_000 - 1)
        #expect(await rig.refusal() == 429)
        rig.clock.advance(milliseconds: 1)
        #expect(await rig.refusal() == nil)
        #expect(rig.center.holds().isEmpty)
        await rig.end()
    }

    @Test func `comes again when the operator says so`() async throws {
        let rig = try await restless()
        #expect(try await rig.center.liftHold(of: "cs-1") { _ in })
        #expect(await rig.refusal() == nil)
        #expect(try await rig.center.liftHold(of: "CS-1") { _ in } == false)
        await rig.end()
    }

    @Test func `is not held off by somebody without its password`() async throws {
        let rig = try await Rig {
            $0.lowestSecurityProfile = 0
            $0.connectsAnHour = 2
        }
        #expect(await rig.refusal(password: "0123456789abcdef") == nil)
        for _ in 1...5 { #expect(await rig.refusal(password: "another-password") == 401) }
        #expect(await rig.refusal(password: "0123456789abcdef") == nil)
        await rig.end()
    }

    @Test func `is one device, though it tells its serial at some boots only`() {
        var settings = CentralSystemSettings()
        settings.replacementsInFiveMinutes = 2
        let quarantine = Quarantine(settings: settings)
        func boot(_ serial: String?) -> StationHold? {
            quarantine.booted(
                "CS-1", as: StationIdentity(vendor: "V", model: "M", serial: serial),
                from: "192.0.2.1", at: Rig.noon)
        }
        for _ in 0..<5 {
            for serial in ["A", nil, "a"] { #expect(boot(serial) == nil) }
        }
        // A serial that was told once is remembered through boots without.
        for serial in ["A", nil, "B", nil, "A", nil] { #expect(boot(serial) == nil) }
        #expect(boot("B")?.reason == .severalDevices)
    }

    @Test func `from several addresses is said to be several devices`() {
        let quarantine = Quarantine(settings: CentralSystemSettings())
        func connect(_ address: String, _ replacements: Int) -> StationHold? {
            quarantine.connecting(
                "CS-1", from: address, replacements: replacements, at: Rig.noon)
        }
        #expect(connect("192.0.2.1", 6) == nil)
        let hold = connect("192.0.2.2", 7)
        #expect(hold?.reason == .severalDevices)
        #expect(hold?.addresses == ["192.0.2.1", "192.0.2.2"])
    }
}

@Suite struct `A fleet` {
    @Test func `does not beat as one`() async throws {
        let rig = try await Rig()
        var intervals: Set<Int> = []
        for number in 1...30 {
            let boot = try await rig.connect("CS-\(number)").boot()
            intervals.insert(try #require(boot[2]?["interval"]?.int))
        }
        #expect(intervals.allSatisfy { (270...330).contains($0) })
        #expect(intervals.count > 15)
        // The same again for the same station, so that a reboot moves nothing.
        let (first, again) = (
            try await rig.connect("CS-1").boot(), try await rig.connect("CS-1").boot()
        )
        #expect(first[2]?["interval"] == again[2]?["interval"])
        await rig.end()
    }
}

@Suite struct `The message log` {
    @Test func `is searched by action, text and time`() async throws {
        let rig = try await Rig()
        let station = try await rig.connect()
        _ = try await station.boot()
        try await tell(station)
        _ = try await station.ask(#"[2,"a1","Authorize",{"idTag":"DRIVER_1"}]"#)
        rig.clock.advance(milliseconds: 60_000)
        _ = try await station.ask(#"[2,"a2","Authorize",{"idTag":"DRIVER-1"}]"#)
        _ = try await station.ask(#"[2,"h2","Heartbeat",{}]"#)
        func found(_ filter: MessageFilter) async throws -> [String] {
            try await rig.center.messages(filter).map(\.messageID)
        }
        #expect(try await found(MessageFilter(station: "CS-1")) == ["a2", "a1", "s", "boot"])
        #expect(try await found(MessageFilter(action: "authorize")) == ["a2", "a1"])
        // An underscore is one, not any character.
        #expect(try await found(MessageFilter(text: "driver_1")) == ["a1"])
        #expect(try await found(MessageFilter(text: "%")) == [])
        let later = Rig.noon.advanced(bySeconds: 60)
        #expect(try await found(MessageFilter(from: later)) == ["a2"])
        #expect(try await found(MessageFilter(action: "Authorize", until: later)) == ["a1"])
        #expect(try await found(MessageFilter(station: "CS-2")) == [])
        await rig.end()
    }

    /// One that told its status is not asked for it.
    private func tell(_ station: Peer) async throws {
        _ = try await station.ask(
            #"[2,"s","StatusNotification",{"connectorId":1,"errorCode":"NoError","#
                + #""status":"Available","timestamp":"2027-01-15T12:00:00Z"}]"#)
        // What was answered before is logged by now.
        _ = try await station.ask(#"[2,"h","Heartbeat",{}]"#)
    }

    @Test func `forgets what is too old`() async throws {
        let rig = try await Rig {
            $0.lowestSecurityProfile = 0
            $0.messageDays = 2
        }
        let station = try await rig.connect()
        _ = try await station.boot()
        try await tell(station)
        #expect(try await rig.center.messages().map(\.messageID) == ["s", "boot"])
        rig.clock.advance(milliseconds: 2 * 86_400_000 + 1)
        _ = try await station.ask(#"[2,"a","Authorize",{"idTag":"DRIVER-1"}]"#)
        _ = try await station.ask(#"[2,"h2","Heartbeat",{}]"#)
        #expect(try await rig.center.messages().map(\.messageID) == ["a"])
        await rig.end()
    }

    /// After months in which nothing was forgotten, as when the days were made fewer.
    @Test func `keeps no more of a made-up action than any action has`() async throws {
        let rig = try await Rig { $0.lowestSecurityProfile = 0 }
        let station = try await rig.connect()
        _ = try await station.boot()
        _ = try await station.ask("[2,\"long\",\"\(String(repeating: "x", count: 9000))\",{}]")
        _ = try await station.ask(#"[2,"h","Heartbeat",{}]"#)
        let kept = try await rig.center.messages().first { $0.messageID == "long" }
        #expect(kept?.action.utf8.count == MessageLog.actionBytes)
        await rig.end()
    }

    @Test func `waits in memory up to so many bytes, whoever sends them`() async throws {
        let rig = try await Rig()
        let frame = [UInt8](repeating: 0x20, count: 1 << 20)
        for number in 0..<80 {
            rig.center.log.add(
                MessageLog.Line(
                    station: "CS-1", at: Rig.noon, isInbound: true, action: "X",
                    messageID: "m-\(number)", request: frame))
        }
        #expect(try await rig.center.messages().count == MessageLog.mostBytesWaiting >> 20)
        // What was written waits no more.
        rig.center.log.add(
            MessageLog.Line(
                station: "CS-1", at: Rig.noon, isInbound: true, action: "X", messageID: "last",
                request: frame))
        #expect(try await rig.center.messages().first?.messageID == "last")
        await rig.end()
    }

    @Test func `forgets much in several transactions, although nobody says anything`()
        async throws
    {
        let rig = try await Rig { $0.messageDays = 2 }
        let much = MessageLog.forgottenAtOnce + 10
        let old = Rig.noon.advanced(bySeconds: -3 * 86_400)
        try await rig.house.database.write { transaction in
            for number in 0..<much {
                try transaction.execute(
                    """
                    INSERT INTO csms_message (station, at, is_inbound, action, message_id, request)
                    VALUES ('CS-1', ?, 1, 'Heartbeat', ?, '{}')
                    """, old, "m-\(number)")
            }
        }
        #expect(try await rig.center.messages().count == 10)
        #expect(try await rig.center.messages().isEmpty)
        await rig.end()
    }

    @Test func `counts a known station that offers no version of OCPP`() async throws {
        let rig = try await Rig()
        _ = try await rig.connect().boot()
        let socket = try RawSocket(port: rig.port)
        let head =
            "GET /ocpp/CS-1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        await socket.send(Array(head.utf8))
        _ = await socket.readAll()
        #expect(try await rig.center.deviations(of: "CS-1").map(\.kind) == ["subprotocol-missing"])
        #expect(try await rig.center.refusals().first?.reason == "no OCPP version in common")
        await rig.end()
    }
}
