import Charging
import HAL
import OCPP
import OCPP16
import Service
import TestSupport
import Testing

@testable import Station

/// What a configuration key does, where no other suite needs another value than the standard one.
@Suite(.timeLimit(.minutes(2))) struct `What a setting does` {
    let folder = TemporaryFolder()

    private func station(_ settings: [String: String]) async throws -> TestStation {
        try await TestStation.make(path: folder.file("board.db"), settings: settings)
    }

    /// Knows one card.
    private static let picky: TestOperator.Script = { event in
        guard case .authorizing(let token) = event else { return TestOperator.friendly(event) }
        return .authorization(AuthorizationInfo(token == "GOOD" ? .accepted : .blocked))
    }

    @Test func `AuthorizeRemoteTxRequests asks about the token of a remote start`() async throws {
        let station = try await station(["AuthorizeRemoteTxRequests": "true"])
        let peer = TestOperator(script: Self.picky)
        station.links.yield(peer)
        station.board.change { $0.isPlugged = true }
        try await station.during { () async throws in
            await peer.hears(status: .preparing)
            #expect(
                try await peer.ask(.start(connector: 1, token: "BAD")) == .status("Accepted"))
            await peer.hears { $0.contains(.authorizing(token: "BAD")) }
            // Refused while the first is asked about.
            try await until {
                try await peer.ask(.start(connector: 1, token: "GOOD")) == .status("Accepted")
            }
            await peer.hears { !$0.starts.isEmpty }
        }
        #expect(peer.heard.starts.map(\.token) == ["GOOD"])
        #expect(peer.heard.contains(.authorizing(token: "GOOD")))
    }

    @Test func `AuthorizeRemoteTxRequests, by itself false, asks nobody`() async throws {
        let station = try await station([:])
        let peer = TestOperator(script: Self.picky)
        station.links.yield(peer)
        station.board.change { $0.isPlugged = true }
        try await station.during { () async throws in
            await peer.hears(status: .preparing)
            _ = try await peer.ask(.start(connector: 1, token: "BAD"))
            await peer.hears { !$0.starts.isEmpty }
        }
        #expect(!peer.heard.contains(.authorizing(token: "BAD")))
    }

    @Test(arguments: [("true", AuthorizationStatus.accepted), ("false", .invalid)])
    func `AuthorizationCacheEnabled remembers a token, or does not`(
        _ value: String, _ offline: AuthorizationStatus
    ) async throws {
        let station = try await station(["AuthorizationCacheEnabled": value])
        let peer = TestOperator(script: Self.picky)
        station.links.yield(peer)
        try await station.during { () async throws in
            await peer.hears(status: .available)
            #expect(await station.agent.authorize(token: "GOOD").status == .accepted)
            let cleared = try await peer.ask(.clearCache)
            #expect(cleared == .status(value == "true" ? "Accepted" : "Rejected"))
            #expect(await station.agent.authorize(token: "GOOD").status == .accepted)
            peer.hangUp()
            await until { await !station.agent.view().isLinked }
            #expect(await station.agent.authorize(token: "GOOD").status == offline)
        }
    }

    @Test(arguments: [true, false])
    func `UnlockConnectorOnEVSideDisconnect frees the cable of a car that left, or keeps it`(
        _ unlocks: Bool
    ) {
        var rules = StationSettings(
            catalogue: .ocpp16, defaults: [:],
            written: ["UnlockConnectorOnEVSideDisconnect": "\(unlocks)"]
        ).connectorRules
        // The charge goes on, or its end would free the cable.
        rules.stopsOnDisconnect = false
        var bench = BenchBoard.charging(
            board: BoardCapabilities.bench(hasLock: true), rules: rules)
        #expect(bench.isRelayClosed)
        bench.give(.pilot(.a, diode: .unknown))
        bench.pass(2_000)
        #expect(!bench.isRelayClosed)
        #expect(bench.effects.contains(.output(.lock(false))) == unlocks)
        bench.give(.stop(.remote))
        bench.pass(2_000)
        #expect(bench.effects.contains(.output(.lock(false))))
    }

    /// The key as it was written counts where the answer to the boot names no interval.
    @Test(arguments: [("1", 0), ("300", 1)])
    func `HeartbeatInterval is what the operator said last`(
        _ written: String, _ atBoot: Int
    ) async throws {
        let station = try await station(["HeartbeatInterval": written])
        let peer = TestOperator { event in
            guard case .booted = event else { return TestOperator.friendly(event) }
            return .booted(.accepted, intervalSeconds: atBoot, now: SystemClock().now)
        }
        station.links.yield(peer)
        try await station.during { () async throws in
            await peer.hears { $0.contains(.alive) }
            #expect(
                try await peer.ask(.getSettings(keys: ["HeartbeatInterval"]))
                    == .settings(
                        [.init(key: "HeartbeatInterval", value: "1", isReadOnly: false)],
                        unknown: []))
        }
    }

    @Test func `TransactionMessageAttempts is how often a refused sample is sent`() async throws {
        let station = try await station([
            "TransactionMessageAttempts": "2", "TransactionMessageRetryInterval": "0",
            "MeterValueSampleInterval": "1",
        ])
        let peer = TestOperator.refusing { if case .metered = $0 { true } else { false } }
        station.links.yield(peer)
        station.board.change { $0.isPlugged = true }
        try await station.during { () async throws in
            await peer.hears(status: .preparing)
            _ = try await peer.ask(.start(connector: 1, token: "TAG"))
            await peer.hears { $0.reports.count >= 3 }
        }
        let reports = peer.heard.reports
        #expect(reports[0] == reports[1])
        #expect(reports[1] != reports[2])
    }

    @Test func `ConnectionTimeOut is how long a start waits for its car`() {
        let rules = StationSettings(
            catalogue: .ocpp16, defaults: [:], written: ["ConnectionTimeOut": "5"]
        ).connectorRules
        var bench = BenchBoard.ready(rules: rules)
        bench.give(.remoteStart(token: "TAG", needsAuthorization: false))
        bench.pass(4_800)
        #expect(bench.statuses.last == .preparing)
        bench.pass(400)
        #expect(bench.effects.contains(.report(.startAbandoned(.timedOut))))
        #expect(bench.statuses.last == .available)
    }
}
