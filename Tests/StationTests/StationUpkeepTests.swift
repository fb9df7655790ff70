import Charging
import OCPP
import SQL
import Service
import TestSupport
import Testing

@testable import Station

@Suite(.timeLimit(.minutes(2))) struct `A station's upkeep` {
    private static let place = "https://files.example.org/firmware"

    private func order(_ place: String = place) -> StationCommand {
        .maintenance(
            .updateFirmware(
                FirmwareOrder(
                    transfer: TransferOrder(location: place, retries: 1, retrySeconds: 1),
                    retrieveAt: Timestamp(seconds: 0))))
    }

    @Test func `installs a firmware and says so after the restart`() async throws {
        let rig = try await UpkeepRig.make()
        rig.carriage.files.withLock { $0[Self.place] = Array("image".utf8) }
        let peer = TestOperator()
        rig.station.links.yield(peer)
        let order = order()
        try await rig.station.during { () async throws in
            await peer.hears(status: .available)
            #expect(try await peer.ask(order) == .maintenance(.taken))
            await until { rig.restarts.withLock { $0 } == 1 }
        }
        #expect(peer.heard.firmware == [.downloading, .downloaded, .installing])
        let installed = try FileSystem.read(rig.folder.file("installed"))
        #expect(installed == Array("image".utf8))

        let next = try await UpkeepRig.make(rig.folder)
        let again = TestOperator()
        next.station.links.yield(again)
        try await next.station.during {
            await again.hears { $0.securityEvents.contains("FirmwareUpdated") }
        }
        #expect(again.heard.firmware == [.installed])
        #expect(!FileSystem.exists(rig.folder.file("firmware/firmware.img")))
    }

    @Test func `reports a failed installation and lets charges begin again`() async throws {
        let rig = try await UpkeepRig.make { $0.installCommand = ["/bin/false", "{file}"] }
        rig.carriage.files.withLock { $0[Self.place] = [1] }
        let peer = TestOperator()
        rig.station.links.yield(peer)
        let order = order()
        try await rig.station.during { () async throws in
            await peer.hears(status: .available)
            _ = try await peer.ask(order)
            await peer.hears { $0.firmware.last == .installationFailed }
            await peer.hears { $0.statuses.last == .available && $0.statuses.count > 1 }
        }
        #expect(
            peer.heard.firmware == [.downloading, .downloaded, .installing, .installationFailed])
        #expect(peer.heard.statuses.contains(.unavailable))
    }

    @Test func `lets charging go on while the disk does not take an update's step`() async throws {
        let tries = Lock(0)
        let isFull = Lock(true)
        let rig = try await UpkeepRig.make(
            disk: TestDisk { step, moment in
                guard step == .firmware, moment == .asked else { return }
                let count = tries.withLock { tries in
                    tries += 1
                    return tries
                }
                // The order and the download are kept; the installation is not.
                if count > 2, isFull.withLock({ $0 }) { throw SQLError.full }
            }
        ) { $0.stepRetries = Backoff(firstMilliseconds: 1, longestMilliseconds: 2) }
        rig.carriage.files.withLock { $0[Self.place] = Array("image".utf8) }
        let peer = TestOperator()
        rig.station.links.yield(peer)
        let order = order()
        try await rig.station.during { () async throws in
            await peer.hears(status: .available)
            _ = try await peer.ask(order)
            await peer.hears { $0.statuses.contains(.unavailable) }
            // Nobody restarts anything: the outlets are free again by themselves.
            await peer.hears { $0.statuses.suffix(2) == [.unavailable, .available] }
            await until { tries.withLock { $0 } > 4 }
            #expect(rig.restarts.withLock { $0 } == 0)
            #expect(!FileSystem.exists(rig.folder.file("installed")))
            isFull.withLock { $0 = false }
            await until { rig.restarts.withLock { $0 } == 1 }
            #expect(peer.heard.statuses.last == .unavailable)
        }
        #expect(peer.heard.firmware == [.downloading, .downloaded, .installing])
        #expect(FileSystem.exists(rig.folder.file("installed")))
    }

    /// An update whose installation the disk does not take, with no loop that ticks but the test.
    private func stuckUpdate(_ isFull: Lock<Bool>) async throws -> UpkeepRig {
        let tries = Lock(0)
        let rig = try await UpkeepRig.make(
            disk: TestDisk { step, moment in
                guard step == .firmware, moment == .asked else { return }
                let count = tries.withLock { tries in
                    tries += 1
                    return tries
                }
                if count > 2, isFull.withLock({ $0 }) { throw SQLError.full }
            }
        ) { $0.stepRetries = Backoff(firstMilliseconds: 1, longestMilliseconds: 2) }
        rig.carriage.files.withLock { $0[Self.place] = Array("image".utf8) }
        await rig.upkeep.work(for: rig.station.agent)
        await rig.upkeep.handle(.ordered(firmwareOrder(Timestamp(seconds: 0))))
        await until { await rig.upkeep.machine.isHolding }
        await rig.upkeep.handle(.tick(isCharging: false))
        #expect(await rig.upkeep.postponed?.isHoldLifted == true)
        return rig
    }

    private func firmwareOrder(_ at: Timestamp) -> FirmwareOrder {
        FirmwareOrder(
            transfer: TransferOrder(location: Self.place, retries: 1, retrySeconds: 1),
            retrieveAt: at)
    }

    @Test func `asks again who charges before a step that had waited`() async throws {
        let isFull = Lock(true)
        let rig = try await stuckUpdate(isFull)
        isFull.withLock { $0 = false }
        await until {
            // What was true before the outlets were held.
            await rig.upkeep.handle(.tick(isCharging: false))
            return await rig.upkeep.postponed == nil
        }
        #expect(await rig.upkeep.machine.job?.phase == .waitingForCharges)
        #expect(await rig.station.controller.machine.isHeld)
        await rig.upkeep.handle(.tick(isCharging: true))
        #expect(await rig.upkeep.machine.job?.phase == .waitingForCharges)
        await rig.upkeep.handle(.tick(isCharging: false))
        #expect(await rig.upkeep.machine.job?.phase != .waitingForCharges)
        await until {
            rig.restarts.withLock { $0 } == 1 || FileSystem.exists(rig.folder.file("installed"))
        }
        await rig.station.journal.close()
    }

    @Test func `forgets a step that waited once there is a new order`() async throws {
        let isFull = Lock(true)
        let rig = try await stuckUpdate(isFull)
        await rig.upkeep.handle(.ordered(firmwareOrder(.latest)))
        #expect(await rig.upkeep.machine.job?.phase == .scheduled)
        isFull.withLock { $0 = false }
        await until {
            await rig.upkeep.handle(.tick(isCharging: false))
            return await rig.upkeep.isSettled
        }
        #expect(await !rig.station.controller.machine.isHeld)
        #expect(await rig.upkeep.machine.job?.phase == .scheduled)
        await rig.station.journal.close()
    }

    @Test func `remembers whose boot the operator has accepted`() async throws {
        let folder = TemporaryFolder()
        let rig = try await UpkeepRig.make(folder) {
            $0.accepted = (folder.file("accepted"), "/etc/kerb/enrolled-1.password")
        }
        #expect(!FileSystem.exists(folder.file("accepted")))
        let peer = TestOperator()
        rig.station.links.yield(peer)
        try await rig.station.during {
            await until { FileSystem.exists(folder.file("accepted")) }
        }
        let kept = try FileSystem.read(folder.file("accepted"))
        #expect(kept == Array("/etc/kerb/enrolled-1.password\n".utf8))
    }

    @Test func `refuses an update nobody signed unless it may take it`() async throws {
        let rig = try await UpkeepRig.make { $0.acceptsUnsigned = false }
        let peer = TestOperator()
        rig.station.links.yield(peer)
        let order = order()
        try await rig.station.during { () async throws in
            await peer.hears(status: .available)
            #expect(try await peer.ask(order) == .maintenance(.taken))
            await peer.hears { $0.firmware == [.downloadFailed] }
        }
    }

    @Test func `goes back when the new program has started too often`() async throws {
        let folder = TemporaryFolder()
        for start in 1...5 {
            let rig = try await UpkeepRig.make(folder) {
                $0.rollbackCommand = ["/bin/touch", folder.file("rolled-back")]
            }
            if start == 1 {
                let job = FirmwareMachine.Job(
                    order: FirmwareOrder(
                        transfer: TransferOrder(location: "x"), retrieveAt: nil),
                    phase: .probation, version: "0.9")
                try await rig.station.journal.keep(firmwareJob: job)
                await rig.station.journal.close()
                continue
            }
            // No link: nobody can find it well.
            try await rig.station.during {
                await until {
                    start < 5
                        ? await rig.upkeep.machine.job?.starts == start - 1
                        : rig.restarts.withLock { $0 } == 1
                }
            }
        }
        #expect(FileSystem.exists(folder.file("rolled-back")))
        let last = try await UpkeepRig.make(folder)
        let peer = TestOperator()
        last.station.links.yield(peer)
        try await last.station.during {
            await peer.hears { $0.firmware == [.installationFailed] }
        }
    }

    @Test func `sends both logs, without a secret`() async throws {
        let rig = try await UpkeepRig.make()
        let peer = TestOperator()
        rig.station.links.yield(peer)
        let canary = "00112233445566778899AABBCCDDEEFF"
        try await rig.station.during { () async throws in
            await peer.hears(status: .available)
            #expect(
                try await peer.ask(.changeSetting(key: "AuthorizationKey", value: canary))
                    == .status("Accepted"))
            let next = TestOperator()
            rig.station.links.yield(next)
            await next.hears { $0.securityEvents.contains("ReconfigurationOfSecurityParameters") }
            for (kind, request) in [(LogKind.security, 5), (.diagnostics, 6)] {
                let answer = try await next.ask(
                    .maintenance(
                        .sendLog(
                            LogOrder(
                                kind: kind,
                                transfer: TransferOrder(location: "https://h.example/in/"),
                                requestID: request))))
                guard case .maintenance(.log("Accepted", let name?)) = answer else {
                    Issue.record("not accepted: \(String(describing: answer))")
                    return
                }
                #expect(name.hasPrefix("kerb-CP1-"))
                await next.hears { $0.upkeepReports.contains(.log(.uploaded, requestID: request)) }
            }
        }
        let texts = rig.carriage.uploads.withLock { $0.map(\.text) }
        #expect(texts.count == 2)
        #expect(texts.first?.contains("StartupOfTheDevice") == true)
        #expect(texts.last?.contains("connectors") == true)
        for text in texts { #expect(!text.lowercased().contains(canary.lowercased())) }
    }

    @Test func `tries an upload again and reports what becomes of it`() async throws {
        let rig = try await UpkeepRig.make()
        rig.carriage.failures.withLock {
            $0 = [
                CarriageError(.other, mayHeal: true, "x"),
                CarriageError(.notPermitted, mayHeal: false, "x"),
            ]
        }
        let peer = TestOperator()
        rig.station.links.yield(peer)
        try await rig.station.during { () async throws in
            await peer.hears(status: .available)
            let order = LogOrder(
                kind: .security,
                transfer: TransferOrder(location: "x", retries: 2, retrySeconds: 1), requestID: 1)
            _ = try await peer.ask(.maintenance(.sendLog(order)))
            await peer.hears { $0.upkeepReports.contains(.log(.permissionDenied, requestID: 1)) }
        }
    }

    @Test func `tells security events in order, once, over a restart`() async throws {
        let folder = TemporaryFolder()
        let first = try await UpkeepRig.make(folder)
        await first.upkeep.note(.tamperDetectionActivated, "door")
        await first.upkeep.note(.settingSystemTime)
        await first.station.journal.close()
        let rig = try await UpkeepRig.make(folder)
        let peer = TestOperator()
        rig.station.links.yield(peer)
        try await rig.station.during {
            await peer.hears { $0.securityEvents.count == 4 }
        }
        #expect(
            peer.heard.securityEvents == [
                "StartupOfTheDevice", "TamperDetectionActivated", "SettingSystemTime",
                "StartupOfTheDevice",
            ])
    }

    @Test func `drops what a newer program left and cannot be read`() async throws {
        let rig = try await UpkeepRig.make()
        let journal = rig.station.journal
        try await journal.database.write { sql in
            try sql.execute("UPDATE upkeep_report SET kind = 'tomorrow'")
        }
        await rig.upkeep.note(.settingSystemTime)
        guard case .security(let event) = try await journal.nextReport()?.report else {
            Issue.record("nothing is left")
            return
        }
        #expect(event.type == "SettingSystemTime")
        await journal.close()
    }

    @Test func `keeps its log within bounds, told lines going first`() async throws {
        var limits = JournalLimits()
        limits.securityEvents = 3
        let folder = TemporaryFolder()
        let journal = try await BoardJournal(
            path: folder.file("bounded.db"), bootID: "b", limits: limits)
        for number in 1...5 {
            let event = SecurityEvent(type: "E\(number)", at: nil)
            try await journal.note(.security(event), at: Timestamp(seconds: 0))
            if number == 3, let report = try await journal.nextReport() {
                try await journal.confirm(report: report)
            }
        }
        #expect(try await journal.securityLog().map(\.type) == ["E3", "E4", "E5"])
        await journal.close()
    }

    @Test func `gives an operator up who has no ear for security events`() async throws {
        let rig = try await UpkeepRig.make()
        let peer = TestOperator { event in
            if case .maintenance(.security) = event { return nil }
            return TestOperator.friendly(event)
        }
        rig.station.links.yield(peer)
        try await rig.station.during {
            await peer.hears { !$0.securityEvents.isEmpty }
        }
        // Silence is no answer: it is owed still.
        let journal = try await BoardJournal(path: rig.folder.file("board.db"), bootID: "b")
        #expect(try await journal.nextReport() != nil)
        await journal.close()
    }
}

extension StationUpkeep {
    fileprivate func work(for agent: StationAgent) { self.agent = agent }

    fileprivate var isSettled: Bool { postponed == nil && !isJobUnsaved && !isStepping }
}
