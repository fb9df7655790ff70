import Charging
import HAL

@testable import Station

/// One machine with a car and a meter around it, driven by hand: inputs at set times, effects kept.
struct BenchBoard {
    typealias Input = ConnectorMachine.Input
    typealias Effect = ConnectorMachine.Effect
    static let start = Timestamp(seconds: 1_790_000_000)

    var machine: ConnectorMachine
    var now = Instant(milliseconds: 0, wall: Self.start)
    var effects: [Effect] = []
    var register: Int64 = 10_000
    var nextID: Int64 = 1
    /// What the relay really does; follows the commands unless a test breaks it.
    var isRelayClosed = false
    var commitsAtOnce = true
    var mirrorFollows = true
    var isMeterAlive = true
    var milliamperes: Int64 = 0
    var volts: [Int64] = []
    /// What flows while the relay is closed; nil: the meter tells no power.
    var watts: Int64?
    var registerDoubt: String?
    var selfTestResult: ConnectorMachine.SelfTestResult? = .passed

    /// What each input last said; it goes on saying so.
    var standing: [Input] = []
    var isBoardAlive = true

    init(
        board: BoardCapabilities = BoardCapabilities.bench(),
        rules: ConnectorRules = ConnectorRules(), isOperative: Bool = true,
        latched: Set<Fault> = [], recovering: ConnectorMachine.Recovered? = nil,
        lastClosing: Int64? = nil, startsAt milliseconds: Int64 = 0
    ) {
        now.milliseconds = milliseconds
        machine = ConnectorMachine(
            number: 1, board: board, rules: rules, isOperative: isOperative, latched: latched,
            recovering: recovering, lastClosing: lastClosing, at: now)
    }

    /// A board that has read all its inputs and whose car is away.
    static func ready(
        board: BoardCapabilities = BoardCapabilities.bench(),
        rules: ConnectorRules = ConnectorRules()
    ) -> BenchBoard {
        var bench = BenchBoard(board: board, rules: rules)
        bench.readInputs()
        return bench
    }

    /// A board in the middle of a charge.
    static func charging(
        board: BoardCapabilities = BoardCapabilities.bench(),
        rules: ConnectorRules = ConnectorRules()
    ) -> BenchBoard {
        var bench = ready(board: board, rules: rules)
        bench.give(.pilot(.b, diode: .passed))
        bench.give(.proximity(Amperes(32)))
        bench.give(.remoteStart(token: "TAG", needsAuthorization: false))
        bench.give(.pilot(.c, diode: .passed))
        bench.pass(2_000)
        bench.milliamperes = 16_000
        return bench
    }

    mutating func readInputs(pilot: PilotState = .a) {
        give(.residualCurrent(.healthy))
        give(.emergencyStop(isActive: false))
        give(.door(isOpen: false))
        give(.protectiveEarth(isLost: false))
        give(.temperature(degrees: 25))
        give(.mirror(.open))
        give(.proximity(nil))
        give(.locked(false))
        give(.pilot(pilot, diode: pilot == .a ? .unknown : .passed))
        measure()
        pass(300)
    }

    /// Hands over one input and lets relay, mirror, lock and disk answer.
    @discardableResult
    mutating func give(_ input: Input) -> [Effect] {
        if let sensor = input.sensor {
            standing.removeAll { $0.sensor == sensor }
            standing.append(input)
        }
        let made = machine.handle(input, at: now)
        effects += made
        for effect in made { answer(effect) }
        return made
    }

    private mutating func answer(_ effect: Effect) {
        switch effect {
        case .output(.contactor(let closed)):
            guard mirrorFollows else { return }
            isRelayClosed = closed
            give(.mirror(closed ? .closed : .open))
        case .output(.lock(let locked)):
            give(.locked(locked))
        case .journal(.start) where commitsAtOnce:
            nextID += 1
            give(.journal(.started(nextID - 1)))
        case .journal(.stop) where commitsAtOnce:
            give(.journal(.stopped))
        case .selfTest:
            if let selfTestResult { give(.selfTest(selfTestResult)) }
        case .output, .journal, .authorize, .report: break
        }
    }

    mutating func measure() {
        guard isMeterAlive else { return }
        var snapshot = MeterSnapshot(
            register: WattHours(register),
            currents: [Amperes(milliamperes: isRelayClosed ? milliamperes : 0)],
            voltages: volts.map { Volts(millivolts: $0 * 1000) },
            power: watts.map { Watts(isRelayClosed ? $0 : 0) },
            askedAt: now.milliseconds, at: now.wall)
        snapshot.registerDoubt = registerDoubt
        give(.meter(snapshot))
    }

    /// Lets time go by in ticks of 100 ms; the meter is read each second.
    mutating func pass(_ milliseconds: Int64) {
        let end = now.milliseconds + milliseconds
        while now.milliseconds < end {
            now.milliseconds += 100
            now.wall.milliseconds += 100
            if now.milliseconds % 1000 == 0 { measure() }
            if isBoardAlive, now.milliseconds % 500 == 0 { poll() }
            give(.tick)
        }
    }

    private mutating func poll() {
        for sensor in ConnectorMachine.Sensor.allCases {
            if let input = standing.first(where: { $0.sensor == sensor }) { give(input) }
        }
    }

    func verdict(_ question: ConnectorMachine.Question = .stay) -> [Hindrance] {
        machine.mayEnergise(question, at: now).hindrances
    }

    var contactorCommands: [Bool] {
        effects.compactMap {
            if case .output(.contactor(let closed)) = $0 { closed } else { nil }
        }
    }

    var reports: [ConnectorMachine.Status] {
        effects.compactMap {
            if case .report(.status(let status)) = $0 { status } else { nil }
        }
    }

    var statuses: [ConnectorStatus] { reports.map(\.status) }

    var stops: [ConnectorMachine.Stop] {
        effects.compactMap { if case .journal(.stop(let stop)) = $0 { stop } else { nil } }
    }

    var starts: Int {
        effects.count { if case .journal(.start) = $0 { true } else { false } }
    }
}

extension BoardCapabilities {
    /// A tethered AC board with mirror, RCD and emergency stop, and what a test adds.
    static func bench(
        hasLock: Bool = false, hasProximity: Bool = false, hasVentilation: Bool = false,
        hasDoor: Bool = false, hasProtectiveEarth: Bool = false, hasTemperature: Bool = false,
        reportsDiode: Bool = false
    ) -> BoardCapabilities {
        BoardCapabilities(
            hasSocket: hasLock, hasLock: hasLock, hasProximity: hasProximity,
            reportsDiode: reportsDiode, hasVentilation: hasVentilation,
            hasResidualCurrentDevice: true, hasEmergencyStop: true, hasDoor: hasDoor,
            hasProtectiveEarth: hasProtectiveEarth, hasTemperature: hasTemperature, canSignalF: true
        )
    }
}
