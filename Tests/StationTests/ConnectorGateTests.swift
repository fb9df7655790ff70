import Charging
import HAL
import Testing

@testable import Station

@Suite struct `A connector's gate` {
    private static let warm = BoardCapabilities.bench(hasTemperature: true)

    // MARK: Heat

    @Test(arguments: [(65, 32_000), (68, 26_500), (72, 19_500), (80, 6_000)])
    func `lets the offer fall in a line from warm to hot`(_ degrees: Int, _ milliamperes: Int64) {
        var bench = BenchBoard.charging(board: Self.warm)
        bench.give(.temperature(degrees: degrees))
        #expect(bench.machine.available == Amperes(milliamperes: milliamperes))
        bench.pass(10_000)
        #expect(bench.machine.signal == .pwm(Amperes(milliamperes: milliamperes)))
        #expect(bench.isRelayClosed)
    }

    @Test func `stops above the hottest and starts ten degrees below`() {
        var bench = BenchBoard.charging(board: Self.warm)
        bench.give(.temperature(degrees: 81))
        #expect(!bench.isRelayClosed)
        bench.give(.temperature(degrees: 71))
        #expect(bench.machine.faults == [.overTemperature])
        bench.give(.temperature(degrees: 70))
        #expect(bench.machine.faults == [])
    }

    @Test func `does not sway with the temperature`() {
        var bench = BenchBoard.charging(board: Self.warm)
        bench.give(.temperature(degrees: 75))
        let derated = bench.machine.available
        bench.give(.temperature(degrees: 73))
        #expect(bench.machine.available == derated)
        bench.give(.temperature(degrees: 72))
        #expect(bench.machine.available > derated)
    }

    // MARK: The supply

    @Test(arguments: [
        ([0, 231, 230], Fault.phaseLost, "UnderVoltage"),
        ([231, 90, 230], .phaseLost, "UnderVoltage"),
        ([190, 191, 192], .underVoltage, "UnderVoltage"),
        ([231, 266, 240], .overVoltage, "OverVoltage"),
    ])
    func `ends a charge on a bad supply`(_ volts: [Int64], _ fault: Fault, _ code: String) {
        var bench = BenchBoard.charging()
        bench.volts = [230, 231, 229]
        bench.pass(5_000)
        bench.volts = volts
        bench.pass(2_500)
        #expect(bench.machine.faults == [])
        bench.pass(9_000)
        #expect(bench.machine.faults == [fault])
        #expect(!bench.isRelayClosed)
        #expect(bench.stops.map(\.reason) == [.other])
        #expect(bench.machine.status(at: bench.now).errorCode == code)
    }

    @Test func `forgives a dip, and phases that a wider supply does not have`() {
        var bench = BenchBoard.charging()
        bench.volts = [180, 231, 229]
        bench.pass(2_000)
        bench.volts = [230, 231, 229]
        bench.pass(2_000)
        bench.volts = [180, 231, 229]
        bench.pass(2_000)
        #expect(bench.isRelayClosed)
        var board = BoardCapabilities.bench()
        board.phases = 1
        var single = BenchBoard.charging(board: board)
        single.volts = [230, 0, 0]
        single.pass(10_000)
        #expect(single.isRelayClosed)
    }

    @Test func `does not miss the voltage of a meter behind an open contactor`() {
        var bench = BenchBoard.ready()
        bench.volts = [0, 0, 0]
        bench.pass(10_000)
        #expect(bench.machine.faults == [])
    }

    @Test func `is served again when the supply was good for half a minute`() {
        var bench = BenchBoard.charging()
        bench.volts = [231, 266, 240]
        bench.pass(10_000)
        bench.volts = [231, 240, 240]
        bench.pass(29_000)
        #expect(bench.machine.faults == [.overVoltage])
        bench.pass(3_000)
        #expect(bench.machine.faults == [])
    }

    // MARK: Closing again

    @Test func `rests half a minute after a fault`() {
        var bench = BenchBoard.charging(board: .bench(hasDoor: true))
        bench.give(.door(isOpen: true))
        bench.pass(5_000)
        bench.give(.door(isOpen: false))
        let ended = bench.now.milliseconds
        bench.give(.remoteStart(token: "TAG", needsAuthorization: false))
        bench.pass(5_000)
        #expect(
            bench.verdict(.close).contains {
                if case .restsAfterFault = $0 { true } else { false }
            })
        while !bench.isRelayClosed, bench.now.milliseconds < ended + 90_000 { bench.pass(100) }
        #expect(abs(bench.now.milliseconds - ended - 30_000) <= 200)
    }

    @Test func `rests a minute after over-current`() {
        var bench = BenchBoard.charging()
        bench.milliamperes = 40_000
        while bench.isRelayClosed { bench.pass(100) }
        let opened = bench.now.milliseconds
        bench.milliamperes = 10_000
        bench.pass(3_000)
        bench.give(.pilot(.a, diode: .unknown))
        bench.give(.pilot(.b, diode: .passed))
        bench.give(.remoteStart(token: "TAG", needsAuthorization: false))
        bench.give(.pilot(.c, diode: .passed))
        while !bench.isRelayClosed, bench.now.milliseconds < opened + 90_000 { bench.pass(100) }
        #expect(abs(bench.now.milliseconds - opened - 60_000) <= 200)
    }

    // MARK: The residual current device's test

    @Test func `stays shut until the residual current device was tested`() {
        var bench = BenchBoard()
        bench.selfTestResult = nil
        bench.readInputs()
        #expect(bench.effects.count { $0 == .selfTest } == 1)
        bench.give(.pilot(.b, diode: .passed))
        bench.give(.remoteStart(token: "TAG", needsAuthorization: false))
        bench.give(.pilot(.c, diode: .passed))
        bench.pass(5_000)
        #expect(bench.contactorCommands == [])
        #expect(bench.verdict(.close) == [.residualCurrentNotReady, .noCurrentOffered])
        bench.give(.selfTest(.passed))
        bench.pass(1_000)
        #expect(bench.contactorCommands == [true])
    }

    @Test func `tests it again after each charge, with the contactor open`() {
        var bench = BenchBoard.charging()
        #expect(bench.effects.count { $0 == .selfTest } == 1)
        bench.give(.pilot(.a, diode: .unknown))
        bench.pass(2_000)
        #expect(bench.effects.count { $0 == .selfTest } == 2)
    }

    @Test func `takes no trip of the test for a trip`() {
        var bench = BenchBoard()
        bench.selfTestResult = nil
        bench.readInputs()
        bench.give(.residualCurrent(.tripped))
        #expect(bench.machine.faults == [])
        bench.give(.residualCurrent(.healthy))
        bench.give(.selfTest(.passed))
        bench.give(.residualCurrent(.tripped))
        #expect(bench.machine.faults == [.residualCurrent])
        bench.give(.residualCurrent(.directTripped))
        #expect(bench.machine.faults == [.residualCurrent, .directCurrent])
    }

    @Test func `latches a test that failed, and repeats one that was not run`() {
        var bench = BenchBoard()
        bench.selfTestResult = .failed
        bench.readInputs()
        #expect(bench.machine.faults == [.selfTestFailed])
        #expect(bench.effects.contains(.journal(.latched([.selfTestFailed]))))
        bench = BenchBoard()
        bench.selfTestResult = .notRun
        bench.readInputs()
        #expect(bench.machine.faults == [])
        bench.selfTestResult = nil
        bench.pass(61_000)
        #expect(bench.effects.count { $0 == .selfTest } == 2)
        // Nobody answers: given up after ten seconds, then tried again.
        bench.pass(71_000)
        #expect(bench.effects.count { $0 == .selfTest } == 3)
    }

    @Test func `stays shut while another outlet puts the test off, and asks every two seconds`() {
        var bench = BenchBoard()
        bench.selfTestResult = .postponed
        bench.readInputs()
        bench.give(.pilot(.b, diode: .passed))
        bench.give(.remoteStart(token: "TAG", needsAuthorization: false))
        bench.give(.pilot(.c, diode: .passed))
        bench.pass(20_000)
        #expect(bench.contactorCommands == [])
        // No current is offered either: the car would close its switch and wait.
        #expect(bench.verdict(.close) == [.residualCurrentNotReady, .noCurrentOffered])
        #expect((9...11).contains(bench.effects.count { $0 == .selfTest }))
        bench.selfTestResult = .passed
        bench.pass(3_000)
        #expect(bench.contactorCommands == [true])
    }

    // MARK: Wear

    @Test func `counts cold and hot openings`() {
        var bench = BenchBoard.charging()
        bench.pass(3_000)
        bench.give(.pilot(.b, diode: .passed))
        #expect(bench.machine.wear == ContactorWear(closings: 1, openings: 1))
        bench.give(.pilot(.c, diode: .passed))
        bench.pass(15_000)
        bench.give(.emergencyStop(isActive: true))
        let wear = ContactorWear(closings: 2, openings: 2, hotOpenings: 1)
        #expect(bench.machine.wear == wear)
        bench.pass(2_000)
        #expect(bench.effects.contains(.journal(.wear(wear))))
        #expect(ContactorWear(text: wear.text) == wear)
        #expect(ContactorWear(text: "2 -1 x") == ContactorWear())
    }

    @Test func `writes each closing down when it happens, and each opening`() {
        var bench = BenchBoard.charging()
        #expect(bench.effects.contains(.journal(.wear(ContactorWear(closings: 1)))))
        bench.effects = []
        bench.give(.emergencyStop(isActive: true))
        let wear = ContactorWear(
            closings: 1, openings: 1, hotOpenings: bench.machine.wear.hotOpenings)
        #expect(bench.effects.contains(.journal(.wear(wear))))
        // The relay never waits for the disk.
        let written = bench.effects.firstIndex(of: .journal(.wear(wear))) ?? 0
        let opened = bench.effects.firstIndex(of: .output(.contactor(closed: false)))
        #expect(opened.map { $0 < written } == true)
    }

    @Test(arguments: [
        (
            ContactorWear(closings: 3, openings: 2), true,
            ContactorWear(closings: 3, openings: 3, hotOpenings: 1)
        ),
        (ContactorWear(closings: 3, openings: 2), false, ContactorWear(closings: 3, openings: 3)),
        (ContactorWear(closings: 3, openings: 3), true, ContactorWear(closings: 3, openings: 3)),
    ])
    func `counts what a crash opened`(_ kept: ContactorWear, _ ran: Bool, _ counted: ContactorWear)
    {
        var wear = kept
        wear.countFall(wasPowered: ran)
        #expect(wear == counted)
    }

    // MARK: A sleeping car

    @Test func `wakes a sleeping car once by X1`() {
        var rules = ConnectorRules()
        rules.wakesCar = true
        var bench = BenchBoard.charging(rules: rules)
        bench.pass(10_000)
        bench.give(.pilot(.b, diode: .passed))
        bench.effects = []
        bench.pass(120_000)
        let signals = bench.effects.compactMap {
            if case .output(.pilot(let signal)) = $0 { signal } else { nil }
        }
        #expect(signals == [.x1, .pwm(Amperes(32))])
        #expect(bench.machine.transaction?.isRunning == true)
    }

    @Test func `shows a sleeping car X1 for three seconds and closes nothing meanwhile`() {
        var rules = ConnectorRules()
        rules.wakesCar = true
        var bench = BenchBoard.charging(rules: rules)
        bench.give(.pilot(.b, diode: .passed))
        while bench.machine.signal != .x1 { bench.pass(100) }
        let shown = bench.now.milliseconds
        while bench.machine.signal == .x1 { bench.pass(100) }
        #expect(bench.now.milliseconds - shown >= 3_000)
        var other = BenchBoard.charging()
        other.give(.pilot(.b, diode: .passed))
        other.effects = []
        other.pass(120_000)
        #expect(!other.effects.contains(.output(.pilot(.x1))))
    }

    // MARK: Absence

    @Test func `says that control was absent and goes on when the meter answers afresh`() {
        var bench = BenchBoard.charging()
        bench.pass(60_000)
        bench.now.milliseconds += 15_000
        bench.give(.resumed)
        #expect(!bench.isRelayClosed)
        #expect(bench.machine.faults == [])
        #expect(bench.verdict(.close).contains(.controlWasAbsent))
        bench.pass(15_000)
        #expect(bench.isRelayClosed)
        #expect(bench.stops.isEmpty)
    }

    @Test func `calls the meter lost when it stays silent after an absence`() {
        var bench = BenchBoard.charging()
        bench.isMeterAlive = false
        bench.now.milliseconds += 15_000
        bench.give(.resumed)
        bench.pass(ConnectorTimings.meterIsLost - 1_000)
        #expect(bench.machine.faults == [])
        bench.pass(2_000)
        #expect(bench.machine.faults == [.meterLost])
        #expect(bench.contactorCommands == [true, false])
    }

    @Test func `takes a lapsed closing for a fall`() {
        var bench = BenchBoard.charging()
        #expect(bench.give(.lapsed).first == .output(.contactor(closed: false)))
        #expect(bench.machine.transaction?.falls == 1)
    }
}
