import Charging
import OCPP
import OCPP16
import Service
import TestSupport
import Testing

@testable import Station

@Suite struct `A board's clock` {
    let noon = Timestamp(seconds: 1_800_000_000)

    private func board(
        _ system: ManualClock, _ kernel: Lock<ClockSource> = Lock(ClockSource())
    ) -> BoardClock {
        BoardClock(system, kernel: { kernel.withLock { $0 } })
    }

    @Test func `is believed by nobody after a power-on without a battery`() {
        let system = ManualClock(Timestamp(seconds: 30))
        let clock = board(system)
        #expect(clock.trust == .untrusted)
        #expect(clock.now == system.now)
    }

    @Test func `is believed with a battery, unless the battery is flat`() {
        let kernel = Lock(ClockSource(hasBattery: true))
        #expect(board(ManualClock(noon), kernel).trust == .rtc)
        // 2000-01-01, where such clocks begin again.
        #expect(board(ManualClock(Timestamp(seconds: 946_684_800)), kernel).trust == .untrusted)
    }

    @Test func `takes the operator's time and keeps it whoever sets the kernel's`() {
        let system = ManualClock(Timestamp(seconds: 30))
        let clock = board(system)
        #expect(clock.correct(to: noon) == noon.milliseconds - 30_000)
        #expect(clock.trust == .operator)
        #expect(clock.now == noon)
        system.stepWall(milliseconds: 12_345_678)
        system.advance(milliseconds: 1_000)
        #expect(clock.now == noon.advanced(bySeconds: 1))
    }

    @Test func `is not moved twice when a time server comes after the operator`() {
        let system = ManualClock(Timestamp(seconds: 30))
        let kernel = Lock(ClockSource())
        let clock = board(system, kernel)
        _ = clock.correct(to: noon)
        system.stepWall(milliseconds: noon.milliseconds - 30_000 + 250)
        kernel.withLock { $0.isSynchronised = true }
        system.advance(milliseconds: 2_000)
        #expect(clock.trust == .ntp)
        #expect(clock.now == Timestamp(milliseconds: noon.milliseconds + 2_250))
    }

    @Test func `keeps a time server's time against an operator who is wrong`() {
        let clock = board(ManualClock(noon), Lock(ClockSource(isSynchronised: true)))
        #expect(clock.correct(to: noon.advanced(bySeconds: -7_200)) == nil)
        #expect(clock.now == noon)
        #expect(clock.trust == .ntp)
    }

    @Test func `does not take over a time before there was Kerb`() {
        let clock = board(ManualClock(Timestamp(seconds: 30)))
        #expect(clock.correct(to: Timestamp(seconds: 1_000_000)) == nil)
        #expect(clock.trust == .untrusted)
    }

    @Test func `does not take over a time that no board lives to see`() {
        let clock = board(ManualClock(Timestamp(seconds: 30)))
        let last = BoardClock.latest.milliseconds
        for late in [last + 1, 253_402_300_799_000] {
            #expect(clock.correct(to: Timestamp(milliseconds: late)) == nil)
            #expect(clock.trust == .untrusted)
        }
        #expect(clock.correct(to: BoardClock.latest) == last - 30_000)
    }

    @Test func `does not go on with a time that no operator meant`() {
        let bases: [Int64] = [
            0, 1_000_000_000, BoardClock.latest.milliseconds + 1, Int64.max, Int64.min,
        ]
        for base in bases {
            let clock = board(ManualClock(Timestamp(seconds: 30)))
            clock.resume(base: base)
            #expect(clock.trust == .untrusted)
            #expect(clock.now == Timestamp(seconds: 30))
            clock.resume(base: noon.milliseconds)
            #expect(clock.trust == .operator)
        }
    }

    @Test func `keeps the operator's good time when he then says another age`() {
        let system = ManualClock(Timestamp(seconds: 30))
        let clock = board(system)
        _ = clock.correct(to: noon)
        #expect(clock.correct(to: Timestamp(seconds: 253_402_300_799)) == nil)
        #expect(clock.now == noon)
        #expect(clock.trust == .operator)
    }

    @Test func `knows after a restart of the program what the operator said in this boot`()
        async throws
    {
        let folder = TemporaryFolder()
        let system = ManualClock(Timestamp(seconds: 30))
        let first = board(system)
        var journal = try await BoardJournal(
            path: folder.file("j.db"), bootID: "a", clock: first)
        #expect(try await journal.trustedBase() == nil)
        _ = first.correct(to: noon)
        try await journal.settleTimes()
        await journal.close()
        system.advance(milliseconds: 60_000)
        let second = board(system)
        journal = try await BoardJournal(path: folder.file("j.db"), bootID: "a", clock: second)
        second.resume(base: try #require(try await journal.trustedBase()))
        #expect(second.now == noon.advanced(bySeconds: 60))
        await journal.close()
        // In another boot it is worth nothing.
        journal = try await BoardJournal(path: folder.file("j.db"), bootID: "b", clock: second)
        #expect(try await journal.trustedBase() == nil || second.trust != .untrusted)
        await journal.close()
    }

    @Test func `lets messages wait until their times can be repaired, then sends them right`()
        async throws
    {
        let folder = TemporaryFolder()
        let system = ManualClock(Timestamp(seconds: 30))
        let clock = board(system)
        let journal = try await BoardJournal(
            path: folder.file("j.db"), bootID: "a", clock: clock)
        let charge = try await journal.start(
            connector: 1, token: "TAG", isRemote: false, register: WattHours(1), at: clock.now)
        system.advance(milliseconds: 600_000)
        #expect(try await journal.nextMessage() == nil)
        #expect(try await journal.view().waitingForTime == 1)
        _ = clock.correct(to: noon)
        let message = try #require(try await journal.nextMessage())
        guard case .start(let start) = message.kind else { return #expect(Bool(false)) }
        #expect(start.at == noon.advanced(bySeconds: -600))
        try await journal.confirmStart(message, operatorID: 4)
        // The operator's own clock is set back an hour: the charge's duration stays what it is.
        _ = clock.correct(to: noon.advanced(bySeconds: -3_600))
        system.advance(milliseconds: 300_000)
        try await journal.stop(
            .init(
                transaction: charge, register: WattHours(9), at: clock.now, reason: .local,
                token: nil, isLastGood: false))
        guard case .stop(let stop)? = try await journal.nextMessage()?.kind else {
            return #expect(Bool(false))
        }
        #expect(stop.at == start.at?.advanced(bySeconds: 900))
        await journal.close()
    }

    @Test func `puts a boot that never knew the time right before the next that does`()
        async throws
    {
        let folder = TemporaryFolder()
        var system = ManualClock(Timestamp(seconds: 30))
        for boot in ["a", "b"] {
            system = ManualClock(Timestamp(seconds: 30))
            let journal = try await BoardJournal(
                path: folder.file("j.db"), bootID: boot, clock: board(system))
            system.advance(milliseconds: 10_000)
            let charge = try await journal.start(
                connector: 1, token: boot, isRemote: false, register: WattHours(1),
                at: system.now)
            system.advance(milliseconds: 60_000)
            try await journal.stop(
                .init(
                    transaction: charge, register: WattHours(9), at: system.now, reason: .local,
                    token: nil, isLastGood: false))
            await journal.close()
        }
        system = ManualClock(Timestamp(seconds: 30))
        let clock = board(system)
        let journal = try await BoardJournal(
            path: folder.file("j.db"), bootID: "c", clock: clock)
        system.advance(milliseconds: 5_000)
        _ = clock.correct(to: noon)
        var times: [Timestamp] = []
        while let message = try await journal.nextMessage() {
            switch message.kind {
            case .start(let start):
                times.append(try #require(start.at))
                try await journal.confirmStart(message, operatorID: 1)
            case .stop(let stop):
                times.append(try #require(stop.at))
                try await journal.confirm(message)
            case .sample: break
            }
        }
        let powerOn = noon.advanced(bySeconds: -5)
        #expect(
            times == [-130, -70, -60, 0].map { powerOn.advanced(bySeconds: $0) })
        await journal.close()
    }

    /// The time server of one boot is decades ahead; that boot ends before anybody notices.
    @Test func `dates a boot by the next one where its own clock was ahead`() async throws {
        let folder = TemporaryFolder()
        let ahead = try #require(Timestamp(rfc3339: "2090-01-01T00:00:00Z"))
        func journal(_ boot: String, _ clock: any ServiceClock) async throws -> BoardJournal {
            try await BoardJournal(path: folder.file("j.db"), bootID: boot, clock: clock)
        }
        // One that never knew the time, then the one that is ahead.
        for (boot, start) in [("a", Timestamp(seconds: 30)), ("b", ahead)] {
            let system = ManualClock(start)
            let clock = BoardClock(
                system, kernel: { ClockSource(isSynchronised: boot == "b") })
            let journal = try await journal(boot, clock)
            try await journal.settleTimes()
            _ = try await journal.start(
                connector: 1, token: boot, isRemote: false, register: WattHours(1),
                at: clock.now)
            system.advance(milliseconds: 60_000)
            try await journal.keep(
                register: WattHours(2), of: boot == "a" ? 1 : 2, at: clock.now)
            await journal.close()
        }
        let right = BoardClock(ManualClock(noon), kernel: { ClockSource(isSynchronised: true) })
        let journal = try await journal("c", right)
        var times: [Timestamp?] = []
        while case .start(let start)? = try await journal.nextMessage()?.kind {
            times.append(start.at)
            let message = try #require(try await journal.nextMessage())
            try await journal.confirmStart(message, operatorID: 1)
        }
        #expect(times == [-120, -60].map { noon.advanced(bySeconds: $0) })
        await journal.close()
    }

    /// One that never gets a link, and what it logs.
    private func agent(
        _ journal: BoardJournal, _ clock: BoardClock, saying lines: Lock<[String]>
    ) -> StationAgent {
        struct NoLink: Error {}
        return StationAgent(
            StationAgent.Configuration(
                stationID: "CP1", identity: StationIdentity(vendor: "Kerb", model: "test"),
                dialect: OCPP16Dialect(), connect: { _ in throw NoLink() }, restart: { _ in }),
            connectors: [], journal: journal,
            settings: StationSettings(catalogue: .ocpp16, defaults: [:], written: [:]),
            clock: clock, log: Log(level: .info) { line in lines.withLock { $0.append(line) } })
    }

    @Test func `says once that a certificate cannot be judged by a clock nobody set`()
        async throws
    {
        let folder = TemporaryFolder()
        let lines = Lock<[String]>([])
        let clock = board(ManualClock(Timestamp(seconds: 30)))
        let journal = try await BoardJournal(
            path: folder.file("j.db"), bootID: "a", clock: clock)
        let agent = agent(journal, clock, saying: lines)
        for _ in 0..<3 { await agent.tell(linkFailure: "certificate is not yet valid") }
        #expect(lines.withLock { $0.count } == 1)
        #expect(lines.withLock { $0[0] }.contains("clock is not trusted"))
        // With a clock that is trusted it is a failure like any other.
        _ = clock.correct(to: noon)
        for _ in 0..<2 { await agent.tell(linkFailure: "certificate has expired") }
        #expect(lines.withLock { $0.count } == 3)
        await journal.close()
    }

    @Test func `says once that the operator tells a time nobody can mean`() async throws {
        let folder = TemporaryFolder()
        let lines = Lock<[String]>([])
        let clock = board(ManualClock(Timestamp(seconds: 30)))
        let journal = try await BoardJournal(
            path: folder.file("j.db"), bootID: "a", clock: clock)
        let agent = agent(journal, clock, saying: lines)
        func refusals() -> Int {
            lines.withLock { $0.count { $0.contains("operator's time refused") } }
        }
        for _ in 0..<3 { await agent.compare(clockWith: Timestamp(seconds: 253_402_300_799)) }
        #expect(refusals() == 1)
        await agent.compare(clockWith: noon)
        await agent.compare(clockWith: Timestamp(seconds: 1_000_000))
        #expect(refusals() == 2)
        await journal.close()
    }
}
