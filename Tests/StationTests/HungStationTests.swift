import Charging
import Glibc
import SQL
import Service
import TestSupport
import Testing

@testable import Station

/// Opening never waits for disk or network.
@Suite(.timeLimit(.minutes(2))) struct `A station whose surroundings hang` {
    let folder = TemporaryFolder()

    private func charging(
        _ test: @escaping @Sendable (TestStation, TestOperator) async throws -> Void
    )
        async throws
    {
        let station = try await TestStation.make(path: folder.file("board.db"))
        let peer = TestOperator()
        station.links.yield(peer)
        station.board.change { $0.isPlugged = true }
        try await station.during { () async throws in
            await peer.hears(status: .preparing)
            _ = try await peer.ask(.start(connector: 1, token: "TAG"))
            await peer.hears(status: .charging)
            try await test(station, peer)
        }
    }

    @Test func `opens on an emergency stop behind a commit that hangs`() async throws {
        try await charging { (station, peer) async throws in
            let gate = Gate()
            async let hanging: Void = station.journal.database.write { _ in gate.wait() }
            await gate.reached()
            station.board.change { $0.isStopPressed = true }
            await until { !station.board.relayIsClosed }
            // The disk still hangs, and the stop is not lost.
            #expect(peer.heard.stops.isEmpty)
            gate.open()
            try await hanging
            await peer.hears { !$0.stops.isEmpty }
            #expect(peer.heard.stops.first?.reason == .emergencyStop)
        }
    }

    @Test func `opens on an emergency stop although the operator takes nothing`() async throws {
        try await charging { (station, peer) async throws in
            peer.hang()
            station.board.change { $0.isStopPressed = true }
            await until { !station.board.relayIsClosed }
            await until { await !station.controller.hasTransaction }
            #expect(try await station.journal.depth() >= 1)
        }
    }

    @Test func `starts nothing that the disk does not keep`() async throws {
        let station = try await TestStation.make(path: folder.file("board.db"))
        let peer = TestOperator()
        station.links.yield(peer)
        station.board.change { $0.isPlugged = true }
        try await station.during { () async throws in
            await peer.hears(status: .preparing)
            await station.journal.close()
            _ = try await peer.ask(.start(connector: 1, token: "TAG"))
            await until { await !station.controller.hasTransaction }
        }
        #expect(!station.board.state.withLock { $0.contactor }.contains(true))
        #expect(peer.heard.starts.isEmpty)
    }
}

/// Holds up a thread until the test lets it go.
final class Gate: Sendable {
    private let state = Lock((isOpen: false, isReached: false))

    /// Blocks the calling thread, as a disk does.
    func wait() {
        state.withLock { $0.isReached = true }
        while !state.withLock({ $0.isOpen }) { usleep(1_000) }
    }

    func reached() async { await until { state.withLock { $0.isReached } } }
    func open() { state.withLock { $0.isOpen = true } }
}
