import CPO
import Charging
import Crypto
import JSON
import SQL
import Service
import TestSupport
import Testing

@testable import CSMS

@Suite(.timeLimit(.minutes(1))) struct `The operator's authority` {
    private struct NoCertificate: Error {}

    private struct Office {
        let rig: Rig
        let authority: StationAuthority

        init(_ change: @escaping (inout AuthoritySettings) -> Void = { _ in }) async throws {
            var settings = AuthoritySettings(
                authority: try CertificateAuthority(commonName: "CA", validDays: 3650),
                organisation: "Kerb")
            change(&settings)
            let made = settings
            rig = try await Rig {
                $0.lowestSecurityProfile = 0
                $0.authority = made
            }
            authority = try #require(rig.center.authority)
            // Certificates are dated by the system's clock: the house's is not behind it.
            let behind = SystemClock().now.milliseconds(since: rig.clock.now)
            if behind > 0 { rig.clock.advance(milliseconds: behind) }
        }

        func online(_ id: String = "CS-1") async throws {
            let now = rig.clock.now
            try await rig.house.write { [house = rig.house] transaction in
                try house.stations.register(id, .accepted, at: now, in: transaction)
                _ = try house.stations.attached(
                    id, subprotocol: "ocpp1.6", at: now, in: transaction)
            }
        }

        func ask(_ csr: String, profile: Int = 2, station: String = "CS-1") async throws -> Bool {
            try await authority.requested(
                csr, by: station, name: station, profile: profile, at: rig.clock.now)
        }

        func commands(_ name: String) async throws -> [Command] {
            try await rig.house.commands.list().filter { $0.command.name == name }.reversed()
        }

        func answer(_ command: Command, _ state: Command.State) async throws {
            _ = try await rig.house.write { transaction in
                try transaction.execute(
                    "UPDATE command SET state = ? WHERE id = ?", state.rawValue, command.id)
            }
        }

        /// A station with a certificate of ours.
        func issued(_ id: String = "CS-1") async throws -> Certificate {
            let before = try await commands("certificateSigned").count
            let (csr, _) = try CertificateRequest.make(commonName: id, organisation: "Kerb")
            try #expect(await ask(csr, station: id))
            try await authority.sign()
            for root in try await commands("installRoot") where root.state == .queued {
                try await answer(root, .seen)
            }
            try await authority.sign()
            let made = try await commands("certificateSigned")
            #expect(made.count == before + 1)
            guard case .maintenance(.certificateSigned(let chain)) = made.last?.command else {
                throw NoCertificate()
            }
            return try Certificate(pem: chain)
        }
    }

    @Test func `signs what a station asks for, root first`() async throws {
        let office = try await Office()
        try await office.online()
        let (csr, key) = try CertificateRequest.make(
            commonName: "CS-1", organisation: "Anything", names: [.dns("cpo.example.in")])
        #expect(try await office.ask(csr))
        try await office.authority.sign()
        #expect(try await office.commands("installRoot").count == 1)
        #expect(try await office.commands("certificateSigned").isEmpty)
        let root = try #require(try await office.commands("installRoot").first)
        // Whatever the station says to it: some have it, some cannot take it.
        try await office.answer(root, .rejected)
        try await office.authority.sign()
        let signed = try #require(try await office.commands("certificateSigned").first)
        guard case .maintenance(.certificateSigned(let chain)) = signed.command else { return }
        let made = try Certificate.all(pem: chain)
        #expect(made.count == 2)
        #expect(made[0].commonName == "CS-1" && made[0].organisation == "Kerb")
        #expect(made[0].matches(privateKeyPEM: key))
        #expect(made[0].isSigned(by: office.authority.settings.authority.certificate))
        #expect(!made[0].isAuthority)
        // Of the request only the key is taken: no station becomes a server of ours.
        #expect(!made[0].covers(host: "cpo.example.in"))
        let listed = try await office.authority.certificates(of: "CS-1")
        #expect(listed.map(\.fingerprint) == [made[0].fingerprint])
        let kinds = try await office.rig.house.journal.lines(after: 0).map(\.kind)
        #expect(kinds.contains(.stationCertificateSigned))
        await office.rig.end()
    }

    @Test func `sends its root once`() async throws {
        let office = try await Office()
        try await office.online()
        _ = try await office.issued()
        _ = try await office.issued()
        #expect(try await office.commands("installRoot").count == 1)
        await office.rig.end()
    }

    static let ed25519 = """
        -----BEGIN CERTIFICATE REQUEST-----
        MIGRMEUCAQAwEjEQMA4GA1UEAwwHQ1MtMQAAMCowBQYDK2VwAyEA
        -----END CERTIFICATE REQUEST-----
        """

    @Test func `refuses what is not the station's, and says why`() async throws {
        let office = try await Office()
        try await office.online()
        let now = office.rig.clock.now
        let (good, _) = try CertificateRequest.make(commonName: "CS-1", organisation: nil)
        let (other, _) = try CertificateRequest.make(commonName: "CS-2", organisation: nil)
        func reason(_ pem: String) -> StationAuthority.Refusal? {
            do throws(StationAuthority.Refusal) {
                try office.authority.check(pem, name: "CS-1", at: now)
                return nil
            } catch { return error }
        }
        #expect(reason(good) == nil)
        #expect(reason(other) == .wrongName)
        #expect(reason("nonsense") == .unreadable)
        #expect(reason(Self.ed25519) == .unreadable)
        #expect(reason(good + String(repeating: " ", count: 6000)) == .unreadable)
        #expect(try await !office.ask(other))
        // Over a link that proves too little, too.
        #expect(try await !office.ask(good, profile: 1))
        #expect(try await office.ask(good, profile: 2))
        await office.rig.end()
    }

    @Test func `keeps the beginning of what it refuses`() async throws {
        let office = try await Office()
        try await office.online()
        let long = String(repeating: "x", count: 5000)
        #expect(try await !office.ask(long))
        let (good, _) = try CertificateRequest.make(commonName: "CS-1", organisation: nil)
        #expect(try await office.ask(good))
        let kept = try await office.rig.house.journal.lines(after: 0)
            .filter { $0.kind == .stationCertificateRequested }
            .map { try JSONValue(parsing: $0.body)["csr"]?.string ?? "" }
        #expect(kept == [String(long.prefix(200)), good])
        await office.rig.end()
    }

    @Test func `makes nothing that outlives it`() async throws {
        let office = try await Office {
            $0.validityDays = 3650
        }
        try await office.online()
        let made = try await office.issued()
        #expect(made.notAfter <= office.authority.settings.authority.certificate.notAfter)
        office.rig.clock.advance(milliseconds: 3650 * 86_400_000)
        let (csr, _) = try CertificateRequest.make(commonName: "CS-1", organisation: nil)
        #expect(try await !office.ask(csr))
        await office.rig.end()
    }

    @Test func `ends a former certificate a while after the new one was used`() async throws {
        let office = try await Office()
        try await office.online()
        let authority = office.authority
        func use(_ certificate: Certificate) async throws {
            let now = office.rig.clock.now
            try await office.rig.house.write {
                try authority.used(certificate.fingerprint, by: "CS-1", at: now, in: $0)
            }
        }
        let old = try await office.issued()
        try await use(old)
        office.rig.clock.advance(milliseconds: 1000)
        let new = try await office.issued()
        func ended(_ certificate: Certificate) -> Bool {
            authority.hasEnded(certificate.fingerprint, at: office.rig.clock.now)
        }
        office.rig.clock.advance(milliseconds: 30 * 86_400_000)
        #expect(!ended(old))
        try await use(new)
        office.rig.clock.advance(milliseconds: 7 * 86_400_000 - 1)
        #expect(!ended(old))
        office.rig.clock.advance(milliseconds: 1)
        #expect(ended(old) && !ended(new))
        await office.rig.end()
    }

    @Test func `revokes at once, and remembers it over a restart`() async throws {
        let office = try await Office()
        try await office.online()
        let made = try await office.issued()
        #expect(try await office.authority.revoke(made.fingerprint, of: "CS-1") { _ in })
        #expect(try await !office.authority.revoke(made.fingerprint, of: "CS-1") { _ in })
        let again = StationAuthority(house: office.rig.house, settings: office.authority.settings)
        try await again.load()
        #expect(again.hasEnded(made.fingerprint, at: office.rig.clock.now))
        await office.rig.end()
    }

    @Test func `ends one of very many, too`() async throws {
        let office = try await Office()
        try await office.online()
        let made = try await office.issued()
        office.rig.clock.advance(milliseconds: 1000)
        let other = try await office.issued()
        let now = office.rig.clock.now
        _ = try await office.rig.house.write { transaction in
            for number in 0..<100 {
                try transaction.execute(
                    """
                    INSERT INTO csms_certificate (fingerprint, serial, station, name, issuer,
                    made_at, not_after, command) VALUES (?, ?, 'CS-1', 'CS-1', 'X', ?, ?, 'C')
                    """, "F-\(number)", "\(number)", now.advanced(bySeconds: 1), now)
            }
        }
        #expect(try await office.authority.certificates(of: "CS-1").count == 100)
        #expect(try await office.authority.revoke(made.fingerprint, of: "CS-1") { _ in })
        #expect(office.authority.hasEnded(made.fingerprint, at: now))
        _ = try await office.rig.house.write { [house = office.rig.house] transaction in
            try house.stations.remove("CS-1", at: now, in: transaction)
        }
        #expect(office.authority.hasEnded(other.fingerprint, at: now))
        await office.rig.end()
    }

    @Test func `signs so often in a day only`() async throws {
        let office = try await Office()
        try await office.online()
        let (csr, _) = try CertificateRequest.make(commonName: "CS-1", organisation: nil)
        for _ in 0..<StationAuthority.mostRequestsADay { #expect(try await office.ask(csr)) }
        for _ in 0..<3 { #expect(try await !office.ask(csr)) }
        // Each line would be room that it takes.
        let lines = try await office.rig.house.journal.lines(after: 0)
            .filter { $0.kind == .stationCertificateRequested }
        #expect(lines.count == StationAuthority.mostRequestsADay + 1)
        office.rig.clock.advance(milliseconds: 86_400_000)
        #expect(try await office.ask(csr))
        await office.rig.end()
    }

    @Test func `ends what a station had that is registered no more`() async throws {
        let office = try await Office()
        try await office.online()
        let made = try await office.issued()
        let now = office.rig.clock.now
        _ = try await office.rig.house.write { [house = office.rig.house] transaction in
            try house.stations.remove("CS-1", at: now, in: transaction)
        }
        #expect(office.authority.hasEnded(made.fingerprint, at: now))
        await office.rig.end()
    }

    @Test func `asks for a new request before the end, once a day`() async throws {
        let office = try await Office { $0.validityDays = 2000 }
        try await office.online()
        let made = try await office.issued()
        let (house, authority) = (office.rig.house, office.authority)
        let now = office.rig.clock.now
        try await house.write { try authority.used(made.fingerprint, by: "CS-1", at: now, in: $0) }
        func asked() async throws -> Int {
            try await authority.renew()
            return try await office.commands("extendedTrigger").count
        }
        #expect(try await asked() == 0)
        let left = Timestamp(seconds: made.notAfter).milliseconds(since: now)
        office.rig.clock.advance(milliseconds: left - 29 * 86_400_000)
        #expect(try await asked() == 1)
        #expect(try await asked() == 1)
        office.rig.clock.advance(milliseconds: 86_400_001)
        #expect(try await asked() == 2)
        await office.rig.end()
    }

    @Test func `asks everybody for a new request after its key was changed`() async throws {
        let office = try await Office()
        try await office.online()
        let made = try await office.issued()
        let (house, authority) = (office.rig.house, office.authority)
        let now = office.rig.clock.now
        try await house.write { try authority.used(made.fingerprint, by: "CS-1", at: now, in: $0) }
        let next = StationAuthority(
            house: house,
            settings: AuthoritySettings(
                authority: try CertificateAuthority(commonName: "CA 2", validDays: 3650),
                organisation: "Kerb"))
        try await next.renew()
        #expect(try await office.commands("extendedTrigger").count == 1)
        await office.rig.end()
    }
}

@Suite struct `An authority's folder` {
    private let scratch = TemporaryFolder()
    private var folder: AuthorityFolder { AuthorityFolder(scratch.file("authority")) }

    @Test func `is made once, with a key nobody else reads`() throws {
        let made = try folder.make(name: "CA", days: 365)
        #expect(throws: AuthorityFolder.Problem.self) { try folder.make(name: "CA", days: 365) }
        #expect(try folder.load().certificate.fingerprint == made.fingerprint)
        let key = scratch.file("authority/authority.key")
        #expect(try FileSystem.mode(of: key) == 0o600)
        let bytes = try FileSystem.read(key)
        try FileSystem.writeAtomically(bytes, to: key, mode: 0o640)
        #expect(throws: AuthorityFolder.Problem.self) { try folder.load() }
    }

    @Test func `keeps the former authority trusted over a rotation until it ends`() throws {
        #expect(throws: AuthorityFolder.Problem.self) {
            try folder.rotate(name: "CA 2", days: 365, at: 0)
        }
        let now = SystemClock().now.milliseconds / 1000
        let old = try folder.make(name: "CA", days: 30)
        let new = try folder.rotate(name: "CA 2", days: 365, at: now)
        #expect(try folder.load().certificate.fingerprint == new.fingerprint)
        #expect(
            try folder.trustedCertificates().map(\.fingerprint) == [
                new.fingerprint, old.fingerprint,
            ])
        let last = try folder.rotate(name: "CA 3", days: 365, at: now + 31 * 86_400)
        #expect(
            try folder.trustedCertificates().map(\.fingerprint) == [
                last.fingerprint, new.fingerprint,
            ])
    }

    @Test func `takes the operator's own, when it is one`() throws {
        let now = SystemClock().now.milliseconds / 1000
        let own = try CertificateAuthority(commonName: "Own", validDays: 365)
        let leaf = try own.issueClient(commonName: "CS-1")
        #expect(throws: AuthorityFolder.Problem.self) {
            try folder.take(
                certificatePEM: leaf.certificatePEM, keyPEM: leaf.privateKeyPEM, at: now)
        }
        #expect(throws: AuthorityFolder.Problem.self) {
            try folder.take(
                certificatePEM: own.certificatePEM(), keyPEM: leaf.privateKeyPEM, at: now)
        }
        #expect(throws: AuthorityFolder.Problem.self) {
            try folder.take(
                certificatePEM: own.certificatePEM(), keyPEM: own.privateKeyPEM(),
                at: now + 400 * 86_400)
        }
        _ = try folder.take(
            certificatePEM: own.certificatePEM(), keyPEM: own.privateKeyPEM(), at: now)
        #expect(try folder.load().certificate.fingerprint == own.certificate.fingerprint)
    }
}
