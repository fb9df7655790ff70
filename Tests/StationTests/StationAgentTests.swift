import Charging
import OCPP
import Service
import TestSupport
import Testing

@testable import Station

@Suite(.timeLimit(.minutes(2))) struct `A station` {
    let folder = TemporaryFolder()

    private func station(
        board: TestBoard = TestBoard(), settings: [String: String] = [:], bootID: String = "boot-1"
    ) async throws -> TestStation {
        try await TestStation.make(
            board: board, path: folder.file("board.db"), bootID: bootID, settings: settings)
    }

    @Test func `tells a whole charge in order and bills what the meter counted`() async throws {
        let station = try await station(settings: ["MeterValueSampleInterval": "1"])
        let peer = TestOperator()
        station.links.yield(peer)
        station.board.change { $0.isPlugged = true }
        try await station.during { () async throws in
            await peer.hears(status: .preparing)
            #expect(
                try await peer.ask(.start(connector: 1, token: "TAG")) == .status("Accepted"))
            await peer.hears(status: .charging)
            await peer.hears { !$0.reports.isEmpty }
            #expect(try await peer.ask(.stop(.number(5_000))) == .status("Accepted"))
            await peer.hears { !$0.stops.isEmpty }
        }
        let heard = peer.heard
        #expect(heard.starts.map(\.meterStart) == [WattHours(5_000)])
        #expect(heard.reports.allSatisfy { $0.transaction == .number(5_000) })
        let stop = try #require(heard.stops.first)
        #expect(stop.transaction == .number(5_000))
        #expect(stop.reason == .remote)
        #expect(stop.meterStop.value == station.board.register)
        #expect(stop.meterStop > WattHours(5_000))
        #expect(!station.board.relayIsClosed)
    }

    @Test func `opens its relay before the stop is told`() async throws {
        let station = try await station()
        let board = station.board
        let wasOpen = Lock(false)
        let peer = TestOperator { event in
            if case .sessionStopped = event {
                let isOpen = !board.relayIsClosed
                wasOpen.withLock { $0 = isOpen }
            }
            return TestOperator.friendly(event)
        }
        station.links.yield(peer)
        board.change { $0.isPlugged = true }
        try await station.during { () async throws in
            await peer.hears(status: .preparing)
            _ = try await peer.ask(.start(connector: nil, token: "TAG"))
            await peer.hears(status: .charging)
            board.change { $0.isStopPressed = true }
            await peer.hears { !$0.stops.isEmpty }
        }
        #expect(wasOpen.withLock { $0 })
        #expect(peer.heard.stops.first?.reason == .emergencyStop)
    }

    @Test func `keeps a charge made offline and binds its number later`() async throws {
        let station = try await station(settings: ["AllowOfflineTxForUnknownId": "true"])
        station.board.change { $0.isPlugged = true }
        let peer = TestOperator()
        try await station.during { () async throws in
            await until { await station.controller.view().status.status == .preparing }
            await station.agent.present(token: "CARD", at: nil)
            await until { station.board.relayIsClosed }
            await station.agent.present(token: "CARD", at: 1)
            await until { await !station.controller.hasTransaction }
            #expect(try await station.journal.depth() == 2)
            station.links.yield(peer)
            await peer.hears { !$0.stops.isEmpty }
        }
        #expect(peer.heard.starts.map(\.token) == ["CARD"])
        #expect(peer.heard.stops.map(\.transaction) == [.number(5_000)])
        #expect(peer.heard.stops.first?.reason == .local)
    }

    @Test func `refuses an unknown token while offline`() async throws {
        let station = try await station()
        station.board.change { $0.isPlugged = true }
        try await station.during { () async throws in
            await until { await station.controller.view().status.status == .preparing }
            let info = await station.agent.authorize(token: "CARD")
            #expect(info.status == .invalid)
        }
        #expect(station.board.state.withLock { $0.contactor }.contains(true) == false)
    }

    @Test func `remembers offline what the operator said of a token`() async throws {
        let station = try await station()
        let peer = TestOperator { event in
            if case .authorizing(let token) = event {
                return .authorization(AuthorizationInfo(token == "GOOD" ? .accepted : .blocked))
            }
            return TestOperator.friendly(event)
        }
        station.links.yield(peer)
        try await station.during { () async throws in
            await peer.hears(status: .available)
            #expect(await station.agent.authorize(token: "GOOD").status == .accepted)
            #expect(await station.agent.authorize(token: "BAD").status == .blocked)
            peer.hangUp()
            await until { await !station.agent.view().isLinked }
            #expect(await station.agent.authorize(token: "good").status == .accepted)
            #expect(await station.agent.authorize(token: "BAD").status == .blocked)
        }
    }

    @Test func `forgets what it knew of a token whose new end cannot be read`() async throws {
        let folder = TemporaryFolder()
        let station = try await TestStation.make(path: folder.file("journal.db"))
        try await station.during { () async throws in
            try await station.agent.learn("GOOD", AuthorizationInfo(.accepted))
            #expect(await station.agent.known(token: "GOOD")?.status == .accepted)
            var info = AuthorizationInfo(.accepted)
            info.isEndUnread = true
            try await station.agent.learn("GOOD", info)
            #expect(await station.agent.known(token: "good") == nil)
        }
    }

    @Test func `sends again what was not answered, and once only what was`() async throws {
        let station = try await station(settings: ["TransactionMessageRetryInterval": "0"])
        let silent = Lock(2)
        let peer = TestOperator { event in
            if case .sessionStarted = event {
                let isSilent = silent.withLock { left in
                    left -= 1
                    return left >= 0
                }
                if isSilent { return nil }
            }
            return TestOperator.friendly(event)
        }
        station.links.yield(peer)
        station.board.change { $0.isPlugged = true }
        try await station.during { () async throws in
            await peer.hears(status: .preparing)
            _ = try await peer.ask(.start(connector: 1, token: "TAG"))
            await peer.hears { $0.starts.count == 3 }
            await until { await station.agent.view().journalDepth == 0 }
            _ = try await peer.ask(.stop(.number(5_000)))
            await peer.hears { !$0.stops.isEmpty }
        }
        // Three times the very same start: the operator can tell that it is one.
        #expect(Set(peer.heard.starts).count == 1)
        #expect(peer.heard.starts.count == 3)
        #expect(peer.heard.stops.count == 1)
    }

    @Test func `boots once and does not boot again on another link`() async throws {
        let station = try await station()
        let first = TestOperator()
        let second = TestOperator()
        station.links.yield(first)
        try await station.during { () async throws in
            await first.hears(status: .available)
            // The agent has its answer too, or it would tell the status once more.
            await until { await station.agent.queue.count == 0 }
            station.links.yield(second)
            first.hangUp()
            station.board.change { $0.isPlugged = true }
            await second.hears(status: .preparing)
        }
        #expect(first.heard.boots == 1)
        #expect(second.heard.boots == 0)
        #expect(second.heard.statuses == [.preparing])
    }

    @Test func `stops for a start that the operator refuses`() async throws {
        let station = try await station()
        let peer = TestOperator { event in
            if case .sessionStarted = event {
                return .started(.number(9), AuthorizationInfo(.blocked))
            }
            return TestOperator.friendly(event)
        }
        station.links.yield(peer)
        station.board.change { $0.isPlugged = true }
        try await station.during { () async throws in
            await peer.hears(status: .preparing)
            _ = try await peer.ask(.start(connector: 1, token: "TAG"))
            await peer.hears { !$0.stops.isEmpty }
        }
        #expect(peer.heard.stops.first?.reason == .deAuthorized)
        #expect(peer.heard.stops.first?.transaction == .number(9))
    }

    @Test func `closes after a restart what was open, with the register read then`() async throws {
        let board = TestBoard()
        board.change { $0.isPlugged = true }
        let before = try await station(board: board)
        let first = TestOperator()
        before.links.yield(first)
        try await before.during { () async throws in
            await first.hears(status: .preparing)
            _ = try await first.ask(.start(connector: 1, token: "TAG"))
            await first.hears(status: .charging)
            await until { await before.agent.view().journalDepth == 0 }
        }
        board.change { $0.register = 5_700 }
        let after = try await station(board: board, bootID: "boot-2")
        let second = TestOperator()
        after.links.yield(second)
        try await after.during { () async throws in await second.hears { !$0.stops.isEmpty } }
        #expect(second.heard.starts.isEmpty)
        #expect(second.heard.stops.map(\.meterStop) == [WattHours(5_700)])
        #expect(second.heard.stops.first?.reason == .powerLoss)
    }

    @Test func `answers for its configuration keys`() async throws {
        let station = try await station()
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            await peer.hears(status: .available)
            let change = { (key: String, value: String) in
                try await peer.ask(.changeSetting(key: key, value: value))
            }
            #expect(try await change("MeterValueSampleInterval", "5") == .status("Accepted"))
            #expect(try await change("MeterValueSampleInterval", "-1") == .status("Rejected"))
            #expect(try await change("NumberOfConnectors", "7") == .status("Rejected"))
            #expect(try await change("Nonsense", "7") == .status("NotSupported"))
            let answer = try await peer.ask(
                .getSettings(keys: ["metervaluesampleinterval", "Nonsense"]))
            #expect(
                answer
                    == .settings(
                        [.init(key: "MeterValueSampleInterval", value: "5", isReadOnly: false)],
                        unknown: ["Nonsense"]))
            #expect(try await station.journal.settings()["MeterValueSampleInterval"] == "5")
        }
    }

    @Test func `keeps its availability over a restart`() async throws {
        let before = try await station()
        let first = TestOperator()
        before.links.yield(first)
        try await before.during { () async throws in
            await first.hears(status: .available)
            let answer = try await first.ask(.setAvailability(connector: 0, operative: false))
            #expect(answer == .status("Accepted"))
            await first.hears(status: .unavailable)
            let start = try await first.ask(.start(connector: 1, token: "TAG"))
            #expect(start == .status("Rejected"))
        }
        let journal = try await BoardJournal(path: folder.file("board.db"), bootID: "boot-2")
        #expect(try await journal.availability() == [0: false, 1: false])
        await journal.close()
    }

    @Test func `ends the charge, then lets the plug go`() async throws {
        let folder = TemporaryFolder()
        let station = try await TestStation.make(
            path: folder.file("board.db"), capabilities: .bench(hasLock: true))
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            let board = station.board
            board.change { $0.isPlugged = true }
            await peer.hears(status: .preparing)
            await station.controller.take(.token("T"))
            await until { board.relayIsClosed }
            #expect(board.state.withLock { $0.isLocked })
            #expect(try await peer.ask(.unlock(connector: 1)) == .status("Unlocked"))
            #expect(!board.relayIsClosed)
            #expect(board.state.withLock { !$0.isLocked && !$0.wasUnlockedHot })
            await peer.hears { $0.stops.map(\.reason) == [.unlockCommand] }
        }
    }

    @Test func `ends the charge and says so when the lock does not let the plug go`() async throws {
        let station = try await TestStation.make(
            path: folder.file("board.db"), capabilities: .bench(hasLock: true))
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            let board = station.board
            board.change { $0.isPlugged = true }
            await peer.hears(status: .preparing)
            await station.controller.take(.token("T"))
            await until { board.relayIsClosed }
            board.change { $0.isBoltStuck = true }
            #expect(try await peer.ask(.unlock(connector: 1)) == .status("UnlockFailed"))
            #expect(!board.relayIsClosed)
            await peer.hears { $0.stops.map(\.reason) == [.unlockCommand] }
        }
    }

    @Test func `answers what it cannot do`() async throws {
        let station = try await station()
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            await peer.hears(status: .available)
            #expect(try await peer.ask(.unlock(connector: 1)) == .status("NotSupported"))
            #expect(try await peer.ask(.stop(.number(4711))) == .status("Rejected"))
            #expect(
                try await peer.ask(.data(DataMessage(vendor: "x")))
                    == .data(status: "UnknownVendorId", data: nil))
            #expect(
                try await peer.ask(.trigger(message: "StatusNotification", connector: 1))
                    == .status("Accepted"))
            await peer.hears { $0.statuses.count == 2 }
        }
    }
}
