import CPO
import Charging
import JSON
import OCPP
import SQL
import TestSupport
import Testing

@testable import CSMS
@testable import Web

/// Handshakes of CS-1 as they come in by listeners that are no test's to open.
final class Handshake {
    var access = StationAccess()
    var settings = CentralSystemSettings()

    func verdict(
        isTLS: Bool = true, password: String? = nil, certificate: ClientCertificate? = nil
    ) -> Admission.Verdict {
        var http = HTTPRequest(path: "/ocpp/CS-1", isTLS: isTLS)
        http.headers.add("Connection", "Upgrade")
        http.clientCertificate = certificate
        let request = UpgradeRequest(
            http: http,
            credentials: password.map {
                BasicCredentials(user: Array("CS-1".utf8), password: Array($0.utf8))
            }, offeredSubprotocols: ["ocpp1.6"], subprotocol: "ocpp1.6")
        return Admission(settings: settings, unknownStations: .inbox, versions: [.v16]).decide(
            request, at: Rig.noon
        ) { _ in
            StationDirectory.Entry(id: "CS-1", registration: .accepted, access: access)
        }
    }

    /// Lets it in and keeps what that means for its access.
    func enter(
        isTLS: Bool = true, password: String? = nil, certificate: ClientCertificate? = nil
    ) -> Bool {
        let verdict = verdict(isTLS: isTLS, password: password, certificate: certificate)
        guard case .granted(let granted) = verdict else { return false }
        return granted.apply(to: &access, at: Rig.noon)
    }
}

@Suite struct `A station that came over TLS` {
    private static let password = "0123456789abcdef"
    private static let certificate = ClientCertificate(
        commonName: "CS-1", organization: "", sha256: "")

    private func known() -> Handshake {
        let station = Handshake()
        station.access.rotate(to: Array(Self.password.utf8), until: nil, at: Rig.noon)
        return station
    }

    @Test func `comes in the open no more`() {
        let station = known()
        #expect(station.enter(isTLS: false, password: Self.password))
        #expect(station.enter(password: Self.password))
        #expect(
            station.verdict(isTLS: false, password: Self.password) == .refused(.downgraded))
        #expect(station.enter(password: Self.password))
        // Better is no worse.
        #expect(station.enter(certificate: Self.certificate))
    }

    @Test func `comes in the open again where the operator does not hold it to TLS`() {
        let station = known()
        #expect(station.enter(password: Self.password))
        station.settings.pinsTLS = false
        #expect(station.enter(isTLS: false, password: Self.password))
        #expect(station.enter(password: Self.password))
        station.settings.pinsTLS = true
        #expect(
            station.verdict(isTLS: false, password: Self.password) == .refused(.downgraded))
    }

    @Test func `is held to nothing by a first password, and forgets what others came by`() {
        let station = Handshake()
        #expect(station.enter(password: Self.password))
        #expect(station.access.provenProfile == nil)
        #expect(station.enter(password: Self.password))
        #expect(station.access.provenProfile == 2)
        station.access.forgetPasswords()
        #expect(station.access.provenProfile == nil)
    }

    @Test func `may fall back while its profile is raised, though not into the open`() {
        let station = known()
        #expect(station.enter(password: Self.password))
        station.access.raise(
            to: 3, until: Rig.noon.advanced(bySeconds: 3600), at: Rig.noon)
        #expect(station.enter(password: Self.password))
        #expect(
            station.verdict(isTLS: false, password: Self.password) == .refused(.wrongProfile))
    }

    @Test func `is let in the open again by an administrator alone`() throws {
        let station = known()
        #expect(station.enter(password: Self.password))
        for body: JSONValue in [["securityProfile": 1], ["securityProfile": 1, "lower": true]] {
            #expect {
                try AccessChange(body).apply(
                    to: &station.access, at: Rig.noon, mayLower: false)
            } throws: { $0 is AccessProblem }
        }
        // What changes nothing of it is nobody's business.
        _ = try AccessChange(["securityProfile": nil]).apply(
            to: &station.access, at: Rig.noon, mayLower: false)
        #expect(
            station.verdict(isTLS: false, password: Self.password) == .refused(.downgraded))
        _ = try AccessChange(["securityProfile": nil, "lower": true]).apply(
            to: &station.access, at: Rig.noon, mayLower: true)
        #expect(station.enter(isTLS: false, password: Self.password))
    }

    @Test func `is known as that after a restart`() async throws {
        let rig = try await Rig()
        var access = StationAccess()
        access.pinTLS()
        let stored = access
        let read = try await rig.house.write { transaction in
            try stored.store("CS-1", at: Rig.noon, in: transaction)
            return try StationAccess.stored("CS-1", in: transaction)
        }
        #expect(read == stored)
        await rig.end()
    }
}

@Suite struct `A client certificate` {
    private func verdict(_ organization: String, wanted: String?) -> Admission.Verdict {
        let station = Handshake()
        station.settings.certificateOrganisation = wanted
        return station.verdict(
            certificate: ClientCertificate(
                commonName: "CS-1", organization: organization, sha256: ""))
    }

    @Test func `is of the operator that is named, in any case of letters`() {
        for (organization, wanted) in [
            ("Example Charging", "example charging"), ("Anybody", nil), ("", nil),
        ] {
            guard case .granted = verdict(organization, wanted: wanted) else {
                Issue.record("\(organization) is not granted")
                continue
            }
        }
        for organization in ["Another Charging", "", "Example Charging Ltd"] {
            #expect(
                verdict(organization, wanted: "Example Charging") == .refused(.foreignCertificate))
        }
    }
}
