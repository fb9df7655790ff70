import Charging
import Crypto
import Glibc
import OCPP
import OCPP16
import SQL
import Service
import TestSupport
import Testing
import Web

@testable import Station

/// Files that come and go as a test says, without a network.
final class TestCarriage: FileCarriage {
    let files = Lock([String: [UInt8]]())
    let uploads = Lock([(url: String, text: String)]())
    let failures = Lock([CarriageError]())

    func download(
        _ url: String, to path: String, limitBytes: Int64, resuming tag: String?,
        tagged: @escaping @Sendable (String?) -> Void
    ) async throws(CarriageError) {
        try fail()
        guard let bytes = files.withLock({ $0[url] }) else {
            throw CarriageError(.other, mayHeal: false, "not there")
        }
        do throws(FileError) { try FileSystem.writeAtomically(bytes, to: path) } catch {
            throw CarriageError(.other, mayHeal: true, error.description)
        }
    }

    func upload(_ path: String, to url: String) async throws(CarriageError) {
        try fail()
        // A file that is not there is an empty one to the test.
        let bytes = (try? FileSystem.read(path)) ?? []
        uploads.withLock { $0.append((url, String(decoding: bytes, as: UTF8.self))) }
    }

    private func fail() throws(CarriageError) {
        let failure = failures.withLock { $0.isEmpty ? nil : $0.removeFirst() }
        if let failure { throw failure }
    }

    func masked(_ url: String) -> String { url }
}

/// A station whose upkeep has a carriage of the test's.
struct UpkeepRig {
    let station: TestStation
    let upkeep: StationUpkeep
    let carriage: TestCarriage
    let folder: TemporaryFolder
    let restarts: Lock<Int>

    static func make(
        _ folder: TemporaryFolder = TemporaryFolder(), profile: Int = 1,
        roots fixed: [RootKind: String] = [:], check: Bool = false,
        change: (inout StationUpkeep.Configuration) -> Void = { _ in }
    ) async throws -> UpkeepRig {
        let carriage = TestCarriage()
        let restarts = Lock(0)
        var made: StationUpkeep?
        let credentials = try LinkCredentials(
            base: .init(url: "ws://127.0.0.1/CP1", profile: profile, password: [1, 2, 3]),
            folder: folder.file("credentials"))
        let store = try RootStore(
            folder: folder.file("certificates"), fixed: fixed, needsSignatureOfOld: check)
        var configuration = StationUpkeep.Configuration(
            stationID: "CP1", commonName: "S-1", version: "1.0", folder: folder.file("firmware"),
            carriage: carriage)
        configuration.acceptsUnsigned = true
        configuration.installCommand = ["/bin/cp", "{file}", folder.file("installed")]
        change(&configuration)
        let final = configuration
        let station = try await TestStation.make(path: folder.file("board.db")) {
            agent, journal, settings in
            let upkeep = try await StationUpkeep(
                final, journal: journal, settings: settings, credentials: credentials,
                roots: store, log: .silent)
            made = upkeep
            agent.upkeep = upkeep
            agent.restart = { _ in restarts.withLock { $0 += 1 } }
        }
        return UpkeepRig(
            station: station, upkeep: try #require(made), carriage: carriage, folder: folder,
            restarts: restarts)
    }
}

extension [StationEvent] {
    var upkeepReports: [MaintenanceReport] {
        compactMap { if case .maintenance(let report) = $0 { report } else { nil } }
    }
    var firmware: [FirmwareStatus] {
        upkeepReports.compactMap {
            switch $0 {
            case .firmware(let status), .signedFirmware(let status, _): status
            case .diagnostics, .log, .security, .certificateRequested: nil
            }
        }
    }
    var securityEvents: [String] {
        upkeepReports.compactMap { if case .security(let event) = $0 { event.type } else { nil } }
    }
}

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

    // MARK: Certificates

    @Test func `takes the certificate it asked for and no other`() async throws {
        let rig = try await UpkeepRig.make()
        let authority = try CertificateAuthority(commonName: "CPO root")
        let stranger = try CertificateAuthority(commonName: "CPO root")
        let peer = TestOperator()
        rig.station.links.yield(peer)
        try await rig.station.during { () async throws in
            await peer.hears(status: .available)
            let root = StationCommand.maintenance(
                .installRoot(.centralSystem, pem: try authority.certificatePEM()))
            #expect(try await peer.ask(root) == .status("Accepted"))
            #expect(try await peer.ask(root) == .status("Accepted"))
            let trigger = MaintenanceOrder.trigger(
                message: "SignChargePointCertificate", connector: nil)
            #expect(try await peer.ask(.maintenance(trigger)) == .status("Accepted"))
            await peer.hears { $0.upkeepReports.contains { $0.csr != nil } }
            let csr = try CertificateRequest(
                pem: try #require(peer.heard.upkeepReports.compactMap(\.csr).first))
            func signed(_ pem: String) async throws -> CommandAnswer? {
                try await peer.ask(.maintenance(.certificateSigned(chain: pem)))
            }
            let wrong = try authority.issueClient(commonName: "S-1").certificatePEM
            #expect(try await signed(wrong) == .status("Rejected"))
            #expect(try await signed("nonsense") == .status("Rejected"))
            #expect(try await signed(try stranger.sign(csr).pem()) == .status("Rejected"))
            #expect(try await signed(try authority.sign(csr).pem()) == .status("Accepted"))
            await peer.hears {
                $0.securityEvents.filter { $0 == "InvalidChargePointCertificate" }.count == 3
            }
        }
        let name = try #require(rig.upkeep.credentials.newest.certificate)
        let key = rig.upkeep.credentials.keyFile(name)
        #expect(try FileSystem.mode(of: key) == 0o600)
        #expect(rig.upkeep.credentials.pendingKey == nil)
    }

    @Test func `lists and deletes roots, but never the last one the link needs`() async throws {
        let rig = try await UpkeepRig.make(profile: 2)
        let one = try CertificateAuthority(commonName: "One").certificatePEM()
        let two = try CertificateAuthority(commonName: "Two").certificatePEM()
        let leaf = try CertificateAuthority(commonName: "X").issueClient(commonName: "y")
        func execute(_ order: MaintenanceOrder) async -> CommandAnswer {
            await rig.upkeep.execute(order).0
        }
        #expect(await execute(.listRoots(.centralSystem)) == .maintenance(.roots([])))
        #expect(await execute(.installRoot(.centralSystem, pem: one)) == .status("Accepted"))
        #expect(await execute(.installRoot(.manufacturer, pem: two)) == .status("Accepted"))
        for bad in ["nonsense", leaf.certificatePEM, one + two] {
            #expect(await execute(.installRoot(.centralSystem, pem: bad)) == .status("Rejected"))
        }
        let hashes = rig.upkeep.roots.list(.centralSystem)
        #expect(hashes.count == 1)
        #expect(await execute(.deleteCertificate(hashes[0])) == .status("Failed"))
        let maker = rig.upkeep.roots.list(.manufacturer)[0]
        #expect(await execute(.deleteCertificate(maker)) == .status("Accepted"))
        #expect(await execute(.deleteCertificate(maker)) == .status("NotFound"))
        await rig.station.journal.close()
    }

    @Test func `takes a new root only from an old one where it is told to`() async throws {
        let old = try CertificateAuthority(commonName: "Old")
        let rig = try await UpkeepRig.make(check: true)
        try rig.upkeep.roots.install(.centralSystem, pem: try old.certificatePEM(), at: 0)
        let stranger = try CertificateAuthority(commonName: "Stranger").certificatePEM()
        #expect(throws: RootStore.Refusal.notSignedByOld) {
            try rig.upkeep.roots.install(.centralSystem, pem: stranger, at: 0)
        }
        await rig.station.journal.close()
    }

    @Test func `holds no more roots than it has room for`() async throws {
        let rig = try await UpkeepRig.make()
        let most = rig.upkeep.roots.limits.certificates
        for number in 0..<most {
            let pem = try CertificateAuthority(commonName: "R\(number)").certificatePEM()
            try rig.upkeep.roots.install(.manufacturer, pem: pem, at: 0)
        }
        let pem = try CertificateAuthority(commonName: "one too many").certificatePEM()
        #expect(throws: RootStore.Refusal.storeFull) {
            try rig.upkeep.roots.install(.centralSystem, pem: pem, at: 0)
        }
        await rig.station.journal.close()
    }

    // MARK: Profiles and passwords

    @Test func `raises its profile only where it can keep it, and never lowers it`() async throws {
        let rig = try await UpkeepRig.make(profile: 1)
        func change(_ value: String) async -> CommandAnswer? {
            await rig.upkeep.change("SecurityProfile", value)?.0
        }
        #expect(await change("0") == .status("Rejected"))
        #expect(await change("1") == .status("Accepted"))
        #expect(await change("2") == .status("Rejected"))
        let root = try CertificateAuthority(commonName: "CPO").certificatePEM()
        _ = await rig.upkeep.execute(.installRoot(.centralSystem, pem: root))
        #expect(await change("3") == .status("Rejected"))
        #expect(await change("2") == .status("Accepted"))
        #expect(rig.upkeep.credentials.next().url == "wss://127.0.0.1/CP1")
        #expect(await change("1") == .status("Rejected"))
        // Until a connection was made, the old profile is the one to come back to.
        #expect(rig.upkeep.credentials.current.profile == 1)
        await rig.upkeep.linkMade(with: LinkIdentity(profile: 2))
        #expect(rig.upkeep.credentials.current.profile == 2)
        await rig.station.journal.close()
    }

    @Test func `keeps old and new password over a crash until one of them has worked`() async throws
    {
        let folder = TemporaryFolder()
        let rig = try await UpkeepRig.make(folder)
        #expect(await rig.upkeep.change("AuthorizationKey", "short")?.0 == .status("Rejected"))
        let new = "00112233445566778899aabbccddeeff"
        #expect(await rig.upkeep.change("authorizationkey", new)?.0 == .status("Accepted"))
        await rig.station.journal.close()
        let after = try await UpkeepRig.make(folder)
        #expect(after.upkeep.credentials.next().password == Hex.decode(new))
        for _ in 0..<2 { await after.upkeep.linkFailed(.status(401)) }
        #expect(after.upkeep.credentials.next().password == [1, 2, 3])
        await after.upkeep.linkMade(with: after.upkeep.credentials.next().identity)
        #expect(after.upkeep.credentials.newest.password == nil)
        #expect(try FileSystem.mode(of: folder.file("credentials/link.json")) == 0o600)
        await after.station.journal.close()
    }
}

extension MaintenanceReport {
    fileprivate var csr: String? {
        if case .certificateRequested(let csr) = self { csr } else { nil }
    }
}

@Suite struct `A link that is not made` {
    private func kind(_ error: WebSocketClientError) -> SecurityEvent.Kind? {
        StationUpkeep.event(for: error)?.0
    }

    @Test func `is a security event only where somebody was refused`() {
        #expect(kind(.status(401)) == .failedToAuthenticateAtCentralSystem)
        #expect(kind(.status(503)) == nil)
        #expect(kind(.timedOut) == nil)
        #expect(kind(.refused(reason: "Unable to connect")) == nil)
        #expect(kind(.refused(reason: "TLS alert: decode error")) == nil)
        #expect(kind(.refused(reason: "TLS alert: protocol version")) == .invalidTLSVersion)
        #expect(
            kind(.refused(reason: "TLS alert: handshake failure")) == .invalidTLSCipherSuite)
        #expect(
            kind(.refused(reason: "TLS alert: unknown CA"))
                == .failedToAuthenticateAtCentralSystem)
        #expect(
            kind(.refused(reason: "the server's certificate: certificate has expired"))
                == .invalidCentralSystemCertificate)
    }
}
