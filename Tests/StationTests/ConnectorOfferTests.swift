import Charging
import HAL
import Testing

@testable import Station

@Suite struct `A connector offers current` {
    /// How long a car in C waited for the contactor under an offer, in milliseconds.
    private func longestWait(_ bench: inout BenchBoard, during milliseconds: Int64) -> Int64 {
        var longest: Int64 = 0
        var since: Int64?
        let end = bench.now.milliseconds + milliseconds
        while bench.now.milliseconds < end {
            bench.pass(100)
            var isWaiting = false
            if case .pwm = bench.machine.signal { isWaiting = !bench.isRelayClosed }
            since = isWaiting ? since ?? bench.now.milliseconds : nil
            if let since { longest = max(longest, bench.now.milliseconds - since) }
        }
        return longest
    }

    @Test func `only once it has rested after a fault, so that no car waits for more than 3 s`() {
        var bench = BenchBoard.charging()
        bench.give(.emergencyStop(isActive: true))
        bench.pass(1_000)
        bench.give(.emergencyStop(isActive: false))
        bench.pass(1_000)
        bench.give(.remoteStart(token: "TAG", needsAuthorization: false))
        bench.give(.pilot(.c, diode: .passed))
        bench.effects = []
        #expect(longestWait(&bench, during: 40_000) <= 3_000)
        #expect(bench.isRelayClosed)
        #expect(!bench.statuses.contains(.suspendedEV))
    }

    @Test func `only between two closings that are far enough from each other`() {
        var bench = BenchBoard.charging()
        bench.give(.pilot(.b, diode: .passed))
        bench.pass(500)
        #expect(!bench.isRelayClosed)
        bench.give(.pilot(.c, diode: .passed))
        #expect(longestWait(&bench, during: 12_000) <= 3_000)
        #expect(bench.isRelayClosed)
    }

    @Test func `only under a tested residual current device`() {
        var bench = BenchBoard()
        bench.selfTestResult = .notRun
        bench.readInputs()
        bench.give(.pilot(.b, diode: .passed))
        bench.give(.remoteStart(token: "TAG", needsAuthorization: false))
        bench.pass(30_000)
        #expect(bench.machine.signal == .x1)
        bench.selfTestResult = .passed
        bench.pass(40_000)
        #expect(bench.machine.signal == .pwm(Amperes(32)))
    }

    @Test func `only through a locked plug`() {
        var bench = BenchBoard.ready(board: .bench(hasLock: true, hasProximity: true))
        bench.give(.proximity(Amperes(32)))
        bench.give(.pilot(.b, diode: .passed))
        let effects = bench.give(.remoteStart(token: "TAG", needsAuthorization: false))
        #expect(effects.contains(.output(.lock(true))) || bench.machine.isLockCommanded)
        bench.give(.locked(false))
        bench.pass(500)
        #expect(bench.machine.signal == .x1)
        bench.give(.locked(true))
        #expect(bench.machine.signal == .pwm(Amperes(32)))
    }

    @Test func `to nobody new once the program is ending, free or not`() {
        var rules = ConnectorRules()
        rules.freeVend = .init(token: "FREE", limits: ChargeLimits(energy: WattHours(60)))
        var bench = BenchBoard.ready(rules: rules)
        bench.give(.ending(true))
        bench.give(.pilot(.b, diode: .passed))
        bench.give(.token("TAG"))
        bench.pass(30_000)
        #expect(bench.starts == 0)
        #expect(
            bench.machine.refusalOfRemoteStart(token: "TAG") == "the program is ending")
        // The program did not end after all.
        bench.give(.ending(false))
        bench.pass(1_000)
        #expect(bench.starts == 1)
        let limits = bench.effects.compactMap {
            if case .journal(.start(let start)) = $0 { start.limits } else { nil }
        }
        #expect(limits == [ChargeLimits(energy: WattHours(60))])
    }

    @Test func `no sooner after a restart of the program than without one`() {
        var bench = BenchBoard(lastClosing: -4_000)
        bench.readInputs()
        bench.give(.pilot(.b, diode: .passed))
        bench.give(.remoteStart(token: "TAG", needsAuthorization: false))
        bench.give(.pilot(.c, diode: .passed))
        bench.pass(5_500)
        #expect(!bench.isRelayClosed)
        bench.pass(1_000)
        #expect(bench.isRelayClosed)
    }
}

@Suite struct `A plug` {
    private var board: BoardCapabilities { .bench(hasLock: true, hasProximity: true) }

    @Test func `is free once the relay is open, however long the disk takes for the stop`() {
        var bench = BenchBoard.charging(board: board)
        bench.commitsAtOnce = false
        bench.give(.stop(.remote))
        bench.milliamperes = 0
        bench.pass(2_000)
        #expect(!bench.isRelayClosed)
        #expect(bench.machine.transaction != nil)
        #expect(bench.effects.last { $0.isLock } == .output(.lock(false)))
    }

    @Test func `stays locked behind a welded contact, after a restart too`() {
        var bench = BenchBoard(board: board, latched: [.weldedContact])
        bench.mirrorFollows = false
        bench.isRelayClosed = true
        bench.readInputs(pilot: .b)
        bench.give(.mirror(.closed))
        bench.give(.proximity(Amperes(32)))
        bench.pass(3_000)
        #expect(bench.effects.last { $0.isLock } == .output(.lock(true)))
        // A person looked: the contact is open, and the fault cleared.
        bench.give(.mirror(.open))
        bench.give(.latchedFaultsCleared)
        bench.pass(1_000)
        #expect(bench.effects.last { $0.isLock } == .output(.lock(false)))
    }
}

@Suite struct `A status` {
    @Test func `of any kind but a fault is told once it stood for MinimumStatusDuration`() {
        var rules = ConnectorRules()
        rules.minimumStatusMilliseconds = 5_000
        var bench = BenchBoard.ready(rules: rules)
        // The first one follows the boot.
        #expect(bench.statuses == [.available])
        bench.give(.pilot(.b, diode: .passed))
        bench.pass(4_000)
        bench.give(.pilot(.a, diode: .unknown))
        bench.pass(10_000)
        #expect(bench.statuses == [.available])
        bench.give(.pilot(.b, diode: .passed))
        bench.pass(5_000)
        #expect(bench.statuses == [.available, .preparing])
        bench.give(.pilot(.a, diode: .unknown))
        bench.pass(4_900)
        #expect(bench.statuses == [.available, .preparing])
        bench.pass(100)
        #expect(bench.statuses == [.available, .preparing, .available])
        bench.give(.emergencyStop(isActive: true))
        #expect(bench.statuses.last == .faulted)
    }

    @Test func `shows on the board's own lights at once`() {
        var rules = ConnectorRules()
        rules.minimumStatusMilliseconds = 60_000
        var bench = BenchBoard.ready(rules: rules)
        bench.give(.pilot(.b, diode: .passed))
        #expect(bench.effects.last == .output(.indicator(.preparing)))
    }

    @Test func `is Finishing after a charge that was too short to be told`() {
        var rules = ConnectorRules()
        rules.minimumStatusMilliseconds = 20_000
        var bench = BenchBoard.charging(rules: rules)
        bench.give(.stop(.remote))
        bench.give(.pilot(.b, diode: .passed))
        bench.pass(25_000)
        #expect(bench.statuses.last == .finishing)
    }
}

extension BenchBoard.Effect {
    fileprivate var isLock: Bool { if case .output(.lock) = self { true } else { false } }
}
