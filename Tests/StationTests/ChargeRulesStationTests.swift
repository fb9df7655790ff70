import Charging
import TestSupport
import Testing

@testable import Station

@Suite(.timeLimit(.minutes(2))) struct `A station with rules for its charges` {
    private let folder = TemporaryFolder()

    private func station(
        board: TestBoard = TestBoard(), bootID: String = "boot-1",
        rules: ConnectorRules = ConnectorRules()
    ) async throws -> TestStation {
        try await TestStation.make(
            board: board, path: folder.file("board.db"), bootID: bootID, rules: rules)
    }

    private func limit(_ data: String) -> StationCommand {
        .data(DataMessage(vendor: "kerb", message: "ChargeLimit", data: data))
    }

    @Test func `takes a limit of a charge from its operator`() async throws {
        let station = try await station()
        let peer = TestOperator()
        station.links.yield(peer)
        station.board.change { $0.isPlugged = true }
        try await station.during { () async throws in
            await peer.hears(status: .preparing)
            #expect(
                try await peer.ask(limit(#"{"connectorId":1,"seconds":60}"#))
                    == .data(
                        status: "Rejected", data: #"{"reason":"no such charge is running"}"#))
            _ = try await peer.ask(.start(connector: 1, token: "TAG"))
            await peer.hears(status: .charging)
            await peer.hears { !$0.starts.isEmpty }
            await until { await station.agent.view().journalDepth == 0 }
            #expect(
                try await peer.ask(limit(#"{"transactionId":5000,"energyWh":30}"#))
                    == .data(status: "Accepted", data: nil))
            await peer.hears { !$0.stops.isEmpty }
            await peer.hears {
                $0.contains {
                    if case .statusChanged(let report) = $0 {
                        report.info == "energy limit reached"
                    } else {
                        false
                    }
                }
            }
        }
        let stop = try #require(peer.heard.stops.first)
        #expect(stop.reason == .local)
        #expect(stop.meterStop >= WattHours(5_030))
    }

    @Test func `knows its own messages only`() async throws {
        let station = try await station()
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            await peer.hears(status: .available)
            #expect(
                try await peer.ask(.data(DataMessage(vendor: "kerb", message: "Nonsense")))
                    == .data(status: "UnknownMessageId", data: nil))
            #expect(
                try await peer.ask(.data(DataMessage(vendor: "Kerb", message: "ChargeLimit")))
                    == .data(status: "UnknownVendorId", data: nil))
        }
    }

    @Test func `sells energy that is free without being asked`() async throws {
        var rules = ConnectorRules()
        rules.freeVend = .init(token: "FREE")
        let station = try await station(rules: rules)
        let peer = TestOperator()
        station.links.yield(peer)
        station.board.change { $0.isPlugged = true }
        try await station.during { () async throws in await peer.hears(status: .charging) }
        #expect(peer.heard.starts.map(\.token) == ["FREE"])
    }

    @Test func `goes on after a restart with the charge it found`() async throws {
        var rules = ConnectorRules()
        rules.afterPowerLoss = .resume(withinSeconds: 60)
        let board = TestBoard()
        board.change { $0.isPlugged = true }
        let before = try await station(board: board, rules: rules)
        let first = TestOperator()
        before.links.yield(first)
        try await before.during { () async throws in
            await first.hears(status: .preparing)
            _ = try await first.ask(.start(connector: 1, token: "TAG"))
            await first.hears(status: .charging)
            await until { await before.agent.view().journalDepth == 0 }
            _ = try await first.ask(limit(#"{"connectorId":1,"seconds":86400}"#))
        }
        let after = try await station(board: board, bootID: "boot-2", rules: rules)
        let second = TestOperator()
        after.links.yield(second)
        try await after.during { () async throws in
            await until { await after.controller.charge() != nil }
            let transaction = await after.controller.machine.transaction
            #expect(transaction?.startRegister == WattHours(5_000))
            #expect(transaction?.limits.seconds == 86_400)
            _ = try await second.ask(.stop(.number(5_000)))
            await second.hears { !$0.stops.isEmpty }
        }
        #expect(second.heard.starts.isEmpty)
        #expect(second.heard.stops.map(\.transaction) == [.number(5_000)])
        #expect(second.heard.stops.first?.reason == .remote)
    }
}
