import Charging
import HAL
import TestSupport
import Testing

@testable import Station

@Suite struct `A refused token` {
    private func refused(_ wattHours: Int64, stops: Bool = false) -> BenchBoard {
        var rules = ConnectorRules()
        rules.stopsOnInvalidToken = stops
        rules.maximumEnergyOnInvalidToken = WattHours(wattHours)
        var bench = BenchBoard.charging(rules: rules)
        bench.give(.transactionToken(AuthorizationInfo(.invalid)))
        return bench
    }

    /// A second of charging with so many watt-hours.
    private func draw(_ wattHours: Int64, _ bench: inout BenchBoard) {
        if bench.isRelayClosed { bench.register += wattHours }
        bench.pass(1_000)
    }

    @Test func `draws nothing where the operator allows nothing`() {
        var bench = refused(0)
        #expect(bench.verdict() == [.tokenRefused])
        bench.pass(8_000)
        #expect(!bench.isRelayClosed)
        #expect(bench.stops.isEmpty)
        #expect(bench.statuses.last == .suspendedEVSE)
    }

    @Test func `draws what lets the car drive away, then only waits`() {
        var bench = refused(50)
        for _ in 0..<9 { draw(5, &bench) }
        #expect(bench.isRelayClosed)
        #expect(bench.statuses.last == .charging)
        draw(5, &bench)
        #expect(bench.verdict() == [.tokenRefused])
        bench.pass(8_000)
        #expect(!bench.isRelayClosed)
        #expect(bench.statuses.last == .suspendedEVSE)
        #expect(bench.stops.isEmpty)
    }

    @Test func `counts what was drawn before the refusal`() {
        var rules = ConnectorRules()
        rules.stopsOnInvalidToken = false
        rules.maximumEnergyOnInvalidToken = WattHours(50)
        var bench = BenchBoard.charging(rules: rules)
        for _ in 0..<12 { draw(5, &bench) }
        #expect(bench.verdict().isEmpty)
        bench.give(.transactionToken(AuthorizationInfo(.blocked)))
        #expect(bench.verdict() == [.tokenRefused])
    }

    @Test func `ends the charge at once where StopTransactionOnInvalidId says so`() {
        var bench = refused(500, stops: true)
        bench.pass(8_000)
        #expect(!bench.isRelayClosed)
        #expect(bench.stops.map(\.reason) == [.deAuthorized])
    }

    /// The meter is read each second, and a car has its time to stop: no more than that comes after.
    @Test(arguments: 0..<40)
    func `never draws more than the limit and what flows until the relay opens`(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        let most = Int64.random(in: 0...400, using: &random)
        var bench = refused(most)
        let begin = bench.register
        let fastest: Int64 = 7
        for _ in 0..<Int.random(in: 20...120, using: &random) {
            draw(Int64.random(in: 0...fastest, using: &random), &bench)
            if Int.random(in: 0..<12, using: &random) == 0 {
                bench.give(.pilot(Bool.random(using: &random) ? .b : .c, diode: .passed))
            }
            if Int.random(in: 0..<30, using: &random) == 0 {
                bench.give(.transactionToken(AuthorizationInfo(.blocked)))
            }
        }
        let seconds = ConnectorTimings.windDownEnds / 1000 + 2
        #expect(bench.register - begin <= most + fastest * (seconds + 1))
        #expect(bench.stops.isEmpty)
    }
}
