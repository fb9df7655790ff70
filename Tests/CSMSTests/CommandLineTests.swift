import CPO
import Charging
import JSON
import OCPP
import SQL
import TestSupport
import Testing
import Web

@testable import CSMS

@Suite struct `A raw command` {
    private func checked(
        _ rig: Rig, _ action: String, _ payload: String
    ) throws(CommandProblem) -> StationCommand {
        try rig.center.checked(.foreign(action: action, payload: payload), for: "CS-1")
    }

    @Test func `goes out with its keys sorted and nothing else changed`() async throws {
        let rig = try await Rig()
        #expect(
            try checked(rig, "ChangeConfiguration", #"{"value":"90","key":"HeartbeatInterval"}"#)
                == .foreign(
                    action: "ChangeConfiguration",
                    payload: #"{"key":"HeartbeatInterval","value":"90"}"#))
        await rig.end()
    }

    @Test(arguments: [
        ("Reset", #"{"type":"Softly"}"#, "payload.type"),
        ("Reset", #"{"type":"Soft","now":true}"#, "payload.now"),
        ("Reset", "{}", "payload.type"),
        ("Resett", #"{"type":"Soft"}"#, "action"),
        ("Heartbeat", "{}", "action"),
        ("UnlockConnector", #"{"connectorId":"1"}"#, "payload.connectorId"),
        (
            "RemoteStartTransaction", #"{"idTag":"A-TAG-OF-MORE-THAN-TWENTY"}"#, "payload.idTag"
        ),
        ("TriggerMessage", #"{"requestedMessage":"Everything"}"#, "requestedMessage"),
        (
            "SetChargingProfile",
            #"{"connectorId":1,"csChargingProfiles":{"chargingProfileId":1,"stackLevel":0,"#
                + #""chargingProfilePurpose":"TxDefaultProfile","chargingProfileKind":"Absolute"}}"#,
            "payload"
        ),
        ("GetConfiguration", #"{"key":["A"],"keys":["B"]}"#, "payload.keys"),
        ("ClearCache", "[]", "payload"),
        (
            "ChangeConfiguration", #"{"key":"authorizationKey","value":"41424344"}"#,
            "payload.value"
        ),
    ])
    func `is refused with the field`(action: String, payload: String, field: String)
        async throws
    {
        let rig = try await Rig()
        #expect {
            try checked(rig, action, payload)
        } throws: { ($0 as? CommandProblem)?.field == field }
        await rig.end()
    }

    @Test func `in neutral words is refused with the field as well`() async throws {
        let rig = try await Rig()
        #expect {
            try rig.center.checked(
                .changeSetting(key: String(repeating: "k", count: 51), value: "1"), for: "CS-1")
        } throws: { ($0 as? CommandProblem)?.field == "key" }
        await rig.end()
    }

    @Test(arguments: [
        ("41424344", false), ("a-password-in-clear", false),
        ("a-password-in-clear-of-32-or-more", false),
        (String(repeating: "4f", count: 15), false), (String(repeating: "4f", count: 21), false),
        ("4" + String(repeating: "4f", count: 16), false),
        (String(repeating: "4f", count: 16), true), (String(repeating: "4F", count: 20), true),
    ])
    func `sets only a password that a station and we decode alike`(value: String, isTaken: Bool)
        async throws
    {
        let rig = try await Rig()
        let command = StationCommand.changeSetting(key: "AuthorizationKey", value: value)
        if isTaken {
            #expect(try rig.center.checked(command, for: "CS-1") == command)
        } else {
            #expect {
                try rig.center.checked(command, for: "CS-1")
            } throws: { ($0 as? CommandProblem)?.field == "value" }
        }
        await rig.end()
    }
}

@Suite struct `A text with U+0000` {
    @Test func `is read without it, counted, and its charge is kept`() async throws {
        let rig = try await Rig()
        let station = try await rig.connect()
        _ = try await station.boot()
        let started = try await station.start(token: #"DRIVER-1\u0000\u0000"#)
        #expect(started["idTagInfo"]?["status"] == "Accepted")
        // Counted after the answer.
        _ = try await station.ask(#"[2,"h","Heartbeat",{}]"#)
        let kinds = try await rig.center.deviations(of: "CS-1").map(\.kind)
        #expect(kinds == ["nul-character"])
        await rig.end()
    }

    @Test func `is told from a backslash before letters`() {
        #expect(NULEscapes.removed(from: Array(#"["\\u0000"]"#.utf8).span.bytes) == nil)
        #expect(
            NULEscapes.removed(from: Array(#"["\\\u0000x"]"#.utf8).span.bytes)
                == Array(#"["\\x"]"#.utf8))
    }
}

@Suite struct `A command that waits for its turn` {
    private static let origin = CommandOrigin(door: "api", reference: "test")

    private static func limit(_ amperes: Int64) -> StationCommand {
        .setProfile(
            connector: 1,
            ChargingProfile(
                id: 7, stackLevel: 0, purpose: .transactionDefault, kind: .absolute,
                schedule: ChargingSchedule(
                    unit: .amperes, periods: [.init(start: 0, tenths: amperes * 10)],
                    start: Rig.noon)))
    }

    @Test func `can be taken back, and not once it is with the station`() async throws {
        let rig = try await Rig()
        let carrying = Task { try await rig.house.commands.run(rig.house, over: rig.center) }
        let station = try await rig.connect()
        _ = try await station.boot()
        let first = try await rig.house.send(.reset(.soft), to: "CS-1", origin: Self.origin)
        let call = try JSONValue(parsing: await station.next())
        let second = try await rig.house.send(.clearCache, to: "CS-1", origin: Self.origin)
        let link = try #require(rig.center.links["CS-1"])
        while await waiting(link, on: link.connection.shard) < 2, !Task.isCancelled {
            await Task.yield()
        }
        let taken = try await rig.house.commands.cancel(second.id, in: rig.house)
        guard case .cancelled(let command) = taken else {
            Issue.record("not taken back: \(String(describing: taken))")
            return
        }
        #expect(command.state == .failed)
        #expect(command.answer == "cancelled before it was sent")
        guard case .tooLate = try await rig.house.commands.cancel(first.id, in: rig.house) else {
            Issue.record("taken back from the station")
            return
        }
        try await station.send(#"[3,"\#(call[1]?.string ?? "")",{"status":"Accepted"}]"#)
        #expect(try await station.ask(#"[2,"h","Heartbeat",{}]"#).hasPrefix(#"[3,"h""#))
        #expect(try await rig.house.commands.cancel("nobody", in: rig.house) == nil)
        carrying.cancel()
        _ = await carrying.result
        await rig.end()
    }

    @Test func `is taken back on its way to the line as well, and only once`() {
        var calls = OutboundCalls()
        let onItsWay = calls.takeBack("a")
        let isBack = calls.arrived("a")
        let other = calls.arrived("b")
        let tooLate = calls.takeBack("b")
        #expect([onItsWay, isBack, other, tooLate] == [true, true, false, false])
    }

    @Test(.timeLimit(.minutes(1))) func `gives its place to a newer limit`() async throws {
        let rig = try await Rig()
        let station = try await rig.connect()
        _ = try await station.boot()
        let link = try #require(rig.center.links["CS-1"])
        let shard = link.connection.shard
        let busy = Task { try await rig.center.send(.clearCache, to: "CS-1", deadlineSeconds: 5) }
        let call = try JSONValue(parsing: await station.next())
        let older = Task {
            try await rig.center.send(Self.limit(16), to: "CS-1", deadlineSeconds: 5)
        }
        while await waiting(link, on: shard) < 2, !Task.isCancelled { await Task.yield() }
        let newer = Task {
            try await rig.center.send(Self.limit(10), to: "CS-1", deadlineSeconds: 5)
        }
        await #expect(throws: StationLinkError.replaced) {
            try await withTaskCancellationHandler {
                try await older.value
            } onCancel: {
                // Its deadline ends a wait that would never end.
                rig.clock.advance(milliseconds: 5000)
            }
        }
        try await station.send(#"[3,"\#(call[1]?.string ?? "")",{"status":"Accepted"}]"#)
        #expect(try await busy.value == .status("Accepted"))
        let sent = await station.next()
        #expect(sent.contains("SetChargingProfile") && sent.contains(#""limit":10"#))
        let id = try JSONValue(parsing: sent)[1]?.string ?? ""
        try await station.send(#"[3,"\#(id)",{"status":"Accepted"}]"#)
        #expect(try await newer.value == .status("Accepted"))
        await rig.end()
    }

    private func waiting(_ link: StationLink, on shard: isolated Shard) -> Int {
        link.outbound.waiting.count
    }
}
