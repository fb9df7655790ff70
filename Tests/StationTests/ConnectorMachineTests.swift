import Charging
import HAL
import Testing

@testable import Station

@Suite struct `A connector` {
    @Test func `charges after a remote start and closes once`() {
        let bench = BenchBoard.charging()
        #expect(bench.contactorCommands == [true])
        #expect(bench.verdict() == [])
        #expect(bench.machine.status(at: bench.now).status == .charging)
        #expect(bench.statuses == [.available, .preparing, .charging])
    }

    @Test func `puts the start on disk before it offers current`() {
        var bench = BenchBoard.ready()
        bench.commitsAtOnce = false
        bench.give(.pilot(.b, diode: .passed))
        bench.give(.remoteStart(token: "TAG", needsAuthorization: false))
        bench.give(.pilot(.c, diode: .passed))
        bench.pass(5_000)
        #expect(bench.starts == 1)
        #expect(bench.contactorCommands == [])
        #expect(bench.verdict(.close).contains(.startNotJournalled))
        bench.give(.journal(.started(7)))
        bench.pass(1_000)
        #expect(bench.contactorCommands == [true])
    }

    @Test func `has no transaction when the disk refuses the start`() {
        var bench = BenchBoard.ready()
        bench.commitsAtOnce = false
        bench.give(.pilot(.c, diode: .passed))
        bench.give(.remoteStart(token: "TAG", needsAuthorization: false))
        bench.give(.journal(.startFailed))
        bench.pass(3_000)
        #expect(bench.machine.transaction == nil)
        #expect(bench.contactorCommands == [])
        #expect(bench.effects.contains(.report(.startAbandoned(.journalFailed))))
    }

    @Test func `starts nothing while its meter cannot be read`() {
        var bench = BenchBoard.ready()
        bench.isMeterAlive = false
        bench.pass(4_000)
        bench.give(.pilot(.c, diode: .passed))
        bench.give(.remoteStart(token: "TAG", needsAuthorization: false))
        bench.pass(2_000)
        #expect(bench.starts == 0)
        #expect(bench.verdict(.close).contains { if case .meterStale = $0 { true } else { false } })
    }

    @Test func `asks the car by X1 before it opens on a remote stop`() {
        var bench = BenchBoard.charging()
        let made = bench.give(.stop(.remote))
        #expect(made.first == .output(.pilot(.x1)))
        #expect(bench.contactorCommands == [true])
        bench.pass(500)
        bench.give(.pilot(.b, diode: .passed))
        #expect(bench.contactorCommands == [true, false])
        bench.pass(2_000)
        #expect(bench.stops.map(\.reason) == [.remote])
        #expect(bench.machine.transaction == nil)
        #expect(bench.statuses.last == .finishing)
    }

    @Test func `opens within six seconds under a car that goes on drawing`() {
        var bench = BenchBoard.charging()
        bench.give(.stop(.remote))
        let asked = bench.now.milliseconds
        while bench.isRelayClosed, bench.now.milliseconds < asked + 20_000 { bench.pass(100) }
        #expect(bench.now.milliseconds - asked <= 6_000)
        #expect(bench.now.milliseconds - asked > 5_000)
    }

    @Test func `opens early when the current has ceased`() {
        var bench = BenchBoard.charging()
        bench.give(.stop(.remote))
        bench.milliamperes = 100
        bench.pass(1_200)
        #expect(!bench.isRelayClosed)
    }

    @Test func `bills the register asked for after the relay opened`() {
        var bench = BenchBoard.charging()
        bench.register = 10_400
        bench.give(.stop(.remote))
        bench.pass(500)
        bench.register = 10_431
        bench.give(.pilot(.b, diode: .passed))
        #expect(bench.stops.isEmpty)
        bench.measure()
        #expect(bench.stops.first?.register == WattHours(10_431))
        #expect(bench.stops.first?.isLastGood == false)
    }

    @Test func `lets the last good register stand in when the meter died`() {
        var bench = BenchBoard.charging()
        bench.register = 10_400
        bench.pass(1_000)
        bench.isMeterAlive = false
        bench.pass(40_000)
        #expect(bench.stops.map(\.register) == [WattHours(10_400)])
        #expect(bench.stops.first?.isLastGood == true)
        #expect(bench.stops.first?.reason == .other)
        #expect(bench.machine.status(at: bench.now).errorCode == "PowerMeterFailure")
        #expect(bench.statuses.last == .faulted)
    }

    @Test func `never bills from a register that fell`() {
        var bench = BenchBoard.charging()
        bench.register = 10_400
        bench.pass(1_000)
        bench.register = 0
        bench.pass(10_000)
        #expect(bench.stops.map(\.register) == [WattHours(10_400)])
        #expect(bench.machine.faults.contains(.meterAbsurd))
    }

    @Test func `never bills from a register that leapt`() {
        var bench = BenchBoard.charging()
        bench.register = 10_400
        bench.pass(1_000)
        bench.register = 910_000
        bench.pass(10_000)
        #expect(bench.stops.map(\.register) == [WattHours(10_400)])
    }

    @Test(arguments: [PilotState.a, .b, .e, .f])
    func `opens in the same step when the pilot leaves C`(_ state: PilotState) {
        var bench = BenchBoard.charging()
        let made = bench.give(.pilot(state, diode: .unknown))
        #expect(made.first == .output(.contactor(closed: false)))
    }

    @Test func `opens at once in D without ventilation and stays closed with it`() {
        var without = BenchBoard.charging()
        without.give(.pilot(.d, diode: .passed))
        #expect(!without.isRelayClosed)
        without.pass(2_000)
        #expect(
            without.machine.status(at: without.now).vendorErrorCode == "VentilationNotAvailable")
        var with = BenchBoard.charging(
            board: BoardCapabilities.bench(hasVentilation: true))
        with.give(.pilot(.d, diode: .passed))
        #expect(with.isRelayClosed)
    }

    @Test func `waits ten seconds between two closings`() {
        var bench = BenchBoard.charging()
        let closed = bench.now.milliseconds
        bench.give(.pilot(.b, diode: .passed))
        bench.give(.pilot(.c, diode: .passed))
        bench.pass(3_000)
        #expect(!bench.isRelayClosed)
        while !bench.isRelayClosed, bench.now.milliseconds < closed + 30_000 { bench.pass(100) }
        #expect(bench.now.milliseconds - closed >= 8_000)
        #expect(bench.machine.transaction != nil)
    }

    @Test func `rests after an unplugging under load when its contactor has shown that it fell`() {
        var bench = BenchBoard.charging()
        bench.mirrorFollows = false
        bench.give(.pilot(.a, diode: .unknown))
        bench.pass(50)
        #expect(bench.contactorCommands.last == false)
        #expect(!bench.machine.isResting)
        bench.give(.mirror(.open))
        bench.pass(2_000)
        #expect(bench.machine.isResting)
    }

    @Test func `ends the transaction when the car is unplugged`() {
        var bench = BenchBoard.charging()
        bench.give(.pilot(.a, diode: .unknown))
        bench.pass(2_000)
        #expect(bench.stops.map(\.reason) == [.evDisconnected])
        #expect(bench.statuses.last == .available)
    }

    @Test func `keeps the transaction over an unplugging where the key says so`() {
        var rules = ConnectorRules()
        rules.stopsOnDisconnect = false
        var bench = BenchBoard.charging(rules: rules)
        bench.give(.pilot(.a, diode: .unknown))
        bench.pass(3_000)
        #expect(bench.stops.isEmpty)
        #expect(bench.statuses.last == .suspendedEV)
    }

    @Test func `stops for its own token and asks about another`() {
        var bench = BenchBoard.charging()
        #expect(bench.give(.token("OTHER")) == [.authorize(token: "OTHER")])
        #expect(bench.machine.transaction?.stopReason == nil)
        bench.give(.token("tag"))
        bench.pass(8_000)
        #expect(bench.stops.map(\.reason) == [.local])
    }

    @Test func `tells the operator once what pauses a charge, though its figures change`() {
        var bench = BenchBoard.charging()
        bench.give(.limit(.profile, Amperes(5)))
        bench.give(.pilot(.b, diode: .passed))
        bench.pass(3_000)
        let told = bench.reports.last
        #expect(told == .init(.suspendedEVSE, info: "the limit is below what can be offered"))
        for amperes in [4, 3, 2, 1] as [Int64] {
            bench.give(.limit(.profile, Amperes(amperes)))
            bench.pass(3_000)
        }
        #expect(bench.reports.last == told)
        #expect(bench.statuses.filter { $0 == .suspendedEVSE }.count == 1)
    }

    @Test func `pauses below six amperes and goes on above`() {
        var bench = BenchBoard.charging()
        bench.give(.limit(.profile, Amperes(5)))
        #expect(bench.effects.last == .output(.pilot(.x1)))
        bench.give(.pilot(.b, diode: .passed))
        bench.pass(3_000)
        #expect(bench.statuses.last == .suspendedEVSE)
        bench.give(.limit(.profile, nil))
        bench.give(.pilot(.c, diode: .passed))
        bench.pass(10_000)
        #expect(bench.isRelayClosed)
        #expect(bench.statuses.last == .charging)
    }

    @Test func `changes the duty at most every five seconds`() {
        var bench = BenchBoard.charging()
        bench.effects = []
        bench.give(.limit(.site, Amperes(20)))
        bench.give(.limit(.site, Amperes(10)))
        bench.pass(6_000)
        let offers = bench.effects.filter {
            if case .output(.pilot) = $0 { true } else { false }
        }
        #expect(offers == [.output(.pilot(.pwm(Amperes(10))))])
    }

    @Test func `stops for a token the operator refused`() {
        var bench = BenchBoard.charging()
        bench.give(.transactionToken(AuthorizationInfo(.blocked)))
        bench.pass(8_000)
        #expect(bench.stops.map(\.reason) == [.deAuthorized])
    }

    @Test func `gives up a grant that no car follows`() {
        var bench = BenchBoard.ready()
        bench.give(.remoteStart(token: "TAG", needsAuthorization: false))
        #expect(bench.machine.status(at: bench.now).status == .preparing)
        bench.pass(61_000)
        #expect(bench.effects.contains(.report(.startAbandoned(.timedOut))))
        #expect(bench.statuses.last == .available)
    }

    @Test func `never shows Available before it knows better`() {
        var bench = BenchBoard(isOperative: false)
        bench.readInputs()
        #expect(bench.statuses == [.unavailable])
    }

    @Test func `becomes unavailable only after its transaction`() {
        var bench = BenchBoard.charging()
        bench.give(.operative(false))
        bench.pass(2_000)
        #expect(bench.isRelayClosed)
        bench.give(.stop(.remote))
        bench.pass(8_000)
        #expect(bench.statuses.last == .unavailable)
    }

    @Test func `closes a recovered transaction with the register read at boot`() {
        let alive = Timestamp(seconds: 1_789_990_000)
        var bench = BenchBoard(
            recovering: .init(
                transaction: 4, token: "TAG", lastRegister: WattHours(9_990), lastAlive: alive,
                reason: .powerLoss))
        bench.readInputs()
        bench.pass(1_000)
        let stop = bench.stops.first
        #expect(bench.stops.count == 1)
        #expect(stop?.transaction == 4)
        #expect(stop?.register == WattHours(10_000))
        #expect(stop?.reason == .powerLoss)
        #expect(stop?.at == alive)
    }

    @Test func `tries the disk again until a stop is durable`() {
        var bench = BenchBoard.charging()
        bench.commitsAtOnce = false
        bench.give(.stop(.remote))
        bench.give(.pilot(.b, diode: .passed))
        bench.pass(1_000)
        bench.give(.journal(.stopFailed))
        bench.pass(1_500)
        #expect(bench.stops.count == 2)
        #expect(bench.stops.first?.register == bench.stops.last?.register)
        bench.give(.journal(.stopped))
        #expect(bench.machine.transaction == nil)
    }
}
