import Charging
import Glibc
import SQL
import Service
import TestSupport
import Testing

@testable import Station

@Suite(.timeLimit(.minutes(90))) struct `A damaged journal` {
    let folder = TemporaryFolder()
    let clock = ManualClock(Timestamp(seconds: 1_800_000_000))

    private var path: String { folder.file("j.db") }

    private func open() async throws -> BoardJournal {
        try await BoardJournal.open(path: path, bootID: "a", clock: clock, log: .silent)
    }

    /// Twenty charges, each with a value; every second confirmed half, the last still running.
    private func fill() async throws {
        let journal = try await open()
        for number in 1...20 {
            let charge = try await journal.start(
                connector: number, token: "TAG-\(number)", isRemote: false,
                register: WattHours(Int64(number) * 1_000), at: clock.now)
            clock.advance(milliseconds: 60_000)
            try await journal.sample(
                StoredSample(
                    MeterSnapshot(
                        register: WattHours(Int64(number) * 1_000 + 5), askedAt: 0, at: clock.now),
                    .samplePeriodic), of: charge)
            if number == 20 { break }
            try await journal.stop(
                .init(
                    transaction: charge, register: WattHours(Int64(number) * 1_000 + 7),
                    at: clock.now, reason: .local, token: nil, isLastGood: false))
        }
        try await journal.set("MeterValueSampleInterval", to: "17")
        // The log into the file, so that what is damaged below is all there is.
        try await journal.database.checkpoint()
        await journal.close()
    }

    /// What a journal would tell, by token: start and stop register.
    private func told(_ journal: BoardJournal) async throws -> [String: [Int64]] {
        var found: [String: [Int64]] = [:]
        var tokens: [Int64: String] = [:]
        while let message = try await journal.nextMessage() {
            switch message.kind {
            case .start(let start):
                #expect(found[start.token] == nil)
                found[start.token] = [start.meterStart.value]
                tokens[message.charge] = start.token
                try await journal.confirmStart(message, operatorID: Int(message.charge))
            case .sample: try await journal.confirm(message)
            case .stop(let stop):
                #expect(stop.transaction == .number(Int(message.charge)))
                if let token = tokens[message.charge] {
                    found[token, default: []].append(stop.meterStop.value)
                }
                try await journal.confirm(message)
            }
        }
        return found
    }

    private func change(_ body: (inout [UInt8]) -> Void) throws {
        for suffix in ["-wal", "-shm"] { try FileSystem.remove(path + suffix) }
        var bytes = try FileSystem.read(path)
        body(&bytes)
        try FileSystem.writeAtomically(bytes, to: path)
    }

    private func evidence() throws -> [String] {
        try FileSystem.names(in: folder.path).filter { $0.contains(".damaged-") }
    }

    @Test func `comes up with nothing wrong when nothing is`() async throws {
        try await fill()
        let journal = try await open()
        #expect(try await journal.view().notices.isEmpty)
        #expect(try await told(journal).count == 20)
        #expect(try evidence().isEmpty)
        await journal.close()
    }

    @Test func `gives all its charges back when its first page is gone`() async throws {
        try await fill()
        try change { bytes in for index in 0..<4096 { bytes[index] = 0xA5 } }
        let journal = try await open()
        let found = try await told(journal)
        #expect(found.count == 20)
        #expect(found["TAG-7"] == [7_000, 7_007])
        #expect(try await journal.settings()["MeterValueSampleInterval"] == "17")
        #expect(try await journal.recovered()[20]?.lastRegister == WattHours(20_005))
        #expect(try await journal.view().notices.count == 1)
        #expect(try evidence().count == 1)
        await journal.close()
    }

    @Test func `keeps the order of boots, so that times can still be repaired`() async throws {
        let system = ManualClock(Timestamp(seconds: 30))
        var journal = try await BoardJournal.open(
            path: path, bootID: "old", clock: BoardClock(system), log: .silent)
        _ = try await journal.start(
            connector: 1, token: "TAG", isRemote: false, register: WattHours(1), at: system.now)
        try await journal.database.checkpoint()
        await journal.close()
        try change { bytes in for index in 0..<4096 { bytes[index] = 0 } }
        let clock = BoardClock(ManualClock(Timestamp(seconds: 30)))
        journal = try await BoardJournal.open(
            path: path, bootID: "new", clock: clock, log: .silent)
        #expect(try await journal.nextMessage() == nil)
        _ = clock.correct(to: Timestamp(seconds: 1_800_000_000))
        guard case .start(let start)? = try await journal.nextMessage()?.kind else {
            return #expect(Bool(false))
        }
        #expect(start.at == Timestamp(seconds: 1_800_000_000))
        await journal.close()
    }

    @Test func `asks for the whole local list again, and goes on using what is left of it`()
        async throws
    {
        let journal = try await open()
        func update(
            _ kind: LocalListUpdate.Kind, _ version: Int, on journal: BoardJournal
        ) async throws -> BoardJournal.ListOutcome {
            try await journal.take(
                LocalListUpdate(
                    kind: kind, version: version,
                    entries: [.init(token: "GUEST", info: AuthorizationInfo(.blocked))]),
                at: clock.now)
        }
        #expect(try await update(.full, 7, on: journal) == .accepted)
        try await journal.database.checkpoint()
        await journal.close()
        try change { bytes in for index in 0..<4096 { bytes[index] = 0xA5 } }
        let rebuilt = try await open()
        #expect(try await rebuilt.localListVersion() == 0)
        #expect(try await rebuilt.listed(token: "guest", at: clock.now)?.status == .blocked)
        #expect(try await update(.differential, 8, on: rebuilt) == .versionMismatch)
        #expect(try await update(.full, 8, on: rebuilt) == .accepted)
        #expect(try await rebuilt.localListVersion() == 8)
        #expect(try await update(.differential, 9, on: rebuilt) == .accepted)
        await rebuilt.close()
    }

    @Test func `is replaced by an empty one when not a byte of it is left, and says so`()
        async throws
    {
        try await fill()
        try change { bytes in bytes = Array("nothing".utf8) }
        let journal = try await open()
        #expect(try await journal.depth() == 0)
        #expect(try await journal.view().notices.count == 1)
        #expect(journal.trouble == nil)
        try await journal.clearNotices()
        #expect(try await journal.view().notices.isEmpty)
        await journal.close()
    }

    @Test func `bills no flipped digit and loses no other charge`() async throws {
        try await fill()
        // The token stands in the row as it is; the register beside it is changed by one bit.
        try change { bytes in
            let token = Array("TAG-13".utf8)
            for start in bytes.indices.dropLast(token.count)
            where bytes[start..<(start + token.count)].elementsEqual(token) {
                bytes[start + 4] = UInt8(ascii: "9")
            }
        }
        let journal = try await open()
        let found = try await told(journal)
        #expect(found.count == 19)
        #expect(found["TAG-13"] == nil)
        #expect(found["TAG-93"] == nil)
        #expect(try await journal.view().notices.count == 1)
        await journal.close()
    }

    @Test func `is rebuilt when a column has lost its name, and not when that column is wanted`()
        async throws
    {
        try await fill()
        try change { bytes in
            let table = Array("CREATE TABLE stop_sample".utf8)
            let column = Array("boot_id".utf8)
            func place(of word: [UInt8], from start: Int) -> Int? {
                (start..<(bytes.count - word.count)).first {
                    bytes[$0..<($0 + word.count)].elementsEqual(word)
                }
            }
            guard let start = place(of: table, from: 0),
                let found = place(of: column, from: start)
            else {
                Issue.record("no such table")
                return
            }
            bytes[found] ^= 1
        }
        let journal = try await open()
        #expect(try await told(journal).count == 20)
        #expect(try await journal.view().notices.count == 1)
        await journal.close()
    }

    @Test func `lets the others pass when a digit flips while it runs, and asks to be rebuilt`()
        async throws
    {
        try await fill()
        var journal = try await open()
        try await journal.database.write { sql in
            try sql.execute("UPDATE charge SET meter_start_wh = 1 WHERE token = 'TAG-1'")
        }
        var tokens: [String] = []
        while let message = try await journal.nextMessage() {
            guard case .start(let start) = message.kind else {
                try await journal.confirm(message)
                continue
            }
            tokens.append(start.token)
            try await journal.confirmStart(message, operatorID: Int(message.charge))
        }
        #expect(tokens.count == 19 && !tokens.contains("TAG-1"))
        #expect(journal.trouble == .damaged)
        await journal.probeDisk()
        #expect(journal.trouble == .damaged)
        await journal.close()
        journal = try await open()
        #expect(journal.trouble == nil)
        #expect(try await journal.view().notices.count == 1)
        await journal.close()
    }

    /// Any bytes anywhere: the station comes up, and what it would bill is what was written.
    @Test func `never bills what was not written, wherever bytes are flipped`() async throws {
        try await fill()
        let sound = try FileSystem.read(path)
        let (count, most) = (Budget.seeds(25, long: 1_500), sound.count)
        var whole = 0
        for seed in 0..<count {
            var random = SeededGenerator(seed: UInt64(seed))
            for suffix in ["-wal", "-shm"] { try FileSystem.remove(path + suffix) }
            var bytes = sound
            for _ in 0..<Int.random(in: 1...8, using: &random) {
                let place = Int.random(in: 0..<most, using: &random)
                bytes[place] ^= UInt8(1) << UInt8.random(in: 0..<8, using: &random)
            }
            if seed % 10 == 0 { bytes.removeLast(Int.random(in: 1..<most, using: &random)) }
            try FileSystem.writeAtomically(bytes, to: path)
            let journal: BoardJournal
            let found: [String: [Int64]]
            do {
                journal = try await open()
                found = try await told(journal)
            } catch {
                Issue.record(error, "seed \(seed)")
                return
            }
            for (token, registers) in found {
                let number = Int64(token.dropFirst(4)) ?? -1
                let right = [number * 1_000, number * 1_000 + 7]
                #expect(
                    registers == Array(right.prefix(registers.count)),
                    "seed \(seed), \(token): \(registers)")
            }
            if found.count == 20 { whole += 1 }
            if found.count < 20 {
                #expect(try await !journal.view().notices.isEmpty, "seed \(seed) is silent")
            }
            await journal.close()
            for name in try FileSystem.names(in: folder.path)
            where name.contains(".damaged-") { unlink(folder.file(name)) }
        }
        // Most pages hold something else than charges.
        #expect(whole > count / 4)
    }
}
