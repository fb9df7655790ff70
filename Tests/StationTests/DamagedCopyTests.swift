import Charging
import Glibc
import SQL
import Service
import TestSupport
import Testing

@testable import Station

@Suite(.timeLimit(.minutes(2))) struct `A disk that gives not all back` {
    private let folder = TemporaryFolder()
    private let clock = ManualClock(Timestamp(seconds: 1_800_000_000))

    /// Reads like `pread`, but for what touches one of these bytes.
    private func failing(at lost: Range<Int64>, _ code: Int32 = EIO) -> DamagedCopy {
        DamagedCopy { descriptor, bytes, count, place in
            guard (place..<(place + Int64(count))).overlaps(lost) else {
                return pread(descriptor, bytes, count, off_t(place))
            }
            errno = code
            return -1
        }
    }

    @Test func `leaves zeros in their place in a copy, and all that is behind them`() throws {
        let bytes = (0..<200_001).map { UInt8(truncatingIfNeeded: $0 / 7 + 1) }
        let (source, target) = (folder.file("a"), folder.file("b"))
        try FileSystem.writeAtomically(bytes, to: source)
        #expect(try DamagedCopy().copy(source, to: target) == 0)
        #expect(try FileSystem.read(target) == bytes)
        #expect(try failing(at: 70_000..<70_001).copy(source, to: target) == 1)
        var expected = bytes
        for index in (17 * 4096)..<(18 * 4096) { expected[index] = 0 }
        #expect(try FileSystem.read(target) == expected)
        // Its end, which is no whole page.
        #expect(try failing(at: 200_000..<200_001).copy(source, to: target) == 1)
        #expect(try FileSystem.read(target).count == bytes.count)
    }

    @Test(arguments: [EIO, EBADMSG, EUCLEAN, ENXIO])
    func `says so in the words of its file system`(code: Int32) throws {
        let (source, target) = (folder.file("a"), folder.file("b"))
        try FileSystem.writeAtomically([UInt8](repeating: 7, count: 8192), to: source)
        #expect(try failing(at: 0..<1, code).copy(source, to: target) == 1)
        let expected = [UInt8](repeating: 0, count: 4096) + [UInt8](repeating: 7, count: 4096)
        #expect(try FileSystem.read(target) == expected)
    }

    @Test func `lost nothing of a board that charged nobody`() async throws {
        let path = folder.file("idle.db")
        let journal = try await BoardJournal(path: path, bootID: "a", clock: clock)
        try await journal.database.checkpoint()
        await journal.close()
        let fresh = try await BoardJournal(
            path: folder.file("fresh.db"), bootID: "a", clock: clock, isRebuilding: true)
        let saved = try await fresh.salvage(from: path)
        #expect(saved.charges == 0 && !saved.isNothing)
        await fresh.close()
    }

    @Test func `are gone where they give back hardly anything`() throws {
        let (source, target) = (folder.file("a"), folder.file("b"))
        let descriptor = open(source, O_RDWR | O_CREAT, 0o600)
        #expect(ftruncate(descriptor, off_t((DamagedCopy.mostUnreadable + 1) * 4096)) == 0)
        close(descriptor)
        #expect(throws: FileError.failed(source, errno: EIO)) {
            try failing(at: 0..<Int64.max).copy(source, to: target)
        }
    }

    /// Whichever page it is: saving does not end there, and what was read is what was written.
    @Test func `cost a journal no more than what lay there`() async throws {
        let path = folder.file("j.db")
        let journal = try await BoardJournal(path: path, bootID: "a", clock: clock)
        for number in 1...60 {
            let charge = try await journal.start(
                connector: number, token: "TAG-\(number)", isRemote: false,
                register: WattHours(Int64(number)), at: clock.now)
            try await journal.stop(
                .init(
                    transaction: charge, register: WattHours(Int64(number) + 7), at: clock.now,
                    reason: .local, token: nil, isLastGood: false))
        }
        try await journal.database.checkpoint()
        await journal.close()
        let pages = try FileSystem.read(path).count / 4096
        var (whole, nothing) = (0, 0)
        for page in 1..<pages {
            let fresh = try await BoardJournal(
                path: folder.file("fresh-\(page).db"), bootID: "a", clock: clock,
                isRebuilding: true)
            let place = Int64(page) * 4096 + 100
            let saved = try await fresh.salvage(from: path, by: failing(at: place..<(place + 1)))
            #expect(saved.unreadable == 1)
            #expect("\(saved)".contains(text: "1 pages unreadable"))
            if saved.charges == 60, saved.messages == 120 { whole += 1 }
            if saved.charges < 10 { nothing += 1 }
            #expect(saved.isNothing == (saved.charges == 0))
            await fresh.close()
        }
        #expect(whole > pages / 2)
        // Those that say where the charges lie, or what the tables are.
        #expect(nothing <= 4)
    }
}
