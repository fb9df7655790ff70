import CPO
import Charging
import JSON
import TestSupport
import Testing
import Web

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

    @Test func `has nothing left of its password once the operator gives one on its page`()
        async throws
    {
        let rig = try await rig()
        let stranger = try await rig.connect(password: Self.first)
        _ = try await stranger.boot()
        let access = try await rig.center.changeAccess(
            of: "CS-1", ["password": .string(Self.second)], mayLower: false
        ) { _, _ in }
        #expect(access?.formers.isEmpty == true)
        #expect(await stranger.next() == "closed")
        #expect(await rig.refusal(password: Self.first) == 401)
        #expect(try await rig.connect(password: Self.second).boot()[2]?["status"] == "Pending")
        await rig.end()
    }

    @Test func `is not taken in by a code that is made while it is away`() async throws {
        let rig = try await rig()
        let stranger = try await rig.connect(password: Self.first)
        _ = try await stranger.boot()
        await stranger.client.close()
        while rig.center.links["CS-1"] != nil, !Task.isCancelled { await Task.yield() }
        _ = try await rig.center.makeEnrolment("CS-1", minutes: 10)
        // Nobody followed the registry yet: its row alone knows.
        let again = try await rig.connect(password: Self.first)
        try? await again.send(Self.bootText)
        #expect(await again.next() == "closed")
        #expect(rig.center.directory["CS-1"]?.access.verifier == nil)
        #expect(try await registration(rig) == .accepted)
        await rig.end()
    }

    @Test func `is forgotten by a door that follows the registry, though it is away`() async throws
    {
        let rig = try await rig()
        let stranger = try await rig.connect(password: Self.first)
        _ = try await stranger.boot()
        await stranger.client.close()
        while rig.center.links["CS-1"] != nil, !Task.isCancelled { await Task.yield() }
        let running = Task { await rig.center.run() }
        _ = try await rig.center.makeEnrolment("CS-1", minutes: 10)
        while rig.center.directory["CS-1"]?.access.verifier != nil, !Task.isCancelled {
            // The follower's pause, whenever it begins.
            rig.clock.advance(milliseconds: 250)
            await Task.yield()
        }
        #expect(rig.center.directory["CS-1"]?.access.verifier == nil)
        running.cancel()
        await running.value
        await rig.end()
    }

    @Test func `is not taken in by its boot right after the code was made`() async throws {
        let rig = try await rig()
        let stranger = try await rig.connect(password: Self.first)
        _ = try await stranger.boot()
        _ = try await rig.center.makeEnrolment("CS-1", minutes: 10)
        try await stranger.send(Self.bootText)
        var heard = await stranger.next()
        while heard != "closed" {
            #expect(!heard.contains("Accepted"))
            heard = await stranger.next()
        }
        await rig.end()
    }

    @Test func `stays connected by a later password once a person took it in`() async throws {
        let rig = try await rig()
        let station = try await rig.connect(password: Self.first)
        _ = try await station.boot()
        try await register(rig)
        let link = try #require(rig.center.links["CS-1"])
        await link.adopted(try #require(rig.center.access(of: "CS-1")))
        var answer = try await station.ask(Self.bootText)
        while !answer.hasPrefix("[3,") { answer = await station.next() }
        #expect(answer.contains("Accepted"))
        try await rig.center.setPassword(Self.second, for: "CS-1")
        try await station.send(#"[2,"h","Heartbeat",{}]"#)
        var heard = await station.next()
        while heard != "closed", !heard.hasPrefix(#"[3,"h""#) { heard = await station.next() }
        #expect(heard != "closed")
        await rig.end()
    }

    @Test
    func `leaves room in the inbox for unknown ones, and is no more than an address may have`()
        async throws
    {
        let rig = try await Rig(unknownStations: .inbox) {
            $0.pendingStations = 1
            $0.pendingStationsOfAddress = 2
        }
        try await rig.house.write { [rig] transaction in
            for number in 1...3 {
                _ = try rig.house.stations.register(
                    "CS-\(number)", .accepted, at: Rig.noon, in: transaction)
            }
        }
        try await rig.center.load()
        _ = try await rig.connect("CS-1", password: Self.first).boot()
        let here = Neighbourhood(of: "127.0.0.1")
        let now = rig.clock.monotonicMilliseconds
        #expect(rig.center.directory.waiting(near: here, at: now) == (0, 1))
        // An unknown one has the place that is there.
        _ = try await rig.connect("GHOST-1", password: Self.first).boot()
        #expect(rig.center.directory.waiting(near: here, at: now) == (1, 2))
        #expect(await rig.refusal("CS-2", password: Self.first) == 429)
        #expect(rig.center.directory["CS-2"]?.registration == .accepted)
        // Whoever waits already may come again; so it is after a restart.
        #expect(await rig.refusal("CS-1", password: Self.first) == nil)
        let again = StationDirectory()
        try await again.load(from: rig.house)
        #expect(again.waiting(near: here, at: now) == (1, 2))
        await rig.end()
    }

    private static let bootText =
        #"[2,"again","BootNotification",{"chargePointModel":"M","chargePointVendor":"V"}]"#

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
