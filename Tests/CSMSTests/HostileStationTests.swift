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
        #expect(rig.center.directory.pendingCount == 0)
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
}
