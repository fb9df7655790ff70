import Charging
import OCPP
import SQL
import Service
import TestSupport
import Testing

@testable import Station

@Suite(.timeLimit(.minutes(2))) struct `ReserveNow` {
    let folder = TemporaryFolder()

    private func station(_ boards: Int = 1, bootID: String = "boot-1") async throws -> TestStation {
        try await TestStation.make(
            boards: (0..<boards).map { _ in TestBoard() }, path: folder.file("board.db"),
            bootID: bootID)
    }

    private func reservation(
        _ id: Int = 7, connector: Int = 1, token: String = "MINE", group: String? = nil,
        seconds: Int64 = 600
    ) -> StationCommand {
        .reserve(
            Reservation(
                id: id, connector: connector, token: token, group: group,
                expires: SystemClock().now.advanced(bySeconds: seconds)))
    }

    @Test func `keeps a connector for its driver, whose start tells the number`() async throws {
        let station = try await station()
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            await peer.hears(status: .available)
            #expect(try await peer.ask(reservation()) == .status("Accepted"))
            await peer.hears(status: .reserved)
            #expect(
                try await peer.ask(.start(connector: 1, token: "OTHER")) == .status("Rejected"))
            station.board.change { $0.isPlugged = true }
            #expect(
                try await peer.ask(.start(connector: 1, token: "MINE")) == .status("Accepted"))
            await peer.hears { !$0.starts.isEmpty }
            try await until { try await station.journal.reservations().isEmpty }
            // It is used up.
            #expect(try await peer.ask(.cancelReservation(id: 7)) == .status("Rejected"))
        }
        #expect(peer.heard.starts.map(\.reservation) == [7])
    }

    @Test func `says why a connector is not kept`() async throws {
        let station = try await station()
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            await peer.hears(status: .available)
            #expect(try await peer.ask(reservation(connector: 9)) == .status("Rejected"))
            #expect(try await peer.ask(reservation(seconds: -1)) == .status("Rejected"))
            #expect(try await peer.ask(reservation()) == .status("Accepted"))
            #expect(try await peer.ask(reservation(8)) == .status("Occupied"))
            #expect(try await peer.ask(reservation(8, connector: 0)) == .status("Occupied"))
            #expect(try await peer.ask(.cancelReservation(id: 7)) == .status("Accepted"))
            #expect(try await peer.ask(.cancelReservation(id: 7)) == .status("Rejected"))
            station.board.change { $0.isPlugged = true }
            await peer.hears(status: .preparing)
            #expect(try await peer.ask(reservation()) == .status("Occupied"))
            station.board.change { $0.isPlugged = false }
            await until { await station.controller.view().status.status == .available }
            _ = try await peer.ask(.setAvailability(connector: 1, operative: false))
            #expect(try await peer.ask(reservation()) == .status("Unavailable"))
            #expect(try await peer.ask(reservation(connector: 0)) == .status("Unavailable"))
            _ = try await peer.ask(.setAvailability(connector: 1, operative: true))
            station.board.change { $0.isStopPressed = true }
            await peer.hears(status: .faulted)
            #expect(try await peer.ask(reservation()) == .status("Faulted"))
            #expect(try await peer.ask(reservation(connector: 0)) == .status("Faulted"))
        }
        #expect(try await open().reservations().isEmpty)
    }

    private func open() async throws -> BoardJournal {
        try await BoardJournal(path: folder.file("board.db"), bootID: "boot-9")
    }

    @Test func `lasts over a restart`() async throws {
        let before = try await station()
        let first = TestOperator()
        before.links.yield(first)
        try await before.during { () async throws in
            await first.hears(status: .available)
            #expect(try await first.ask(reservation()) == .status("Accepted"))
        }
        let after = try await station(bootID: "boot-2")
        let second = TestOperator()
        after.links.yield(second)
        try await after.during { () async throws in
            await second.hears(status: .reserved)
        }
        #expect(try await open().reservations().map(\.id) == [7])
    }

    @Test func `ends by its date`() async throws {
        let station = try await station()
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            await peer.hears(status: .available)
            #expect(try await peer.ask(reservation(seconds: 2)) == .status("Accepted"))
            await until { await station.controller.machine.reservation == nil }
            await until { await station.controller.view().status.status == .available }
            try await until { try await station.journal.reservations().isEmpty }
        }
    }

    @Test func `holds every start until what was kept could be read`() async throws {
        let before = try await station()
        let first = TestOperator()
        before.links.yield(first)
        try await before.during { () async throws in
            await first.hears(status: .available)
            #expect(try await first.ask(reservation()) == .status("Accepted"))
        }
        let after = try await TestStation.make(
            path: folder.file("board.db"), bootID: "boot-2",
            prepare: { _, journal, _ in
                // A row that no reader understands, and that was sound when the journal was opened.
                try await journal.database.write { sql in
                    _ = try sql.execute("UPDATE reservation SET expires_at = 'x' || expires_at")
                }
            })
        after.board.change { $0.isPlugged = true }
        let second = TestOperator()
        after.links.yield(second)
        try await after.during { () async throws in
            await second.hears(status: .unavailable)
            #expect(
                try await second.ask(.start(connector: 1, token: "OTHER")) == .status("Rejected"))
            #expect(
                try await second.ask(reservation(8, token: "OTHER")) == .status("Rejected"))
            try await after.journal.database.write { sql in
                try sql.execute(
                    "UPDATE reservation SET expires_at = CAST(SUBSTR(expires_at, 2) AS INTEGER)")
            }
            await second.hears(status: .reserved)
            #expect(
                try await second.ask(.start(connector: 1, token: "OTHER")) == .status("Rejected"))
            #expect(
                try await second.ask(.start(connector: 1, token: "MINE")) == .status("Accepted"))
            await second.hears { !$0.starts.isEmpty }
        }
        #expect(second.heard.starts.map(\.reservation) == [7])
    }

    @Test func `is known before the station's first connector runs`() async throws {
        let before = try await station()
        try await before.journal.keep(
            Reservation(
                id: 7, connector: 1, token: "MINE",
                expires: SystemClock().now.advanced(bySeconds: 600)))
        await before.journal.close()
        let after = try await station(bootID: "boot-2")
        #expect(await after.controller.machine.reservation?.id == 7)
        await after.journal.close()
    }

    @Test func `of the station moves away from a connector that is out of order`() async throws {
        let station = try await station(2)
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            let controllers = station.controllers
            await until { await controllers[0].view().status.status == .available }
            await until { await controllers[1].view().status.status == .available }
            station.boards[1].change { $0.isPlugged = true }
            await until { await controllers[1].view().status.status == .preparing }
            #expect(try await peer.ask(reservation(connector: 0)) == .status("Accepted"))
            await until { await controllers[0].view().reservation?.id == 7 }
            station.boards[0].change { $0.isStopPressed = true }
            await until { await controllers[0].view().reservation == nil }
            station.boards[1].change { $0.isPlugged = false }
            await until { await controllers[1].view().reservation?.id == 7 }
            #expect(try await station.journal.reservations().map(\.id) == [7])
        }
    }

    @Test func `of the station is back as soon as a fault is over, before its status is told`()
        async throws
    {
        let station = try await TestStation.make(
            path: folder.file("board.db"), settings: ["MinimumStatusDuration": "3600"])
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            let controller = station.controller
            await until { await controller.view().status.status == .available }
            #expect(try await peer.ask(reservation(connector: 0)) == .status("Accepted"))
            await until { await controller.view().reservation?.id == 7 }
            station.board.change { $0.isStopPressed = true }
            await until { await controller.view().reservation == nil }
            station.board.change { $0.isStopPressed = false }
            await until { await controller.view().reservation?.id == 7 }
            // For a stranger nobody would have been asked.
            #expect(await controller.view().reservation?.id == 7)
        }
    }

    @Test func `is replaced by the same number, on another connector too`() async throws {
        let station = try await station(2)
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            await peer.hears(status: .available)
            await until { await station.controllers[1].view().status.status == .available }
            #expect(try await peer.ask(reservation(connector: 1)) == .status("Accepted"))
            #expect(
                try await peer.ask(reservation(connector: 2, token: "YOURS"))
                    == .status("Accepted"))
            await until { await station.controllers[0].view().reservation == nil }
            #expect(await station.controllers[1].view().reservation?.token == "YOURS")
            #expect(try await station.journal.reservations().map(\.connector) == [2])
            // A replacement that is refused leaves what was.
            station.boards[0].change { $0.isPlugged = true }
            await until { await station.controllers[0].view().status.status == .preparing }
            #expect(try await peer.ask(reservation(connector: 1)) == .status("Occupied"))
            #expect(await station.controllers[1].view().reservation?.id == 7)
        }
    }

    @Test func `of the station keeps the last free connector only`() async throws {
        let station = try await station(2)
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            let controllers = station.controllers
            await until { await controllers[0].view().status.status == .available }
            await until { await controllers[1].view().status.status == .available }
            #expect(try await peer.ask(reservation(connector: 0)) == .status("Accepted"))
            #expect(await controllers[0].view().reservation == nil)
            #expect(await controllers[1].view().reservation == nil)
            // Two fit, a third does not.
            #expect(
                try await peer.ask(reservation(8, connector: 0, token: "B")) == .status("Accepted"))
            await until { await controllers[0].view().reservation != nil }
            await until { await controllers[1].view().reservation != nil }
            #expect(
                try await peer.ask(reservation(9, connector: 0, token: "C")) == .status("Occupied"))
            #expect(try await peer.ask(.cancelReservation(id: 8)) == .status("Accepted"))
            await until { await controllers[0].view().reservation == nil }
            await until { await controllers[1].view().reservation == nil }
            // A stranger takes one: the other is kept.
            station.boards[0].change { $0.isPlugged = true }
            await until { await controllers[1].view().reservation?.id == 7 }
            #expect(
                try await peer.ask(.start(connector: 2, token: "OTHER")) == .status("Rejected"))
            station.boards[1].change { $0.isPlugged = true }
            #expect(
                try await peer.ask(.start(connector: 2, token: "MINE")) == .status("Accepted"))
            await peer.hears { !$0.starts.isEmpty }
        }
        #expect(peer.heard.starts.map(\.reservation) == [7])
    }

    @Test func `of the station is used wherever its driver goes`() async throws {
        let station = try await station(2)
        let peer = TestOperator()
        station.links.yield(peer)
        station.boards[1].change { $0.isPlugged = true }
        try await station.during { () async throws in
            await until { await station.controllers[0].view().status.status == .available }
            await until { await station.controllers[1].view().status.status == .preparing }
            #expect(try await peer.ask(reservation(connector: 0)) == .status("Accepted"))
            await until { await station.controllers[0].view().reservation?.id == 7 }
            // The car was there before: not free for a reservation, but its driver may be he.
            await station.agent.present(token: "mine", at: 1)
            station.boards[0].change { $0.isPlugged = true }
            await peer.hears { !$0.starts.isEmpty }
            try await until { try await station.journal.reservations().isEmpty }
        }
        #expect(peer.heard.starts.map(\.reservation) == [7])
    }

    @Test func `of a group asks whose a token is`() async throws {
        let station = try await station()
        let peer = TestOperator { event in
            if case .authorizing(let token) = event {
                return .authorization(
                    AuthorizationInfo(.accepted, group: token == "FAMILY" ? "G" : "X"))
            }
            return TestOperator.friendly(event)
        }
        station.links.yield(peer)
        try await station.during { () async throws in
            await peer.hears(status: .available)
            #expect(try await peer.ask(reservation(group: "G")) == .status("Accepted"))
            station.board.change { $0.isPlugged = true }
            await until { await station.controller.isPlugged }
            await station.agent.present(token: "STRANGER", at: 1)
            await peer.hears { $0.contains(.authorizing(token: "STRANGER")) }
            // The stranger waits until his answer is read. Accepted means it will try; the
            // operator's answer says whether.
            try await until {
                try await peer.ask(.start(connector: 1, token: "FAMILY")) == .status("Accepted")
            }
            await peer.hears { !$0.starts.isEmpty }
        }
        #expect(peer.heard.starts.map(\.token) == ["FAMILY"])
        #expect(peer.heard.starts.map(\.reservation) == [7])
    }
}
