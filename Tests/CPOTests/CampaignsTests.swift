import Charging
import JSON
import SQL
import TestSupport
import Testing

@testable import CPO

/// Images without files.
struct FakeImages: FirmwareSource {
    var known: [FirmwareImage] = [
        FirmwareImage(id: "I-1", name: "one", vendor: "V", model: "M", version: "1.0"),
        FirmwareImage(id: "I-2", name: "two", vendor: "V", model: "M", version: "2.0"),
    ]

    func image(_ id: String, in transaction: Transaction) throws -> FirmwareImage? {
        known.first { $0.id == id }
    }

    func images(version: String, in transaction: Transaction) throws -> [FirmwareImage] {
        known.filter { $0.version == version }
    }

    func order(
        _ image: String, for station: String, signed: Bool, at: Timestamp,
        in transaction: Transaction
    ) throws -> FirmwareOrder? {
        FirmwareOrder(
            transfer: TransferOrder(location: "https://files/\(image)/\(station)"), retrieveAt: at)
    }
}

@Suite struct `The campaigns` {
    static let images = FakeImages()

    private func house(path: String = ":memory:", isNew: Bool = true) async throws -> House {
        let house = try await House(path: path, isNew: isNew)
        guard isNew else { return house }
        try await house.cpo.write { transaction in
            for id in ["CS-2", "CS-3"] {
                try house.cpo.stations.register(id, .accepted, at: House.noon, in: transaction)
                _ = try house.cpo.stations.attached(
                    id, subprotocol: "ocpp1.6", at: House.noon, in: transaction)
            }
        }
        for id in ["CS-1", "CS-2", "CS-3"] { try await boot(house, id, "1.0") }
        return house
    }

    private func boot(_ house: House, _ station: String, _ firmware: String) async throws {
        let identity = StationIdentity(vendor: "V", model: "M", serial: nil, firmware: firmware)
        _ = try await house.cpo.sessions.apply(
            .booted(identity), from: station, receivedAt: house.clock.now)
    }

    private func make(
        _ house: House, _ selection: CampaignSelection, image: Int = 1, anyModel: Bool = false,
        _ change: (inout CampaignPlan) -> Void = { _ in }
    ) async throws -> Campaigns.Record {
        var plan = CampaignPlan(name: "two", image: Self.images.known[image])
        plan.waves = [1]
        change(&plan)
        let now = house.clock.now
        return try await house.cpo.write { [plan] transaction in
            try house.cpo.campaigns.make(
                plan, Self.images.known[image], selection, anyModel: anyModel, in: house.cpo,
                by: "anna", at: now, transaction: transaction)
        }
    }

    private static func model() -> CampaignSelection {
        var selection = CampaignSelection()
        (selection.vendor, selection.model) = ("v", "M")
        return selection
    }

    private func look(_ house: House, seconds: Int64 = 1) async throws {
        house.clock.advance(milliseconds: seconds * 1000)
        try await house.cpo.campaigns.look(house.cpo, Self.images)
    }

    private func orders(_ house: House) async throws -> [String] {
        try await house.cpo.commands.list().filter { $0.command.name == "updateFirmware" }
            .reversed().map(\.station)
    }

    private func state(_ house: House, _ id: String) async throws -> [String] {
        let record = try #require(try await house.cpo.campaigns.campaign(id))
        return [record.machine.state.rawValue] + record.machine.members.map(\.state.rawValue)
    }

    @Test func `send the image wave by wave and survive a restart`() async throws {
        let folder = TemporaryFolder()
        let path = folder.file("kerb.sqlite")
        var house = try await house(path: path)
        let made = try await make(house, Self.model())
        try await look(house)
        #expect(try await orders(house) == ["CS-1"])
        await house.cpo.database.close()
        house = try await self.house(path: path, isNew: false)
        try await look(house)
        #expect(try await orders(house) == ["CS-1"])
        _ = try await house.cpo.sessions.apply(
            .maintenance(.firmware(.downloading)), from: "CS-1", receivedAt: house.clock.now)
        try await look(house)
        #expect(
            try await state(house, made.id) == ["running", "downloading", "waiting", "waiting"])
        try await boot(house, "CS-1", "2.0")
        try await look(house)
        #expect(try await state(house, made.id) == ["running", "done", "ordered", "waiting"])
        await house.cpo.database.close()
    }

    @Test func `are not looked at while none is open, and hold up no writer while nothing is due`()
        async throws
    {
        let engine = CountingEngine()
        let house = try await House(database: Database(engine: engine, readers: 0))
        try await boot(house, "CS-1", "1.0")
        try await look(house)
        #expect(try await engine.count { try await look(house) } == 0)
        let made = try await make(house, Self.model())
        try await look(house)
        #expect(try await orders(house) == ["CS-1"])
        try await look(house)
        let written = try #require(try await house.cpo.campaigns.campaign(made.id)).changedAt
        #expect(try await engine.count { try await look(house) } > 0)
        #expect(try await house.cpo.campaigns.campaign(made.id)?.changedAt == written)
        try await boot(house, "CS-1", "2.0")
        try await look(house)
        #expect(try await state(house, made.id) == ["done", "done"])
        try await look(house)
        #expect(try await engine.count { try await look(house) } == 0)
    }

    @Test func `remember over a restart since when a station keeps them waiting`() async throws {
        let folder = TemporaryFolder()
        let path = folder.file("kerb.sqlite")
        var house = try await house(path: path)
        _ = try await house.cpo.write { transaction in
            try transaction.execute("UPDATE station SET is_online = 0 WHERE id = 'CS-1'")
        }
        let made = try await make(house, Self.model()) { $0.waitHours = 1 }
        try await look(house)
        let waiting = try #require(try await house.cpo.campaigns.campaign(made.id))
        #expect(
            try await house.cpo.campaigns.waits(of: waiting, in: house.cpo, at: house.clock.now)
                == ["CS-1": .away, "CS-2": .earlierWave, "CS-3": .earlierWave])
        await house.cpo.database.close()
        house = try await self.house(path: path, isNew: false)
        // A new clock: as if a second had passed.
        try await look(house, seconds: 3601)
        #expect(try await state(house, made.id) == ["paused", "cancelled", "waiting", "waiting"])
        await house.cpo.database.close()
    }

    @Test func `leave out a station that waits, and no other`() async throws {
        let house = try await house()
        let made = try await make(house, Self.model())
        try await look(house)
        let now = house.clock.now
        func skip(_ station: String) async throws -> Campaigns.Record? {
            try await house.cpo.write {
                try house.cpo.campaigns.handle(.skip(station), made.id, at: now, in: $0)
            }
        }
        await #expect(throws: Campaigns.Refusal.noMember("CS-9")) { try await skip("CS-9") }
        await #expect(throws: Campaigns.Refusal.notWaiting("CS-1", .ordered)) {
            try await skip("CS-1")
        }
        #expect(try await skip("CS-2")?.machine.members[1].state == .cancelled)
        #expect(try await state(house, made.id) == ["running", "ordered", "cancelled", "waiting"])
    }

    @Test func `wait while a charge runs`() async throws {
        let house = try await house()
        let (number, _) = try await house.started(House.start())
        var selection = CampaignSelection()
        selection.stations = ["cs-1"]
        _ = try await make(house, selection)
        try await look(house)
        #expect(try await orders(house).isEmpty)
        _ = try await house.apply(House.stop(number, 60, 2000), at: 60)
        try await look(house, seconds: 61)
        #expect(try await orders(house) == ["CS-1"])
    }

    @Test func `take the image back from those that have it`() async throws {
        let house = try await house()
        let made = try await make(house, Self.model()) { $0.waves = [2] }
        try await look(house)
        for id in ["CS-1", "CS-2"] { try await boot(house, id, "2.0") }
        let now = house.clock.now
        func change(_ input: CampaignMachine.Input) async throws {
            _ = try await house.cpo.write {
                try house.cpo.campaigns.handle(input, made.id, at: now, in: $0)
            }
        }
        func back() async throws -> Campaigns.Record? {
            try await house.cpo.write { transaction in
                try house.cpo.campaigns.rollback(
                    made.id, image: nil, in: house.cpo, source: Self.images, by: "anna", at: now,
                    transaction: transaction)
            }
        }
        await #expect(throws: Campaigns.Refusal.notRunning(.running)) { try await back() }
        try await change(.pause)
        try await look(house)
        let record = try #require(try await back())
        #expect(record.machine.plan.image == "I-1")
        #expect(record.machine.plan.rollbackOf == made.id)
        #expect(record.machine.members.map(\.station) == ["CS-1", "CS-2"])
        #expect(try await state(house, made.id) == ["cancelled", "done", "done", "cancelled"])
    }

    @Test func `take back what is still under way once it has settled`() async throws {
        let house = try await house()
        let made = try await make(house, Self.model()) {
            $0.waves = [3]
            $0.isSigned = false
        }
        try await look(house)
        try await boot(house, "CS-1", "2.0")
        for (id, status) in [("CS-2", FirmwareStatus.downloadFailed), ("CS-3", .downloading)] {
            _ = try await house.cpo.sessions.apply(
                .maintenance(.firmware(status)), from: id, receivedAt: house.clock.now)
        }
        try await look(house)
        #expect(try await state(house, made.id) == ["running", "done", "waiting", "downloading"])
        let now = house.clock.now
        _ = try await house.cpo.write {
            try house.cpo.campaigns.handle(.cancel, made.id, at: now, in: $0)
        }
        var selection = CampaignSelection()
        selection.stations = ["CS-3"]
        await #expect(throws: Campaigns.Refusal.busyStation("CS-3", campaign: made.id)) {
            try await make(house, selection)
        }
        var former = Self.images.known[0]
        former.isSigned = true
        let rollback = try await house.cpo.write { [former] transaction in
            try house.cpo.campaigns.rollback(
                made.id, image: former, in: house.cpo, source: Self.images, by: "anna", at: now,
                transaction: transaction)
        }
        let back = try #require(rollback)
        #expect(back.machine.members.map(\.station) == ["CS-1", "CS-2", "CS-3"])
        #expect(!back.machine.plan.isSigned)
        try await look(house)
        #expect(try await state(house, back.id) == ["running", "ordered", "done", "waiting"])
        try await boot(house, "CS-3", "2.0")
        try await look(house)
        #expect(try await state(house, back.id) == ["running", "ordered", "done", "ordered"])
    }

    @Test func `send a model's image to no other, unless that is meant`() async throws {
        let house = try await house()
        let other = StationIdentity(vendor: "V", model: "X", serial: nil, firmware: "1.0")
        _ = try await house.cpo.sessions.apply(
            .booted(other), from: "CS-2", receivedAt: house.clock.now)
        var selection = CampaignSelection()
        selection.vendor = "v"
        await #expect(throws: Campaigns.Refusal.otherModel("CS-2")) {
            try await make(house, selection)
        }
        #expect(try await make(house, selection, anyModel: true).machine.members.count == 3)
    }

    @Test func `refuse what cannot work, with the reason`() async throws {
        let house = try await house()
        var selection = CampaignSelection()
        selection.model = "other"
        await #expect(throws: Campaigns.Refusal.noStation) { try await make(house, selection) }
        selection = CampaignSelection()
        selection.stations = ["CS-9"]
        await #expect(throws: Campaigns.Refusal.unknownStation("CS-9")) {
            try await make(house, selection)
        }
        selection.stations = ["CS-2"]
        let first = try await make(house, selection)
        await #expect(throws: Campaigns.Refusal.busyStation("CS-2", campaign: first.id)) {
            try await make(house, Self.model())
        }
        let now = house.clock.now
        await #expect(throws: Campaigns.Refusal.notRunning(.running)) {
            try await house.cpo.write {
                try house.cpo.campaigns.handle(.resume, first.id, at: now, in: $0)
            }
        }
    }

    @Test func `pick stations by location and firmware`() async throws {
        let house = try await house()
        try await boot(house, "CS-3", "0.9")
        var selection = CampaignSelection()
        selection.location = "L-1"
        #expect(try await make(house, selection).machine.members.map(\.station) == ["CS-1"])
        selection = CampaignSelection()
        selection.firmware = "0.9"
        #expect(try await make(house, selection).machine.members.map(\.station) == ["CS-3"])
    }
}
