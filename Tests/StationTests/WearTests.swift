import Service
import TestSupport
import Testing

@testable import Station

@Suite(.timeLimit(.minutes(1))) struct `A contactor's life on the disk` {
    private let folder = TemporaryFolder()

    @Test func `is one commit with the last closing`() async throws {
        let commits = Lock(0)
        let journal = try await BoardJournal(
            path: folder.file("board.db"), bootID: "boot-1",
            probe: { step, moment in
                if step == .setting, moment == .committed { commits.withLock { $0 += 1 } }
            })
        commits.withLock { $0 = 0 }
        let wear = ContactorWear(closings: 2, openings: 1)
        try await journal.keep(wear: wear, lastClosing: 77, connector: 1)
        #expect(commits.withLock { $0 } == 1)
        // None yet in this run: what is kept stays.
        try await journal.keep(wear: wear, lastClosing: nil, connector: 1)
        let kept = try await journal.settings()
        #expect(ContactorWear(text: kept[ContactorWear.key(of: 1)] ?? "") == wear)
        #expect(ContactorWear.lastClosing(of: 1, in: kept, bootID: "boot-1") == 77)
        await journal.close()
    }

    @Test func `waits for all that is billed from or forbids`() {
        let wear = ConnectorMachine.JournalEntry.wear(ContactorWear(closings: 1))
        let limits = ConnectorMachine.JournalEntry.limits(transaction: 1, .none)
        let latched = ConnectorMachine.JournalEntry.latched([.emergencyStop])
        var waiting = [wear, limits, latched]
        var taken: [ConnectorMachine.JournalEntry] = []
        while !waiting.isEmpty { taken.append(ConnectorController.next(of: &waiting)) }
        #expect(taken == [limits, latched, wear])
    }
}
