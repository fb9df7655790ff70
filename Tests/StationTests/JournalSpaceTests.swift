import Charging
import SQL
import Service
import TestSupport
import Testing

@testable import Station

@Suite(.timeLimit(.minutes(3))) struct `A journal that runs out of room` {
    let folder = TemporaryFolder()
    let clock = ManualClock(Timestamp(seconds: 1_800_000_000))

    private func open(_ limits: JournalLimits, probe: JournalProbe? = nil) async throws
        -> BoardJournal
    {
        try await BoardJournal(
            path: folder.file("j.db"), bootID: "a", limits: limits, clock: clock, probe: probe)
    }

    /// Without a disk under it: what is counted here is pages.
    private func inMemory(_ limits: JournalLimits) async throws -> BoardJournal {
        try await BoardJournal(
            taking: try Database(
                path: ":memory:", readers: 0, limits: BoardJournal.bounds(limits)),
            bootID: "a", limits: limits, clock: clock)
    }

    private func small(bytes: Int64) -> JournalLimits {
        var limits = JournalLimits()
        limits.bytes = bytes
        limits.spareBytes = 64 << 10
        return limits
    }

    private func start(_ journal: BoardJournal, connector: Int = 1, register: Int64 = 0)
        async throws -> Int64
    {
        try await journal.start(
            connector: connector, token: "0123456789ABCDEF0123", isRemote: false,
            register: WattHours(register), at: clock.now)
    }

    private func stop(_ journal: BoardJournal, _ charge: Int64, register: Int64) async throws {
        try await journal.stop(
            .init(
                transaction: charge, register: WattHours(register), at: clock.now,
                reason: .local, token: nil, isLastGood: false))
    }

    private func sample(_ register: Int64, at: Timestamp) -> StoredSample {
        StoredSample(
            MeterSnapshot(
                register: WattHours(register),
                currents: [1, 2, 3].map { Amperes(milliamperes: 15_000 + $0) },
                voltages: [1, 2, 3].map { Volts(millivolts: 230_000 + $0) },
                power: Watts(11_000), askedAt: 0, at: at), .samplePeriodic)
    }

    /// 365 days, eight outlets, a charge a day on each: four hours with a value every 30 minutes.
    @Test func `keeps every start and stop of a year offline and stays below its limit`()
        async throws
    {
        let limits = small(bytes: 3 << 20)
        let journal = try await inMemory(limits)
        var registers = [Int64](repeating: 1_000, count: 8)
        for _ in 0..<365 {
            let begun = registers
            let charges = try await inParallel { [self] outlet in
                try await start(journal, connector: outlet + 1, register: begun[outlet])
            }
            for step in 1...8 {
                clock.advance(milliseconds: 1_800_000)
                let at = clock.now
                _ = try await inParallel { [self] outlet in
                    try await journal.sample(
                        sample(begun[outlet] + Int64(step) * 1_800, at: at), of: charges[outlet])
                    return 0
                }
            }
            registers = begun.map { $0 + 8 * 1_800 }
            let ended = registers
            _ = try await inParallel { [self] outlet in
                try await stop(journal, charges[outlet], register: ended[outlet])
                return 0
            }
            clock.advance(milliseconds: 20 * 3_600_000)
        }
        #expect(try await journal.view().usedBytes <= limits.bytes)
        #expect(journal.trouble == nil)
        let told = try await drain(journal)
        #expect(told.starts == 365 * 8)
        #expect(told.stops == 365 * 8)
        #expect(told.billed == registers.reduce(0, +) - 8 * 1_000)
        // The recent past is finer than the distant one, and nothing was thinned without need.
        #expect(told.samples > 2_000)
        #expect(told.isFinerLater)
        await journal.close()
    }

    private func inParallel(_ body: @escaping @Sendable (Int) async throws -> Int64) async throws
        -> [Int64]
    {
        try await withThrowingTaskGroup(of: (Int, Int64).self) { group in
            for outlet in 0..<8 { group.addTask { (outlet, try await body(outlet)) } }
            var results = [Int64](repeating: 0, count: 8)
            for try await (outlet, result) in group { results[outlet] = result }
            return results
        }
    }

    private struct Told {
        var starts = 0
        var stops = 0
        var samples = 0
        var billed: Int64 = 0
        var samplesOfCharge: [Int] = []
        var isFinerLater: Bool {
            let half = samplesOfCharge.count / 2
            return samplesOfCharge[..<half].reduce(0, +) < samplesOfCharge[half...].reduce(0, +)
        }
    }

    private func drain(_ journal: BoardJournal) async throws -> Told {
        var told = Told()
        var registers: [Int: Int64] = [:]
        var samples: [Int64: Int] = [:]
        while let message = try await journal.nextMessage() {
            switch message.kind {
            case .start(let start):
                told.starts += 1
                registers[told.starts] = start.meterStart.value
                samples[message.charge] = 0
                try await journal.confirmStart(message, operatorID: told.starts)
            case .sample:
                told.samples += 1
                samples[message.charge, default: 0] += 1
                try await journal.confirm(message)
            case .stop(let stop):
                told.stops += 1
                guard case .number(let id) = stop.transaction else { continue }
                told.billed += stop.meterStop.value - (registers[id] ?? 0)
                try await journal.confirm(message)
            }
        }
        told.samplesOfCharge = samples.sorted { $0.key < $1.key }.map(\.value)
        return told
    }

    @Test func `thins the oldest values first and keeps the first, the last and the quarters`()
        async throws
    {
        let limits = small(bytes: 512 << 10)
        let journal = try await inMemory(limits)
        let charge = try await start(journal)
        // A value every minute for two days: some three times what fits.
        for minute in 0..<2_880 {
            clock.advance(milliseconds: 60_000)
            try await journal.sample(sample(Int64(minute), at: clock.now), of: charge)
        }
        try await stop(journal, charge, register: 2_880)
        var minutes: [Int64] = []
        try await journal.confirmStart(
            try #require(try await journal.nextMessage()), operatorID: 1)
        while let message = try await journal.nextMessage() {
            if case .sample(_, _, let stored) = message.kind {
                minutes.append(
                    try #require(StoredSample(text: stored.text)).snapshot.register.value)
            }
            try await journal.confirm(message)
        }
        #expect(minutes.first == 0)
        #expect(minutes.last == 2_879)
        // The test begins on a full hour, so the value of minute 14 is the first of a quarter.
        let quarters = stride(from: Int64(14), to: 2_880, by: 15)
        #expect(Set(minutes).isSuperset(of: quarters))
        #expect(minutes.count < 2_000)
        let early = minutes.count { $0 < 1_440 }
        #expect(early < minutes.count - early)
        await journal.close()
    }

    @Test func `lets no charge begin once it is full, ends what runs, and begins again`()
        async throws
    {
        let journal = try await inMemory(small(bytes: 256 << 10))
        let running = try await start(journal)
        var refused: JournalTrouble?
        for register in 1...5_000 {
            do {
                let charge = try await start(journal, connector: 2, register: Int64(register))
                try await stop(journal, charge, register: Int64(register) + 1)
            } catch JournalError.refusing(let trouble) {
                refused = trouble
                break
            }
        }
        #expect(refused == .limit)
        #expect(journal.trouble == .limit)
        try await journal.sample(sample(40, at: clock.now), of: running)
        try await stop(journal, running, register: 50)
        // The operator is back: what it takes makes room.
        await journal.probeDisk()
        #expect(journal.trouble == .limit)
        for _ in 0..<400 {
            guard let message = try await journal.nextMessage() else { break }
            if case .start = message.kind {
                try await journal.confirmStart(message, operatorID: Int(message.seq))
            } else {
                try await journal.confirm(message)
            }
        }
        await journal.probeDisk()
        #expect(journal.trouble == nil)
        _ = try await start(journal)
        await journal.close()
    }

    @Test func `gives up the space held back so that a stop fits on a full disk`() async throws {
        let isFull = Lock(false)
        let reserve = folder.file("j.db.reserve")
        let journal = try await open(small(bytes: 8 << 20)) { _, moment in
            // A disk that is full until the space held back is given up.
            if moment == .written, isFull.withLock({ $0 }), FileSystem.exists(reserve) {
                throw SQLError.full
            }
        }
        let charge = try await start(journal)
        #expect(FileSystem.exists(reserve))
        isFull.withLock { $0 = true }
        await #expect(throws: SQLError.full) { _ = try await start(journal, connector: 2) }
        #expect(journal.trouble == .full)
        #expect(FileSystem.exists(reserve))
        // A refused start leaves nothing behind.
        #expect(try await journal.depth() == 1)
        try await stop(journal, charge, register: 10)
        #expect(!FileSystem.exists(reserve))
        #expect(try await journal.depth() == 2)
        isFull.withLock { $0 = false }
        await journal.probeDisk()
        #expect(journal.trouble == nil)
        #expect(FileSystem.exists(reserve))
        await journal.close()
    }

    @Test func `gives up the space held back so that an update comes to its end`() async throws {
        let reserve = folder.file("j.db.reserve")
        let journal = try await open(small(bytes: 8 << 20)) { step, moment in
            if step == .firmware, moment == .written, FileSystem.exists(reserve) {
                throw SQLError.full
            }
        }
        // Not from those who charge: it is kept for their bills.
        let charge = try await start(journal)
        await #expect(throws: SQLError.full) { try await journal.keep(firmwareJob: nil) }
        #expect(FileSystem.exists(reserve))
        try await stop(journal, charge, register: 10)
        try await journal.keep(firmwareJob: nil)
        #expect(!FileSystem.exists(reserve))
        await journal.close()
    }

    @Test(arguments: JournalMoment.allCases)
    func `writes whole steps or none when the disk fails`(moment: JournalMoment) async throws {
        let fails = Lock<JournalStep?>(nil)
        let journal = try await open(small(bytes: 8 << 20)) { step, at in
            if at == moment, fails.withLock({ $0 }) == step { throw SQLError.disk("test") }
        }
        func attempt(_ step: JournalStep, _ body: () async throws -> Void) async {
            fails.withLock { $0 = step }
            await #expect(throws: SQLError.disk("test")) { try await body() }
            fails.withLock { $0 = nil }
            #expect(journal.trouble == .failing("test"))
            await journal.probeDisk()
            #expect(journal.trouble == nil)
        }
        let wasWritten = moment == .committed
        await attempt(.start) { _ = try await start(journal) }
        #expect(try await journal.depth() == (wasWritten ? 1 : 0))
        #expect(try await journal.recovered().count == (wasWritten ? 1 : 0))
        let charge = try await start(journal)
        let depth = try await journal.depth()
        await attempt(.stop) { try await stop(journal, charge, register: 5) }
        #expect(try await journal.depth() == depth + (wasWritten ? 1 : 0))
        // The stop is tried again until it is told that it is there: it is there once.
        try await stop(journal, charge, register: 5)
        #expect(try await journal.depth() == depth + 1)
        await journal.close()
    }
}
