import Charging
import OCPP
import Service
import TestSupport
import Testing

@testable import Station

@Suite(.timeLimit(.minutes(2))) struct `The local list` {
    let folder = TemporaryFolder()
    private let noon = Timestamp(seconds: 1_795_262_400)

    private func journal(
        _ limits: JournalLimits = JournalLimits(), boot: String = "boot-1",
        _ clock: any ServiceClock = .system
    ) async throws -> BoardJournal {
        try await BoardJournal(
            path: folder.file("board.db"), bootID: boot, limits: limits, clock: clock)
    }

    private static func entry(
        _ token: String, _ status: AuthorizationStatus? = .accepted, group: String? = nil,
        expires: Timestamp? = nil
    ) -> LocalListUpdate.Entry {
        .init(
            token: token,
            info: status.map { AuthorizationInfo($0, group: group, expires: expires) })
    }

    private static func full(_ version: Int, _ entries: [LocalListUpdate.Entry]) -> LocalListUpdate
    {
        LocalListUpdate(kind: .full, version: version, entries: entries)
    }

    private static func differential(_ version: Int, _ entries: [LocalListUpdate.Entry])
        -> LocalListUpdate
    {
        LocalListUpdate(kind: .differential, version: version, entries: entries)
    }

    @Test func `is replaced by a full update and changed by a differential one`() async throws {
        let journal = try await journal()
        #expect(try await journal.localListVersion() == 0)
        let first = Self.full(3, [Self.entry("ONE", group: "G"), Self.entry("TWO", .blocked)])
        #expect(try await journal.take(first, at: noon) == .accepted)
        #expect(try await journal.localListVersion() == 3)
        let change = Self.differential(4, [Self.entry("two"), Self.entry("ONE", nil)])
        #expect(try await journal.take(change, at: noon) == .accepted)
        #expect(try await journal.listed(token: "ONE", at: noon) == nil)
        #expect(try await journal.listed(token: "Two", at: noon)?.status == .accepted)
        #expect(try await journal.localListVersion() == 4)
        // A full one may go back: the operator starts again.
        #expect(try await journal.take(Self.full(1, []), at: noon) == .accepted)
        #expect(try await journal.listed(token: "two", at: noon) == nil)
        #expect(try await journal.localListVersion() == 0)
        await journal.close()
    }

    @Test(arguments: [
        LocalListUpdate(kind: .differential, version: 5, entries: []),
        LocalListUpdate(kind: .differential, version: 4, entries: []),
    ])
    func `refuses a differential update that is not newer`(_ update: LocalListUpdate) async throws {
        let journal = try await journal()
        #expect(try await journal.take(Self.full(5, [Self.entry("ONE")]), at: noon) == .accepted)
        #expect(try await journal.take(update, at: noon) == .versionMismatch)
        await journal.close()
    }

    @Test func `takes an update whole or not at all`() async throws {
        var limits = JournalLimits()
        limits.localTokens = 2
        limits.localListUpdate = 3
        let journal = try await journal(limits)
        #expect(try await journal.take(Self.full(5, [Self.entry("ONE")]), at: noon) == .accepted)
        let names = ["TWO", "THREE", "FOUR"].map { Self.entry($0) }
        for update in [
            Self.differential(6, names),  // one too many for the board
            Self.full(6, names),
            Self.full(6, names + [Self.entry("FIVE")]),  // for the message
            Self.full(6, [Self.entry("A"), Self.entry("a")]),
            Self.full(6, [Self.entry("A", nil)]),
            Self.full(0, []),
            Self.differential(-1, []),
        ] {
            guard case .failed = try await journal.take(update, at: noon) else {
                Issue.record("taken: \(update)")
                continue
            }
        }
        #expect(try await journal.localListVersion() == 5)
        #expect(try await journal.listed(token: "ONE", at: noon)?.status == .accepted)
        #expect(try await journal.listed(token: "TWO", at: noon) == nil)
        await journal.close()
    }

    @Test func `keeps its tokens out of the cache`() async throws {
        let journal = try await journal()
        try await journal.learn(token: "ONE", AuthorizationInfo(.accepted), at: noon)
        #expect(
            try await journal.take(Self.full(1, [Self.entry("one", .blocked)]), at: noon)
                == .accepted)
        #expect(try await journal.known(token: "ONE", at: noon) == nil)
        await journal.close()
    }

    @Test func `ends a token in time, also after a power cut took the clock away`() async throws {
        var journal = try await journal()
        let end = noon.advanced(bySeconds: -60)
        #expect(
            try await journal.take(Self.full(1, [Self.entry("ONE", expires: end)]), at: noon)
                == .accepted)
        #expect(try await journal.listed(token: "ONE", at: noon)?.status == .expired)
        await journal.close()
        let fallen = ManualClock(Timestamp(seconds: 1_000))
        journal = try await self.journal(boot: "b", BoardClock(fallen))
        #expect(journal.trust == .untrusted)
        #expect(try await journal.listed(token: "ONE", at: fallen.now)?.status == .expired)
        await journal.close()
        // Nor does a battery that is an hour behind let it in again.
        let slow = ManualClock(noon.advanced(bySeconds: -3_600))
        journal = try await self.journal(
            boot: "c", BoardClock(slow, kernel: { ClockSource(hasBattery: true) }))
        #expect(journal.trust == .rtc)
        #expect(try await journal.listed(token: "ONE", at: slow.now)?.status == .expired)
        await journal.close()
    }

    /// A time server says 2090 for an hour.
    @Test func `is not ended for decades by a clock that was ahead`() async throws {
        let ahead = try #require(Timestamp(rfc3339: "2090-01-01T00:00:00Z"))
        let system = ManualClock(ahead)
        let server = Lock(true)
        let clock = BoardClock(
            system, kernel: { ClockSource(isSynchronised: server.withLock { $0 }) })
        var limits = JournalLimits()
        limits.knownTokens = 1
        var journal = try await journal(limits, clock)
        let end = noon.advanced(bySeconds: 86_400)
        #expect(
            try await journal.take(Self.full(1, [Self.entry("ONE", expires: end)]), at: clock.now)
                == .accepted)
        try await journal.learn(
            token: "TWO", AuthorizationInfo(.accepted, expires: end), at: clock.now)
        #expect(try await journal.listed(token: "ONE", at: clock.now)?.status == .expired)
        system.stepWall(milliseconds: -ahead.milliseconds(since: noon))
        #expect(try await journal.listed(token: "ONE", at: clock.now)?.status == .accepted)
        #expect(try await journal.known(token: "TWO", at: clock.now)?.status == .accepted)
        // What was learnt then is no newer than what is learnt now.
        try await journal.settleTimes()
        system.advance(milliseconds: 1_000)
        try await journal.learn(token: "NEW", AuthorizationInfo(.accepted), at: clock.now)
        #expect(try await journal.known(token: "NEW", at: clock.now)?.status == .accepted)
        await journal.close()
        // Nor does the next power cut bring 2090 back.
        journal = try await self.journal(boot: "b", BoardClock(ManualClock(Timestamp(seconds: 9))))
        #expect(
            try await journal.listed(token: "ONE", at: Timestamp(seconds: 9))?.status == .accepted)
        await journal.close()
    }

    @Test func `gives way in the cache to the refused first, then to the oldest`() async throws {
        var limits = JournalLimits()
        limits.knownTokens = 2
        let journal = try await journal(limits)
        let late = { (seconds: Int64) in self.noon.advanced(bySeconds: seconds) }
        try await journal.learn(token: "OLD", AuthorizationInfo(.accepted), at: late(0))
        try await journal.learn(token: "BAD", AuthorizationInfo(.blocked), at: late(1))
        try await journal.learn(token: "NEW", AuthorizationInfo(.accepted), at: late(2))
        #expect(try await journal.known(token: "BAD", at: late(3)) == nil)
        #expect(try await journal.known(token: "OLD", at: late(3))?.status == .accepted)
        try await journal.learn(
            token: "SHORT", AuthorizationInfo(.accepted, expires: late(4)), at: late(3))
        #expect(try await journal.known(token: "OLD", at: late(3)) == nil)
        // Expired ones are refused ones.
        try await journal.learn(token: "LAST", AuthorizationInfo(.accepted), at: late(5))
        #expect(try await journal.known(token: "SHORT", at: late(5)) == nil)
        #expect(try await journal.known(token: "NEW", at: late(5))?.status == .accepted)
        await journal.close()
    }

    private func station(_ settings: [String: String] = [:]) async throws -> TestStation {
        try await TestStation.make(path: folder.file("board.db"), settings: settings)
    }

    @Test func `is kept in step by the operator and asked before the cache`() async throws {
        let station = try await station()
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            await peer.hears(status: .available)
            #expect(try await peer.ask(.getLocalListVersion) == .listVersion(0))
            let list = Self.full(
                7,
                [Self.entry("GOOD"), Self.entry("BAD", .blocked), Self.entry("CACHED", .invalid)])
            // The cache says yes to what the list refuses.
            #expect(await station.agent.authorize(token: "CACHED").status == .accepted)
            #expect(try await peer.ask(.sendLocalList(list)) == .status("Accepted"))
            #expect(try await peer.ask(.getLocalListVersion) == .listVersion(7))
            #expect(
                try await peer.ask(.sendLocalList(Self.differential(7, [])))
                    == .status("VersionMismatch"))
            peer.hangUp()
            await until { await !station.agent.view().isLinked }
            #expect(await station.agent.authorize(token: "good").status == .accepted)
            #expect(await station.agent.authorize(token: "BAD").status == .blocked)
            #expect(await station.agent.authorize(token: "CACHED").status == .invalid)
            #expect(await station.agent.authorize(token: "STRANGER").status == .invalid)
        }
    }

    @Test func `charges nobody offline where LocalAuthorizeOffline is off`() async throws {
        let station = try await station([
            "LocalAuthorizeOffline": "false", "AllowOfflineTxForUnknownId": "true",
        ])
        _ = try await station.journal.take(
            Self.full(1, [Self.entry("GOOD"), Self.entry("BAD", .blocked)]), at: noon)
        try await station.during { () async throws in
            #expect(await station.agent.authorize(token: "GOOD").status == .invalid)
            #expect(await station.agent.authorize(token: "BAD").status == .blocked)
            #expect(await station.agent.authorize(token: "STRANGER").status == .accepted)
        }
    }

    @Test func `answers for a token online only where LocalPreAuthorize is on`() async throws {
        let station = try await station(["LocalPreAuthorize": "true"])
        _ = try await station.journal.take(
            Self.full(1, [Self.entry("GOOD", group: "G"), Self.entry("BAD", .blocked)]), at: noon)
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            await peer.hears(status: .available)
            #expect(
                await station.agent.authorize(token: "GOOD")
                    == AuthorizationInfo(.accepted, group: "G"))
            // Refused by the list, but the operator may have changed his mind.
            #expect(await station.agent.authorize(token: "BAD").status == .accepted)
        }
        let asked = peer.heard.compactMap {
            if case .authorizing(let token) = $0 { token } else { nil }
        }
        #expect(asked == ["BAD"])
    }

    @Test func `is nothing to a station where it is switched off`() async throws {
        let station = try await station(["LocalAuthListEnabled": "false"])
        let peer = TestOperator()
        station.links.yield(peer)
        try await station.during { () async throws in
            await peer.hears(status: .available)
            #expect(
                try await peer.ask(.sendLocalList(Self.full(1, []))) == .status("NotSupported"))
            #expect(try await peer.ask(.getLocalListVersion) == .listVersion(-1))
        }
    }

    @Test func `tells the operator when it refuses what the list accepts`() async throws {
        let station = try await station()
        _ = try await station.journal.take(Self.full(1, [Self.entry("GOOD")]), at: noon)
        let peer = TestOperator { event in
            if case .authorizing = event { return .authorization(AuthorizationInfo(.blocked)) }
            return TestOperator.friendly(event)
        }
        station.links.yield(peer)
        try await station.during { () async throws in
            await peer.hears(status: .available)
            #expect(await station.agent.authorize(token: "GOOD").status == .blocked)
            await peer.hears { events in
                events.contains {
                    if case .statusChanged(let report) = $0 {
                        report.connector == 0 && report.errorCode == "LocalListConflict"
                    } else {
                        false
                    }
                }
            }
            #expect(try await station.journal.known(token: "GOOD", at: noon) == nil)
        }
    }
}
