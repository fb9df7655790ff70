import Charging
import HAL
import Testing

@testable import Station

@Suite struct `A connector's charge` {
    private static let free: ConnectorRules = {
        var rules = ConnectorRules()
        rules.freeVend = .init(token: "FREE", limits: ChargeLimits(energy: WattHours(500)))
        return rules
    }()

    // MARK: Free energy

    @Test func `starts by plugging in where energy is free, once`() {
        var bench = BenchBoard.ready(rules: Self.free)
        bench.give(.pilot(.b, diode: .passed))
        bench.pass(1_000)
        #expect(bench.starts == 1)
        #expect(bench.machine.transaction?.token == "FREE")
        bench.give(.pilot(.c, diode: .passed))
        bench.pass(2_000)
        #expect(bench.isRelayClosed)
        bench.give(.stop(.remote))
        bench.pass(60_000)
        #expect(bench.starts == 1)
        #expect(bench.statuses.last == .finishing)
        bench.give(.pilot(.a, diode: .unknown))
        bench.give(.pilot(.b, diode: .passed))
        bench.pass(1_000)
        #expect(bench.starts == 2)
    }

    @Test func `starts nothing by plugging in at a reserved, faulted or closed connector`() {
        var bench = BenchBoard.ready(rules: Self.free)
        bench.give(
            .reserve(.init(id: 1, token: "MINE", expires: Timestamp(seconds: 1_800_000_000))))
        bench.give(.pilot(.b, diode: .passed))
        bench.pass(3_000)
        bench.give(.emergencyStop(isActive: true))
        bench.pass(3_000)
        bench.give(.operative(false))
        bench.give(.emergencyStop(isActive: false))
        bench.pass(3_000)
        #expect(bench.starts == 0)
    }

    // MARK: Limits

    @Test func `asks for the stop at the reading that reaches the limit`() {
        var bench = BenchBoard.ready(rules: Self.free)
        bench.give(.pilot(.b, diode: .passed))
        bench.pass(1_000)
        bench.give(.pilot(.c, diode: .passed))
        bench.pass(2_000)
        bench.register = 10_499
        bench.measure()
        #expect(bench.machine.signal == .pwm(Amperes(32)))
        bench.register = 10_500
        bench.measure()
        #expect(bench.machine.signal == .x1)
        #expect(bench.isRelayClosed)
        bench.pass(10_000)
        #expect(bench.stops.map(\.reason) == [.local])
        #expect(bench.stops.first?.limit == .energy)
        let last = bench.machine.status(at: bench.now)
        #expect(last == .init(.finishing, info: "energy limit reached"))
    }

    @Test func `ends after its time`() {
        var bench = BenchBoard.charging()
        bench.give(.chargeLimit(1, ChargeLimits(seconds: 60)))
        #expect(
            bench.effects.contains(
                .journal(.limits(transaction: 1, ChargeLimits(seconds: 60)))))
        bench.pass(57_000)
        #expect(bench.machine.transaction?.stopReason == nil)
        bench.pass(10_000)
        #expect(bench.stops.first?.limit == .time)
    }

    @Test func `ends when the money is used up and never after`() throws {
        var bench = BenchBoard.charging()
        let (amount, price) = (
            Decimal(significand: 10, scale: 2), Decimal(significand: 49, scale: 2)
        )
        let budget = try #require(ChargeLimits.Budget(amount: amount, perKilowattHour: price))
        // 0.10 / 0.49 kWh is 204.08 Wh.
        #expect(budget.energy == WattHours(204))
        bench.give(.chargeLimit(1, ChargeLimits(budget: budget)))
        bench.register = 10_203
        bench.measure()
        #expect(bench.machine.transaction?.stopReason == nil)
        bench.register = 10_204
        bench.measure()
        #expect(bench.machine.transaction?.reachedLimit == .money)
    }

    @Test func `takes limits for the running charge alone, and their end`() {
        var bench = BenchBoard.charging()
        bench.give(.chargeLimit(7, ChargeLimits(seconds: 1)))
        #expect(bench.machine.transaction?.limits == ChargeLimits.none)
        bench.give(.chargeLimit(1, ChargeLimits(seconds: 10)))
        bench.give(.chargeLimit(1, nil))
        bench.pass(20_000)
        #expect(bench.machine.transaction?.stopReason == nil)
    }

    @Test(arguments: ["0", "-1", "1000000.01", "0.0000001"])
    func `refuses money that is none`(_ text: String) throws {
        let amount = try #require(Decimal(text))
        #expect(ChargeLimits.Budget(amount: amount, perKilowattHour: Decimal(1)) == nil)
        #expect(
            ChargeLimits.Budget(amount: Decimal(1), perKilowattHour: amount) == nil)
    }

    // MARK: The schedule

    @Test func `waits outside the hours of its schedule`() {
        var rules = ConnectorRules()
        // The bench's clock starts at 14:13:20 UTC on a Monday.
        rules.schedule = OfferSchedule(
            windows: [.init(days: [1], from: 14 * 60, until: 14 * 60 + 14)], zone: .utc)
        var bench = BenchBoard.charging(rules: rules)
        #expect(bench.isRelayClosed)
        bench.pass(60_000)
        #expect(!bench.isRelayClosed)
        #expect(bench.stops.isEmpty)
        #expect(bench.statuses.last == .suspendedEVSE)
        #expect(bench.verdict(.close).contains(.outsideSchedule))
        rules.schedule = .always
        bench.give(.rules(rules))
        bench.pass(10_000)
        #expect(bench.isRelayClosed)
    }

    // MARK: After a loss of power

    private func found(
        within: Int64 = 300, alive: Int64 = -60, last: Int64 = 9_990
    ) -> BenchBoard {
        var rules = ConnectorRules()
        rules.afterPowerLoss = .resume(withinSeconds: within)
        return BenchBoard(
            rules: rules,
            recovering: .init(
                transaction: 4, token: "TAG", lastRegister: WattHours(last),
                lastAlive: BenchBoard.start.advanced(bySeconds: alive), reason: .powerLoss,
                startRegister: WattHours(9_000),
                startedAt: BenchBoard.start.advanced(bySeconds: -3_600),
                limits: ChargeLimits(energy: WattHours(1_200))))
    }

    private func returned(_ bench: inout BenchBoard, _ pilot: PilotState = .c) {
        bench.readInputs(pilot: pilot)
        bench.pass(1_500)
    }

    @Test func `goes on under its number, its start and its limits`() {
        var bench = found()
        returned(&bench)
        #expect(bench.contactorCommands == [])
        #expect(bench.effects.contains(.authorize(token: "TAG")))
        bench.give(.authorization(token: "TAG", AuthorizationInfo(.accepted)))
        // The contactor may have been closed until the power went.
        bench.pass(5_000)
        #expect(bench.contactorCommands == [])
        bench.pass(5_000)
        #expect(bench.isRelayClosed)
        #expect(bench.starts == 0)
        bench.register = 10_200
        bench.milliamperes = 16_000
        bench.pass(10_000)
        #expect(bench.stops.map(\.transaction) == [4])
        #expect(bench.stops.first?.limit == .energy)
        #expect(bench.stops.first?.register == WattHours(10_200))
    }

    @Test func `counts its time over the loss of power`() {
        var bench = found()
        returned(&bench)
        bench.give(.authorization(token: "TAG", AuthorizationInfo(.accepted)))
        bench.give(.chargeLimit(4, ChargeLimits(seconds: 3_610)))
        bench.pass(5_000)
        #expect(bench.machine.transaction?.stopReason == nil)
        bench.pass(6_000)
        #expect(bench.stops.first?.limit == .time)
    }

    @Test func `waits for a clock that can be believed before it calls an outage short`() {
        var bench = found()
        bench.give(.clock(isTrusted: false))
        returned(&bench)
        bench.give(.authorization(token: "TAG", AuthorizationInfo(.accepted)))
        bench.pass(12_000)
        #expect(!bench.isRelayClosed)
        bench.pass(30_000)
        expectClosed(bench)
    }

    @Test func `closes as it was found where the token is no longer accepted`() {
        var bench = found()
        returned(&bench)
        bench.give(.authorization(token: "TAG", AuthorizationInfo(.blocked)))
        expectClosed(bench)
    }

    @Test func `closes as it was found where the car is gone`() {
        var bench = found()
        returned(&bench, .a)
        expectClosed(bench)
    }

    @Test func `closes as it was found after too long an outage`() {
        var bench = found(within: 30)
        returned(&bench)
        expectClosed(bench)
    }

    @Test func `closes as it was found where the register leapt meanwhile`() {
        var bench = found(last: 5_000)
        returned(&bench)
        bench.give(.authorization(token: "TAG", AuthorizationInfo(.accepted)))
        expectClosed(bench)
        #expect(bench.stops.first?.register == WattHours(5_000))
        #expect(bench.stops.first?.isLastGood == true)
        #expect(bench.machine.latched == [.meterAbsurd])
    }

    /// A meter that was exchanged for a used one while the power was off, or a journal of before.
    @Test(
        arguments: [
            // Seconds since it was last heard of, by the wall's and by the monotonic clock; watt-hours.
            (true, 3_600, nil, 1_500, true), (true, 3_600, nil, 1_600, false),
            // In the same boot a failing disk may have kept an old register.
            (true, 3_600, 60, 1_600, true), (true, 3_600, 60, 3_000, false),
            (true, 3_600, 1_800, 15_000, true),
            (false, 3_600, nil, 30_000, true), (false, 3_600, nil, 40_000, false),
            (false, 3_600, 60, 30_000, false), (false, 3_600, 60, 2_000, true),
        ] as [(Bool, Int64, Int64?, Int64, Bool)])
    func `bills what can have flowed before it was found, and never a leap of its register`(
        hasDeadMan: Bool, wall: Int64, monotonic: Int64?, rise: Int64, isBilled: Bool
    ) {
        var bench = BenchBoard(
            recovering: .init(
                transaction: 4, token: "TAG", lastRegister: WattHours(10_000),
                lastAlive: BenchBoard.start.advanced(bySeconds: -wall),
                aliveMilliseconds: monotonic.map { 10_000_000 - $0 * 1000 },
                hasDeadMan: hasDeadMan, reason: .powerLoss),
            startsAt: 10_000_000)
        bench.register = 10_000 + rise
        returned(&bench)
        bench.pass(2_000)
        #expect(bench.stops.map(\.register) == [WattHours(10_000 + (isBilled ? rise : 0))])
        #expect(bench.machine.latched == (isBilled ? [] : [.meterAbsurd]))
        let refused = bench.effects.contains(
            .report(
                .registerRefused(
                    kept: WattHours(10_000), shown: WattHours(10_000 + rise))))
        #expect(refused == !isBilled)
    }

    @Test func `closes as it was found where nobody answers about the token`() {
        var bench = found()
        returned(&bench)
        bench.pass(35_000)
        expectClosed(bench)
    }

    @Test func `closes as it was found when it is stopped before that is decided`() {
        var bench = found()
        returned(&bench)
        bench.give(.stop(.remote))
        expectClosed(bench)
    }

    @Test func `waits for a clock that was not set yet`() {
        var bench = found(alive: 3_600)
        returned(&bench)
        bench.give(.authorization(token: "TAG", AuthorizationInfo(.accepted)))
        #expect(bench.machine.transaction?.isRunning == false)
        bench.now.wall = BenchBoard.start.advanced(bySeconds: 3_700)
        bench.pass(200)
        bench.give(.authorization(token: "TAG", AuthorizationInfo(.accepted)))
        #expect(bench.machine.transaction?.isRunning == true)
    }

    private func expectClosed(_ bench: BenchBoard) {
        #expect(bench.contactorCommands == [])
        #expect(bench.stops.map(\.reason) == [.powerLoss])
        #expect(bench.stops.map(\.transaction) == [4])
        #expect(bench.machine.transaction == nil)
    }
}

@Suite struct `A schedule of offers` {
    private func moment(_ text: String) throws -> Timestamp {
        try #require(Timestamp(rfc3339: text))
    }

    // 2026-11-27 is a Friday.
    @Test(arguments: [
        ("2026-11-27T21:59:00Z", false), ("2026-11-27T22:00:00Z", true),
        ("2026-11-28T05:59:59Z", true), ("2026-11-28T06:00:00Z", false),
        ("2026-11-28T23:00:00Z", false), ("2026-11-29T01:00:00Z", false),
        ("1970-01-01T12:00:00Z", true),
    ])
    func `knows windows over midnight by the day they begin`(_ text: String, _ isOpen: Bool) throws
    {
        let schedule = OfferSchedule(
            windows: [.init(days: [1, 2, 3, 4, 5], from: 22 * 60, until: 6 * 60)], zone: .utc)
        #expect(schedule.isOpen(at: try moment(text)) == isOpen)
    }

    @Test func `goes by local time`() throws {
        let schedule = OfferSchedule(
            windows: [.init(from: 0, until: 60)],
            zone: LocalTimeRules(fixedOffsetSeconds: 3_600))
        #expect(schedule.isOpen(at: try moment("2026-11-27T23:30:00Z")))
        #expect(!schedule.isOpen(at: try moment("2026-11-27T00:30:00Z")))
    }
}
