import Charging
import JSON
import TestSupport
import Testing

@testable import Beckn

/// An order and everything that can happen to it, at hand.
enum Sample {
    static let noon = Timestamp(seconds: 1_800_014_400)

    static func settings(fee: Int = 0, postPaid: Bool = false) -> BecknSettings {
        BecknSettings(
            subscriberID: "bpp.example.org", subscriberURL: "https://bpp.example.org/beckn",
            uniqueKeyID: "key-1", providerID: "IN-KRB", providerName: "Kerb",
            cancellationFeePercent: fee, allowsPostPaid: postPaid)
    }

    static func context(_ message: String = "m-1", transaction: String = "t-1") -> BecknContext {
        BecknContext(
            domain: "ev-charging:uei", version: "1.1.0", bapID: "bap.example.org",
            bapURI: "https://bap.example.org", transactionID: transaction, messageID: message,
            timestamp: noon)
    }

    static let offer = Order.Offer(
        itemID: "E-1:1", evseUID: "E-1", evseID: "IN*KRB*E1", connectorID: "1",
        standard: "IEC_62196_T2", format: "SOCKET", powerType: "AC_3_PHASE", powerWatts: 22_080,
        locationID: "L-1", locationName: "Yard", address: "1 Road, Delhi", gps: "28.7041,77.1025",
        tariffID: "T-1", energyPrice: Decimal(18), currency: "INR")

    static func quote(_ id: String = "q-1", from now: Timestamp = noon) -> Quote {
        Quote(
            id: id, currency: "INR", total: Decimal(significand: 21_240, scale: 2),
            lines: [
                Quote.Line(title: "energy-cost", amount: Decimal(180)),
                Quote.Line(title: "gst", amount: Decimal(significand: 3240, scale: 2)),
            ], energyWh: 10_000, expiresAt: now.advanced(bySeconds: 900))
    }

    static func machine(fee: Int = 0, postPaid: Bool = false) -> OrderMachine {
        let order = Order(
            id: "o-1", context: context(), offer: offer, quantity: .energy(wattHours: 10_000),
            quote: quote(), fulfilmentID: "1", now: noon)
        return OrderMachine(
            order, rules: OrderMachine.Rules(settings(fee: fee, postPaid: postPaid), digits: 2))
    }

    static let paid = OrderMachine.PaymentClaim(
        isPaid: true, type: "PRE-ORDER", amount: Decimal(significand: 2124, scale: 1),
        currency: "INR", transactionID: "utr-1", itemID: "E-1:1")

    static func delivery(_ wattHours: Int64, session: String = "s-1", ended: Bool = false)
        -> Order.Delivery
    {
        Order.Delivery(
            sessionID: session, startedAt: noon, endedAt: ended ? noon : nil, meterStartWh: 1000,
            meterLastWh: 1000 + wattHours)
    }

    static func bill(
        _ total: Decimal, wattHours: Int64 = 200, id: String = "s-1"
    ) -> Order.Bill {
        Order.Bill(
            cdrID: id, currency: "INR", total: total,
            lines: [Quote.Line(title: "energy-cost", amount: total)], energyWh: wattHours,
            startedAt: noon, endedAt: noon.advanced(bySeconds: 60), meterStartWh: 1000,
            meterStopWh: 1000 + wattHours, totalBeforeTax: total, issuedAt: noon)
    }

    /// An order that was paid and confirmed.
    static func confirmed(fee: Int = 0) -> OrderMachine {
        var machine = machine(fee: fee)
        _ = machine.handle(
            .initialise(billing: nil, customer: nil, fulfilment: nil, context("m-2")), at: noon)
        _ = machine.handle(.confirm(paid, context("m-3")), at: noon)
        return machine
    }

    static func charging() -> OrderMachine {
        var machine = confirmed()
        _ = machine.handle(.start(context("m-4")), at: noon)
        _ = machine.handle(.sessionStarted(delivery(0)), at: noon)
        return machine
    }
}

@Suite struct `An order` {
    private let noon = Sample.noon

    @Test func `goes from quote to receipt and gives back what was not delivered`() {
        var machine = Sample.machine()
        let (two, three, four, five) = (
            Sample.context("m-2"), Sample.context("m-3"), Sample.context("m-4"),
            Sample.context("m-5")
        )
        #expect(
            machine.handle(
                .initialise(billing: nil, customer: nil, fulfilment: nil, two), at: noon)
                == [.answer(.onInit, two, nil)])
        #expect(
            machine.handle(.confirm(Sample.paid, three), at: noon)
                == [.answer(.onConfirm, three, nil)])
        #expect(machine.order.paid == Decimal(significand: 21_240, scale: 2))
        #expect(machine.handle(.start(four), at: noon) == [.startCharging])
        #expect(
            machine.handle(.sessionStarted(Sample.delivery(0)), at: noon)
                == [.answer(.onUpdate, four, nil)])
        #expect(machine.handle(.end(five), at: noon) == [.stopCharging(session: "s-1")])
        #expect(machine.handle(.sessionEnded(Sample.delivery(200, ended: true)), at: noon) == [])
        let refund = Order.Refund(
            amount: Decimal(significand: 20_815, scale: 2),
            reason: "less was delivered than paid for", at: noon)
        #expect(
            machine.handle(.billed(Sample.bill(Decimal(significand: 425, scale: 2))), at: noon)
                == [.refund(refund), .answer(.onUpdate, five, nil)])
        #expect(machine.order.state == .completed)
    }

    @Test func `that is confirmed twice stays one contract`() {
        var machine = Sample.confirmed()
        let before = machine.order
        let again = Sample.context("m-9")
        #expect(
            machine.handle(.confirm(Sample.paid, again), at: noon)
                == [.answer(.onConfirm, again, nil)])
        #expect(machine.order == before)
    }

    @Test func `is not confirmed with another amount, currency or without money`() {
        func error(_ change: (inout OrderMachine.PaymentClaim) -> Void) -> BecknError.Code? {
            var machine = Sample.machine()
            _ = machine.handle(
                .initialise(billing: nil, customer: nil, fulfilment: nil, Sample.context("m-2")),
                at: noon)
            var claim = Sample.paid
            change(&claim)
            let effects = machine.handle(.confirm(claim, Sample.context("m-3")), at: noon)
            guard case .answer(_, _, let error)? = effects.first else { return nil }
            return error?.code
        }
        #expect(error { _ in } == nil)
        #expect(error { $0.amount = Decimal(200) } == .paymentNotSupported)
        #expect(error { $0.amount = nil } == .paymentNotSupported)
        #expect(error { $0.currency = "EUR" } == .paymentNotSupported)
        #expect(error { $0.isPaid = false } == .paymentNotSupported)
        #expect(error { $0.itemID = "E-2:1" } == .quoteGone)
        #expect(error { $0.currency = "INR/kWH" } == nil)
    }

    @Test func `is not confirmed after its quote has expired`() {
        var machine = Sample.machine()
        _ = machine.handle(
            .initialise(billing: nil, customer: nil, fulfilment: nil, Sample.context("m-2")),
            at: noon)
        let late = noon.advanced(bySeconds: 900)
        let effects = machine.handle(.confirm(Sample.paid, Sample.context("m-3")), at: late)
        guard case .answer(.onConfirm, _, let error?)? = effects.first else {
            Issue.record("no error: \(effects)")
            return
        }
        #expect(error.code == .quoteGone)
        #expect(machine.order.payment.isPaid == false)
    }

    @Test func `whose start fails is cancelled by us and refunded in full, fee or not`() {
        var machine = Sample.confirmed(fee: 30)
        let four = Sample.context("m-4")
        _ = machine.handle(.start(four), at: noon)
        let effects = machine.handle(.startFailed(reason: "the charger refused"), at: noon)
        #expect(effects.count == 3)
        guard case .answer(.onUpdate, four, let error?) = effects[0] else {
            Issue.record("no error: \(effects)")
            return
        }
        #expect(error.code == .agentUnavailable)
        #expect(machine.order.refund?.amount == Decimal(significand: 21_240, scale: 2))
        #expect(effects.last == .announce(.onCancel))
        #expect(machine.order.cancellation?.by == .provider)
        #expect(machine.order.charged == .zero)
    }

    @Test func `is cancelled when the driver does not come, less the fee`() {
        var machine = Sample.confirmed(fee: 30)
        #expect(machine.handle(.tick, at: noon.advanced(bySeconds: 899)) == [])
        let effects = machine.handle(.tick, at: noon.advanced(bySeconds: 900))
        #expect(effects.last == .announce(.onCancel))
        #expect(machine.order.cancellation?.fee == Decimal(significand: 6372, scale: 2))
        #expect(machine.order.refund?.amount == Decimal(significand: 14_868, scale: 2))
        #expect(machine.handle(.tick, at: noon.advanced(bySeconds: 2000)) == [])
    }

    @Test func `stops when the ordered energy has flowed`() {
        var machine = Sample.charging()
        #expect(machine.handle(.sessionUpdated(Sample.delivery(9_999)), at: noon) == [])
        #expect(
            machine.handle(.sessionUpdated(Sample.delivery(10_000)), at: noon)
                == [.stopCharging(session: "s-1")])
        #expect(machine.order.state == .stopping)
    }

    @Test func `tells its state by itself, but not too often`() {
        var machine = Sample.charging()
        let later = noon.advanced(bySeconds: 15)
        #expect(
            machine.handle(.sessionUpdated(Sample.delivery(10)), at: later)
                == [.announce(.onStatus)])
        #expect(
            machine.handle(
                .sessionUpdated(Sample.delivery(11)), at: later.advanced(bySeconds: 14)) == [])
    }

    @Test func `that was cancelled stops a session that comes up late`() {
        var machine = Sample.confirmed()
        _ = machine.handle(.start(Sample.context("m-4")), at: noon)
        _ = machine.handle(
            .cancel(reasonID: "4", reason: "changed", Sample.context("m-5")), at: noon)
        #expect(machine.order.state == .cancelled)
        #expect(
            machine.handle(.sessionStarted(Sample.delivery(0)), at: noon)
                == [.stopCharging(session: "s-1")])
        #expect(machine.handle(.sessionStarted(Sample.delivery(0)), at: noon) == [])
    }

    @Test func `that is cancelled while charging is stopped, billed and then answered`() {
        var machine = Sample.charging()
        let five = Sample.context("m-5")
        #expect(
            machine.handle(.cancel(reasonID: "4", reason: "changed", five), at: noon)
                == [.stopCharging(session: "s-1")])
        let effects = machine.handle(.billed(Sample.bill(Decimal(5))), at: noon)
        #expect(effects.last == .answer(.onCancel, five, nil))
    }

    @Test func `that cost more than was paid leaves the difference open`() {
        var machine = Sample.charging()
        _ = machine.handle(.billed(Sample.bill(Decimal(250))), at: noon)
        #expect(machine.order.refund == nil)
        #expect(machine.order.outstanding == Decimal(significand: 3760, scale: 2))
    }

    @Test func `gives back more when its bill is corrected down, and asks for what is more`() {
        var machine = Sample.charging()
        _ = machine.handle(.billed(Sample.bill(Decimal(100))), at: noon)
        #expect(machine.order.refund?.amount == Decimal(significand: 1124, scale: 1))
        let all = Order.Refund(
            amount: Decimal(significand: 1624, scale: 1), reason: "the bill was corrected", at: noon
        )
        let less = Sample.bill(Decimal(50), id: "s-1-2")
        #expect(
            machine.handle(.billed(less), at: noon) == [.refund(all), .announce(.onUpdate)])
        #expect(machine.handle(.billed(less), at: noon) == [])
        #expect(machine.order.outstanding == .zero)
        // Up again: nothing can be taken back from the driver's bank, so it stays open.
        #expect(
            machine.handle(.billed(Sample.bill(Decimal(60), id: "s-1-3")), at: noon)
                == [.announce(.onUpdate)])
        #expect(machine.order.refund == all)
        #expect(machine.order.outstanding == Decimal(10))
    }

    @Test func `may be paid afterwards where the operator allows it`() {
        var machine = Sample.machine(postPaid: true)
        _ = machine.handle(
            .initialise(billing: nil, customer: nil, fulfilment: nil, Sample.context("m-2")),
            at: noon)
        let claim = OrderMachine.PaymentClaim(isPaid: false, type: "POST-FULFILLMENT")
        _ = machine.handle(.confirm(claim, Sample.context("m-3")), at: noon)
        #expect(machine.order.state == .confirmed)
        _ = machine.handle(.start(Sample.context("m-4")), at: noon)
        _ = machine.handle(.sessionStarted(Sample.delivery(0)), at: noon)
        _ = machine.handle(.billed(Sample.bill(Decimal(5))), at: noon)
        #expect(machine.order.outstanding == Decimal(5))
        #expect(machine.order.refund == nil)
    }
}

@Suite struct `Any order` {
    /// Whatever comes in whatever order: money is conserved, nothing is answered twice, effects that
    /// cost happen once, and the end is the end.
    @Test(arguments: 1...40 as ClosedRange<UInt64>)
    func `keeps its books whatever happens`(seed: UInt64) {
        var rng = SeededGenerator(seed: seed)
        for _ in 0..<50 {
            var run = Run(fee: [0, 30].randomElement(using: &rng) ?? 0)
            for _ in 0..<40 { run.step(&rng) }
            run.settle()
        }
    }

    private struct Run {
        var machine: OrderMachine
        var now = Sample.noon
        var number = 0
        var answered: Set<String> = []
        var asked: Set<String> = []
        var refunds: [Decimal] = []
        var starts = 0
        var wattHours: Int64 = 0
        var isBilled = false

        init(fee: Int) { machine = Sample.machine(fee: fee) }

        mutating func context() -> BecknContext {
            number += 1
            asked.insert("r-\(number)")
            return Sample.context("r-\(number)")
        }

        mutating func step(_ rng: inout SeededGenerator) {
            now = now.advanced(bySeconds: Int64.random(in: 0...120, using: &rng))
            wattHours += Int64.random(in: 0...900, using: &rng)
            switch Int.random(in: 0..<15, using: &rng) {
            case 0:
                take(
                    .select(
                        Sample.offer, .energy(wattHours: 10_000), Sample.quote(from: now),
                        fulfilment: "1", context()))
            case 1, 2:
                take(.initialise(billing: nil, customer: nil, fulfilment: nil, context()))
            case 3, 4: take(.confirm(Sample.paid, context()))
            case 5, 6: take(.start(context()))
            case 7: take(.end(context()))
            case 8: take(.cancel(reasonID: "4", reason: "x", context()))
            case 9: take(.status(context()))
            case 10: take(.startFailed(reason: "x"))
            case 11: take(.stopFailed(reason: "x"))
            case 12: take(.sessionStarted(Sample.delivery(wattHours)))
            case 13: take(.sessionUpdated(Sample.delivery(wattHours)))
            default: take(.tick)
            }
        }

        /// The session ends and is billed; waiting requests must all be answered by then.
        mutating func settle() {
            take(.sessionEnded(Sample.delivery(wattHours, ended: true)))
            take(.billed(Sample.bill(Decimal(significand: Int128(wattHours), scale: 2))))
            now = now.advanced(bySeconds: 100_000)
            take(.tick)
            take(.billed(Sample.bill(Decimal(1))))
            #expect(machine.order.state.isOver)
            #expect(machine.order.waiting.isEmpty)
            #expect(answered == asked)
        }

        mutating func take(_ input: OrderMachine.Input) {
            let before = machine.order
            let effects = machine.handle(input, at: now)
            let order = machine.order
            for effect in effects {
                switch effect {
                case .answer(_, let context, _):
                    #expect(answered.insert(context.messageID).inserted)
                case .refund(let refund): refunds.append(refund.amount)
                case .startCharging: starts += 1
                case .announce, .stopCharging: break
                }
            }
            #expect(starts <= 1)
            #expect(refunds.count <= 1)
            #expect(refunds.first == order.refund?.amount)
            if before.payment.isPaid { #expect(order.paid == before.paid) }
            if before.state == .completed { #expect(order.state == .completed) }
            if before.state == .cancelled, before.payment.isPaid {
                #expect(order.state == .cancelled)
            }
            if let charged = order.charged {
                // What came in is what was earned, what went back and nothing else.
                let earned = charged < order.paid ? charged : order.paid
                #expect(order.paid == earned + (refunds.first ?? .zero))
            }
            check(lines: order)
        }

        private func check(lines order: Order) {
            let quote = OrderWriter(settings: Sample.settings(), digits: 2).finalQuote(order)
            #expect(quote.lines.reduce(Decimal.zero) { $0 + $1.amount } == quote.total)
        }
    }
}
