import Charging
import Service
import TestSupport
import Testing

@testable import Station

@Suite struct `A board journal` {
    let folder = TemporaryFolder()
    let noon = Timestamp(seconds: 1_790_000_000)

    private func open(
        limits: JournalLimits = JournalLimits(), bootID: String = "a",
        clock: any ServiceClock = .system
    ) async throws -> BoardJournal {
        try await BoardJournal(
            path: folder.file("j.db"), bootID: bootID, limits: limits, clock: clock)
    }

    private func start(_ journal: BoardJournal, token: String = "TAG") async throws -> Int64 {
        try await journal.start(
            connector: 1, token: token, isRemote: false, register: WattHours(100), at: noon)
    }

    private func stop(_ charge: Int64, register: Int64 = 250) -> ConnectorMachine.Stop {
        .init(
            transaction: charge, register: WattHours(register), at: noon.advanced(bySeconds: 60),
            reason: .remote, token: nil, isLastGood: false)
    }

    private func sample(_ register: Int64) -> StoredSample {
        StoredSample(
            MeterSnapshot(
                register: WattHours(register), currents: [Amperes(milliamperes: 15_123)],
                power: Watts(3_500), askedAt: 0, at: noon), .samplePeriodic)
    }

    private func next(_ journal: BoardJournal) async throws -> BoardJournal.Message {
        try #require(try await journal.nextMessage())
    }

    @Test func `keeps a charge's limits in the very step that starts it`() async throws {
        let journal = try await open()
        let limits = ChargeLimits(energy: WattHours(60), seconds: 600)
        _ = try await journal.start(
            connector: 1, token: "FREE", isRemote: false, register: WattHours(100), at: noon,
            limits: limits)
        await journal.close()
        let after = try await open(bootID: "b")
        #expect(try await after.recovered()[1]?.limits == limits)
        await after.close()
    }

    @Test func `hands out start, samples and stop in order, the number bound when it leaves`()
        async throws
    {
        let journal = try await open()
        let charge = try await start(journal)
        try await journal.sample(sample(180), of: charge)
        try await journal.stop(stop(charge))
        let first = try await next(journal)
        guard case .start(let start) = first.kind else { return #expect(Bool(false)) }
        #expect(start.meterStart == WattHours(100))
        try await journal.confirmStart(first, operatorID: 77)
        let second = try await next(journal)
        guard case .sample(1, .number(77), let stored) = second.kind else {
            return #expect(Bool(false))
        }
        #expect(StoredSample(text: stored.text)?.snapshot.register == WattHours(180))
        try await journal.confirm(second)
        let third = try await next(journal)
        guard case .stop(let stop) = third.kind else { return #expect(Bool(false)) }
        #expect(stop.transaction == .number(77))
        #expect(stop.meterStop == WattHours(250))
        try await journal.confirm(third)
        #expect(try await journal.nextMessage() == nil)
        #expect(try await journal.depth() == 0)
        await journal.close()
    }

    @Test func `tells with a start the reservation it uses`() async throws {
        let journal = try await open()
        _ = try await journal.start(
            connector: 1, token: "TAG", isRemote: false, register: WattHours(100), at: noon,
            reservation: 41)
        guard case .start(let start) = try await next(journal).kind else {
            return #expect(Bool(false))
        }
        #expect(start.reservation == 41)
        await journal.close()
    }

    @Test func `knows after an end at any step what is open and what is owed`() async throws {
        var journal = try await open()
        let charge = try await start(journal)
        await journal.close()
        journal = try await open()
        #expect(try await journal.recovered()[1]?.lastRegister == WattHours(100))
        #expect(try await journal.recovered()[1]?.reason == .reboot)
        try await journal.keep(register: WattHours(140), of: charge, at: noon)
        await journal.close()
        journal = try await open(bootID: "b")
        let recovered = try await journal.recovered()[1]
        #expect(recovered?.lastRegister == WattHours(140))
        #expect(recovered?.reason == .powerLoss)
        try await journal.confirmStart(try await next(journal), operatorID: 5)
        try await journal.stop(stop(charge))
        await journal.close()
        journal = try await open()
        #expect(try await journal.recovered().isEmpty)
        guard case .stop(let stop) = try await next(journal).kind else {
            return #expect(Bool(false))
        }
        #expect(stop.transaction == .number(5))
        await journal.close()
    }

    @Test func `takes a second stop of one charge for the first`() async throws {
        let journal = try await open()
        let charge = try await start(journal)
        try await journal.stop(stop(charge))
        try await journal.stop(stop(charge, register: 999))
        #expect(try await journal.depth() == 2)
        await journal.close()
    }

    @Test func `parks a charge that is refused again and again and lets the next pass, for ever`()
        async throws
    {
        let clock = ManualClock(noon)
        let journal = try await open(clock: clock)
        let bad = try await start(journal, token: "BAD")
        try await journal.stop(stop(bad))
        let good = try await start(journal, token: "GOOD")
        #expect(try await journal.refuse(try await next(journal), attempts: 2) == .again)
        #expect(
            try await journal.refuse(try await next(journal), attempts: 2) == .parked(900_000))
        #expect(try await next(journal).charge == good)
        #expect(try await journal.view().parkedCharges == 1)
        // Setting the wall's clock neither frees it nor jails it.
        clock.stepWall(milliseconds: 10 * 365 * 86_400_000)
        #expect(try await next(journal).charge == good)
        // Its turn comes again, once a turn, each turn twice as far, never further than six hours.
        var waits: [Int64] = [900_000]
        for _ in 0..<50 {
            clock.advance(milliseconds: waits[waits.count - 1])
            let message = try await next(journal)
            #expect(message.charge == bad)
            guard case .parked(let wait) = try await journal.refuse(message, attempts: 2) else {
                return #expect(Bool(false))
            }
            waits.append(wait)
        }
        #expect(waits.prefix(4) == [900_000, 1_800_000, 3_600_000, 7_200_000])
        #expect(waits.allSatisfy { $0 <= 21_600_000 })
        // Nothing of it was lost, and a day when the operator takes it is a day like any other.
        #expect(try await journal.depth() == 3)
        clock.advance(milliseconds: 21_600_000)
        try await journal.confirmStart(try await next(journal), operatorID: 9)
        guard case .stop(let stop) = try await next(journal).kind else {
            return #expect(Bool(false))
        }
        #expect(stop.transaction == .number(9))
        #expect(try await journal.view().parkedCharges == 0)
        await journal.close()
    }

    @Test func `closes charges that no connector will close`() async throws {
        let journal = try await open()
        _ = try await start(journal)
        #expect(try await journal.closeOrphans(connectors: [2]) == 1)
        #expect(try await journal.recovered().isEmpty)
        #expect(try await journal.depth() == 2)
        await journal.close()
    }

    @Test func `forgets refused tokens first`() async throws {
        var limits = JournalLimits()
        limits.knownTokens = 2
        let journal = try await open(limits: limits)
        try await journal.learn(token: "A", AuthorizationInfo(.accepted), at: noon)
        try await journal.learn(
            token: "B", AuthorizationInfo(.blocked), at: noon.advanced(bySeconds: 1))
        try await journal.learn(
            token: "C", AuthorizationInfo(.accepted), at: noon.advanced(bySeconds: 2))
        #expect(try await journal.known(token: "a", at: noon)?.status == .accepted)
        #expect(try await journal.known(token: "B", at: noon) == nil)
        #expect(try await journal.known(token: "C", at: noon)?.status == .accepted)
        await journal.close()
    }

    @Test func `takes an expired token for expired`() async throws {
        let journal = try await open()
        try await journal.learn(
            token: "A", AuthorizationInfo(.accepted, expires: noon), at: noon)
        #expect(try await journal.known(token: "A", at: noon)?.status == .expired)
        await journal.close()
    }

    @Test func `repairs times of a clock that was set later, once and for good`() async throws {
        let clock = ManualClock(Timestamp(seconds: 1_000))
        let journal = try await BoardJournal(
            path: folder.file("j.db"), bootID: "a", clock: clock)
        let charge = try await journal.start(
            connector: 1, token: "TAG", isRemote: false, register: WattHours(100), at: clock.now)
        clock.advance(milliseconds: 5_000)
        clock.stepWall(milliseconds: 1_790_000_000_000)
        let right = Timestamp(milliseconds: 1_790_000_000_000 + 1_000_000)
        #expect(try await startTime(journal) == right)
        // Sent once, it stays what it was, whatever the clock does.
        clock.stepWall(milliseconds: 3_600_000)
        #expect(try await startTime(journal) == right)
        clock.stepWall(milliseconds: -3_600_000)
        try await journal.confirmStart(
            try #require(try await journal.nextMessage()), operatorID: 1)
        var stop = stop(charge)
        stop.at = clock.now
        try await journal.stop(stop)
        guard case .stop(let told)? = try await journal.nextMessage()?.kind else {
            return #expect(Bool(false))
        }
        #expect(told.at == right.advanced(bySeconds: 5))
        await journal.close()
    }

    private func startTime(_ journal: BoardJournal) async throws -> Timestamp? {
        guard case .start(let start)? = try await journal.nextMessage()?.kind
        else { return nil }
        return start.at
    }

    @Test func `leaves small differences of clocks alone`() async throws {
        let clock = ManualClock(noon)
        let board = BoardClock(clock)
        #expect(board.correct(to: noon.advanced(bySeconds: 30)) == nil)
        #expect(board.now == noon)
        #expect(board.correct(to: noon.advanced(bySeconds: -7200)) == -7_200_000)
        #expect(board.now == noon.advanced(bySeconds: -7200))
        #expect(board.monotonicMilliseconds == clock.monotonicMilliseconds)
    }
}
