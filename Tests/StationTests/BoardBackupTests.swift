import Charging
import SQL
import Service
import TestSupport
import Testing

@testable import Station

@Suite(.timeLimit(.minutes(1))) struct `A board's backup` {
    let folder = TemporaryFolder()
    let noon = Timestamp(seconds: 1_800_000_000)

    private func journal(_ name: String) async throws -> BoardJournal {
        try await BoardJournal.open(
            path: folder.file(name), bootID: name, clock: ManualClock(noon), log: .silent)
    }

    private func charge(_ journal: BoardJournal) async throws -> Int64 {
        try await journal.start(
            connector: 1, token: "TAG", isRemote: false, register: WattHours(100), at: noon)
    }

    private func backup() -> BoardBackup {
        BoardBackup(
            stationID: "CS-1", madeAt: noon,
            files: [.init(path: "/etc/kerb/edge-password", bytes: Array("secret-pass".utf8))])
    }

    @Test func `carries unsent and open charges to another board while the first one runs`()
        async throws
    {
        let old = try await journal("old.db")
        let first = try await charge(old)
        try await old.stop(
            .init(
                transaction: first, register: WattHours(170), at: noon, reason: .local, token: nil,
                isLastGood: false))
        _ = try await charge(old)
        try await backup().write(journal: folder.file("old.db"), to: folder.file("b"))
        // The first one is still in use.
        _ = try await charge(old)
        await old.close()
        let read = try await BoardBackup.read(folder.file("b"))
        #expect(read == backup())
        #expect(try FileSystem.mode(of: folder.file("b")) == 0o600)
        let aside = try await BoardBackup.restoreJournal(
            from: folder.file("b"), to: folder.file("new.db"), at: noon)
        #expect(aside == nil)
        let new = try await journal("new.db")
        #expect(try await new.depth() == 3)
        #expect(try await new.recovered()[1]?.reason == .powerLoss)
        #expect(try await new.view().notices.isEmpty)
        await new.close()
        // Passwords stay in the backup.
        let bytes = try FileSystem.read(folder.file("new.db"))
        #expect(!String(decoding: bytes, as: UTF8.self).contains("secret-pass"))
    }

    @Test func `keeps the journal that was there`() async throws {
        let old = try await journal("old.db")
        _ = try await charge(old)
        await old.close()
        try await backup().write(journal: folder.file("old.db"), to: folder.file("b"))
        let there = try await journal("new.db")
        _ = try await charge(there)
        _ = try await charge(there)
        await there.close()
        let aside = try #require(
            try await BoardBackup.restoreJournal(
                from: folder.file("b"), to: folder.file("new.db"), at: noon))
        let kept = try await BoardJournal(path: aside, bootID: "x")
        #expect(try await kept.depth() == 2)
        await kept.close()
    }

    @Test func `is not written over a file, nor read from what is none`() async throws {
        let old = try await journal("old.db")
        await old.close()
        try await backup().write(journal: folder.file("old.db"), to: folder.file("b"))
        await #expect(throws: SQLError.self) {
            try await backup().write(journal: folder.file("old.db"), to: folder.file("b"))
        }
        await #expect(throws: BoardBackup.Failure.noBackup(folder.file("old.db"))) {
            _ = try await BoardBackup.read(folder.file("old.db"))
        }
        await #expect(throws: BoardBackup.Failure.noBackup(folder.file("none"))) {
            _ = try await BoardBackup.read(folder.file("none"))
        }
        try FileSystem.writeAtomically(Array("text".utf8), to: folder.file("text"))
        await #expect(throws: (any Error).self) {
            _ = try await BoardBackup.read(folder.file("text"))
        }
    }
}
