import Charging
import Glibc
import SQL
import Service
import TestSupport
import Testing

@testable import Station

@Suite(.timeLimit(.minutes(3))) struct `A journal that is being rebuilt` {
    let folder = TemporaryFolder()
    let clock = ManualClock(Timestamp(seconds: 1_800_000_000))

    private static let charges = 20

    private var path: String { folder.file("j.db") }

    private func open(
        limits: JournalLimits = JournalLimits(), probe: JournalProbe? = nil
    ) async throws -> BoardJournal {
        try await BoardJournal.open(
            path: path, bootID: "a", limits: limits, clock: clock, probe: probe, log: .silent)
    }

    /// Ended charges that nobody has heard of, a fault that a person must clear, and a first page of
    /// nothing.
    private func makeDamaged() async throws {
        let journal = try await open()
        for number in 1...Self.charges {
            let charge = try await journal.start(
                connector: number, token: "TAG-\(number)", isRemote: false,
                register: WattHours(Int64(number)), at: clock.now)
            try await journal.stop(
                .init(
                    transaction: charge, register: WattHours(Int64(number) + 7), at: clock.now,
                    reason: .local, token: nil, isLastGood: false))
        }
        try await journal.setLatched([.weldedContact], connector: 1)
        try await journal.database.checkpoint()
        await journal.close()
        var bytes = try FileSystem.read(path)
        for index in 0..<4096 { bytes[index] = 0xA5 }
        try FileSystem.writeAtomically(bytes, to: path)
    }

    private func names(_ kind: String) throws -> [String] {
        try FileSystem.names(in: folder.path).filter {
            $0.contains(".\(kind)") && !$0.hasSuffix("-wal") && !$0.hasSuffix("-shm")
                && !$0.hasSuffix(".unsaved")
        }
    }

    /// Nothing is lost, nothing is told twice, and a person is told.
    private func expectWhole(
        _ journal: BoardJournal, _ place: SourceLocation = #_sourceLocation
    ) async throws {
        var starts: Set<String> = []
        var stops = 0
        while let message = try await journal.nextMessage() {
            if case .start(let start) = message.kind {
                #expect(starts.insert(start.token).inserted, sourceLocation: place)
                try await journal.confirmStart(message, operatorID: Int(message.charge))
            } else {
                stops += 1
                try await journal.confirm(message)
            }
        }
        #expect(starts.count == Self.charges && stops == Self.charges, sourceLocation: place)
        #expect(try await journal.latchedFaults() == [1: [.weldedContact]], sourceLocation: place)
        #expect(try await journal.view().notices.count == 1, sourceLocation: place)
    }

    /// Where the power may go: the step, the moment in it, the how-manieth time.
    private static let moments: [(JournalStep, JournalMoment, Int)] = [
        (.opening, .written, 1), (.salvage, .asked, 1), (.salvage, .committed, 1),
        (.salvage, .written, 2), (.salvage, .committed, 2), (.salvage, .committed, 3),
        (.salvage, .committed, 4), (.setting, .asked, 1), (.setting, .committed, 1),
        (.rebuilt, .asked, 1), (.rebuilt, .committed, 1), (.aside, .asked, 1),
        (.aside, .written, 1), (.aside, .committed, 1), (.replace, .committed, 1),
    ]

    @Test(arguments: moments.indices)
    func `loses nothing wherever the power goes`(index: Int) async throws {
        try await makeDamaged()
        let (step, moment, last) = Self.moments[index]
        let passed = Lock(0)
        await #expect(throws: SQLError.self) {
            _ = try await open(probe: { at, when in
                guard at == step, when == moment else { return }
                let count = passed.withLock { count in
                    count += 1
                    return count
                }
                // From here on nothing reaches the disk.
                if count >= last { throw SQLError.disk("the power is gone") }
            })
        }
        let journal = try await open()
        try await expectWhole(journal)
        await journal.close()
        #expect(try names("damaged-").count == 1)
        for kind in ["rebuilding", "rebuilt", "scratch", "origin"] {
            #expect(try names(kind).isEmpty)
        }
    }

    @Test func `is given the space held back, and that of the evidence, on a full disk`()
        async throws
    {
        try await makeDamaged()
        for number in 1...3 { try FileSystem.writeAtomically([1], to: "\(path).damaged-\(number)") }
        // Of this one nothing came over: it is all there is of its charges.
        try FileSystem.writeAtomically([], to: "\(path).damaged-2.unsaved")
        let isFull = Lock(true)
        let journal = try await open(probe: { step, _ in
            guard step == .salvage, isFull.withLock({ $0 }) else { return }
            isFull.withLock { $0 = false }
            throw SQLError.full
        })
        try await expectWhole(journal)
        #expect(
            try names("damaged-")
                == ["j.db.damaged-\(clock.now.milliseconds)", "j.db.damaged-2"])
        await journal.close()
    }

    @Test func `is given all but the newest evidence where the disk is still full`() async throws {
        try await makeDamaged()
        for number in 1...3 {
            try FileSystem.writeAtomically([1], to: "\(path).damaged-\(number)")
            try FileSystem.writeAtomically([], to: "\(path).damaged-\(number).unsaved")
        }
        let failures = Lock(2)
        let journal = try await open(probe: { step, _ in
            guard step == .salvage else { return }
            let isFull = failures.withLock { left in
                defer { left = max(0, left - 1) }
                return left > 0
            }
            if isFull { throw SQLError.full }
        })
        try await expectWhole(journal)
        #expect(
            try names("damaged-")
                == ["j.db.damaged-\(clock.now.milliseconds)", "j.db.damaged-3"])
        await journal.close()
    }

    @Test func `keeps what it was made from, whatever the clock says and whatever lies beside it`()
        async throws
    {
        try await makeDamaged()
        let later = clock.now.milliseconds + 1_000
        for number in 0..<9 {
            try FileSystem.writeAtomically([1], to: "\(path).damaged-\(later + Int64(number))")
        }
        try FileSystem.writeAtomically([1], to: "\(path).damaged-\(later + 8).scratch")
        let journal = try await open()
        await journal.close()
        let kept = try names("damaged-")
        #expect(kept.count == JournalLimits().evidence)
        #expect(kept.first == "j.db.damaged-\(clock.now.milliseconds)")
        #expect(kept.last == "j.db.damaged-\(later + 8)")
    }

    @Test func `is tried again for ever where the disk takes no copy`() async throws {
        try await makeDamaged()
        var limits = JournalLimits()
        limits.rebuilds = 2
        for _ in 0..<5 {
            await #expect(throws: SQLError.self) {
                _ = try await open(
                    limits: limits,
                    probe: { step, _ in
                        if step == .salvage { throw SQLError.disk("no room") }
                    })
            }
        }
        let journal = try await open(limits: limits)
        #expect(try await journal.depth() > 0)
        await journal.close()
    }

    @Test func `comes up without what ends the program again and again, and says so`() async throws
    {
        try await makeDamaged()
        var limits = JournalLimits()
        limits.rebuilds = 2
        // Written before each try, and taken back by one that comes to its end.
        try FileSystem.writeAtomically(Array("2".utf8), to: "\(path).rebuilding-tries")
        let journal = try await open(limits: limits)
        #expect(try await journal.depth() == 0)
        #expect(try await journal.view().notices.first?.contains(text: "saved nothing") == true)
        #expect(try names("damaged-").count == 1)
        #expect(FileSystem.exists("\(path).damaged-\(clock.now.milliseconds).unsaved"))
        // Nor does anybody know whether a person limited the site.
        #expect(try await journal.settings()[SmartCharging.limitKey] == "")
        #expect(try await journal.settings()[SmartCharging.profilesKey] == "")
        await journal.close()
    }

    @Test func `lets the evidence that it was saved from go first`() async throws {
        try await makeDamaged()
        for number in 1...8 { try FileSystem.writeAtomically([1], to: "\(path).damaged-\(number)") }
        for number in [1, 3] {
            try FileSystem.writeAtomically([], to: "\(path).damaged-\(number).unsaved")
        }
        let journal = try await open()
        await journal.close()
        let kept = try names("damaged-")
        #expect(kept.count == JournalLimits().evidence)
        #expect(kept.contains("j.db.damaged-1") && !kept.contains("j.db.damaged-2"))
    }

    @Test
    func `is another one where the disk does not give it back, and stays where it takes nothing`() {
        #expect(BoardJournal.isDamage(SQLError.unreadable("a page")))
        #expect(!BoardJournal.isDamage(SQLError.disk("a page")))
    }

    @Test func `begins to count anew once a journal has opened`() async throws {
        try await makeDamaged()
        var journal = try await open()
        await journal.close()
        try FileSystem.writeAtomically(Array("9".utf8), to: "\(path).rebuilding-tries")
        journal = try await open()
        await journal.close()
        #expect(!FileSystem.exists("\(path).rebuilding-tries"))
    }

    /// An update is taken back while a rebuilt journal waits for its place, and the program before it
    /// makes a journal of its own.
    @Test func `pushes out nothing that another program wrote meanwhile`() async throws {
        try await makeDamaged()
        await #expect(throws: SQLError.self) {
            _ = try await open(probe: { step, moment in
                guard step == .rebuilt, moment == .committed else { return }
                throw SQLError.disk("the power is gone")
            })
        }
        #expect(try names("rebuilt-").count == 1)
        for suffix in ["", "-wal", "-shm"] { try FileSystem.remove(path + suffix) }
        // Evidence has its number already.
        let evidence = "\(path).damaged-\(clock.now.milliseconds)"
        try FileSystem.writeAtomically([1], to: evidence)
        var journal = try await BoardJournal(path: path, bootID: "a", clock: clock)
        _ = try await journal.start(
            connector: 1, token: "OTHER", isRemote: false, register: WattHours(1), at: clock.now)
        await journal.close()
        journal = try await open()
        #expect(try await journal.recovered()[1]?.token == "OTHER")
        #expect(try names("rebuilt-").isEmpty && names("origin-").isEmpty)
        #expect(try names("damaged-").count == 2)
        #expect(try FileSystem.read(evidence) == [1])
        await journal.close()
    }
}

@Suite(.timeLimit(.minutes(2))) struct `A journal found damaged by the end of a charge` {
    private let folder = TemporaryFolder()

    @Test func `is rebuilt although that end cannot be written`() async throws {
        let isDamaged = Lock(false)
        let station = try await TestStation.make(
            path: folder.file("j.db"),
            disk: TestDisk { step, _ in
                if step == .stop, isDamaged.withLock({ $0 }) { throw SQLError.corrupt("a page") }
            })
        try await station.during { () async throws in
            station.board.change { $0.isPlugged = true }
            await until { await station.controller.isPlugged }
            await until {
                await station.controller.remoteStart(token: "T", needsAuthorization: false) == nil
            }
            await until { station.board.relayIsClosed }
            isDamaged.withLock { $0 = true }
            await station.controller.take(.stop(.remote))
            await until { station.resets.withLock { $0 } > 0 }
            #expect(station.journal.trouble == .damaged)
        }
        #expect(station.resets.withLock { $0 } == 1)
        isDamaged.withLock { $0 = false }
        let next = try await BoardJournal(path: folder.file("j.db"), bootID: "boot-1")
        #expect(try await next.recovered().count == 1)
        await next.close()
    }
}
