import Charging
import OCPP
import Service
import Testing

@testable import Station

/// Security white paper §4: what the board tells, where no other suite of upkeep names the event.
@Suite(.timeLimit(.minutes(2))) struct `A security event` {
    @Test(arguments: [ResetKind.soft, .hard])
    func `tells of a reset before the program ends`(_ kind: ResetKind) async throws {
        let rig = try await UpkeepRig.make()
        let peer = TestOperator()
        rig.station.links.yield(peer)
        try await rig.station.during { () async throws in
            await peer.hears(status: .available)
            #expect(try await peer.ask(.reset(kind)) == .status("Accepted"))
            await until { rig.restarts.withLock { $0 } > 0 }
            #expect(peer.heard.infos("ResetOrReboot") == [kind.rawValue])
        }
    }

    @Test func `tells that the log was emptied, and is then all that stands in it`() async throws {
        let rig = try await UpkeepRig.make()
        let peer = TestOperator()
        rig.station.links.yield(peer)
        try await rig.station.during { () async throws in
            await peer.hears { $0.securityEvents == ["StartupOfTheDevice"] }
            // What the operator has not confirmed would stay.
            try await until { try await rig.station.journal.nextReport() == nil }
            #expect(await rig.station.agent.clearSecurityLog() == #"{"done":"cleared"}"#)
            await peer.hears { $0.securityEvents.last == "SecurityLogWasCleared" }
            let log = try await rig.station.journal.securityLog()
            #expect(log.map(\.type) == ["SecurityLogWasCleared"])
        }
    }

    @Test func `tells of a full disk once, and again after there was room`() async throws {
        let rig = try await UpkeepRig.make()
        let enough = StationUpkeep.reservedBytes / 4
        for free in [enough, enough - 1, 0, enough, 1 << 20] {
            await rig.upkeep.look(atFreeBytes: free)
        }
        let told = try await rig.station.journal.securityLog().filter {
            $0.type == "MemoryExhaustion"
        }
        #expect(told.count == 2)
        #expect(told.first?.info?.hasPrefix("disk: 15 MiB free") == true)
        #expect(told.last?.info?.hasPrefix("disk: 1 MiB free") == true)
        await rig.station.journal.close()
    }

    @Test func `tells of a link on which nonsense comes, once`() async throws {
        let rig = try await UpkeepRig.make()
        let peer = TestOperator()
        rig.station.links.yield(peer)
        try await rig.station.during { () async throws in
            await peer.hears(status: .available)
            peer.say("no frame")
            peer.say("[]")
            // Its answer shows that both were read.
            _ = try await peer.ask(.getLocalListVersion)
            await peer.hears { $0.securityEvents.contains("InvalidMessages") }
            await rig.upkeep.note(.settingSystemTime)
            await peer.hears { $0.securityEvents.last == "SettingSystemTime" }
        }
        #expect(peer.heard.infos("InvalidMessages") == [nil])
    }
}

extension [StationEvent] {
    /// What each security event of a type said, in the order they came.
    fileprivate func infos(_ type: String) -> [String?] {
        upkeepReports.compactMap { report -> String?? in
            guard case .security(let event) = report, event.type == type else { return nil }
            return .some(event.info)
        }
    }
}
