import Charging
import TestSupport
import Testing

@testable import CPO

@Suite struct `A reservation at the centre` {
    private static let origin = CommandOrigin(door: "api", reference: "test")
    private static let expires = House.noon.advanced(bySeconds: 3600)

    private func reserve(
        _ house: House, _ connector: Int? = 1, partnerID: String? = nil, replacing: Int? = nil,
        station: String = "CS-1", expires: Timestamp = Self.expires
    ) async throws -> Reservation {
        let now = house.clock.now
        let command = try await house.cpo.write { [cpo = house.cpo] transaction in
            try cpo.reserve(
                .station(station, connector: connector),
                .init(token: House.token("DRIVER-1"), expires: expires, partnerID: partnerID),
                replacing: replacing, origin: Self.origin, at: now, in: transaction)
        }
        guard case .reserve(let reservation) = command.command else { throw House.Unexpected.reply }
        return reservation
    }

    @Test func `gets a number of its own and keeps it when it is replaced`() async throws {
        let house = try await House()
        let first = try await reserve(house)
        let second = try await reserve(house, 2)
        #expect(first.id > 0 && second.id > first.id)
        let moved = try await reserve(house, nil, replacing: first.id)
        #expect(moved.id == first.id)
        #expect(moved.connector == 0)
        let number = first.id
        let stored = try await house.cpo.read { [cpo = house.cpo] in
            try cpo.reservations.find(number, in: $0)
        }
        #expect(stored?.reservation == moved)
        #expect(stored?.party == House.party)
    }

    @Test func `is found again by the partner's own name`() async throws {
        let house = try await House()
        let first = try await reserve(house, 1, partnerID: "R-1")
        #expect(try await reserve(house, 2, partnerID: "R-1").id == first.id)
        #expect(try await reserve(house, 2, partnerID: "R-2").id != first.id)
    }

    @Test func `cannot be cancelled or replaced where nobody made it, nor end in the past`()
        async throws
    {
        let house = try await House()
        let now = house.clock.now
        await #expect(throws: CommandRefusal.unknownReservation) {
            _ = try await house.cpo.write { [cpo = house.cpo] in
                try cpo.cancel(reservation: 99, origin: Self.origin, at: now, in: $0)
            }
        }
        await #expect(throws: CommandRefusal.unknownReservation) {
            _ = try await reserve(house, replacing: 99)
        }
        await #expect(throws: CommandRefusal.expired) {
            _ = try await reserve(house, expires: now)
        }
        await #expect(throws: CommandRefusal.unknownStation) {
            _ = try await reserve(house, station: "CS-9")
        }
    }

    @Test(arguments: [
        StationCommand.reserve(
            Reservation(id: 7, connector: 0, token: "T", group: "G", expires: Self.expires)),
        .reserve(Reservation(id: 7, connector: 1, token: "T", expires: Self.expires)),
        .cancelReservation(id: 7), .getLocalListVersion,
        .sendLocalList(
            LocalListUpdate(
                kind: .differential, version: 3,
                entries: [
                    .init(token: "GONE", info: nil),
                    .init(
                        token: "T",
                        info: AuthorizationInfo(.accepted, group: "G", expires: Self.expires)),
                ])),
    ])
    func `is stored as it was asked`(_ command: StationCommand) throws {
        #expect(try StationCommand(storedText: command.storedText) == command)
    }

    private func heard(_ house: House, _ order: StationCommand, _ status: String) async throws {
        let (state, text) = Commands.read(.status(status))
        var row = Command(
            id: "C", station: "CS-1", command: order, origin: Self.origin, createdAt: House.noon)
        (row.state, row.answer) = (state, text)
        let (answered, now) = (row, house.clock.now)
        try await house.cpo.write { try Reservations.heard(answered, at: now, in: $0) }
    }

    private func states(_ house: House, _ state: Reservations.State? = nil) async throws -> [String]
    {
        let now = house.clock.now
        return try await house.cpo.read { [cpo = house.cpo] transaction in
            try cpo.reservations.list(state: state, at: now, in: transaction)
                .map(\.state.rawValue)
        }
    }

    @Test func `is listed with what became of it`() async throws {
        let house = try await House()
        let first = try await reserve(house)
        #expect(try await states(house) == ["asked"])
        try await heard(house, .reserve(first), "Accepted")
        #expect(try await states(house, .held) == ["held"])
        let second = try await reserve(house, 2)
        try await heard(house, .reserve(second), "Occupied")
        #expect(try await states(house) == ["refused", "held"])
        // A charge that names it used it; a cancellation that comes later changes nothing.
        var start = SessionStart(
            connector: 1, token: "DRIVER-1", meterStart: WattHours(0), at: House.noon)
        start.reservation = first.id
        _ = try await house.apply(.sessionStarted(start))
        try await heard(house, .cancelReservation(id: first.id), "Rejected")
        #expect(try await states(house) == ["refused", "used"])
        let third = try await reserve(house, 2)
        try await heard(house, .reserve(third), "Accepted")
        try await heard(house, .cancelReservation(id: third.id), "Rejected")
        #expect(try await states(house, .cancelled) == ["cancelled"])
        _ = try await reserve(house, 2)
        house.clock.advance(milliseconds: 3_600_000)
        #expect(try await states(house, .expired) == ["expired"])
        #expect(try await states(house, .asked) == [])
    }

    private func stored(_ house: House, _ number: Int) async throws -> Reservations.Record? {
        try await house.cpo.read { [cpo = house.cpo] in try cpo.reservations.find(number, in: $0) }
    }

    @Test func `stands as the station holds it until another is taken in its place`() async throws {
        let house = try await House()
        let first = try await reserve(house, 1, partnerID: "R-1")
        try await heard(house, .reserve(first), "Accepted")
        let later = Self.expires.advanced(bySeconds: 600)
        let second = try await reserve(house, 2, partnerID: "R-1", expires: later)
        #expect(second.id == first.id)
        #expect(try await stored(house, first.id)?.reservation == first)
        try await heard(house, .reserve(second), "Occupied")
        let kept = try await stored(house, first.id)
        #expect(kept?.reservation == first && kept?.state == .held)
        try await heard(house, .reserve(second), "Accepted")
        let moved = try await stored(house, first.id)
        #expect(moved?.reservation == second && moved?.state == .held)
        // Once its time is over the station holds none, and a refusal leaves none.
        house.clock.advance(milliseconds: 4_200_000)
        let third = try await reserve(
            house, 1, partnerID: "R-1", expires: later.advanced(bySeconds: 3600))
        #expect(try await stored(house, first.id)?.state == .asked)
        try await heard(house, .reserve(third), "Occupied")
        #expect(try await stored(house, first.id)?.state == .refused)
    }

    @Test func `is told of again when its name is used once more after a charge`() async throws {
        let house = try await House()
        let first = try await reserve(house, 1, partnerID: "R-1")
        try await heard(house, .reserve(first), "Accepted")
        var start = SessionStart(
            connector: 1, token: "DRIVER-1", meterStart: WattHours(0), at: House.noon)
        start.reservation = first.id
        _ = try await house.apply(.sessionStarted(start))
        #expect(try await states(house) == ["used"])
        let second = try await reserve(house, 2, partnerID: "R-1")
        #expect(second.id == first.id)
        #expect(try await states(house) == ["asked"])
        try await heard(house, .reserve(second), "Accepted")
        #expect(try await states(house) == ["held"])
    }

    @Test(arguments: [true, false])
    func `that was never sent is refused`(byRestart: Bool) async throws {
        let house = try await House()
        _ = try await reserve(house)
        let command = try #require(try await house.cpo.commands.list().first)
        if byRestart {
            // As a new process: nothing of before waits in memory.
            _ = house.cpo.commands.takeQueued()
            let now = house.clock.now
            try await house.cpo.write { [cpo = house.cpo] in
                try cpo.commands.interrupted(at: now, in: $0)
            }
        } else {
            _ = try await house.cpo.commands.cancel(command.id, in: house.cpo)
        }
        #expect(try await states(house) == ["refused"])
    }
}
