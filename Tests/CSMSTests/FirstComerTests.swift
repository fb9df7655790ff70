import CPO
import Charging
import JSON
import TestSupport
import Testing

@testable import CSMS

@Suite(.timeLimit(.minutes(1))) struct `Who first comes by the id of a station without a password` {
    private static let first = "first-password-01"
    private static let second = "second-password-2"

    private func rig(
        _ unknown: UnknownStations = .inbox, lowest: Int = 1, _ first: FirstPasswords = .inbox
    ) async throws -> Rig {
        let rig = try await Rig(unknownStations: unknown) {
            $0.lowestSecurityProfile = lowest
            $0.firstPasswords = first
        }
        try await register(rig)
        return rig
    }

    private func register(_ rig: Rig) async throws {
        try await rig.house.write { [rig] transaction in
            _ = try rig.house.stations.register(
                "CS-1", .accepted, at: Rig.noon, in: transaction)
        }
    }

    private func registration(_ rig: Rig) async throws -> RegistrationStatus? {
        try await rig.house.stations.station("CS-1")?.registration
    }

    /// Waits until the door has followed the registry.
    private func follow(_ rig: Rig) async {
        // The log's task and the follower's pause.
        await rig.clock.sleepers(atLeast: 2)
        rig.clock.advance(milliseconds: 250)
    }

    @Test func `waits in the inbox, and is the station once it is adopted`() async throws {
        let rig = try await rig()
        #expect(await rig.refusal() == 401)
        #expect(try await rig.connect(password: Self.first).boot()[2]?["status"] == "Pending")
        #expect(try await registration(rig) == .pending)
        // Once is enough: what was adopted does not wait again.
        try await register(rig)
        #expect(try await rig.connect(password: Self.first).boot()[2]?["status"] == "Accepted")
        #expect(await rig.refusal(password: Self.second) == 401)
        #expect(try await registration(rig) == .accepted)
        await rig.end()
    }

    @Test(arguments: [
        (UnknownStations.adopt, 1, FirstPasswords.inbox), (.inbox, 1, .take), (.inbox, 0, .inbox),
    ])
    func `is the station at once where the operator says so`(
        unknown: UnknownStations, lowest: Int, first: FirstPasswords
    ) async throws {
        let rig = try await rig(unknown, lowest: lowest, first)
        #expect(try await rig.connect(password: Self.first).boot()[2]?["status"] == "Accepted")
        await rig.end()
    }

    @Test func `needs no password where the house takes none, and waits for nobody`() async throws {
        let rig = try await rig(lowest: 0)
        #expect(try await rig.connect().boot()[2]?["status"] == "Accepted")
        await rig.end()
    }

    @Test func `is put out by the password that the operator gives, and never taken in by it`()
        async throws
    {
        let rig = try await rig()
        let stranger = try await rig.connect(password: Self.first)
        _ = try await stranger.boot()
        try await rig.center.setPassword(Self.second, for: "CS-1") { [rig] transaction in
            try rig.house.stations.register("CS-1", .accepted, at: Rig.noon, in: transaction)
        }
        #expect(await stranger.next() == "closed")
        #expect(await rig.refusal(password: Self.first) == 401)
        #expect(try await rig.connect(password: Self.second).boot()[2]?["status"] == "Accepted")
        await rig.end()
    }

    @Test func `cannot keep a board from enrolling`() async throws {
        let rig = try await rig()
        let made = try await rig.center.makeEnrolment("CS-1", minutes: 10)
        let stranger = try await rig.connect(password: Self.first)
        _ = try await stranger.boot()
        #expect(try await registration(rig) == .pending)
        #expect(try await rig.center.redeem(made.code, password: Self.second) == "CS-1")
        #expect(await stranger.next() == "closed")
        #expect(await rig.refusal(password: Self.first) == 401)
        #expect(try await rig.connect(password: Self.second).boot()[2]?["status"] == "Accepted")
        await rig.end()
    }

    @Test func `is not taken in by a code that is made for the board`() async throws {
        let rig = try await rig()
        let running = Task { await rig.center.run() }
        let stranger = try await rig.connect(password: Self.first)
        _ = try await stranger.boot()
        _ = try await rig.center.makeEnrolment("CS-1", minutes: 10)
        await follow(rig)
        // It may be asked for its boot, which is answered by the row.
        var heard = await stranger.next()
        while heard.contains("TriggerMessage") { heard = await stranger.next() }
        #expect(heard == "closed")
        running.cancel()
        await running.value
        await rig.end()
    }
}
