import Charging
import HAL
import Service
import TestSupport
import Testing

@testable import Station

/// A board whose world does what it likes; it restates the rules without asking the gate.
private struct Chaos {
    var random: SeededGenerator
    var machine: ConnectorMachine
    let board: BoardCapabilities
    var now = Instant(milliseconds: 0, wall: BenchBoard.start)
    /// The last inputs with their effects, put into words only when a rule broke.
    var trace: [(Int64, ConnectorMachine.Input, [ConnectorMachine.Effect])] = []

    var standing: [ConnectorMachine.Input] = []
    var commanded = false
    var relay = false
    var welds = false
    var register: Int64 = 1_000
    var pilot: PilotState = .a
    var isStopPressed = false
    var isTripped = false
    var isDoorOpen = false
    var isHot = false
    var isLocked = false
    var isStartDurable = false
    var pendingStart = false
    var pendingStop = false
    var openTransactions = 0
    var nextID: Int64 = 1
    var lastClosing: Int64?
    var unsafeSince: Int64?
    var meterAskedAt: Int64?
    var hadFault = false
    var closings = 0
    var completed = 0

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
        board = BoardCapabilities.bench(
            hasLock: seed % 2 == 0, hasProximity: seed % 3 == 0,
            hasVentilation: seed % 5 == 0, hasDoor: true, hasTemperature: true)
        var rules = ConnectorRules()
        rules.stopsOnDisconnect = seed % 7 != 0
        rules.sampleIntervalMilliseconds = 10_000
        machine = ConnectorMachine(number: 1, board: board, rules: rules, at: now)
    }

    mutating func chance(_ percent: Int) -> Bool {
        Int.random(in: 0..<100, using: &random) < percent
    }

    mutating func randomInput() -> ConnectorMachine.Input {
        switch Int.random(in: 0..<40, using: &random) {
        case 0...5:
            pilot = [.a, .b, .b, .c, .c, .c, .d, .e, .f].randomElement(using: &random) ?? .a
            return .pilot(pilot, diode: .passed)
        case 6:
            isStopPressed = chance(15)
            return .emergencyStop(isActive: isStopPressed)
        case 7:
            isTripped = chance(3)
            return .residualCurrent(isTripped ? .tripped : .healthy)
        case 8:
            isDoorOpen = chance(10)
            return .door(isOpen: isDoorOpen)
        case 9:
            isHot = chance(10)
            return .temperature(degrees: isHot ? 90 : 30)
        case 10...13:
            return .remoteStart(
                token: "T\(Int.random(in: 0..<3, using: &random))",
                needsAuthorization: chance(30))
        case 14: return .token("T\(Int.random(in: 0..<3, using: &random))")
        case 15...16:
            return .authorization(
                token: "T\(Int.random(in: 0..<3, using: &random))",
                AuthorizationInfo(chance(70) ? .accepted : .invalid, group: chance(50) ? "G" : nil))
        case 17:
            return .stop(
                [.remote, .softReset, .unlockCommand].randomElement(using: &random) ?? .remote)
        case 18: return .operative(chance(80))
        case 19: return .limit(.site, Amperes(Int64.random(in: 0...40, using: &random)))
        case 20: return .transactionToken(AuthorizationInfo(chance(80) ? .accepted : .blocked))
        case 21: return .proximity(chance(90) ? Amperes(32) : nil)
        case 22: return chance(30) ? .latchedFaultsCleared : .tick
        case 23: return .mirror(chance(3) ? .unknown : relay ? .closed : .open)
        case 24: return .outputs(areWorking: chance(97))
        default: return .tick
        }
    }

    mutating func step() throws(Broken) {
        try give(randomInput())
        if chance(30) {
            if relay { register += Int64.random(in: 0...6, using: &random) }
            if chance(97) {
                meterAskedAt = now.milliseconds
                try give(
                    .meter(
                        MeterSnapshot(
                            register: WattHours(register),
                            currents: [Amperes(milliamperes: relay ? 10_000 : 0)],
                            askedAt: now.milliseconds, at: now.wall)))
            }
        }
        if pendingStart, chance(60) {
            pendingStart = false
            if chance(90) {
                isStartDurable = true
                nextID += 1
                try give(.journal(.started(nextID - 1)))
            } else {
                openTransactions -= 1
                try give(.journal(.startFailed))
            }
        }
        if pendingStop, chance(60) {
            pendingStop = false
            if chance(90) {
                openTransactions -= 1
                completed += 1
                try give(.journal(.stopped))
            } else {
                try give(.journal(.stopFailed))
            }
        }
        let pause = chance(5) ? 100 * Int64.random(in: 1...80, using: &random) : 100
        for _ in 0..<(pause / 100) {
            now.milliseconds += 100
            now.wall.milliseconds += 100
            try poll()
            try give(.tick)
        }
    }

    /// The inputs go on saying what they last said, now and then with a gap.
    mutating func poll() throws(Broken) {
        guard now.milliseconds % 500 == 0, chance(80) else { return }
        for sensor in ConnectorMachine.Sensor.allCases {
            if sensor == .mirror {
                try give(.mirror(relay ? .closed : .open))
            } else if let input = standing.first(where: { $0.sensor == sensor }) {
                try give(input)
            }
        }
    }

    struct Broken: Error { var rule: String }

    var words: String {
        trace.suffix(12).map { "\($0.0) \($0.1) -> \($0.2)" }.joined(separator: "\n")
    }

    mutating func give(_ input: ConnectorMachine.Input) throws(Broken) {
        if let sensor = input.sensor {
            standing.removeAll { $0.sensor == sensor }
            standing.append(input)
        }
        let effects = machine.handle(input, at: now)
        if trace.count >= 400 { trace.removeFirst(300) }
        trace.append((now.milliseconds, input, effects))
        try checkOrder(effects)
        for effect in effects { try apply(effect) }
        try checkStanding()
    }

    private func checkOrder(_ effects: [ConnectorMachine.Effect]) throws(Broken) {
        func rank(_ effect: ConnectorMachine.Effect) -> Int {
            switch effect {
            case .output(.contactor(closed: false)): 0
            case .output: 1
            case .journal: 2
            case .authorize, .report: 3
            }
        }
        let ranks = effects.map(rank)
        if ranks != ranks.sorted() { throw Broken(rule: "outputs, then journal, then reports") }
    }

    private mutating func apply(_ effect: ConnectorMachine.Effect) throws(Broken) {
        switch effect {
        case .output(.contactor(let closed)):
            if closed == commanded { throw Broken(rule: "a command changes something") }
            commanded = closed
            if closed {
                closings += 1
                if let lastClosing, now.milliseconds - lastClosing < 10_000 {
                    throw Broken(rule: "ten seconds between closings")
                }
                if let asked = meterAskedAt, now.milliseconds - asked > 3_000 {
                    throw Broken(rule: "closes on a fresh meter")
                }
                if relay { throw Broken(rule: "closes only from open") }
                lastClosing = now.milliseconds
            }
            if !closed, chance(2) { welds = true } else { welds = false }
            if !welds { relay = closed }
            try give(.mirror(relay ? .closed : .open))
        case .output(.lock(let locked)):
            isLocked = chance(95) ? locked : isLocked
            try give(.locked(isLocked))
        case .journal(.start):
            openTransactions += 1
            if openTransactions > 1 { throw Broken(rule: "one transaction at a time") }
            isStartDurable = false
            pendingStart = true
        case .journal(.stop(let stop)):
            if commanded { throw Broken(rule: "the relay is told to open before the stop") }
            if relay, !machine.faults.contains(.weldedContact) {
                throw Broken(rule: "the relay is open before the stop")
            }
            if stop.transaction != nextID - 1 { throw Broken(rule: "stops what was started") }
            pendingStop = true
        case .output, .journal, .authorize, .report: break
        }
        if case .report(.status(let status)) = effect {
            let isCharging = status.status == .charging
            if isCharging, openTransactions == 0 {
                throw Broken(rule: "Charging has a transaction")
            }
        }
    }

    /// Looks at the world only: a closed contactor has all this on its side.
    private mutating func checkStanding() throws(Broken) {
        guard commanded else {
            unsafeSince = nil
            return
        }
        switch pilot {
        case .c: break
        case .d: if !board.hasVentilation { throw Broken(rule: "no energy in D unventilated") }
        case .a, .b, .e, .f: throw Broken(rule: "no energy in \(pilot.rawValue)")
        }
        if isStopPressed || isTripped || isDoorOpen || isHot { throw Broken(rule: "danger opens") }
        if board.hasLock, !isLocked { throw Broken(rule: "energy only through a locked plug") }
        if openTransactions != 1 || !isStartDurable {
            throw Broken(rule: "energy only under a durable start")
        }
        // What may wind down has six seconds.
        if machine.mayEnergise(.stay, at: now).allows {
            unsafeSince = nil
        } else {
            let since = unsafeSince ?? now.milliseconds
            unsafeSince = since
            if now.milliseconds - since > 6_000 { throw Broken(rule: "opens within six seconds") }
            if case .pwm = machine.signal { throw Broken(rule: "no offer while winding down") }
        }
    }
}

@Suite struct `A connector in any sequence of events` {
    @Test func `closes only while everything allows it`() {
        var closings = 0
        var completed = 0
        // `KERB_SEEDS=10000 swift test --filter StationTests` for a long night.
        let seeds = Environment.all["KERB_SEEDS"].flatMap { UInt64($0) } ?? 60
        for seed in 1...seeds {
            var chaos = Chaos(seed: seed)
            do throws(Chaos.Broken) {
                for _ in 0..<600 { try chaos.step() }
            } catch {
                Issue.record(
                    "seed \(seed): \(error.rule)\n\(chaos.words)"
                )
                return
            }
            closings += chaos.closings
            completed += chaos.completed
        }
        // The chaos reaches what it is to test.
        #expect(UInt64(closings) > seeds / 2)
        #expect(UInt64(completed) > seeds / 2)
    }
}
