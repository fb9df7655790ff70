import CPO
import Charging
import JSON
import TestSupport
import Testing

@testable import CSMS

@Suite struct `A stranger at the OCPP door` {
    @Test func `guesses a password a few times a minute, and locks nobody else out`() async throws {
        let rig = try await Rig { $0.wrongPasswordsAMinute = 3 }
        #expect(await rig.refusal(password: "0123456789abcdef") == nil)
        for _ in 0..<3 { #expect(await rig.refusal(password: "another-password") == 401) }
        // Not checked any more, so the right one among the guesses would tell nothing either.
        #expect(await rig.refusal(password: "0123456789abcdef") == 429)
        #expect(await rig.refusal("CS-2", password: "0123456789abcdef") == nil)
        rig.clock.advance(milliseconds: 61_000)
        #expect(await rig.refusal(password: "0123456789abcdef") == nil)
        await rig.end()
    }

    @Test func `remembers no more guessers than it may`() {
        var settings = CentralSystemSettings()
        settings.wrongPasswordsAMinute = 1
        settings.wrongPasswordPairs = 2
        let clock = ManualClock(Rig.noon)
        let tries = WrongPasswords(settings: settings, clock: clock)
        func pair(_ number: Int) -> WrongPasswords.Pair {
            .init(address: "192.0.2.\(number)", station: "cs-1")
        }
        for number in 1...3 { tries.count(pair(number)) }
        #expect([1, 2, 3].map { tries.mayTry(pair($0)) } == [false, false, true])
        clock.advance(milliseconds: 60_000)
        tries.count(pair(3))
        #expect([1, 2, 3].map { tries.mayTry(pair($0)) } == [true, true, false])
    }

    @Test func `goes from station to station no longer than an address may`() async throws {
        let rig = try await Rig {
            $0.wrongPasswordsAMinute = 2
            $0.wrongPasswordsOfAddress = 3
        }
        for id in ["CS-1", "CS-2", "CS-3", "CS-4"] {
            _ = try await rig.connect(id, password: "0123456789abcdef").boot()
        }
        for id in ["CS-2", "CS-3", "CS-4"] {
            #expect(await rig.refusal(id, password: "another-password") == 401)
        }
        #expect(await rig.refusal("CS-1", password: "another-password") == 429)
        // The others behind the same address come in, though none of them came before.
        for id in ["CS-1", "CS-2", "CS-3"] {
            #expect(await rig.refusal(id, password: "0123456789abcdef") == nil)
        }
        rig.clock.advance(milliseconds: 60_000)
        #expect(await rig.refusal("CS-1", password: "another-password") == 401)
        await rig.end()
    }

    @Test func `is counted by no address where the operator wants no bound`() async throws {
        let rig = try await Rig(unknownStations: .inbox) {
            $0.lowestSecurityProfile = 0
            $0.wrongPasswordsOfAddress = 0
            $0.pendingStationsOfAddress = 0
            $0.refusalsOfAddress = 0
        }
        for number in 1...3 {
            _ = try await rig.connect("CS-\(number)", password: "0123456789abcdef").boot()
        }
        for number in 1...3 {
            #expect(await rig.refusal("CS-\(number)", password: "another-password") == 401)
        }
        #expect(try await rig.center.refusals().count == 3)
        await rig.end()
    }

    @Test func `leaves each his share of a list, and what is spare to the newest`() {
        let share = FairShare<Int>(most: 10, mostOfOne: 6)
        // 1 of the first, 3 of the second, 9 of the third, 4 of the fourth; keys grow with time.
        var entries: [FairShare<Int>.Entry] = []
        for (owner, count) in [1, 3, 9, 4].enumerated() {
            for number in 0..<count {
                entries.append(
                    .init(
                        key: owner * 100 + number, owner: Neighbourhood(of: "192.0.2.\(owner)"),
                        at: Int64(number * 10 + owner)))
            }
        }
        // Six of the third may stay by themselves; then three of everybody who has as many.
        #expect(
            share.excess(of: entries).sorted() == [200, 201, 202, 203, 204, 205, 300])
        #expect(FairShare<Int>(most: 17, mostOfOne: .max).excess(of: entries).isEmpty)
        // Of the two that would have four the one whose fourth is older has three.
        #expect(
            FairShare<Int>(most: 11, mostOfOne: .max).excess(of: entries).sorted()
                == [200, 201, 202, 203, 204, 300])
        // More owners than places: the newest of them have one each.
        #expect(
            FairShare<Int>(most: 2, mostOfOne: .max).excess(of: entries).count == 15)
        #expect(FairShare<Int>(most: 0, mostOfOne: .max).excess(of: entries).count == 17)
    }

    @Test func `has no password that is empty`() async throws {
        let rig = try await Rig { $0.lowestSecurityProfile = 1 }
        #expect(await rig.refusal(password: "") == 401)
        await rig.end()
    }

    @Test(arguments: [
        "CS\u{202E}1", "CS\u{200B}1", "CS\u{0085}1", "CS\u{FEFF}1", "CS\u{FFFD}1", "CS\u{0}1",
        "CS\n1", ".", "..",
    ])
    func `has no id that looks like another's or cannot be managed`(id: String) {
        #expect(Admission.stationID(path: "/ocpp/\(id)") == nil)
    }

    @Test func `takes no place in the inbox by a handshake that never opens`() async throws {
        let rig = try await Rig(unknownStations: .inbox) { $0.pendingStations = 1 }
        let names = (0..<20).map { "ocpp1.6.made-up-\($0)" }.joined(separator: ",")
        for number in 1...3 {
            let socket = try RawSocket(port: rig.port)
            await socket.send(
                Array(
                    ("GET /ocpp/GHOST-\(number) HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                        + "Connection: Upgrade\r\nSec-WebSocket-Protocol: ocpp1.6,\(names)\r\n"
                        + "Sec-WebSocket-Version: 13\r\n"
                        + "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n").utf8))
            let answer = await socket.readAll()
            #expect(answer.hasPrefix("HTTP/1.1 400"))
        }
        let here = Neighbourhood(of: "127.0.0.1")
        #expect(rig.center.directory.waiting(near: here, at: 0) == (0, 0))
        #expect(await rig.refusal(password: "0123456789abcdef") == nil)
        await rig.end()
    }

    @Test func `cannot bill a driver from the inbox, nor ask which tags are good`() async throws {
        let rig = try await Rig(unknownStations: .inbox)
        let station = try await rig.connect()
        _ = try await station.boot()
        let started = try await station.start(token: "DRIVER-1")
        #expect(started["idTagInfo"]?["status"] == "Invalid")
        let number = try #require(started["transactionId"]?.int)
        let stopped = try await station.ask(
            #"[2,"stop","StopTransaction",{"transactionId":\#(number),"idTag":"DRIVER-1","#
                + #""meterStop":91000,"timestamp":"2027-01-15T12:30:00Z"}]"#)
        #expect(stopped.contains("Invalid"))
        // What it claims is kept for the operator, on nobody's contract.
        let found = try await rig.house.sessions.list(Sessions.Filter(), offset: 0, limit: 10)
        #expect(found.sessions.map(\.token.kind) == [.other])
        #expect(found.sessions.map(\.token.isValid) == [false])
        await rig.end()
    }

    @Test func `leaves room in the inbox for who comes from elsewhere`() async throws {
        let rig = try await Rig(unknownStations: .inbox) {
            $0.lowestSecurityProfile = 0
            $0.pendingStationsOfAddress = 2
        }
        for number in 1...2 { _ = try await rig.connect("GHOST-\(number)").boot() }
        #expect(await rig.refusal("GHOST-3") == 429)
        // One that waits already may come again.
        #expect(await rig.refusal("GHOST-2") == nil)
        let reasons = try await rig.center.refusals().map(\.reason)
        #expect(reasons == ["too many stations from this address wait to be adopted"])
        let elsewhere = Neighbourhood(of: "192.0.2.7")
        let now = rig.clock.monotonicMilliseconds
        #expect(rig.center.directory.waiting(near: elsewhere, at: now) == (2, 0))
        // It is known after a restart where they came from.
        let again = StationDirectory()
        try await again.load(from: rig.house)
        #expect(again.waiting(near: Neighbourhood(of: "127.0.0.1"), at: now) == (2, 2))
        // Who is taken in makes room.
        try await rig.house.write { [rig] transaction in
            _ = try rig.house.stations.register(
                "GHOST-1", .accepted, at: Rig.noon, in: transaction)
        }
        _ = try await rig.connect("GHOST-1").boot()
        #expect(await rig.refusal("GHOST-3") == nil)
        let access = try await rig.house.read { try StationAccess.stored("GHOST-1", in: $0) }
        #expect(access.cameFrom == nil)
        await rig.end()
    }

    @Test func `keeps an id by a socket that never opens for a minute only`() {
        let directory = StationDirectory()
        let here = Neighbourhood(of: "192.0.2.7")
        func claim(_ password: String, at: Int64) -> Bool {
            let bytes = Array(password.utf8)
            return directory.claim(
                "CS-1",
                .init(verifier: StationVerifier(password: bytes, .random), from: here, at: at),
                with: bytes)
        }
        #expect(claim("password-of-a-stranger", at: 0))
        #expect(!claim("password-of-the-charger", at: 59_999))
        #expect(directory.waiting(near: here, at: 59_999) == (1, 1))
        #expect(directory.waiting(near: here, at: 60_000) == (0, 0))
        #expect(claim("password-of-the-charger", at: 60_000))
    }

    @Test func `has nobody else's refusal forgotten by a thousand of his own`() async throws {
        let rig = try await Rig {
            $0.refusalsKept = 20
            $0.refusalsOfAddress = 8
        }
        func refused(_ station: String, _ address: String, at second: Int64) async {
            rig.center.log.refused(
                station, .wrongPassword, from: address,
                at: Rig.noon.advanced(bySeconds: second))
            await rig.center.log.flush()
        }
        await refused("CS-1", "192.0.2.1", at: 0)
        await refused("CS-2", "192.0.2.2", at: 1)
        for number in 0..<40 {
            // One line of IPv6 has as many addresses as it likes.
            await refused("GHOST-\(number)", "2001:db8::\(number)", at: 10 + Int64(number))
        }
        var kept = try await rig.center.refusals().map(\.station)
        #expect(kept.suffix(2) == ["cs-2", "cs-1"])
        #expect(kept.dropLast(2) == (32..<40).reversed().map { "ghost-\($0)" })
        // Many together: who has most loses first, his oldest first.
        for number in 0..<14 {
            await refused("SHADE-\(number)", "198.51.100.\(number % 7)", at: 100 + Int64(number))
        }
        kept = try await rig.center.refusals().map(\.station)
        #expect(kept.count == 20)
        #expect(kept.suffix(2) == ["cs-2", "cs-1"])
        #expect(kept.count { $0.hasPrefix("shade") } == 14)
        await rig.end()
    }

    @Test(arguments: [
        ("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:DB8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("2001:db8::1", "2001:db8:0:0::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"), ("fe80::1%eth0", "fe80:0:0:0::/64"),
        ("::1", "0:0:0:0::/64"), ("", ""),
    ])
    func `is counted by his line, not by each of its addresses`(address: String, place: String) {
        #expect(Neighbourhood(of: address).text == place)
    }
}
