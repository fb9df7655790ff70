import CPO
import Charging
import JSON
import OCPP
import SQL
import TestSupport
import Testing
import Web

@testable import CSMS

@Suite struct `A station's access` {
    private static let old = "old-password-0001"
    private static let new = "new-password-0002"

    private func change(_ rig: Rig, _ body: JSONValue, mayLower: Bool = false) async throws
        -> StationAccess?
    {
        try await rig.center.changeAccess(of: "CS-1", body, mayLower: mayLower) { _, _ in }
    }

    private func known(_ rig: Rig) async throws {
        _ = try await rig.connect(password: Self.old).boot()
    }

    @Test func `takes the old password until the new one was used`() async throws {
        let rig = try await Rig()
        try await known(rig)
        _ = try await change(rig, ["password": .string(Self.new), "overlapHours": 2])
        #expect(await rig.refusal(password: Self.old) == nil)
        #expect(await rig.refusal(password: Self.new) == nil)
        #expect(await rig.refusal(password: Self.old) == 401)
        await rig.end()
    }

    @Test func `forgets the used overlap in its row as well`() async throws {
        let rig = try await Rig()
        try await known(rig)
        _ = try await change(rig, ["password": .string(Self.new)])
        _ = try await rig.connect(password: Self.new).boot()
        let stored = try await rig.house.read { try StationAccess.stored("CS-1", in: $0) }
        #expect(stored.formers.isEmpty)
        #expect(stored.verifier?.match(Array(Self.new.utf8)) == .yes)
        await rig.end()
    }

    @Test func `takes the old password for as long as was said, restarts included`() async throws {
        let rig = try await Rig()
        try await known(rig)
        _ = try await change(rig, ["password": .string(Self.new), "overlapHours": 2])
        try await rig.center.load()
        rig.clock.advance(milliseconds: 2 * 3_600_000 - 1)
        #expect(await rig.refusal(password: Self.old) == nil)
        rig.clock.advance(milliseconds: 1)
        #expect(await rig.refusal(password: Self.old) == 401)
        #expect(await rig.refusal(password: Self.new) == nil)
        await rig.end()
    }

    @Test func `ends the old password at once where no overlap is wanted`() async throws {
        let rig = try await Rig()
        try await known(rig)
        _ = try await change(rig, ["password": .string(Self.new), "overlapHours": 0])
        #expect(await rig.refusal(password: Self.old) == 401)
        await rig.end()
    }

    @Test func `is raised with the old profile beside it, and lowered by nobody in passing`()
        async throws
    {
        let rig = try await Rig()
        try await known(rig)
        _ = try await change(rig, ["securityProfile": 1])
        let raised = try #require(try await change(rig, ["securityProfile": 2, "overlapHours": 1]))
        #expect(raised.securityProfile == 2)
        // The station falls back where it cannot have the new one.
        #expect(await rig.refusal(password: Self.old) == nil)
        rig.clock.advance(milliseconds: 3_600_000)
        #expect(await rig.refusal(password: Self.old) == 403)
        await #expect(throws: AccessProblem.self) {
            try await change(rig, ["securityProfile": 1])
        }
        await #expect(throws: AccessProblem.self) {
            try await change(rig, ["securityProfile": 1, "lower": true])
        }
        _ = try await change(
            rig, ["securityProfile": 1, "lower": true, "overlapHours": 0], mayLower: true)
        #expect(await rig.refusal(password: Self.old) == nil)
        await rig.end()
    }

    @Test func `is strict at once, on the socket that is open`() async throws {
        let rig = try await Rig()
        let station = try await rig.connect(password: Self.old)
        _ = try await station.boot()
        let odd = #"[2,"1","Heartbeat",{"extra":1}]"#
        #expect(try await station.ask(odd).hasPrefix("[3,"))
        _ = try await change(rig, ["strict": true])
        #expect(
            try await station.ask(#"[2,"2","Heartbeat",{"extra":1}]"#).hasPrefix(
                #"[4,"2","FormationViolation""#))
        await rig.end()
    }

    @Test func `says in which zone its clock is, where its times do not`() async throws {
        let rig = try await Rig()
        let station = try await rig.connect(password: Self.old)
        _ = try await station.boot()
        func told(_ time: String, _ status: String) async throws -> Timestamp? {
            _ = try await station.ask(
                #"[2,"\#(time)","StatusNotification",{"connectorId":1,"errorCode":"NoError","#
                    + #""status":"\#(status)","timestamp":"\#(time)"}]"#)
            return try await rig.house.stations.station("CS-1")?.connectors.first?.at
        }
        let morning = Rig.noon.advanced(bySeconds: -7200)
        #expect(try await told("2027-01-15T10:00:00", "Available") == morning)
        _ = try await change(rig, ["timeZone": "Asia/Kolkata"])
        // 11:00 by the clock there is later than ten by ours only if it is not read as ours.
        #expect(
            try await told("2027-01-15T16:30:00", "Preparing")
                == morning.advanced(bySeconds: 3600))
        #expect(
            try await told("2027-01-15T11:30:00Z", "Charging")
                == morning.advanced(bySeconds: 5400))
        // As long as the row says so.
        let stored = try await rig.house.read { try StationAccess.stored("CS-1", in: $0) }
        #expect(stored.timeZone == "Asia/Kolkata")
        await rig.end()
    }

    @Test func `has hours that are twice in the year, and one that is not`() throws {
        let zone = try StationZone("Europe/Berlin")
        func utc(_ text: String) throws -> Timestamp { try #require(Timestamp(rfc3339: text)) }
        #expect(
            try zone.moment(utc("2026-07-01T12:00:00Z")) == utc("2026-07-01T10:00:00Z"))
        #expect(
            try zone.moment(utc("2026-10-25T02:30:00Z")) == utc("2026-10-25T01:30:00Z"))
        #expect(
            try zone.moment(utc("2026-10-25T01:30:00Z")) == utc("2026-10-24T23:30:00Z"))
        #expect(
            try zone.moment(utc("2026-03-29T03:30:00Z")) == utc("2026-03-29T01:30:00Z"))
    }

    @Test(
        arguments: [
            ("password", ["password": "short"]),
            ("password", ["password": "with a blank inside it"]),
            ("securityProfile", ["securityProfile": 4]), ("strict", ["strict": "yes"]),
            ("overlapHours", ["overlapHours": -1]), ("certificateName", ["certificateName": ""]),
            ("noSubprotocol", ["noSubprotocol": 1]), ("timeZone", ["timeZone": "Middle/Earth"]),
            ("timeZone", ["timeZone": "../../etc/passwd"]),
            ("passwort", ["passwort": "0123456789abcdef"]),
        ] as [(String, JSONValue)])
    func `names the field that cannot be taken`(field: String, body: JSONValue) {
        #expect {
            try AccessChange(body)
        } throws: { ($0 as? AccessProblem)?.field == field }
    }

    @Test func `may not be proven by a certificate in another station's name`() async throws {
        let rig = try await Rig()
        try await rig.house.write { [rig] transaction in
            for id in ["CS-8", "CS-9"] {
                try rig.house.stations.register(id, .accepted, at: rig.clock.now, in: transaction)
            }
        }
        func name(_ text: String, _ station: String) async throws {
            _ = try await rig.center.changeAccess(
                of: station, ["certificateName": .string(text)], mayLower: true
            ) { _, _ in }
        }
        await #expect {
            try await name("cs-8", "CS-9")
        } throws: { ($0 as? AccessProblem)?.field == "certificateName" }
        try await name("CS-9", "CS-9")
        try await name("SERIAL-1", "CS-9")
        await #expect {
            try await name("serial-1", "CS-8")
        } throws: { ($0 as? AccessProblem)?.field == "certificateName" }
        try await name("SERIAL-2", "CS-9")
        try await name("serial-1", "CS-8")
        await rig.end()
    }

    @Test func `keeps a password that was set before the station's record was read`() async throws {
        let rig = try await Rig(unknownStations: .inbox)
        try await rig.house.write { [rig] transaction in
            _ = try rig.house.stations.register(
                "CS-9", .accepted, at: Rig.noon, in: transaction)
        }
        try await rig.center.setPassword(Self.old, for: "CS-9")
        #expect(await rig.refusal("CS-9", password: Self.new) == 401)
        #expect(await rig.refusal("CS-9", password: Self.old) == nil)
        await rig.end()
    }

    @Test(arguments: [true, false])
    func `takes both passwords where the station never answered`(isRaw: Bool) async throws {
        let rig = try await Rig()
        let station = try await rig.connect(password: Self.old)
        _ = try await station.boot()
        let payload = #"{"key":"AuthorizationKey","value":"\#(Self.new)"}"#
        let sending = Task {
            try await rig.center.send(
                isRaw
                    ? .foreign(action: "ChangeConfiguration", payload: payload)
                    : .changeSetting(key: "AuthorizationKey", value: Self.new),
                to: "CS-1", deadlineSeconds: 5)
        }
        _ = await station.next()
        await station.client.close()
        await #expect(throws: StationLinkError.lost) { try await sending.value }
        #expect(await rig.refusal(password: Self.old) == nil)
        #expect(await rig.refusal(password: Self.new) == nil)
        #expect(await rig.refusal(password: Self.old) == 401)
        await rig.end()
    }
}
