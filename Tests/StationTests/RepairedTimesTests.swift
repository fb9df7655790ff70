import Charging
import OCPP
import Service
import TestSupport
import Testing

@testable import Station

@Suite struct `Times written by a clock nobody had set` {
    let folder = TemporaryFolder()
    let noon = Timestamp(seconds: 1_800_000_000)

    private func journal(_ boot: String, _ clock: BoardClock) async throws -> BoardJournal {
        let journal = try await BoardJournal(
            path: folder.file("j.db"), bootID: boot, clock: clock)
        journal.stopDataRules.withLock { $0.keepsSampled = true }
        return journal
    }

    private func sample(_ register: Int64, at: Timestamp) -> StoredSample {
        StoredSample(
            MeterSnapshot(register: WattHours(register), askedAt: 0, at: at), .samplePeriodic)
    }

    /// A charge of two minutes in a boot that never knew the time, its sample after one of them; what
    /// its stop repeats once the next boot does, 60 s after the power came back.
    private func repeated(tellingFirst: Bool) async throws -> (BoardJournal.StopData, [Timestamp?])
    {
        let old = ManualClock(Timestamp(seconds: 30))
        var journal = try await journal("a", BoardClock(old))
        let charge = try await journal.start(
            connector: 1, token: "TAG", isRemote: false, register: WattHours(1), at: old.now)
        old.advance(milliseconds: 60_000)
        try await journal.sample(sample(5, at: old.now), of: charge)
        old.advance(milliseconds: 60_000)
        try await journal.keep(register: WattHours(9), of: charge, at: old.now)
        await journal.close()

        let system = ManualClock(Timestamp(seconds: 0))
        let clock = BoardClock(system)
        journal = try await self.journal("b", clock)
        let found = try #require(try await journal.recovered()[1])
        try await journal.stop(
            .init(
                transaction: charge, register: found.lastRegister, at: found.lastAlive,
                reason: .powerLoss, token: nil, isLastGood: true))
        system.advance(milliseconds: 60_000)
        _ = clock.correct(to: noon)
        var told: [Timestamp?] = []
        while tellingFirst, let message = try await journal.nextMessage() {
            switch message.kind {
            case .start(let start):
                told.append(start.at)
                try await journal.confirmStart(message, operatorID: 1)
            case .sample(_, _, let stored):
                told.append(
                    StoredSample(text: stored.text).map {
                        Timestamp(milliseconds: $0.snapshot.at.milliseconds + stored.shift)
                    })
                try await journal.confirm(message)
            case .stop(let stop):
                told.append(stop.at)
                let data = try #require(try await journal.stopData(of: charge))
                // The operator's clock moves; a second try of the stop is the same to the letter.
                _ = clock.correct(to: noon.advanced(bySeconds: 7_200))
                try await journal.settleTimes()
                #expect(try await journal.stopData(of: charge) == data)
                await journal.close()
                return (data, told)
            }
        }
        try await journal.settleTimes()
        let data = try #require(try await journal.stopData(of: charge))
        await journal.close()
        return (data, told)
    }

    @Test func `are repaired in what a stop repeats, of an earlier boot too`() async throws {
        let (data, told) = try await repeated(tellingFirst: true)
        // The old boot ended as the new one began, a minute before noon.
        let cut = noon.advanced(bySeconds: -60)
        #expect(told == [-120, -60, 0].map { cut.advanced(bySeconds: $0) })
        #expect(data.startedAt == told[0])
        #expect(data.samples.map(\.snapshot.at) == [told[1]])
    }

    @Test func `are repaired in a stop whose start was never told`() async throws {
        let (data, _) = try await repeated(tellingFirst: false)
        #expect(data.startedAt == noon.advanced(bySeconds: -180))
        #expect(data.samples.map(\.snapshot.at) == [noon.advanced(bySeconds: -120)])
    }

    @Test func `do not make a charge that goes on look as if it had lasted for decades`()
        async throws
    {
        let old = ManualClock(Timestamp(seconds: 30))
        var journal = try await journal("a", BoardClock(old))
        let charge = try await journal.start(
            connector: 1, token: "TAG", isRemote: false, register: WattHours(1), at: old.now)
        old.advance(milliseconds: 60_000)
        try await journal.keep(register: WattHours(9), of: charge, at: old.now)
        await journal.close()
        let clock = BoardClock(
            ManualClock(noon), kernel: { ClockSource(isSynchronised: true) })
        journal = try await self.journal("b", clock)
        #expect(
            try await journal.recovered()[1]?.startedAt == noon.advanced(bySeconds: -60))
        await journal.close()
    }

    /// One that never knew the time, then one whose battery is an hour behind, whose clock somebody
    /// puts back further, and whose program starts again: what the operator is told, once he was heard.
    @Test func `keep their order when a battery's word turns out wrong`() async throws {
        let old = ManualClock(Timestamp(seconds: 30))
        var journal = try await journal("a", BoardClock(old))
        func charge(_ number: Int, _ clock: ManualClock, _ board: BoardClock) async throws {
            let id = try await journal.start(
                connector: 1, token: "T\(number)", isRemote: false, register: WattHours(1),
                at: board.now)
            clock.advance(milliseconds: 60_000)
            try await journal.stop(
                .init(
                    transaction: id, register: WattHours(1), at: board.now, reason: .local,
                    token: nil, isLastGood: false))
        }
        try await charge(1, old, BoardClock(old))
        await journal.close()
        let system = ManualClock(noon.advanced(bySeconds: -3600))
        func battery() -> BoardClock {
            BoardClock(system, kernel: { ClockSource(hasBattery: true) })
        }
        var board = battery()
        journal = try await self.journal("b", board)
        try await charge(2, system, board)
        await journal.close()
        system.stepWall(milliseconds: -1_800_000)
        board = battery()
        journal = try await self.journal("b", board)
        try await charge(3, system, board)
        // It began two minutes ago, at noon.
        _ = board.correct(to: noon.advanced(bySeconds: 120))
        try await journal.settleTimes()
        var told: [Int64] = []
        while let message = try await journal.nextMessage() {
            switch message.kind {
            case .start(let start):
                told.append(try #require(start.at).milliseconds)
                try await journal.confirmStart(message, operatorID: told.count)
            case .sample: try await journal.confirm(message)
            case .stop(let stop):
                told.append(try #require(stop.at).milliseconds)
                try await journal.confirm(message)
            }
        }
        #expect(
            told.map { ($0 - noon.milliseconds) / 1000 } == [-60, 0, 0, 60, 60, 120])
        await journal.close()
    }

    /// A battery's word that leaves no room for the boot before it, which never knew the time, after one
    /// whose times are known. Seed 11362 of whole histories.
    @Test func `refute a battery that leaves no room for them`() async throws {
        var (told, number) = ([Int64](), 0)
        /// A charge of a minute in a boot; then what can be told is told.
        func boot(_ name: String, _ wall: Timestamp, battery: Bool, heard: Timestamp?) async throws
        {
            let system = ManualClock(wall)
            let board = BoardClock(system, kernel: { ClockSource(hasBattery: battery) })
            let journal = try await journal(name, board)
            if let heard { _ = board.correct(to: heard) }
            try await journal.settleTimes()
            number += 1
            let id = try await journal.start(
                connector: 1, token: "T\(number)", isRemote: false, register: WattHours(1),
                at: board.now)
            system.advance(milliseconds: 60_000)
            try await journal.stop(
                .init(
                    transaction: id, register: WattHours(1), at: board.now, reason: .local,
                    token: nil, isLastGood: false))
            while heard != nil, let message = try await journal.nextMessage() {
                if case .start(let start) = message.kind {
                    told.append(try #require(start.at).milliseconds)
                    try await journal.confirmStart(message, operatorID: told.count)
                } else if case .stop(let stop) = message.kind {
                    told.append(try #require(stop.at).milliseconds)
                    try await journal.confirm(message)
                }
            }
            await journal.close()
        }
        try await boot("a", noon, battery: false, heard: noon)
        try await boot("b", Timestamp(seconds: 30), battery: false, heard: nil)
        // An hour behind, and half a minute after the first one's end.
        try await boot("c", noon.advanced(bySeconds: 90), battery: true, heard: nil)
        let later = noon.advanced(bySeconds: 7_200)
        try await boot("d", later, battery: false, heard: later)
        #expect(
            told.map { ($0 - noon.milliseconds) / 1000 }
                == [0, 60, 7_080, 7_140, 7_140, 7_200, 7_200, 7_260])
    }

    @Test func `are not taken from a time server by an operator who is days behind`() async throws {
        let server = BoardClock(
            ManualClock(noon), kernel: { ClockSource(isSynchronised: true) })
        var journal = try await journal("a", server)
        _ = try await journal.start(
            connector: 1, token: "T", isRemote: false, register: WattHours(1), at: noon)
        await journal.close()
        let clock = BoardClock(ManualClock(Timestamp(seconds: 30)))
        journal = try await self.journal("b", clock)
        _ = clock.correct(to: noon.advanced(bySeconds: -172_800))
        #expect(clock.trust == .operator)
        try await journal.settleTimes()
        guard case .start(let start)? = try await journal.nextMessage()?.kind else {
            return #expect(Bool(false))
        }
        #expect(start.at == noon)
        await journal.close()
    }

    @Test func `that damage made of any number end no program`() {
        let pairs: [(Int64, Int64)] = [(.min, .max), (.max, .min), (.min, 5), (0, .min)]
        for (from, to) in pairs {
            #expect(abs(BoardJournal.shift(from: from, to: to)) <= 1 << 46)
        }
        #expect(BoardJournal.shift(from: -3_600_000, to: 3_600_000) == 7_200_000)
    }

    @Test func `keep security events waiting, and nothing that carries no time`() async throws {
        let system = ManualClock(Timestamp(seconds: 30))
        let clock = BoardClock(system)
        let journal = try await journal("a", clock)
        let event = SecurityEvent(type: "TamperDetectionActivated", at: clock.now)
        try await journal.note(.security(event), at: clock.now)
        #expect(try await journal.nextReport() == nil)
        let log = try await journal.securityLog(from: noon)
        #expect(log.map(\.info) == [BoardJournal.timeNotKnown])
        try await journal.note(.firmware(.installed), at: clock.now)
        let first = try #require(try await journal.nextReport())
        #expect(first.report == .firmware(.installed))
        try await journal.confirm(report: first)
        system.advance(milliseconds: 10_000)
        _ = clock.correct(to: noon)
        guard case .security(let told)? = try await journal.nextReport()?.report else {
            return #expect(Bool(false))
        }
        #expect(told.at == noon.advanced(bySeconds: -10))
        await journal.close()
    }

    @Test func `are repaired in security events of a boot before this one`() async throws {
        let old = ManualClock(Timestamp(seconds: 30))
        var journal = try await journal("a", BoardClock(old))
        old.advance(milliseconds: 5_000)
        try await journal.note(.security(SecurityEvent(type: "X", at: nil)), at: old.now)
        await journal.close()
        let system = ManualClock(Timestamp(seconds: 0))
        let clock = BoardClock(system)
        journal = try await self.journal("b", clock)
        #expect(try await journal.nextReport() == nil)
        system.advance(milliseconds: 20_000)
        _ = clock.correct(to: noon)
        let report = try #require(try await journal.nextReport())
        guard case .security(let told) = report.report else { return #expect(Bool(false)) }
        // The old boot was last seen alive as it began.
        #expect(told.at == noon.advanced(bySeconds: -20 + 5))
        try await journal.confirm(report: report)
        #expect(try await journal.securityLog().map(\.at) == [told.at])
        await journal.close()
    }
}
