import Charging
import Glibc
import JSON
import Service
import TestSupport
import Testing

@testable import Station

@Suite struct `A person's limit` {
    private let folder = TemporaryFolder()

    private struct Dead: Error {}

    private func smart(
        _ clock: any ServiceClock, isDead: Lock<Bool> = Lock(false),
        keeping text: String? = nil, probe: JournalProbe? = nil
    ) async throws -> (SmartCharging, BoardJournal) {
        let journal = try await BoardJournal(
            path: folder.file("j.db"), bootID: "a", clock: clock,
            probe: probe ?? { step, moment in
                if step == .setting, moment == .asked, isDead.withLock({ $0 }) { throw Dead() }
            })
        if let text { try await journal.set(SmartCharging.limitKey, to: text) }
        let smart = SmartCharging(
            SmartChargingSettings(
                outlets: [.init(connector: 1, wiring: .rst, maximum: Amperes(32))],
                fuse: Amperes(32), safe: Amperes(8)),
            controllers: [], journal: journal, executor: ThreadExecutor(name: "control"),
            clock: clock, log: .silent)
        try await smart.load()
        return (smart, journal)
    }

    private func held(_ smart: SmartCharging) async -> PhaseCurrents? {
        await smart.view().socketLimit
    }

    @Test func `outlives the program until it is taken away`() async throws {
        let limit = PhaseCurrents(12_500, 12_500, 12_500)
        let (first, one) = try await smart(ManualClock())
        try await first.limitSite(LocalLimit(currents: limit))
        await one.close()
        let (second, two) = try await smart(ManualClock())
        #expect(await held(second) == limit)
        #expect(await second.view().state == "shared")
        try await second.limitSite(nil)
        #expect(await held(second) == nil)
        await two.close()
        let (third, three) = try await smart(ManualClock())
        #expect(await held(third) == nil)
        await three.close()
    }

    /// What is left of it is written down just as a person takes it away.
    @Test(.timeLimit(.minutes(1)))
    func `that was taken away is not back after a restart`() async throws {
        let clock = ManualClock()
        let (isTaken, isWritten, mayGoOn) = (Lock(false), Lock(false), Lock(false))
        let (smart, journal) = try await smart(
            clock,
            probe: { step, moment in
                guard step == .setting, moment == .committed, isTaken.withLock({ $0 }) else {
                    return
                }
                // Only the first: it is on the disk, and nobody knows yet.
                isTaken.withLock { $0 = false }
                isWritten.withLock { $0 = true }
                // A writing that waits for this one shows as a limit that is back, not as a test
                // without an end.
                let last = SystemClock().monotonicMilliseconds + 2_000
                while !mayGoOn.withLock({ $0 }), SystemClock().monotonicMilliseconds < last {
                    sched_yield()
                }
            })
        try await smart.limitSite(LocalLimit(currents: PhaseCurrents(Amperes(10)), seconds: 600))
        isTaken.withLock { $0 = true }
        async let taking: Void = smart.limitSite(nil)
        await until { isWritten.withLock { $0 } }
        await smart.keepHeldLimit()
        mayGoOn.withLock { $0 = true }
        try await taking
        await journal.close()
        let (second, two) = try await self.smart(clock)
        #expect(await held(second) == nil)
        await two.close()
    }

    @Test(.timeLimit(.minutes(1)))
    func `stays on its way out while an older order to take it away fails`() async throws {
        let (isArmed, isAsked, mayFail) = (Lock(false), Lock(false), Lock(false))
        let (smart, journal) = try await smart(
            ManualClock(),
            probe: { step, moment in
                guard step == .setting, moment == .asked, isArmed.withLock({ $0 }) else { return }
                isArmed.withLock { $0 = false }
                isAsked.withLock { $0 = true }
                let last = SystemClock().monotonicMilliseconds + 2_000
                while !mayFail.withLock({ $0 }), SystemClock().monotonicMilliseconds < last {
                    sched_yield()
                }
                throw Dead()
            })
        try await smart.limitSite(LocalLimit(currents: PhaseCurrents(Amperes(10)), seconds: 600))
        isArmed.withLock { $0 = true }
        let older = Task { try await smart.limitSite(nil) }
        await until { isAsked.withLock { $0 } }
        let newer = Task { try await smart.limitSite(nil) }
        await until { await smart.limitOrders == 3 }
        mayFail.withLock { $0 = true }
        await #expect(throws: Dead.self) { try await older.value }
        #expect(await smart.isLimitBeingTaken)
        try await newer.value
        #expect(await held(smart) == nil)
        await journal.close()
    }

    private func profile(_ purpose: ChargingProfile.Purpose) -> ChargingProfile {
        ChargingProfile(
            id: 7, stackLevel: 0, purpose: purpose, kind: .absolute,
            schedule: ChargingSchedule(
                unit: .amperes, periods: [.init(start: 0, tenths: 200)],
                start: Timestamp(seconds: 1_700_000_000)))
    }

    /// One that starts with the doubt of an operator's lost profile.
    private func doubting() async throws -> (SmartCharging, BoardJournal) {
        let (_, journal) = try await smart(ManualClock())
        try await journal.set(SmartCharging.profilesKey, to: "")
        await journal.close()
        return try await smart(ManualClock())
    }

    @Test
    func `leaves the safe share while an operator's profile is lost, until he says the maximum`()
        async throws
    {
        let (first, one) = try await smart(ManualClock())
        #expect(await first.view().state == "free")
        await one.close()
        let (second, two) = try await doubting()
        #expect(await second.view().json["profilesLost"] == .bool(true))
        // What one outlet may have says nothing of the station.
        #expect(await second.install(profile(.transactionDefault), connector: 0) == nil)
        #expect(await second.view().state == "safe")
        #expect(await second.install(profile(.stationMaximum), connector: 0) == nil)
        #expect(await second.view().state == "shared")
        #expect(await second.view().json["profilesLost"] == .bool(false))
        await two.close()
        let (third, three) = try await smart(ManualClock())
        #expect(await third.view().state == "shared")
        await three.close()
    }

    @Test(arguments: [
        ProfileFilter(id: 99), ProfileFilter(connector: 1), ProfileFilter(stackLevel: 0),
        ProfileFilter(purpose: .transactionDefault), ProfileFilter(purpose: .transaction),
    ])
    func `is in doubt still where the operator clears what is no station's maximum`(
        _ filter: ProfileFilter
    ) async throws {
        let (smart, journal) = try await doubting()
        #expect(await !smart.clear(filter))
        #expect(await smart.view().state == "safe")
        await journal.close()
    }

    @Test(arguments: [
        ProfileFilter(), ProfileFilter(connector: 0), ProfileFilter(purpose: .stationMaximum),
    ])
    func `is in doubt no more where the operator clears the station's maximum`(
        _ filter: ProfileFilter
    ) async throws {
        let (smart, journal) = try await doubting()
        #expect(await !smart.clear(filter))
        #expect(await smart.view().state == "free")
        await journal.close()
    }

    @Test func `taken away ends the doubt of an operator's lost profile, a new one does not`()
        async throws
    {
        let (smart, journal) = try await doubting()
        try await smart.limitSite(LocalLimit(currents: PhaseCurrents(Amperes(10)), seconds: 60))
        #expect(await smart.view().state == "safe")
        try await smart.limitSite(nil)
        #expect(await smart.view().state == "free")
        await journal.close()
        let (again, second) = try await self.smart(ManualClock())
        #expect(await again.view().state == "free")
        await second.close()
    }

    @Test func `that was never said is known not to be there`() async throws {
        let (_, journal) = try await smart(ManualClock())
        #expect(try await journal.settings()[SmartCharging.limitKey] == "off")
        await journal.close()
    }

    @Test func `ends after its time, by the monotonic clock and over a restart`() async throws {
        let clock = ManualClock()
        let (first, one) = try await smart(clock)
        let limit = PhaseCurrents(Amperes(10))
        try await first.limitSite(LocalLimit(currents: limit, seconds: 60))
        clock.stepWall(milliseconds: 86_400_000)
        await first.step()
        #expect(await held(first) == limit)
        clock.stepWall(milliseconds: -86_400_000)
        clock.advance(milliseconds: 40_000)
        await one.close()
        let (second, two) = try await smart(clock)
        clock.advance(milliseconds: 19_000)
        await second.step()
        #expect(await held(second) == limit)
        clock.advance(milliseconds: 1_000)
        await second.step()
        #expect(await held(second) == nil)
        await two.close()
        let (third, three) = try await smart(clock)
        #expect(await held(third) == nil)
        await three.close()
    }

    @Test func `holds for its whole time again where nobody set the clock`() async throws {
        let board = BoardClock(kernel: { ClockSource(isSynchronised: false, hasBattery: false) })
        #expect(board.trust == .untrusted)
        let (smart, journal) = try await smart(
            board,
            keeping:
                #"{"milliamperes":[6000,6000,6000],"seconds":60,"until":"2001-01-01T00:00:00Z"}"#)
        #expect(await held(smart) == PhaseCurrents(Amperes(6)))
        await journal.close()
    }

    @Test func `is not ended by the operator's clock, and goes on with what was left`() async throws
    {
        let system = ManualClock(Timestamp(seconds: 100))
        let (first, one) = try await smart(BoardClock(system))
        let limit = PhaseCurrents(Amperes(10))
        try await first.limitSite(LocalLimit(currents: limit, seconds: 600))
        system.advance(milliseconds: 240_000)
        await first.keepHeldLimit()
        await one.close()
        let board = BoardClock(system)
        _ = board.correct(to: Timestamp(rfc3339: "2037-01-01T00:00:00Z") ?? system.now)
        #expect(board.trust == .operator)
        let (second, two) = try await smart(board)
        #expect(await held(second) == limit)
        system.advance(milliseconds: 359_000)
        await second.step()
        #expect(await held(second) == limit)
        system.advance(milliseconds: 1_000)
        await second.step()
        #expect(await held(second) == nil)
        await two.close()
    }

    @Test func `in a file ends by this machine's clock, not by the operator's`() async throws {
        let system = ManualClock(Timestamp(seconds: 1_800_000_000))
        let hasServer = Lock(false)
        let board = BoardClock(
            system, kernel: { ClockSource(isSynchronised: hasServer.withLock { $0 }) })
        let (smart, journal) = try await smart(board)
        let limit = SiteLimit(
            currents: PhaseCurrents(Amperes(10)), until: Timestamp(seconds: 1_800_000_600))
        _ = board.correct(to: Timestamp(seconds: 1_900_000_000))
        #expect(board.trust == .operator)
        #expect(await !smart.isOver(limit))
        hasServer.withLock { $0 = true }
        system.advance(milliseconds: 599_000)
        #expect(await !smart.isOver(limit))
        system.advance(milliseconds: 1_000)
        #expect(await smart.isOver(limit))
        await journal.close()
    }

    @Test func `that cannot be kept holds and says so; taken away it stays`() async throws {
        let isDead = Lock(true)
        let (smart, journal) = try await smart(ManualClock(), isDead: isDead)
        let limit = PhaseCurrents(Amperes(10))
        await #expect(throws: Dead.self) {
            try await smart.limitSite(LocalLimit(currents: limit))
        }
        #expect(await held(smart) == limit)
        await #expect(throws: Dead.self) { try await smart.limitSite(nil) }
        #expect(await held(smart) == limit)
        isDead.withLock { $0 = false }
        try await smart.limitSite(nil)
        #expect(await held(smart) == nil)
        await journal.close()
    }

    @Test(arguments: ["", "{}", #"{"milliamperes":[6000]}"#, #"{"milliamperes":[-1,0,0]}"#])
    func `that was damaged leaves the safe share until it is said again`(
        _ text: String
    ) async throws {
        let (smart, journal) = try await smart(ManualClock(), keeping: text)
        #expect(await smart.view().state == "safe")
        try await smart.limitSite(nil)
        #expect(await smart.view().state == "free")
        await journal.close()
    }
}
