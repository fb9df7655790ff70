import Charging
import SQL
import Service
import TestSupport
import Testing

@testable import CPO

@Suite(.timeLimit(.minutes(1))) struct `An availability with a time` {
    private static let due = House.noon.advanced(bySeconds: 3600)
    private static let order = StationCommand.setAvailability(connector: 1, operative: false)

    private func scheduled(
        _ house: House, at due: Timestamp = Self.due, _ order: StationCommand = Self.order
    ) async throws -> Command {
        let cpo = house.cpo
        let command = try await cpo.write { transaction in
            try cpo.schedule(
                order, to: "cs-1", at: due,
                origin: CommandOrigin(door: "api", reference: "key desk"), in: transaction)
        }
        return try #require(command)
    }

    /// What goes out at this moment of the house's clock.
    private func released(_ house: House) async throws -> [String] {
        try await house.cpo.commands.release(house.cpo)
        return house.cpo.commands.takeQueued()
    }

    private func line(_ house: House, isOnline: Bool) async throws {
        let cpo = house.cpo
        _ = try await cpo.write { transaction in
            if isOnline {
                _ = try cpo.stations.attached(
                    "CS-1", subprotocol: "ocpp1.6", at: House.noon, in: transaction)
            } else {
                try cpo.stations.allDetached(at: House.noon, in: transaction)
            }
        }
    }

    @Test func `goes out when its time has come, and once`() async throws {
        let house = try await House()
        let command = try await scheduled(house)
        #expect(command.station == "CS-1" && command.state == .queued)
        #expect(try await released(house).isEmpty)
        house.clock.advance(milliseconds: 3_599_999)
        #expect(try await released(house).isEmpty)
        house.clock.advance(milliseconds: 1)
        #expect(try await released(house) == [command.id])
        #expect(try await released(house).isEmpty)
    }

    @Test func `can be taken back until then`() async throws {
        let house = try await House()
        let command = try await scheduled(house)
        guard case .cancelled? = try await house.cpo.commands.cancel(command.id, in: house.cpo)
        else {
            Issue.record("not taken back")
            return
        }
        house.clock.advance(milliseconds: 3_600_000)
        #expect(try await released(house).isEmpty)
    }

    @Test func `waits a day for a station that is away, and no longer`() async throws {
        let house = try await House()
        let first = try await scheduled(house)
        try await line(house, isOnline: false)
        house.clock.advance(milliseconds: 3_600_000 + 86_400_000)
        #expect(try await released(house).isEmpty)
        try await line(house, isOnline: true)
        #expect(try await released(house) == [first.id])
        let second = try await scheduled(house, at: house.clock.now.advanced(bySeconds: 1))
        try await line(house, isOnline: false)
        house.clock.advance(milliseconds: 86_402_000)
        try await line(house, isOnline: true)
        #expect(try await released(house).isEmpty)
        let ended = try await house.cpo.commands.command(second.id)
        #expect(ended?.state == .failed && ended?.answer == Commands.tooLateText)
    }

    @Test func `gives way to a later one of its connector that is due, too`() async throws {
        let house = try await House()
        let early = try await scheduled(house, at: Self.due.advanced(bySeconds: 60))
        // Ordered after, for before: its time counts.
        let late = try await scheduled(
            house, at: Self.due.advanced(bySeconds: 120),
            .setAvailability(connector: 1, operative: true))
        let earliest = try await scheduled(house)
        let other = try await scheduled(
            house, .setAvailability(connector: 2, operative: false))
        house.clock.advance(milliseconds: 3_720_000)
        #expect(try await released(house) == [other.id, late.id])
        for command in [early, earliest] {
            let ended = try await house.cpo.commands.command(command.id)
            #expect(ended?.state == .failed && ended?.answer == Commands.supersededText)
        }
    }

    @Test func `goes neither before nor beside one of the whole station`() async throws {
        let house = try await House()
        let before = try await scheduled(house)
        let whole = try await scheduled(
            house, at: Self.due.advanced(bySeconds: 1),
            .setAvailability(connector: 0, operative: false))
        let after = try await scheduled(
            house, at: Self.due.advanced(bySeconds: 2),
            .setAvailability(connector: 1, operative: true))
        house.clock.advance(milliseconds: 3_602_000)
        #expect(try await released(house) == [whole.id])
        #expect(try await released(house) == [after.id])
        #expect(try await house.cpo.commands.command(before.id)?.state == .failed)
    }

    @Test func `is not for another station that comes by the id of one removed`() async throws {
        let house = try await House()
        let command = try await scheduled(house)
        let cpo = house.cpo
        _ = try await cpo.write { transaction in
            try cpo.stations.remove("CS-1", at: House.noon, in: transaction)
        }
        let ended = try await cpo.commands.command(command.id)
        #expect(ended?.state == .failed && ended?.answer == Commands.removedText)
        _ = try await cpo.write { transaction in
            try cpo.stations.register("CS-1", .accepted, at: House.noon, in: transaction)
        }
        try await line(house, isOnline: true)
        house.clock.advance(milliseconds: 3_600_000)
        #expect(try await released(house).isEmpty)
    }

    @Test func `is carried after a restart, and seen in the status that follows`() async throws {
        let folder = TemporaryFolder()
        let path = folder.file("house.sqlite")
        var house = try await House(path: path)
        // Long before: its time counts, not when it was ordered.
        let command = try await scheduled(house, at: House.noon.advanced(bySeconds: 5 * 86_400))
        await house.cpo.database.close()
        house = try await House(path: path, isNew: false)
        let (again, links) = (house, ScriptedLinks(answer: .success(.status("Scheduled"))))
        let carrying = Task { try await again.cpo.commands.run(again.cpo, over: links) }
        await house.clock.sleepers(atLeast: 1)
        #expect(links.asked.withLock { $0 }.isEmpty)
        house.clock.advance(milliseconds: 5 * 86_400_000)
        for await now in house.cpo.commands.changes(of: command.id) where now.state == .accepted {
            break
        }
        #expect(links.asked.withLock { $0 } == [Self.order])
        _ = try await house.apply(
            House.status(5 * 86_400 + 60, .unavailable), at: 5 * 86_400 + 60)
        #expect(try await house.cpo.commands.command(command.id)?.state == .seen)
        carrying.cancel()
        _ = await carrying.result
        await house.cpo.database.close()
    }

    @Test func `goes back to waiting where the station went away as it was sent`() async throws {
        let house = try await House()
        let command = try await scheduled(house)
        let links = ScriptedLinks(answer: .failure(.offline))
        let carrying = Task { try await house.cpo.commands.run(house.cpo, over: links) }
        await house.clock.sleepers(atLeast: 1)
        house.clock.advance(milliseconds: 3_600_000)
        while links.asked.withLock(\.isEmpty) { await Task.yield() }
        var state = Command.State.sent
        while state == .sent {
            state = try #require(try await house.cpo.commands.command(command.id)).state
        }
        #expect(state == .queued)
        carrying.cancel()
        _ = await carrying.result
    }

    @Test func `is one of so many of a station`() async throws {
        let house = try await House()
        for _ in 0..<Commands.mostScheduled { _ = try await scheduled(house) }
        let cpo = house.cpo
        let more = try await cpo.write { transaction in
            try cpo.schedule(
                Self.order, to: "CS-1", at: Self.due,
                origin: CommandOrigin(door: "api", reference: "r"), in: transaction)
        }
        #expect(more == nil)
    }
}
