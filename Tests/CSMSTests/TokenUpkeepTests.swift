import CPO
import Charging
import JSON
import TestSupport
import Testing

@testable import CSMS

/// A station whose list and cache a test scripts: it answers calls and tells what it was sent.
private struct ListStation {
    let peer: Peer
    var version = 0
    var settings = ["LocalAuthListMaxLength": "5", "SendLocalListMaxLength": "2"]
    /// Answers to the next lists; Accepted when there are none left.
    var answers: [String] = []
    /// `Full 1: A, B` for each list that came; `-A` takes one off.
    var lists: [String] = []

    init(_ peer: Peer) { self.peer = peer }

    /// Answers calls up to the one that fits, that one included.
    mutating func serve(until fits: (ListStation, String) -> Bool) async throws {
        while true {
            let text = await peer.next()
            // The answer to a boot comes before or after the calls that follow it.
            if text.hasPrefix("[3,") { continue }
            guard let frame = try? JSONValue(parsing: text), frame[0]?.int == 2,
                let id = frame[1]?.string, let action = frame[2]?.string
            else {
                Issue.record("the station heard \(text)")
                return
            }
            try await peer.send(#"[3,"\#(id)",\#(answer(action, frame[3] ?? nil))]"#)
            if fits(self, action) { return }
        }
    }

    mutating func lists(_ count: Int) async throws {
        try await serve { station, _ in station.lists.count == count }
    }

    private mutating func answer(_ action: String, _ payload: JSONValue) -> String {
        switch action {
        case "GetConfiguration":
            let known = settings.sorted { $0.key < $1.key }.map { key, value in
                #"{"key":"\#(key)","readonly":true,"value":"\#(value)"}"#
            }
            return #"{"configurationKey":[\#(known.joined(separator: ","))]}"#
        case "GetLocalListVersion": return #"{"listVersion":\#(version)}"#
        case "SendLocalList":
            let number = payload["listVersion"]?.int ?? 0
            let tags = (payload["localAuthorizationList"]?.array ?? []).map { entry in
                (entry["idTagInfo"] == nil ? "-" : "") + (entry["idTag"]?.string ?? "")
            }
            let kind = payload["updateType"]?.string ?? ""
            lists.append("\(kind) \(number): \(tags.joined(separator: ", "))")
            let word = answers.isEmpty ? "Accepted" : answers.removeFirst()
            if word == "Accepted" { version = number }
            return #"{"status":"\#(word)"}"#
        default: return #"{"status":"Accepted"}"#
        }
    }
}

@Suite(.timeLimit(.minutes(1))) struct `A local list` {
    private static let emsp = PartyID(country: "NL", party: "EMS")

    private func rig() async throws -> Rig {
        try await Rig {
            $0.lowestSecurityProfile = 0
            $0.keepsLocalLists = true
            $0.registryPauseMilliseconds = 0
            $0.upkeepPauseMilliseconds = 0
            $0.listPauseMilliseconds = 0
        }
    }

    private func put(_ rig: Rig, _ uids: String..., isValid: Bool = true) async throws {
        let house = rig.house
        try await house.write { transaction in
            for uid in uids {
                let token = Token(
                    party: house.settings.party, uid: uid, kind: .rfid, contractID: uid,
                    issuer: "Kerb", isValid: isValid, lastUpdated: Rig.noon)
                try house.tokens.put(token, at: Rig.noon, in: transaction)
            }
        }
    }

    /// Waits until what is known of the list fits.
    private func status(
        _ rig: Rig, where fits: (LocalListStatus) -> Bool
    ) async -> LocalListStatus {
        let announcements = rig.house.journal.announcements()
        var status = rig.center.localList(of: "CS-1")
        if fits(status) { return status }
        for await _ in announcements {
            status = rig.center.localList(of: "CS-1")
            if fits(status) { break }
        }
        return status
    }

    private func running(
        _ rig: Rig, _ body: (ListStation) async throws -> Void
    ) async throws {
        let task = Task { await rig.center.run() }
        do {
            try await body(ListStation(try await rig.connect()))
        } catch {
            Issue.record(error)
        }
        task.cancel()
        await rig.end()
        await task.value
    }

    @Test func `is pushed in chunks, kept in step, and shrinks with what it cannot hold`()
        async throws
    {
        let rig = try await rig()
        try await put(rig, "T-1", "T-2", "T-3")
        try await running(rig) { peer in
            var station = peer
            try await station.lists(2)
            #expect(
                station.lists == ["Full 1: DRIVER-1, T-1", "Differential 2: T-2, T-3"])
            var known = await status(rig) { $0.state == .inStep }
            #expect(known.version == 2 && known.entries == 4 && !known.isCut)

            // One blocked and one new: only these two are sent.
            try await put(rig, "T-2", isValid: false)
            try await station.lists(3)
            try await put(rig, "T-4")
            try await station.lists(4)
            #expect(station.lists[2...] == ["Differential 3: -T-2", "Differential 4: T-4"])

            // Two more than fit.
            try await put(rig, "T-5", "T-6", "T-7")
            try await station.lists(5)
            #expect(station.lists[4] == "Differential 5: T-5")
            known = await status(rig) { $0.version == 5 }
            #expect(known.isCut && known.entries == 5)
            #expect(known.state == .inStep)
        }
    }

    @Test func `is sent whole where the station's version is another, or it refuses`() async throws
    {
        let rig = try await rig()
        try await running(rig) { peer in
            var station = peer
            try await station.lists(1)
            #expect(station.lists == ["Full 1: DRIVER-1"])
            _ = await status(rig) { $0.state == .inStep }
            try await put(rig, "T-1", "T-2")
            station.answers = ["VersionMismatch"]
            station.version = 40
            try await station.lists(4)
            #expect(
                station.lists[1...] == [
                    "Differential 2: T-1, T-2", "Full 41: DRIVER-1, T-1", "Differential 42: T-2",
                ])
            _ = await status(rig) { $0.version == 42 && $0.state == .inStep }

            // Refused twice: said, and left alone for a while.
            try await put(rig, "T-3")
            station.answers = ["Failed", "Failed"]
            try await station.lists(6)
            let failed = await status(rig) { $0.state == .failed }
            #expect(failed.detail == "the whole list was answered Failed")
            #expect(failed.nextTryAt == Rig.noon.advanced(bySeconds: TokenUpkeep.retrySeconds))
            await rig.clock.sleepers(atLeast: 1)
            rig.clock.advance(milliseconds: TokenUpkeep.retrySeconds * 1000)
            try await station.lists(8)
            #expect(
                station.lists[6...] == ["Full 43: DRIVER-1, T-1", "Differential 44: T-2, T-3"])
        }
    }

    @Test func `is compared after a boot, and what an operator sent is replaced`() async throws {
        let rig = try await rig()
        try await running(rig) { peer in
            var station = peer
            try await station.lists(1)
            _ = await status(rig) { $0.state == .inStep }
            // It lost its list.
            station.version = 0
            try await station.peer.send(
                #"[2,"b","BootNotification",{"chargePointModel":"M","chargePointVendor":"V"}]"#)
            try await station.lists(2)
            #expect(station.lists[1] == "Full 1: DRIVER-1")
            _ = await status(rig) { $0.state == .inStep }

            let order = StationCommand.sendLocalList(
                LocalListUpdate(kind: .full, version: 1, entries: []))
            let command = Command(
                id: "C-1", station: "CS-1", command: order,
                origin: CommandOrigin(door: "api", reference: "me"), createdAt: Rig.noon)
            async let sent = rig.center.carry(command, deadlineSeconds: 5)
            try await station.lists(4)
            #expect(try await sent == .status("Accepted"))
            #expect(station.lists[2...] == ["Full 1: ", "Full 2: DRIVER-1"])
        }
    }

    @Test func `is not sent where there is none, or it is switched off`() async throws {
        let rig = try await rig()
        try await running(rig) { peer in
            var station = peer
            station.settings["LocalAuthListEnabled"] = "false"
            try await station.serve { $1 == "GetConfiguration" }
            let disabled = await status(rig) { $0.state == .disabled }
            #expect(disabled.detail?.contains("set it to true") ?? false)

            station.settings["LocalAuthListEnabled"] = "true"
            station.version = -1
            try await station.peer.send(
                #"[2,"b","BootNotification",{"chargePointModel":"M","chargePointVendor":"V"}]"#)
            try await station.serve { $1 == "GetLocalListVersion" }
            let none = await status(rig) { $0.state == .notSupported }
            #expect(none.detail == "the station says that it has no local list")
            #expect(station.lists.isEmpty)
        }
    }

    @Test func `is looked at again after a boot that came while it was looked at`() async throws {
        let rig = try await rig()
        try await put(rig, "DRIVER-1")
        try await running(rig) { peer in
            var station = peer
            station.settings["LocalAuthListEnabled"] = "false"
            var text = await station.peer.next()
            while !text.contains("GetConfiguration") { text = await station.peer.next() }
            let id = try JSONValue(parsing: text)[1]?.string ?? ""
            try await station.peer.send(
                #"[2,"b","BootNotification",{"chargePointModel":"M","chargePointVendor":"V"}]"#)
            // Once it answers what came after the boot all is done about that.
            try await station.peer.send(#"[2,"h","Heartbeat",{}]"#)
            while !text.hasPrefix(#"[3,"h""#) { text = await station.peer.next() }
            try await station.peer.send(
                #"[3,"\#(id)",{"configurationKey":[{"key":"LocalAuthListEnabled","#
                    + #""readonly":true,"value":"false"}]}]"#)
            station.settings["LocalAuthListEnabled"] = "true"
            try await station.lists(1)
            #expect(station.lists == ["Full 1: DRIVER-1"])
        }
    }

    @Test func `is kept or not as the operator says for a station`() async throws {
        let rig = try await rig()
        _ = try await rig.house.write { [house = rig.house] transaction in
            try house.stations.register("CS-1", .accepted, at: Rig.noon, in: transaction)
        }
        #expect(try await rig.center.keepLocalList(false, of: "cs-1") { _ in })
        #expect(try await !rig.center.keepLocalList(true, of: "CS-9") { _ in })
        #expect(rig.center.localList(of: "CS-1").state == .off)
        try await running(rig) { peer in
            var station = peer
            _ = try await rig.center.keepLocalList(true, of: "CS-1") { _ in }
            try await station.lists(1)
            let known = await status(rig) { $0.state == .inStep }
            #expect(known.isKept == true)
            // What is known lasts over a restart of the server.
            let again = CentralSystem(
                house: rig.house, dialects: rig.center.dialects, settings: rig.center.settings)
            try await again.load()
            #expect(again.localList(of: "CS-1").version == 1)
            #expect(again.localList(of: "CS-1").state == .inStep)
        }
    }

    @Test func `and a cache forget a token that is blocked`() async throws {
        let rig = try await rig()
        try await running(rig) { peer in
            var station = peer
            try await station.lists(1)
            _ = await status(rig) { $0.state == .inStep }
            let shown = try await station.peer.ask(
                #"[2,"a","Authorize",{"idTag":"DRIVER-1"}]"#)
            #expect(shown.contains("Accepted"))
            try await put(rig, "DRIVER-1", isValid: false)
            var calls: [String] = []
            try await station.serve { station, action in
                calls.append(action)
                return Set(calls).isSuperset(of: ["ClearCache", "SendLocalList"])
            }
            #expect(station.lists.last == "Full 2: ")
            let known = await status(rig) { !$0.awaitsClearCache && $0.version == 2 }
            #expect(known.entries == 0)
        }
    }
}
