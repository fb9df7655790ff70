import Charging
import Crypto
import OCPP
import Service
import TestSupport
import Testing
import Web

@testable import Station

@Suite(.timeLimit(.minutes(2))) struct `A station's credentials` {
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

    @Test func `keeps what the operator changed when an earlier program wrote it down`() throws {
        let folder = TemporaryFolder()
        let base = LinkCredentials.Base(
            url: "wss://example.org/CP1", profile: 3, password: [1],
            certificateFile: "/etc/kerb/board.pem", keyFile: "/etc/kerb/board-key.pem")
        let path = folder.file("credentials/link.json")
        try FileSystem.makeFolder(folder.file("credentials"))
        // SHA-256 of URL, profile, SHA-256 of the password and both whole paths, a line each.
        let earlier = "426a60bf2033fa97da4cfe91e0304a5046900f8b713c4d2a1e397918072acff0"
        let file =
            "{\"base\":\"\(earlier)\",\"current\":{\"profile\":3,\"certificate\":\"certificate-1\"}}"
        try FileSystem.writeAtomically(Array(file.utf8), to: path)
        let first = try LinkCredentials(base: base, folder: folder.file("credentials"))
        #expect(first.current.certificate == "certificate-1")
        #expect(try !String(decoding: FileSystem.read(path), as: UTF8.self).contains(text: earlier))
        // From now on the folder of the files does not matter.
        var moved = base
        moved.certificateFile = "/srv/board.pem"
        let second = try LinkCredentials(base: moved, folder: folder.file("credentials"))
        #expect(second.current.certificate == "certificate-1")
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
