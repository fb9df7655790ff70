import Charging
import HAL
import Testing

@testable import Station

@Suite struct `A connector in danger` {
    @Test(arguments: [
        ConnectorMachine.Input.emergencyStop(isActive: true), .residualCurrent(.tripped),
        .residualCurrent(.notTested), .door(isOpen: true), .temperature(degrees: 95),
        .outputs(areWorking: false), .protectiveEarth(isLost: true),
    ])
    func `opens first and does everything else after`(_ danger: ConnectorMachine.Input) {
        var bench = BenchBoard.charging(
            board: BoardCapabilities.bench(
                hasDoor: true, hasProtectiveEarth: true, hasTemperature: true))
        #expect(bench.give(danger).first == .output(.contactor(closed: false)))
    }

    @Test func `reports an emergency stop as the reason`() {
        var bench = BenchBoard.charging()
        bench.give(.emergencyStop(isActive: true))
        bench.pass(2_000)
        #expect(bench.stops.map(\.reason) == [.emergencyStop])
        #expect(bench.machine.status(at: bench.now).vendorErrorCode == "MREC8EmergencyStop")
        bench.give(.emergencyStop(isActive: false))
        bench.pass(1_000)
        #expect(bench.statuses.last == .finishing)
    }

    @Test func `faults with GroundFailure and F for as long as the protective earth is lost`() {
        var bench = BenchBoard.charging(board: BoardCapabilities.bench(hasProtectiveEarth: true))
        bench.give(.protectiveEarth(isLost: true))
        bench.pass(2_000)
        #expect(bench.stops.map(\.reason) == [.other])
        let status = bench.machine.status(at: bench.now)
        #expect(status.errorCode == "GroundFailure")
        #expect(status.vendorErrorCode == "ProtectiveEarthLost")
        #expect(bench.machine.signal == .f)
        bench.give(.protectiveEarth(isLost: false))
        bench.pass(1_000)
        #expect(bench.machine.faults == [])
        #expect(
            bench.verdict(.close).contains { if case .restsAfterFault = $0 { true } else { false } }
        )
    }

    @Test func `does not close before the protective earth was read`() {
        var bench = BenchBoard(board: BoardCapabilities.bench(hasProtectiveEarth: true))
        bench.give(.pilot(.a, diode: .unknown))
        #expect(bench.verdict(.close).contains(.protectiveEarthUnread))
        bench.give(.protectiveEarth(isLost: false))
        #expect(!bench.verdict(.close).contains(.protectiveEarthUnread))
    }

    @Test func `latches a welded contact until a person clears it`() {
        var bench = BenchBoard.charging()
        bench.mirrorFollows = false
        bench.give(.pilot(.b, diode: .passed))
        bench.pass(1_000)
        #expect(bench.machine.faults == [.weldedContact])
        #expect(bench.machine.signal == .f)
        #expect(bench.effects.contains(.journal(.latched([.weldedContact]))))
        bench.mirrorFollows = true
        bench.give(.mirror(.open))
        bench.pass(5_000)
        #expect(bench.machine.faults == [.weldedContact])
        bench.give(.latchedFaultsCleared)
        #expect(bench.machine.faults == [])
    }

    @Test func `keeps the plug of a welded contact locked`() {
        let board = BoardCapabilities.bench(hasLock: true, hasProximity: true)
        var bench = BenchBoard.charging(board: board)
        #expect(bench.isRelayClosed)
        bench.mirrorFollows = false
        bench.give(.pilot(.a, diode: .unknown))
        bench.pass(10_000)
        #expect(!bench.effects.contains(.output(.lock(false))))
    }

    @Test func `opens a contact that does not close`() {
        var bench = BenchBoard.ready()
        bench.mirrorFollows = false
        bench.give(.pilot(.b, diode: .passed))
        bench.give(.remoteStart(token: "TAG", needsAuthorization: false))
        bench.give(.pilot(.c, diode: .passed))
        bench.pass(2_000)
        #expect(bench.machine.faults.contains(.stuckContact))
        #expect(bench.contactorCommands == [true, false])
    }

    @Test func `takes a mirror that closes by itself for a weld at once`() {
        var bench = BenchBoard.ready()
        bench.give(.mirror(.closed))
        #expect(bench.machine.faults == [.weldedContact])
    }

    @Test func `closes again after a fall of the contactor, but not for ever`() {
        var bench = BenchBoard.charging()
        for _ in 0..<2 {
            #expect(bench.give(.mirror(.open)).first == .output(.contactor(closed: false)))
            #expect(bench.machine.faults == [])
            bench.pass(12_000)
            #expect(bench.isRelayClosed)
        }
        bench.give(.resumed)
        #expect(bench.machine.faults == [.stuckContact])
        #expect(!bench.isRelayClosed)
    }

    @Test func `takes a closing that lapsed before its mirror followed for a fall, not for stuck`()
    {
        var bench = BenchBoard.ready()
        bench.mirrorFollows = false
        bench.give(.pilot(.b, diode: .passed))
        bench.give(.remoteStart(token: "TAG", needsAuthorization: false))
        bench.give(.pilot(.c, diode: .passed))
        bench.pass(600)
        #expect(bench.contactorCommands == [true])
        bench.give(.lapsed)
        bench.mirrorFollows = true
        bench.give(.mirror(.open))
        bench.pass(9_000)
        #expect(bench.machine.faults == [])
        #expect(bench.contactorCommands == [true, false])
        bench.pass(2_000)
        #expect(bench.contactorCommands == [true, false, true])
    }

    @Test func `waits ten seconds after a fall before it closes again`() {
        var bench = BenchBoard.charging()
        bench.pass(60_000)
        bench.give(.mirror(.open))
        bench.pass(9_000)
        #expect(bench.contactorCommands == [true, false])
        bench.pass(2_000)
        #expect(bench.contactorCommands == [true, false, true])
    }

    @Test func `does not close on what the car said before an absence`() {
        var bench = BenchBoard.charging()
        bench.give(.pilot(.b, diode: .passed))
        bench.pass(20_000)
        bench.give(.pilot(.c, diode: .passed))
        bench.pass(300)
        bench.isBoardAlive = false
        bench.now.milliseconds += 5_000
        bench.give(.resumed)
        bench.measure()
        bench.pass(1_500)
        #expect(bench.contactorCommands == [true, false])
        // Heard again, the state has to settle again.
        for sensor in ConnectorMachine.Sensor.allCases {
            if let input = bench.standing.first(where: { $0.sensor == sensor }) {
                bench.give(input)
            }
        }
        #expect(bench.contactorCommands == [true, false])
        bench.isBoardAlive = true
        bench.pass(1_000)
        #expect(bench.contactorCommands == [true, false, true])
    }

    @Test func `takes no reading from before a switch for its confirmation`() {
        var bench = BenchBoard.charging()
        bench.isBoardAlive = false
        bench.mirrorFollows = false
        bench.give(.pilot(.b, diode: .passed))
        // The last reading says closed and is older than the opening: no weld.
        bench.pass(800)
        #expect(bench.machine.faults == [])
        bench.give(.mirror(.closed))
        #expect(bench.machine.faults == [.weldedContact])
    }

    @Test func `refuses to close on a mirror that reads closed at boot`() {
        var bench = BenchBoard()
        bench.readInputs()
        bench.give(.mirror(.closed))
        bench.pass(1_000)
        #expect(bench.statuses.last == .faulted)
        #expect(bench.machine.faults.contains(.weldedContact))
    }

    @Test func `opens when its mirror can no longer be read`() {
        var bench = BenchBoard.charging()
        bench.give(.mirror(.unknown))
        bench.pass(400)
        #expect(bench.contactorCommands == [true, false])
        bench.pass(2_000)
        #expect(bench.stops.map(\.reason) == [.other])
    }

    @Test func `opens when its inputs no longer speak although nothing reports an error`() {
        var bench = BenchBoard.charging()
        bench.isBoardAlive = false
        bench.pass(2_500)
        #expect(bench.contactorCommands == [true, false])
        #expect(bench.machine.faults.contains(.inputMissing))
    }

    @Test func `stops a car that draws more than it is offered`() {
        var bench = BenchBoard.charging()
        bench.milliamperes = 40_000
        bench.pass(20_000)
        #expect(bench.machine.faults == [.overCurrent])
        #expect(bench.stops.map(\.reason) == [.other])
        bench.give(.pilot(.a, diode: .unknown))
        #expect(bench.machine.faults == [])
    }

    @Test func `stops a car that draws too much past a meter wired the other way round`() {
        var bench = BenchBoard.charging()
        bench.milliamperes = -60_000
        bench.pass(20_000)
        #expect(bench.machine.faults == [.overCurrent])
    }

    @Test func `faults a car that draws too much however often the offer changes`() {
        var bench = BenchBoard.charging()
        bench.milliamperes = 40_000
        for step in 0..<5 {
            bench.give(.limit(.profile, Amperes(step % 2 == 0 ? 10 : 16)))
            bench.pass(6_000)
        }
        #expect(bench.machine.faults == [.overCurrent])
    }

    @Test func `gives a car its five seconds to follow each lower offer`() {
        var bench = BenchBoard.charging()
        bench.milliamperes = 31_000
        bench.give(.limit(.profile, Amperes(10)))
        // Ours lasts 5 s between two changes, the car's 5 s, and seven more are no blame yet.
        bench.pass(10_000)
        bench.milliamperes = 10_000
        bench.pass(10_000)
        #expect(bench.machine.faults == [])
        bench.milliamperes = 12_000
        bench.pass(8_000)
        #expect(bench.machine.faults == [.overCurrent])
    }

    @Test func `knows over a restart that this car drew too much, and rests as long`() throws {
        var bench = BenchBoard.charging()
        bench.milliamperes = 40_000
        bench.pass(20_000)
        let kept = bench.effects.compactMap {
            if case .journal(.latched(let faults)) = $0 { faults } else { nil }
        }
        #expect(kept == [[.overCurrent]])
        var again = BenchBoard(latched: Set(try #require(kept.first)))
        again.readInputs(pilot: .c)
        again.give(.remoteStart(token: "TAG", needsAuthorization: false))
        again.pass(20_000)
        #expect(again.machine.faults == [.overCurrent])
        again.give(.pilot(.a, diode: .unknown))
        again.pass(500)
        #expect(again.machine.faults == [])
        #expect(
            again.verdict(.close).contains { if case .restsAfterFault = $0 { true } else { false } }
        )
        #expect(
            again.effects.contains {
                if case .journal(.latched([])) = $0 { true } else { false }
            })
        #expect(again.contactorCommands == [])
    }

    @Test func `opens at once for a bad diode, until the car is unplugged`() {
        var bench = BenchBoard.charging(board: BoardCapabilities.bench(reportsDiode: true))
        #expect(bench.machine.isContactorClosed)
        let made = bench.give(.pilot(.c, diode: .failed))
        #expect(made.first == .output(.contactor(closed: false)))
        bench.give(.pilot(.c, diode: .passed))
        bench.pass(40_000)
        #expect(bench.machine.faults == [.diode])
        bench.give(.pilot(.a, diode: .unknown))
        #expect(bench.machine.faults == [])
    }

    @Test func `offers no more than the cable carries, and nothing to one that carries less`() {
        var bench = BenchBoard.charging(board: BoardCapabilities.bench(hasProximity: true))
        bench.give(.proximity(Amperes(13)))
        bench.pass(6_000)
        #expect(bench.machine.signal == .pwm(Amperes(13)))
        bench.give(.proximity(Amperes(5)))
        #expect(bench.verdict().contains(.limitBelowMinimum(milliamperes: 5_000)))
        bench.pass(6_000)
        #expect(bench.contactorCommands == [true, false])
    }

    @Test func `opens at once when the cable cannot be told any more`() {
        var bench = BenchBoard.charging(board: BoardCapabilities.bench(hasProximity: true))
        #expect(bench.machine.isContactorClosed)
        #expect(bench.give(.proximity(nil)).first == .output(.contactor(closed: false)))
        #expect(bench.machine.faults == [.proximity])
        bench.pass(1_000)
        #expect(bench.stops.map(\.reason) == [.other])
    }

    @Test func `opens at once for a lost lock, and ends the charge`() {
        var bench = BenchBoard.charging(board: BoardCapabilities.bench(hasLock: true))
        #expect(bench.machine.isContactorClosed)
        #expect(bench.give(.locked(false)).first == .output(.contactor(closed: false)))
        bench.pass(1_000)
        #expect(bench.stops.map(\.reason) == [.other])
    }

    @Test func `calls a pilot in E a fault when it lasts, and a plug being pulled none`() {
        var bench = BenchBoard.charging()
        #expect(bench.give(.pilot(.e, diode: .unknown)).first == .output(.contactor(closed: false)))
        bench.pass(300)
        #expect(bench.machine.faults == [])
        bench.pass(500)
        #expect(bench.machine.faults == [.pilot])
        #expect(bench.machine.status(at: bench.now).vendorErrorCode == "MREC14PilotFault")
    }

    @Test func `shows F for 300 ms at the least`() {
        var bench = BenchBoard.charging()
        bench.give(.emergencyStop(isActive: true))
        #expect(bench.machine.signal == .f)
        bench.give(.emergencyStop(isActive: false))
        bench.pass(200)
        #expect(bench.machine.signal == .f)
        bench.pass(200)
        #expect(bench.machine.signal == .x1)
    }

    @Test func `takes a temperature that nobody tells any more for lost`() {
        var bench = BenchBoard.charging(board: BoardCapabilities.bench(hasTemperature: true))
        bench.standing.removeAll { $0.sensor == .temperature }
        bench.pass(ConnectorTimings.temperatureIsLost - 1_000)
        #expect(bench.machine.isContactorClosed)
        bench.pass(2_000)
        #expect(bench.machine.faults == [.inputMissing])
        #expect(!bench.machine.isContactorClosed)
    }

    @Test func `calls an input fault what never gave a reading`() {
        var bench = BenchBoard()
        bench.give(.mirror(.open))
        bench.give(.pilot(.a, diode: .unknown))
        bench.measure()
        bench.pass(6_000)
        #expect(bench.machine.faults.contains(.inputMissing))
        #expect(bench.statuses == [.faulted])
    }

    @Test func `does not close before the diode is checked`() {
        var bench = BenchBoard.ready(
            board: BoardCapabilities.bench(reportsDiode: true))
        bench.give(.pilot(.b, diode: .unknown))
        bench.give(.remoteStart(token: "TAG", needsAuthorization: false))
        bench.give(.pilot(.c, diode: .unknown))
        bench.pass(3_000)
        #expect(bench.contactorCommands == [])
        bench.give(.pilot(.c, diode: .passed))
        bench.pass(1_000)
        #expect(bench.contactorCommands == [true])
    }

    @Test func `remembers over a restart what a person has to clear`() {
        var bench = BenchBoard(latched: [.weldedContact])
        bench.readInputs()
        #expect(bench.statuses == [.faulted])
    }
}
