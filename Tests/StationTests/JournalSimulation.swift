import Charging
import SQL
import Service
import TestSupport
import Testing

@testable import Station

/// A board, its journal and an operator in one thread of events, from a seed: charges, crashes within
/// any step of the journal, power cuts, clocks that wake up in 1970, answers that are lost, errors,
/// silence; then quiet, in which everything must come right.
///
/// Real are the journal, the board's clock and the pace of delivery. The operator is a model that
/// keeps to OCPP 1.6: the very same start twice is one transaction, and the first stop stands.
private final class World {
    struct Crash: Error {}

    /// One clock of truth; what the board reads of it, a boot at a time.
    final class Clock: ServiceClock {
        struct State {
            var truth: Int64 = 1_800_000_000_000
            var bootedAt: Int64 = 1_800_000_000_000
            /// What the kernel's wall clock is off by.
            var wrong: Int64 = 0
            var isSynchronised = false
            var hasBattery = false
        }
        let state = Lock(State())
        var now: Timestamp {
            Timestamp(milliseconds: state.withLock { $0.truth + $0.wrong })
        }
        var monotonicMilliseconds: Int64 { state.withLock { $0.truth - $0.bootedAt } }
        func sleep(milliseconds: Int64) async throws {}
    }

    struct Charge {
        var id: Int64
        var connector: Int
        var startedAt: Int64
        var startRegister: Int64
        var stopRegister: Int64?
        var stoppedAt: Int64?
        /// The boot it began in, and whether it also ended there by its connector.
        var boot: Int
        var endedWhole = false
    }

    struct Transaction {
        var start: SessionStart
        var stop: SessionStop?
    }

    let clock = Clock()
    let database: Database
    var random: SeededGenerator
    var journal: BoardJournal!
    var boardClock: BoardClock!
    var boot = 0
    /// Boots in which the operator was heard: their times must be right, not only in order.
    var heardBoots: Set<Int> = []
    var isRegistered = false
    var pace = DeliveryPace()
    var waitsUntil: Int64 = 0
    var attemptsLeft = Lock<Int?>(nil)

    var registers: [Int: Int64] = [1: 5_000, 2: 900_000]
    /// By token, which is a charge's own in this world.
    var charges: [String: Charge] = [:]
    var running: [Int: String] = [:]
    var delivered: Int64 = 0
    var serial = 0

    var transactions: [Int: Transaction] = [:]
    var failures: [String] = []

    init(seed: UInt64) throws {
        random = SeededGenerator(seed: seed)
        database = try Database(path: ":memory:", readers: 0)
    }

    func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }
    func pass(_ milliseconds: Int64) { clock.state.withLock { $0.truth += milliseconds } }
    var truth: Int64 { clock.state.withLock { $0.truth } }

    // MARK: The board

    /// The program starts: at once, or after the power was gone.
    func start(afterPowerCut: Bool) async throws {
        if afterPowerCut {
            boot += 1
            let kind = Int.random(in: 0..<4, using: &random)
            let off = Int64.random(in: 1_000...40_000_000, using: &random)
            clock.state.withLock { state in
                state.truth += off
                state.bootedAt = state.truth
                state.isSynchronised = false
                state.hasBattery = kind == 0
                switch kind {
                // A battery: nearly right, or an hour off.
                case 0: state.wrong = chance(70) ? 900 : chance(50) ? 3_600_000 : -3_600_000
                case 1: state.wrong = -state.truth  // 1970.
                case 2: state.wrong = -off - 86_400_000  // Where it stopped, or earlier.
                default: state.wrong = 946_684_800_000 - state.truth  // 2000.
                }
            }
        }
        isRegistered = false
        pace = DeliveryPace()
        waitsUntil = 0
        let clock = clock
        boardClock = BoardClock(clock) {
            clock.state.withLock {
                ClockSource(isSynchronised: $0.isSynchronised, hasBattery: $0.hasBattery)
            }
        }
        let left = attemptsLeft
        left.withLock { $0 = nil }
        journal = try await BoardJournal(
            taking: database, bootID: "boot-\(boot)", limits: JournalLimits(), clock: boardClock
        ) { _, _ in
            try left.withLock { left in
                guard let now = left else { return }
                left = now - 1
                if now == 0 { throw Crash() }
            }
        }
        if let base = try await journal.trustedBase() { boardClock.resume(base: base) }
        try await recover()
    }

    /// What was open is closed with the register read now.
    func recover() async throws {
        running = [:]
        for (connector, open) in try await journal.recovered() {
            let register = registers[connector]!
            if charges[open.token] == nil {
                // Its start was on the disk when the program died before knowing: nothing flowed.
                charges[open.token] = Charge(
                    id: open.transaction, connector: connector, startedAt: truth,
                    startRegister: register, boot: -1)
            }
            charges[open.token]!.stopRegister = register
            try await journal.stop(
                .init(
                    transaction: open.transaction, register: WattHours(register),
                    at: open.lastAlive, reason: open.reason, token: nil, isLastGood: false))
        }
    }

    func begin(_ connector: Int) async throws {
        serial += 1
        let token = "T\(serial)"
        let register = registers[connector]!
        let at = truth
        let id = try await journal.start(
            connector: connector, token: token, isRemote: false, register: WattHours(register),
            at: boardClock.now)
        charges[token] = Charge(
            id: id, connector: connector, startedAt: at, startRegister: register, boot: boot)
        running[connector] = token
    }

    func end(_ connector: Int, _ token: String) async throws {
        let register = registers[connector]!
        charges[token]!.stopRegister = register
        charges[token]!.stoppedAt = truth
        try await journal.stop(
            .init(
                transaction: charges[token]!.id, register: WattHours(register),
                at: boardClock.now, reason: .local, token: token, isLastGood: false))
        charges[token]!.endedWhole = true
        running[connector] = nil
    }

    func act() async throws {
        pass(Int64.random(in: 1...120_000, using: &random))
        let connector = Int.random(in: 1...2, using: &random)
        switch Int.random(in: 0..<12, using: &random) {
        case 0...3:
            if let token = running[connector] {
                let flow = Int64.random(in: 0...900, using: &random)
                registers[connector]! += flow
                delivered += flow
                let snapshot = MeterSnapshot(
                    register: WattHours(registers[connector]!), askedAt: 0, at: boardClock.now)
                if chance(50) {
                    try await journal.sample(
                        StoredSample(snapshot, .samplePeriodic), of: charges[token]!.id)
                } else if chance(50) {
                    try await journal.keep(
                        register: snapshot.register, of: charges[token]!.id, at: snapshot.at)
                }
            } else {
                try await begin(connector)
            }
        case 4: if let token = running[connector] { try await end(connector, token) }
        case 5: if chance(40) { try await hearOperator() }
        case 6:
            // Somebody sets the kernel's clock.
            if chance(20) {
                let step = Int64.random(in: -7_200_000...7_200_000, using: &random)
                // A kernel takes no time before 1970.
                clock.state.withLock { state in
                    if !state.isSynchronised { state.wrong = max(state.wrong + step, -state.truth) }
                }
            } else if chance(10) {
                clock.state.withLock { state in
                    state.isSynchronised = true
                    state.wrong = 0
                }
            }
        default: try await deliver(isFriendly: false)
        }
    }

    // MARK: The operator

    func hearOperator() async throws {
        _ = boardClock.correct(to: Timestamp(milliseconds: truth))
        isRegistered = true
        try await journal.settleTimes()
        heardBoots.insert(boot)
    }

    func deliver(isFriendly: Bool) async throws {
        guard isRegistered, boardClock.monotonicMilliseconds >= waitsUntil,
            let message = try await journal.nextMessage()
        else { return }
        if boardClock.trust == .untrusted { failures.append("sent without a trusted clock") }
        let fate = isFriendly ? 0 : Int.random(in: 0..<10, using: &random)
        switch fate {
        case 0...4:
            let id = arrive(message)
            pace.answered()
            if case .start = message.kind {
                try await journal.confirmStart(message, operatorID: id)
            } else {
                try await journal.confirm(message)
            }
        case 5, 6:
            // It arrived, and its answer is lost.
            _ = arrive(message)
            fallthrough
        case 7:
            waitsUntil =
                boardClock.monotonicMilliseconds
                + pace.silent(isLinked: true, retryMilliseconds: 60_000)
        default:
            pace.answered()
            _ = try await journal.refuse(message, attempts: 3)
        }
    }

    func arrive(_ message: BoardJournal.Message) -> Int {
        switch message.kind {
        case .start(let start):
            // The very same start again is the same transaction; anything else is a new one.
            if let known = transactions.first(where: { $0.value.start == start }) {
                return known.key
            }
            if transactions.contains(where: { $0.value.start.token == start.token }) {
                failures.append("\(start.token) was told twice and differently")
            }
            let id = transactions.count + 1
            transactions[id] = Transaction(start: start)
            return id
        case .sample(_, let reference, _):
            if reference == nil { failures.append("a sample without a transaction") }
            return 0
        case .stop(let stop):
            guard case .number(let id) = stop.transaction, transactions[id] != nil else {
                failures.append("a stop of no transaction: \(stop)")
                return 0
            }
            if let first = transactions[id]?.stop {
                if first != stop { failures.append("two different stops of \(id)") }
            } else {
                transactions[id]?.stop = stop
            }
            return 0
        }
    }
}

extension World {
    func run(steps: Int) async throws {
        try await start(afterPowerCut: true)
        for _ in 0..<steps {
            do {
                if chance(8) {
                    let moment = Int.random(in: 0..<6, using: &random)
                    attemptsLeft.withLock { $0 = moment }
                }
                try await act()
            } catch is Crash {
                try await restart()
            }
            if chance(3) { try await restart() }
        }
        try await calmDown()
    }

    /// The program died: perhaps the power with it, perhaps again while it starts.
    private func restart() async throws {
        while true {
            do {
                try await start(afterPowerCut: chance(50))
                return
            } catch is Crash {}
        }
    }

    private func calmDown() async throws {
        try await restart()
        attemptsLeft.withLock { $0 = nil }
        try await hearOperator()
        waitsUntil = 0
        for _ in 0..<10_000 {
            guard try await journal.depth() > 0 else { return }
            // Longer than anything may be parked.
            if try await journal.nextMessage() == nil { pass(21_600_000) }
            waitsUntil = 0
            try await deliver(isFriendly: true)
        }
    }

    func check() async throws -> [String] {
        var found = failures
        let owed = try await journal.depth()
        if owed > 0 { found.append("\(owed) messages were never delivered") }
        var billed: Int64 = 0
        for (token, charge) in charges {
            let all = transactions.values.filter { $0.start.token == token }
            guard all.count == 1, let told = all.first, let stop = told.stop else {
                found.append("\(token) has \(all.count) transactions, or one without end")
                continue
            }
            let energy = stop.meterStop.value - told.start.meterStart.value
            billed += energy
            if energy != (charge.stopRegister ?? -1) - charge.startRegister {
                found.append("\(token) is billed \(energy) Wh")
            }
            checkTimes(token, charge, told, stop, &found)
        }
        if billed != delivered { found.append("billed \(billed) Wh of \(delivered) Wh") }
        if transactions.count != charges.count { found.append("a transaction of no charge") }
        checkOrder(&found)
        return found
    }

    private func checkTimes(
        _ token: String, _ charge: Charge, _ told: Transaction, _ stop: SessionStop,
        _ found: inout [String]
    ) {
        guard let start = told.start.at?.milliseconds, let end = stop.at?.milliseconds else {
            found.append("\(token) has no times")
            return
        }
        if end < start { found.append("\(token) ends before it begins") }
        if charge.endedWhole, let stopped = charge.stoppedAt,
            end - start != stopped - charge.startedAt
        {
            found.append("\(token) lasts \(end - start) of \(stopped - charge.startedAt) ms")
        }
        if heardBoots.contains(charge.boot), abs(start - charge.startedAt) > 61_000 {
            found.append("\(token) began at \(start), not at \(charge.startedAt)")
        }
    }

    /// On one connector a charge begins when the one before has ended.
    private func checkOrder(_ found: inout [String]) {
        for connector in 1...2 {
            let told = transactions.values.filter { $0.start.connector == connector }
                .sorted {
                    ($0.start.meterStart, $0.start.token.count, $0.start.token)
                        < ($1.start.meterStart, $1.start.token.count, $1.start.token)
                }
            for (one, next) in zip(told, told.dropFirst()) {
                guard let end = one.stop?.at, let start = next.start.at else { continue }
                let early = end.milliseconds - start.milliseconds
                // A clock may be wrong by as much as is tolerated.
                if early > 61_000 {
                    found.append(
                        "\(next.start.token) begins \(early) ms before \(one.start.token) ends")
                }
            }
        }
    }
}

@Suite(.timeLimit(.minutes(90))) struct `Any history of a board` {
    @Test func `bills each charge once, with its watt-hours and its times`() async throws {
        for seed in Budget.firstSeed..<Budget.seeds(120, long: 20_000) {
            let world = try World(seed: UInt64(seed))
            try await world.run(steps: 120)
            let failures = try await world.check()
            #expect(failures.isEmpty, "seed \(seed): \(failures.prefix(3))")
            await world.database.close()
            if !failures.isEmpty { return }
        }
    }
}
