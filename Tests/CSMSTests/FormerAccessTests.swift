import CPO
import Charging
import JSON
import OCPP
import SQL
import TestSupport
import Testing

@testable import CSMS
@testable import Web

@Suite struct `What counted before a change of access` {
    private static let passwords = (0..<6).map { "password-number-000\($0)" }

    private static func later(_ hours: Int64) -> Timestamp {
        Rig.noon.advanced(bySeconds: hours * 3600)
    }

    private static func has(_ access: StationAccess, _ password: Int, at now: Timestamp) -> Bool {
        let bytes = Array(passwords[password].utf8)
        return access.verifier?.match(bytes) == .yes
            || access.formers.contains { $0.until > now && $0.verifier?.match(bytes) == .yes }
    }

    private static func rotated(_ access: inout StationAccess, _ password: Int, _ hours: Int64?) {
        access.rotate(
            to: Array(passwords[password].utf8), until: hours.map(later), at: Rig.noon)
    }

    @Test func `ends with its time, whatever changes afterwards`() {
        var access = StationAccess()
        Self.rotated(&access, 0, nil)
        Self.rotated(&access, 1, 1)
        access.raise(to: 1, until: Self.later(48), at: Self.later(2))
        #expect(!Self.has(access, 0, at: Self.later(3)))
        var other = StationAccess()
        Self.rotated(&other, 0, nil)
        Self.rotated(&other, 1, 24)
        other.raise(to: 1, until: Self.later(1), at: Rig.noon)
        #expect(Self.has(other, 0, at: Self.later(23)))
        #expect(!Self.has(other, 0, at: Self.later(24)))
    }

    @Test func `stays through more changes, the oldest longest`() {
        var access = StationAccess()
        Self.rotated(&access, 0, nil)
        for number in 1...5 { Self.rotated(&access, number, 24) }
        #expect((0...5).filter { Self.has(access, $0, at: Rig.noon) } == [0, 3, 4, 5])
        access.takeBack(Array(Self.passwords[5].utf8))
        #expect(access.verifier?.match(Array(Self.passwords[4].utf8)) == .yes)
        #expect(!Self.has(access, 5, at: Rig.noon))
        access.passwordUsed()
        #expect((0...5).filter { Self.has(access, $0, at: Rig.noon) } == [4])
    }

    @Test func `comes back from the row, also from one of before there were several`() async throws
    {
        let rig = try await Rig()
        var access = StationAccess()
        Self.rotated(&access, 0, nil)
        Self.rotated(&access, 1, 24)
        access.raise(to: 2, until: Self.later(2), at: Rig.noon)
        let stored = access
        let read = try await rig.house.write { transaction in
            try stored.store("CS-1", at: Rig.noon, in: transaction)
            return try StationAccess.stored("CS-1", in: transaction)
        }
        #expect(read == stored)
        let (verifier, until) = (try #require(stored.formers.last?.verifier), Self.later(24))
        let old = try await rig.house.write { transaction in
            try transaction.execute(
                """
                UPDATE csms_station SET formers = NULL, former_verifier = ?, former_profile = -1,
                former_until = ?
                """, verifier.text, until)
            return try StationAccess.stored("CS-1", in: transaction)
        }
        #expect(old.formers.map(\.verifier) == [verifier, nil])
        #expect(old.formers.map(\.profile) == [nil, .any])
        await rig.end()
    }

    @Test(arguments: [true, false])
    func `counts again where the station refuses the new password`(isKnown: Bool) async throws {
        let rig = try await Rig()
        let old = isKnown ? Self.passwords[0] : nil
        let station = try await rig.connect(password: old)
        _ = try await station.boot()
        let sending = Task {
            try await rig.center.send(
                .changeSetting(key: "AuthorizationKey", value: Self.passwords[1]), to: "CS-1",
                deadlineSeconds: 5)
        }
        let call = try JSONValue(parsing: await station.next())
        if isKnown {
            // The station has it, and nobody was told yet.
            let stored = try await rig.house.read { try StationAccess.stored("CS-1", in: $0) }
            #expect(Self.has(stored, 0, at: Rig.noon) && Self.has(stored, 1, at: Rig.noon))
        }
        try await station.send(#"[3,"\#(call[1]?.string ?? "")",{"status":"Rejected"}]"#)
        _ = try await sending.value
        if isKnown { #expect(await rig.refusal(password: Self.passwords[1]) == 401) }
        #expect(await rig.refusal(password: old) == nil)
        await rig.end()
    }

    @Test func `stands no longer than its time`() {
        var access = StationAccess()
        Self.rotated(&access, 0, nil)
        var granted = Admission.Granted(
            station: "CS-1", version: .v16, deviations: Deviations(), isStrict: false)
        granted.provenBy = access.verifier
        Self.rotated(&access, 1, 24)
        #expect(granted.stands(in: access, at: Self.later(23)))
        #expect(!granted.stands(in: access, at: Self.later(24)))
    }

    @Test func `is not ended by a use of what was changed meanwhile`() {
        var access = StationAccess()
        Self.rotated(&access, 0, nil)
        Self.rotated(&access, 1, 24)
        var granted = Admission.Granted(
            station: "CS-1", version: .v16, deviations: Deviations(), isStrict: false)
        granted.usedNewPassword = access.verifier
        // An operator's change lies between the handshake and the row.
        Self.rotated(&access, 2, 24)
        #expect(granted.apply(to: &access, at: Rig.noon))
        #expect(Self.has(access, 1, at: Rig.noon))
        granted.firstPassword = Array(Self.passwords[3].utf8)
        #expect(!granted.apply(to: &access, at: Rig.noon))
    }
}

@Suite(.timeLimit(.minutes(1))) struct `A station that is removed` {
    @Test func `starts anew when it is registered again, on a server that runs`() async throws {
        let rig = try await Rig(unknownStations: .inbox)
        let running = Task { await rig.center.run() }
        _ = try await rig.connect(password: "password-of-before").boot()
        try await rig.house.write { [house = rig.house] transaction in
            _ = try house.stations.remove("CS-1", at: Rig.noon, in: transaction)
            try house.stations.register("CS-1", .accepted, at: Rig.noon, in: transaction)
        }
        // The log's task and the follower's pause.
        await rig.clock.sleepers(atLeast: 2)
        rig.clock.advance(milliseconds: 250)
        while rig.center.directory["CS-1"]?.access.verifier != nil, !Task.isCancelled {
            await Task.yield()
        }
        // Admitted with its row; the older of two entries may be followed only now.
        _ = try await rig.connect(password: "password-of-today").boot()
        while rig.center.directory["CS-1"]?.access.verifier == nil, !Task.isCancelled {
            await Task.yield()
        }
        #expect(await rig.refusal(password: "password-of-before") == 401)
        running.cancel()
        await running.value
        await rig.end()
    }

    @Test func `leaves nothing by which one of its id could prove itself`() async throws {
        let rig = try await Rig(unknownStations: .refuse)
        let made = try await rig.center.makeEnrolment("CS-7", minutes: 10)
        _ = try await rig.center.redeem(made.code, password: EnrolmentTestPassword.text)
        let rows = try await rig.house.write { [house = rig.house] transaction in
            _ = try house.stations.remove("CS-7", at: Rig.noon, in: transaction)
            return try transaction.query("SELECT folded FROM csms_station").count
                + transaction.query("SELECT folded FROM csms_enrolment").count
        }
        #expect(rows == 0)
        await rig.end()
    }

    @Test func `is not known again by a row that was left over`() async throws {
        let rig = try await Rig()
        var access = StationAccess()
        access.isStrict = true
        let left = access
        try await rig.house.write { try left.store("CS-8", at: Rig.noon, in: $0) }
        try await rig.center.load()
        #expect(rig.center.directory["CS-8"] == nil)
        await rig.end()
    }
}

private enum EnrolmentTestPassword {
    static let text = "ABCDEFGHJKMNPQRSTVWX"
}

@Suite struct `A code that was used` {
    @Test func `does not undo a later password, and ends the former ones`() async throws {
        let rig = try await Rig()
        _ = try await rig.connect("CS-7", password: "stolen-password-01").boot()
        try await rig.center.setPassword(
            "another-password-2", for: "CS-7", overlapSeconds: 86_400)
        let made = try await rig.center.makeEnrolment("CS-7", minutes: 10)
        _ = try await rig.center.redeem(made.code, password: EnrolmentTestPassword.text)
        #expect(await rig.refusal("CS-7", password: "stolen-password-01") == 401)
        try await rig.center.setPassword("rotated-password-3", for: "CS-7")
        await #expect(throws: Enrolment.Refusal.used) {
            try await rig.center.redeem(made.code, password: EnrolmentTestPassword.text)
        }
        #expect(await rig.refusal("CS-7", password: "rotated-password-3") == nil)
        await rig.end()
    }
}

@Suite struct `A station that comes by certificate` {
    private func verdict(
        _ access: StationAccess, certificate: String? = nil, password: String? = nil,
        in directory: StationDirectory = StationDirectory()
    ) -> Admission.Verdict {
        var http = HTTPRequest(path: "/ocpp/CS-1", isTLS: true)
        http.headers.add("Connection", "Upgrade")
        http.clientCertificate = certificate.map {
            ClientCertificate(commonName: $0, organization: "", sha256: "")
        }
        let request = UpgradeRequest(
            http: http,
            credentials: password.map {
                BasicCredentials(user: Array("CS-1".utf8), password: Array($0.utf8))
            }, offeredSubprotocols: ["ocpp1.6"], subprotocol: "ocpp1.6")
        let admission = Admission(
            settings: CentralSystemSettings(), unknownStations: .inbox, versions: [.v16])
        return admission.decide(
            request, at: Rig.noon, isOthersName: { directory.isOthersName($0) }
        ) { _ in
            StationDirectory.Entry(id: "CS-1", registration: .accepted, access: access)
        }
    }

    @Test func `does not come in with a certificate that is another's by its name`() {
        let directory = StationDirectory()
        var other = StationAccess()
        other.certificateName = "cs-1"
        directory.put(other, for: "CS-2")
        let access = StationAccess()
        #expect(
            verdict(access, certificate: "CS-1", in: directory) == .refused(.wrongCertificate))
        other.certificateName = "SERIAL-2"
        directory.put(other, for: "CS-2")
        guard case .granted = verdict(access, certificate: "CS-1", in: directory) else {
            Issue.record("not granted")
            return
        }
    }

    @Test func `is held to it from the first time on`() throws {
        var access = StationAccess()
        guard case .granted(let granted) = verdict(access, certificate: "CS-1") else {
            Issue.record("not granted")
            return
        }
        #expect(granted.changesAccess)
        #expect(granted.apply(to: &access, at: Rig.noon))
        #expect(access.securityProfile == 3)
        #expect(verdict(access, password: "a-first-password") == .refused(.wrongProfile))
    }

    @Test func `has no first password where its certificate's name is known`() {
        var access = StationAccess()
        access.certificateName = "board-17"
        #expect(verdict(access, password: "a-first-password") == .refused(.noPasswordSet))
    }
}
