import Charging
import HAL
import OCPP
import Service
import TestSupport
import Testing

@testable import Station

/// Profiles that come with a start: theirs alone, and in force from its first ampere.
extension `Smart charging at a station` {
    @Test func `keeps a remote start's own profile for that charge alone`() async throws {
        let folder = TemporaryFolder()
        let station = try await TestStation.make(
            path: folder.file("journal.db"), smart: Self.settings)
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            let board = station.board
            await peer.hears(status: .available)
            #expect(
                await station.agent.start("T", on: 1, profile(1, 100)) == .status("Rejected"))
            #expect(
                try await peer.ask(
                    .startLimited(connector: 1, token: "T", profile(1, 100, .transaction)))
                    == .status("Accepted"))
            board.change { $0.isPlugged = true }
            await until { board.relayIsClosed }
            #expect(board.state.withLock { $0.signal } == .pwm(Amperes(10)))
            #expect(board.state.withLock { $0.mostOffered } == Amperes(10))
            await station.controller.take(.stop(.local))
            await until { await !station.controller.hasTransaction }
            await until { await station.smartCharging?.view().profiles == 0 }
        }
    }

    @Test func `bounds a start by its own profile though the wall's clock is set back`()
        async throws
    {
        let folder = TemporaryFolder()
        let clock = SteppedClock()
        let station = try await TestStation.make(
            path: folder.file("journal.db"), smart: Self.settings, clock: clock)
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            let board = station.board
            await peer.hears(status: .available)
            #expect(
                try await peer.ask(
                    .startLimited(connector: 1, token: "T", profile(1, 100, .transaction)))
                    == .status("Accepted"))
            clock.step(milliseconds: -3_600_000)
            board.change { $0.isPlugged = true }
            await until { board.relayIsClosed }
            #expect(board.state.withLock { $0.signal } == .pwm(Amperes(10)))
            // A relative schedule counts from the charge's begin, whatever the clock shows.
            clock.step(milliseconds: -3_600_000)
            await station.smartCharging?.step()
            clock.step(milliseconds: 7 * 86_400_000)
            await station.smartCharging?.step()
            #expect(board.state.withLock { $0.mostOffered } == Amperes(10))
            #expect(await station.smartCharging?.view().profiles == 1)
        }
    }

    @Test func `has a start's own profile on the disk with the start`() async throws {
        let folder = TemporaryFolder()
        struct Dead: Error {}
        // From the start's commit on nothing of a profile can be written any more.
        let station = try await TestStation.make(
            path: folder.file("journal.db"), smart: Self.settings,
            disk: TestDisk { step, _ in if step == .profile { throw Dead() } })
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            let board = station.board
            await peer.hears(status: .available)
            #expect(
                try await peer.ask(
                    .startLimited(connector: nil, token: "T", profile(1, 100, .transaction)))
                    == .status("Accepted"))
            board.change { $0.isPlugged = true }
            await until { board.relayIsClosed }
            #expect(board.state.withLock { $0.mostOffered } == Amperes(10))
            let charge = await station.controller.charge()?.id
            #expect(try await station.journal.profiles().map(\.charge) == [charge])
        }
    }

    @Test func `keeps the profile of an accepted start when the next one is refused`() async throws
    {
        let folder = TemporaryFolder()
        let station = try await TestStation.make(
            path: folder.file("journal.db"), smart: Self.settings)
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            let board = station.board
            await peer.hears(status: .available)
            let first = profile(1, 100, .transaction)
            #expect(
                try await peer.ask(.startLimited(connector: 1, token: "T", first))
                    == .status("Accepted"))
            let smart = try #require(station.smartCharging)
            let why = await smart.expect(
                profile(2, 320, .transaction), token: "T", connector: 1, start: { _ in false })
            #expect(why == nil)
            board.change { $0.isPlugged = true }
            await until { board.relayIsClosed }
            #expect(board.state.withLock { $0.mostOffered } == Amperes(10))
        }
    }

    @Test func `goes on after a power cut in the period that its charge had come to`() async throws
    {
        let folder = TemporaryFolder()
        let clock = SteppedClock()
        var rules = ConnectorRules()
        rules.freeVend = .init(token: "FREE")
        rules.afterPowerLoss = .resume(withinSeconds: 7_200)
        let board = TestBoard()
        board.change { $0.isPlugged = true }
        var falling = profile(1, 320)
        falling.schedule.periods.append(.init(start: 600, tenths: 60))
        let own = InstalledProfiles.Entry(connector: 1, profile: falling)
        let first = try await TestStation.make(
            board: board, path: folder.file("journal.db"), rules: rules, smart: Self.settings,
            clock: clock)
        try await first.journal.store(own)
        try await first.during { () async throws in await until { board.relayIsClosed } }
        #expect(board.state.withLock { $0.mostOffered } == Amperes(32))
        clock.step(milliseconds: 30 * 60_000)
        board.change { $0.mostOffered = .zero }
        let second = try await TestStation.make(
            board: board, path: folder.file("journal.db"), bootID: "boot-2", rules: rules,
            smart: Self.settings, clock: clock)
        // Before it is decided whether the charge goes on.
        let limits = await second.smartCharging?.view().limits[1]?.map(\.limit)
        #expect(limits?.contains(Amperes(6)) == true)
        try await second.during { () async throws in
            await until { board.state.withLock { $0.mostOffered } > .zero }
        }
        #expect(board.state.withLock { $0.mostOffered } == Amperes(6))
    }

    @Test func `keeps a start's profile for the connector that was asked`() async throws {
        let folder = TemporaryFolder()
        let settings = SmartChargingSettings(
            outlets: [
                .init(connector: 1, wiring: .rst, maximum: Amperes(32)),
                .init(connector: 2, wiring: .rst, maximum: Amperes(32)),
            ], fuse: Amperes(100), safe: Amperes(100))
        let station = try await TestStation.make(
            boards: [TestBoard(), TestBoard()], path: folder.file("journal.db"), smart: settings)
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            await peer.hears(status: .available)
            // No car is anywhere: the first connector is asked.
            #expect(
                try await peer.ask(
                    .startLimited(connector: nil, token: "T", profile(1, 100, .transaction)))
                    == .status("Accepted"))
            await station.controllers[1].take(.token("T"))
            station.boards[1].change { $0.isPlugged = true }
            await until { station.boards[1].relayIsClosed }
            station.board.change { $0.isPlugged = true }
            await until { station.board.relayIsClosed }
            #expect(station.board.state.withLock { $0.mostOffered } == Amperes(10))
        }
    }
}
