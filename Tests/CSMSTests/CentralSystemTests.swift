import CPO
import Charging
import JSON
import OCPP
import TestSupport
import Testing
import Web

@testable import CSMS

@Suite struct `The OCPP door` {
    @Test func `greets an adopted station with the house's time and interval`() async throws {
        let rig = try await Rig()
        let station = try await rig.connect()
        let answer = try await station.boot()
        #expect(answer[0] == 3)
        #expect(answer[2]?["status"] == "Accepted")
        #expect(answer[2]?["currentTime"]?.time == Rig.noon)
        let interval = try #require(answer[2]?["interval"]?.int)
        #expect((270...330).contains(interval))
        #expect(try await rig.house.stations.station("CS-1")?.isOnline == true)
        await rig.end()
    }

    @Test func `answers a heartbeat`() async throws {
        let rig = try await Rig()
        let station = try await rig.connect()
        _ = try await station.boot()
        #expect(
            try await station.ask(#"[2,"h1","Heartbeat",{}]"#)
                == #"[3,"h1",{"currentTime":"\#(Rig.noon.rfc3339)"}]"#)
        await rig.end()
    }

    @Test func `answers pipelined calls in the order they came`() async throws {
        let rig = try await Rig()
        let station = try await rig.connect()
        for number in 0..<40 {
            let call =
                number % 3 == 0
                ? #"[2,"\#(number)","Heartbeat",{}]"#
                : #"[2,"\#(number)","StatusNotification",{"connectorId":1,"errorCode":"NoError","#
                    + #""status":"Available","timestamp":"2027-01-15T12:00:\#(10 + number)Z"}]"#
            try await station.send(call)
        }
        for number in 0..<40 {
            #expect(await station.next().hasPrefix(#"[3,"\#(number)","#))
        }
        await rig.end()
    }

    @Test func `gives a repeated start the same transaction, on a new socket too`() async throws {
        let rig = try await Rig()
        let first = try await rig.connect()
        _ = try await first.boot()
        let started = try await first.start("a")
        #expect(started["idTagInfo"]?["status"] == "Accepted")
        let number = try #require(started["transactionId"]?.int)
        #expect(number > 0)
        #expect(try await first.start("a") == started)
        let second = try await rig.connect()
        #expect(try await second.start("b")["transactionId"]?.int == number)
        #expect(try await rig.house.sessions.list().total == 1)
        await rig.end()
    }

    @Test func `stores meter values before it answers them`() async throws {
        let rig = try await Rig()
        let station = try await rig.connect()
        _ = try await station.boot()
        let number = try #require(try await station.start()["transactionId"]?.int)
        #expect(
            try await station.ask(
                #"[2,"m","MeterValues",{"connectorId":1,"transactionId":\#(number),"meterValue":["#
                    + #"{"timestamp":"2027-01-15T12:01:00Z","sampledValue":[{"value":"1.25","#
                    + #""unit":"kWh"}]}]}]"#) == #"[3,"m",{}]"#)
        let session = try #require(rig.house.sessions.running().first)
        #expect(session.energy == WattHours(250))
        await rig.end()
    }

    @Test func `answers garbage with the right error and stays`() async throws {
        let rig = try await Rig()
        let station = try await rig.connect()
        _ = try await station.boot()
        let cases = [
            (#"[2,"1","MakeCoffee",{}]"#, #"[4,"1","NotImplemented""#),
            (#"[2,"2","ReserveNow",{}]"#, #"[4,"2","NotSupported""#),
            (#"[2,"3","Authorize",{}]"#, #"[4,"3","ProtocolError""#),
            (#"[2,"4","Authorize",{"idTag":{}}]"#, #"[4,"4","TypeConstraintViolation""#),
            (#"[2,"5","Authorize",{"#, #"[4,"5","FormationViolation""#),
            (#"[2,"6","Authorize",[]]"#, #"[4,"6","FormationViolation""#),
        ]
        for (call, answer) in cases {
            #expect(try await station.ask(call).hasPrefix(answer))
        }
        // Nobody can be answered here, and the next call is served all the same.
        for noise in ["", "hello", "[9,\"x\"]", "{}", "[3,\"nobody\",{}]", "\u{0}"] {
            try await station.send(noise)
        }
        #expect(try await station.ask(#"[2,"7","Heartbeat",{}]"#).hasPrefix(#"[3,"7""#))
        let kinds = try await rig.center.deviations(of: "CS-1").map(\.kind)
        #expect(kinds.contains("broken-json"))
        #expect(kinds.contains("message-type-unknown"))
        #expect(kinds.contains("answer-nobody-waits-for"))
        await rig.end()
    }

    @Test func `closes a socket that only makes noise`() async throws {
        let rig = try await Rig {
            $0.lowestSecurityProfile = 0
            $0.unreadableInARow = 3
        }
        let station = try await rig.connect()
        for _ in 0..<3 { try await station.send("noise") }
        #expect(await station.next() == "closed")
        await rig.end()
    }

    @Test func `lets the newest socket win and the old one's end change nothing`() async throws {
        let rig = try await Rig()
        let old = try await rig.connect()
        _ = try await old.boot()
        let new = try await rig.connect()
        _ = try await new.boot()
        #expect(await old.next() == "closed")
        #expect(try await rig.house.stations.station("CS-1")?.isOnline == true)
        #expect(rig.center.linkCount == 1)
        #expect(try await new.ask(#"[2,"h","Heartbeat",{}]"#).hasPrefix(#"[3,"h""#))
        await rig.end()
    }

    @Test func `asks a station that says nothing of its connectors after its boot`() async throws {
        let rig = try await Rig()
        let station = try await rig.connect()
        _ = try await station.boot()
        await rig.clock.sleepers(atLeast: 1)
        rig.clock.advance(milliseconds: 10_000)
        let call = try JSONValue(parsing: await station.next())
        #expect(call[3]?["requestedMessage"] == "StatusNotification")
        await rig.end()
    }

    @Test func `masks a password in the message log`() async throws {
        let rig = try await Rig()
        let station = try await rig.connect()
        _ = try await station.boot()
        let answer = Task {
            try await rig.center.send(
                .changeSetting(key: "AuthorizationKey", value: "deadbeefdeadbeefdeadbeefdeadbeef"),
                to: "CS-1", deadlineSeconds: 5)
        }
        let call = try JSONValue(parsing: await station.next())
        #expect(call[2] == "ChangeConfiguration")
        try await station.send(#"[3,"\#(call[1]?.string ?? "")",{"status":"Accepted"}]"#)
        #expect(try await answer.value == .status("Accepted"))
        let logged = try await rig.center.messages(station: "CS-1")
        let line = try #require(logged.first { $0.action == "ChangeConfiguration" })
        #expect(!line.request.contains("deadbeef"))
        #expect(line.request.contains("***"))
        #expect(line.answer?.contains("Accepted") == true)
        await rig.end()
    }
}

@Suite struct `The handshake` {
    @Test func `keeps an adopted station's first password`() async throws {
        let rig = try await Rig()
        let station = try await rig.connect(password: "0123456789abcdef")
        _ = try await station.boot()
        #expect(await rig.refusal(password: "another-password") == 401)
        #expect(await rig.refusal() == 401)
        #expect(await rig.refusal(password: "0123456789abcdef") == nil)
        let reasons = try await rig.center.refusals().map(\.reason)
        #expect(reasons.contains("the password is wrong"))
        #expect(reasons.contains("no password was sent"))
        await rig.end()
    }

    @Test func `takes the key as bytes and as hexadecimal digits`() async throws {
        let rig = try await Rig()
        _ = try await rig.connect().boot()
        try await rig.center.setPassword("30313233343536373839414243444546", for: "CS-1")
        #expect(await rig.refusal(password: "0123456789ABCDEF") == nil)
        #expect(await rig.refusal(password: "30313233343536373839414243444546") == nil)
        #expect(await rig.refusal(password: "30313233343536373839414243444540") == 401)
        await rig.end()
    }

    @Test func `refuses a user that is not the station`() async throws {
        let rig = try await Rig()
        #expect(await rig.refusal(password: "0123456789abcdef", user: "CS-2") == 401)
        await rig.end()
    }

    @Test func `turns unknown stations away where the house says so`() async throws {
        let rig = try await Rig(unknownStations: .refuse)
        #expect(await rig.refusal("stranger") == 404)
        #expect(try await rig.center.refusals().first?.station == "stranger")
        await rig.end()
    }

    @Test func `asks for a password unless the house takes none`() async throws {
        let rig = try await Rig { $0.lowestSecurityProfile = 1 }
        #expect(await rig.refusal() == 401)
        #expect(await rig.refusal(password: "0123456789abcdef") == nil)
        await rig.end()
    }

    @Test func `finds a station ignoring case and keeps the registry's spelling`() async throws {
        let rig = try await Rig()
        _ = try await rig.connect("CS-1").boot()
        _ = try await rig.connect("cs-1").boot()
        #expect(try await rig.house.stations.list().map(\.id) == ["CS-1"])
        await rig.end()
    }

    @Test func `speaks no version it does not know`() async throws {
        let rig = try await Rig()
        await #expect(throws: WebSocketClientError.self) {
            try await rig.connect(subprotocols: ["ocpp2.1"])
        }
        #expect(try await rig.center.refusals().first?.reason == "no OCPP version in common")
        await rig.end()
    }
}

@Suite struct `A station in the inbox` {
    @Test func `is told to wait, and its money is kept`() async throws {
        let rig = try await Rig(unknownStations: .inbox)
        let station = try await rig.connect()
        let boot = try await station.boot()
        #expect(boot[2]?["status"] == "Pending")
        #expect(boot[2]?["interval"] == 60)
        let shown = rig.center.access(of: "CS-1")?.shown
        #expect(shown?["cameFrom"]?.string == Neighbourhood(of: "127.0.0.1").text)
        #expect(shown?["hasPassword"] == false)
        #expect(
            try await station.ask(#"[2,"h","Heartbeat",{}]"#).hasPrefix(#"[4,"h","SecurityError""#))
        #expect(try await station.start()["transactionId"]?.int ?? 0 > 0)
        await rig.end()
    }

    @Test func `is accepted at its next boot once it is adopted`() async throws {
        let rig = try await Rig(unknownStations: .inbox)
        let running = Task { await rig.center.run() }
        let station = try await rig.connect()
        _ = try await station.boot()
        try await rig.house.write { [rig] transaction in
            _ = try rig.house.stations.register(
                "CS-1", .accepted, at: Rig.noon, in: transaction)
        }
        // The log's task and the follower's pause.
        await rig.clock.sleepers(atLeast: 2)
        rig.clock.advance(milliseconds: 250)
        let trigger = try JSONValue(parsing: await station.next())
        #expect(trigger[3]?["requestedMessage"] == "BootNotification")
        try await station.send(#"[3,"\(trigger[1]?.string ?? "")",{"status":"Accepted"}]"#)
        #expect(try await station.boot()[2]?["status"] == "Accepted")
        #expect(try await station.ask(#"[2,"h","Heartbeat",{}]"#).hasPrefix(#"[3,"h""#))
        running.cancel()
        await running.value
        await rig.end()
    }
}

@Suite struct `A command over the door` {
    @Test func `goes out one at a time and comes back by its id`() async throws {
        let rig = try await Rig()
        let station = try await rig.connect()
        _ = try await station.boot()
        let reset = Task {
            try await rig.center.send(.reset(.soft), to: "CS-1", deadlineSeconds: 5)
        }
        let first = try JSONValue(parsing: await station.next())
        #expect(first[2] == "Reset")
        let clear = Task {
            try await rig.center.send(.clearCache, to: "cs-1", deadlineSeconds: 5)
        }
        // A call of the station's crosses ours and is served.
        #expect(try await station.ask(#"[2,"h","Heartbeat",{}]"#).hasPrefix(#"[3,"h""#))
        try await station.send(#"[3,"\#(first[1]?.string ?? "")",{"status":"Accepted"}]"#)
        #expect(try await reset.value == .status("Accepted"))
        let second = try JSONValue(parsing: await station.next())
        #expect(second[2] == "ClearCache")
        try await station.send(#"[4,"\#(second[1]?.string ?? "")","NotSupported","no",{}]"#)
        await #expect(throws: StationLinkError.refused(code: "NotSupported", description: "no")) {
            try await clear.value
        }
        await rig.end()
    }

    @Test func `fails where there is no link, and when the link is lost`() async throws {
        let rig = try await Rig()
        await #expect(throws: StationLinkError.offline) {
            try await rig.center.send(.clearCache, to: "CS-1", deadlineSeconds: 5)
        }
        let station = try await rig.connect()
        _ = try await station.boot()
        let unlock = Task {
            try await rig.center.send(
                .unlock(connector: 1), to: "CS-1", deadlineSeconds: 5)
        }
        _ = await station.next()
        await station.client.close()
        await #expect(throws: StationLinkError.lost) { try await unlock.value }
        await rig.end()
    }

    @Test func `times out by the queue's clock and drops the late answer`() async throws {
        let rig = try await Rig()
        let station = try await rig.connect()
        _ = try await station.boot()
        let unlock = Task {
            try await rig.center.send(
                .unlock(connector: 1), to: "CS-1", deadlineSeconds: 5)
        }
        let call = try JSONValue(parsing: await station.next())
        // The timer of the call, beside the one that asks for a status.
        await rig.clock.sleepers(atLeast: 2)
        rig.clock.advance(milliseconds: 5000)
        await #expect(throws: StationLinkError.timedOut) { try await unlock.value }
        try await station.send(#"[3,"\#(call[1]?.string ?? "")",{"status":"Unlocked"}]"#)
        #expect(try await station.ask(#"[2,"h","Heartbeat",{}]"#).hasPrefix(#"[3,"h""#))
        #expect(
            try await rig.center.deviations(of: "CS-1").map(\.kind)
                == ["answer-nobody-waits-for"])
        await rig.end()
    }

    @Test func `is not understood when the answer is no word of the action`() async throws {
        let rig = try await Rig()
        let station = try await rig.connect()
        _ = try await station.boot()
        let reset = Task {
            try await rig.center.send(.reset(.hard), to: "CS-1", deadlineSeconds: 5)
        }
        let call = try JSONValue(parsing: await station.next())
        try await station.send(#"[3,"\#(call[1]?.string ?? "")",{"status":"Maybe"}]"#)
        await #expect(throws: StationLinkError.notUnderstood("Maybe")) { try await reset.value }
        await rig.end()
    }

    @Test func `travels from a row to the station and back`() async throws {
        let rig = try await Rig()
        let carrying = Task {
            try await rig.house.commands.run(rig.house, over: rig.center)
        }
        let station = try await rig.connect()
        _ = try await station.boot()
        let command = try await rig.house.send(
            .clearCache, to: "CS-1", origin: CommandOrigin(door: "api", reference: "test"))
        let call = try JSONValue(parsing: await station.next())
        #expect(call[2] == "ClearCache")
        try await station.send(#"[3,"\#(call[1]?.string ?? "")",{"status":"Accepted"}]"#)
        var last: Command.State?
        for await change in rig.house.commands.changes(of: command.id) { last = change.state }
        #expect(last == .seen)
        carrying.cancel()
        _ = await carrying.result
        await rig.end()
    }
}
