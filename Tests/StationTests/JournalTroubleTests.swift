import Charging
import OCPP
import SQL
import Service
import TestSupport
import Testing

@testable import Station

@Suite struct `Faults that only a person clears` {
    @Test func `are what they were after a restart, connector by connector`() async throws {
        let folder = TemporaryFolder()
        let path = folder.file("j.db")
        let clock = ManualClock(Timestamp(seconds: 1_800_000_000))
        let first = try await BoardJournal(path: path, bootID: "a", clock: clock)
        try await first.setLatched([.weldedContact, .residualCurrent], connector: 1)
        try await first.setLatched([.meterAbsurd], connector: 2)
        // The last word counts: one was cleared, another came.
        try await first.setLatched([.weldedContact, .selfTestFailed], connector: 1)
        await first.close()
        let second = try await BoardJournal(path: path, bootID: "b", clock: clock)
        let found = try await second.latchedFaults()
        #expect(found == [1: [.weldedContact, .selfTestFailed], 2: [.meterAbsurd]])
        // A machine that begins with them closes nothing, and shows them.
        var bench = BenchBoard(latched: try #require(found[1]))
        bench.readInputs()
        #expect(bench.machine.faults.isSuperset(of: [.weldedContact, .selfTestFailed]))
        #expect(bench.statuses.last == .faulted)
        try await second.setLatched([], connector: 1)
        await second.close()
        let third = try await BoardJournal(path: path, bootID: "c", clock: clock)
        #expect(try await third.latchedFaults() == [2: [.meterAbsurd]])
        await third.close()
    }
}

@Suite struct `Every write of a journal` {
    let folder = TemporaryFolder()
    let clock = ManualClock(Timestamp(seconds: 1_800_000_000))

    /// What is written beside charges, by its step.
    private static let writes: [(JournalStep, @Sendable (BoardJournal) async throws -> Void)] = [
        (.limits, { try await $0.setLimits(.none, of: 1) }),
        (
            .list,
            {
                _ = try await $0.take(
                    LocalListUpdate(
                        kind: .full, version: 1,
                        entries: [.init(token: "A", info: AuthorizationInfo(.accepted))]),
                    at: Timestamp(seconds: 0))
            }
        ),
        (.profile, { try await $0.removeProfiles([1]) }),
        (.reservation, { try await $0.forget(reservation: 1) }),
        (
            .reservation,
            {
                try await $0.keep(
                    Reservation(
                        id: 1, connector: 1, token: "A", group: nil,
                        expires: Timestamp(seconds: 1)))
            }
        ),
        (.report, { try await $0.note(.firmware(.idle), at: Timestamp(seconds: 0)) }),
        (.report, { try await $0.clearSecurityLog() }),
        (.firmware, { try await $0.keep(firmwareJob: nil) }),
        (.time, { _ = try await $0.stopData(of: 1) }),
        (.setting, { try await $0.set("a", to: "b") }),
        (.availability, { try await $0.setAvailability([1], operative: true) }),
        (.latch, { try await $0.setLatched([], connector: 1) }),
        (.token, { try await $0.forgetTokens() }),
    ]

    @Test(arguments: writes.indices, [SQLError.full, .disk("test"), .unreadable("test")])
    func `shows a disk's trouble, and lets no charge begin on it`(
        index: Int, error: SQLError
    ) async throws {
        let (step, body) = Self.writes[index]
        let fails = Lock(false)
        let journal = try await BoardJournal(
            path: folder.file("j.db"), bootID: "a", clock: clock,
            probe: { at, moment in
                if at == step, moment == .asked, fails.withLock({ $0 }) { throw error }
            })
        try await body(journal)
        #expect(journal.trouble == nil)
        fails.withLock { $0 = true }
        await #expect(throws: error) { try await body(journal) }
        #expect(journal.trouble == (error == .full ? .full : .failing("test")))
        await #expect(throws: JournalError.self) {
            _ = try await journal.start(
                connector: 1, token: "TAG", isRemote: false, register: WattHours(1),
                at: clock.now)
        }
        fails.withLock { $0 = false }
        await journal.probeDisk()
        #expect(journal.trouble == nil)
        await journal.close()
    }
}
