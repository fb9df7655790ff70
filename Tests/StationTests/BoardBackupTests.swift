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
            stationID: "CS-1", madeAt: noon, dataDirectory: "data",
            files: [
                .init(.configuration, path: "edge.yaml", mode: 0o644, bytes: [1]),
                .init(.named, path: "/etc/kerb/edge-password", bytes: Array("secret-pass".utf8)),
                .init(.data, path: "credentials/link.json", bytes: [2]),
            ])
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
        let open = try await backup().write(
            journal: folder.file("old.db"), to: folder.file("b"))
        #expect(open == [1])
        // The first one is still in use.
        _ = try await charge(old)
        await old.close()
        let read = try await BoardBackup.read(folder.file("b"))
        #expect(read == backup())
        #expect(try FileSystem.mode(of: folder.file("b")) == 0o600)
        try await BoardBackup.extractJournal(from: folder.file("b"), to: folder.file("new.db"))
        let new = try await journal("new.db")
        #expect(try await new.depth() == 3)
        #expect(try await new.recovered()[1]?.reason == .powerLoss)
        #expect(try await new.view().notices.isEmpty)
        await new.close()
        // Passwords stay in the backup.
        let bytes = try FileSystem.read(folder.file("new.db"))
        #expect(!String(decoding: bytes, as: UTF8.self).contains("secret-pass"))
    }

    @Test func `leaves an update behind that only the old controller can finish`() async throws {
        let old = try await journal("old.db")
        try await old.keep(
            firmwareJob: FirmwareMachine.Job(
                order: FirmwareOrder(transfer: TransferOrder(location: "x"), retrieveAt: nil),
                phase: .probation, version: "0.9"))
        await old.close()
        try await backup().write(journal: folder.file("old.db"), to: folder.file("b"))
        try await BoardBackup.extractJournal(from: folder.file("b"), to: folder.file("new.db"))
        let new = try await journal("new.db")
        #expect(try await new.firmwareJob() == nil)
        await new.close()
    }

    @Test func `takes what makes a board itself, and nothing that is made anew`() throws {
        let data = folder.file("data")
        for name in [
            "credentials/link.json", "credentials/link.json.part", "certificates/central-1.pem",
            "certificates/bundle-1.pem", "commissioning/7.json", "commissioned.json", "journal.db",
        ] {
            let path = "\(data)/\(name)"
            let parts = name.split(separator: "/")
            try FileSystem.makeFolder(parts.count == 1 ? data : "\(data)/\(parts[0])")
            try FileSystem.writeAtomically(Array(name.utf8), to: path)
        }
        let carried = try BoardBackup.carried(from: data)
        #expect(
            carried.map(\.path) == [
                "credentials/link.json", "certificates/central-1.pem", "commissioning/7.json",
                "commissioned.json",
            ])
        #expect(carried.allSatisfy { $0.mode == 0o600 && $0.bytes == Array($0.path.utf8) })
    }

    @Test(arguments: ["../x", "credentials/../../x", "/etc/shadow", "a//b", ""])
    func `puts nothing outside the board's own folder`(path: String) async throws {
        let old = try await journal("old.db")
        await old.close()
        var bad = backup()
        bad.files.append(.init(.data, path: path, bytes: [1]))
        try await bad.write(journal: folder.file("old.db"), to: folder.file("b"))
        await #expect(throws: BoardBackup.Failure.self) {
            _ = try await BoardBackup.read(folder.file("b"))
        }
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
