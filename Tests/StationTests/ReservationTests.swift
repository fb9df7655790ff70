import Charging
import HAL
import Testing

@testable import Station

@Suite struct `A reserved connector` {
    private func reservation(group: String? = nil) -> ConnectorMachine.Reservation {
        ConnectorMachine.Reservation(
            id: 41, token: "MINE", group: group,
            expires: Timestamp(milliseconds: BenchBoard.start.milliseconds + 600_000))
    }

    private func reserved(group: String? = nil) -> BenchBoard {
        var bench = BenchBoard.ready()
        bench.give(.reserve(reservation(group: group)))
        return bench
    }

    @Test func `shows Reserved from Available and Preparing for its own token`() {
        var bench = reserved()
        #expect(bench.statuses == [.available, .reserved])
        bench.give(.token("mine"))
        bench.give(.authorization(token: "mine", AuthorizationInfo(.accepted)))
        #expect(bench.statuses.last == .preparing)
        bench.give(.pilot(.b, diode: .passed))
        #expect(bench.starts == 1)
        #expect(bench.reservationEnds == [.used])
    }

    @Test func `tells its number with the start that uses it`() {
        var bench = reserved()
        bench.give(.pilot(.b, diode: .passed))
        #expect(bench.statuses.last == .reserved)
        bench.give(.remoteStart(token: "MINE", needsAuthorization: false))
        let numbers = bench.effects.compactMap {
            if case .journal(.start(let start)) = $0 { start.reservation } else { nil }
        }
        #expect(numbers == [41])
    }

    @Test func `refuses another token without asking anybody`() {
        var bench = reserved()
        #expect(bench.give(.token("OTHER")) == [.report(.startAbandoned(.reserved))])
        #expect(
            bench.machine.refusalOfRemoteStart(token: "OTHER") == "reserved for another token")
        bench.give(.pilot(.b, diode: .passed))
        bench.give(.remoteStart(token: "OTHER", needsAuthorization: false))
        bench.pass(2_000)
        #expect(bench.starts == 0)
        #expect(bench.statuses.last == .reserved)
        #expect(bench.verdict(.close).contains(.reserved))
    }

    @Test(arguments: [("G", 1), ("g", 1), ("X", 0), (nil, 0)])
    func `asks about a token that may be of its group`(_ group: String?, _ starts: Int) {
        var bench = reserved(group: "G")
        bench.give(.pilot(.b, diode: .passed))
        #expect(
            bench.give(.remoteStart(token: "OTHER", needsAuthorization: false)).last
                == .authorize(token: "OTHER"))
        #expect(bench.statuses.last == .reserved)
        bench.give(.authorization(token: "OTHER", AuthorizationInfo(.accepted, group: group)))
        #expect(bench.starts == starts)
    }

    @Test func `is free again when its time is over`() {
        var bench = reserved()
        bench.pass(599_000)
        #expect(bench.machine.reservation != nil)
        bench.pass(1_000)
        #expect(bench.reservationEnds == [.expired])
        #expect(bench.statuses.last == .available)
    }

    @Test(arguments: [
        ConnectorMachine.Input.operative(false), .emergencyStop(isActive: true), .reserve(nil),
    ])
    func `loses its reservation with its service`(_ input: ConnectorMachine.Input) {
        var bench = reserved()
        bench.give(input)
        // A fault may pass; this one stays.
        if case .emergencyStop = input {
            bench.pass(59_000)
            #expect(bench.reservationEnds == [])
            bench.pass(1_000)
        }
        #expect(bench.reservationEnds == [.cancelled])
        #expect(bench.machine.reservation == nil)
    }

    @Test func `bears a fault that passes and shows Reserved again`() {
        var bench = reserved()
        for _ in 0..<3 {
            bench.give(.emergencyStop(isActive: true))
            #expect(bench.statuses.last == .faulted)
            bench.pass(40_000)
            bench.give(.emergencyStop(isActive: false))
            bench.pass(1_000)
            #expect(bench.statuses.last == .reserved)
        }
        #expect(bench.reservationEnds == [])
        bench.give(.pilot(.b, diode: .passed))
        bench.give(.remoteStart(token: "OTHER", needsAuthorization: false))
        #expect(bench.starts == 0)
    }

    @Test func `outlives that the board holds itself up before an update`() {
        var bench = reserved()
        bench.give(.held(true))
        bench.pass(300_000)
        #expect(bench.statuses.last == .unavailable)
        #expect(bench.machine.refusalOfRemoteStart(token: "MINE") != nil)
        // The operator's word is another matter, and does not end the hold.
        bench.give(.operative(true))
        #expect(bench.machine.refusalOfRemoteStart(token: "MINE") != nil)
        bench.give(.held(false))
        #expect(bench.statuses.last == .reserved)
        #expect(bench.reservationEnds == [])
        #expect(bench.machine.refusalOfRemoteStart(token: "MINE") == nil)
    }

    @Test func `lets nobody new start while it is not known for whom it is kept`() {
        var rules = ConnectorRules()
        rules.freeVend = .init(token: "FREE")
        var bench = BenchBoard.ready(rules: rules)
        bench.give(.reservations(areKnown: false))
        bench.give(.pilot(.b, diode: .passed))
        bench.give(.token("OTHER"))
        bench.give(.remoteStart(token: "OTHER", needsAuthorization: false))
        bench.pass(2_000)
        #expect(bench.starts == 0)
        #expect(bench.statuses.last == .unavailable)
        #expect(bench.verdict(.close).contains(.reservationsUnread))
        #expect(bench.machine.refusalOfReservation(reservation(), at: bench.now) == .rejected)
        bench.give(.reserve(reservation()))
        bench.give(.reservations(areKnown: true))
        bench.pass(2_000)
        #expect(bench.starts == 0)
        #expect(bench.statuses.last == .reserved)
    }

    @Test func `is not reserved over a car, a charge or another reservation`() {
        var bench = BenchBoard.ready()
        let wanted = reservation()
        #expect(bench.machine.refusalOfReservation(wanted, at: bench.now) == nil)
        bench.give(.pilot(.b, diode: .passed))
        #expect(bench.machine.refusalOfReservation(wanted, at: bench.now) == .occupied)
        bench = reserved()
        #expect(bench.machine.refusalOfReservation(wanted, at: bench.now) == nil)
        var other = wanted
        other.id = 42
        #expect(bench.machine.refusalOfReservation(other, at: bench.now) == .occupied)
        bench.now.wall = wanted.expires
        #expect(bench.machine.refusalOfReservation(wanted, at: bench.now) == .rejected)
        bench = BenchBoard.ready()
        bench.give(.operative(false))
        #expect(bench.machine.refusalOfReservation(wanted, at: bench.now) == .unavailable)
        bench.give(.emergencyStop(isActive: true))
        #expect(bench.machine.refusalOfReservation(wanted, at: bench.now) == .faulted)
    }

    @Test func `takes a grant back that came before the reservation of another`() {
        var bench = BenchBoard.ready()
        bench.give(.remoteStart(token: "OTHER", needsAuthorization: false))
        bench.give(.reserve(reservation()))
        #expect(bench.effects.contains(.report(.startAbandoned(.reserved))))
        bench.give(.pilot(.b, diode: .passed))
        #expect(bench.starts == 0)
    }

    @Test func `keeps its reservation when the disk refuses the start`() {
        var bench = reserved()
        bench.commitsAtOnce = false
        bench.give(.pilot(.b, diode: .passed))
        bench.give(.remoteStart(token: "MINE", needsAuthorization: false))
        bench.give(.journal(.startFailed))
        #expect(bench.machine.reservation?.id == 41)
        #expect(bench.reservationEnds == [])
    }

    @Test func `is used up by the charge that was found open`() {
        var bench = BenchBoard(
            recovering: .init(
                transaction: 4, token: "MINE", lastRegister: WattHours(9_990),
                lastAlive: BenchBoard.start, reason: .powerLoss))
        bench.give(.reserve(reservation()))
        #expect(bench.reservationEnds == [.used])
        #expect(bench.machine.reservation == nil)
    }
}

extension BenchBoard {
    fileprivate var reservationEnds: [ConnectorMachine.ReservationEnd] {
        effects.compactMap {
            if case .report(.reservationEnded(41, let why)) = $0 { why } else { nil }
        }
    }
}
