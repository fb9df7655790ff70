import Charging
import JSON

/// Decides what becomes of an order: pure, no clock, no store. Facts §14 and §15.3.
package struct OrderMachine: Hashable, Sendable {
    package enum Input: Hashable, Sendable {
        case select(Order.Offer, Quantity, Quote, fulfilment: String, BecknContext)
        case initialise(
            billing: JSONValue?, customer: JSONValue?, fulfilment: String?, BecknContext)
        case confirm(PaymentClaim, BecknContext)
        case start(BecknContext)
        case end(BecknContext)
        case cancel(reasonID: String, reason: String, BecknContext)
        case status(BecknContext)
        /// The station refused, did not answer, or cannot be reached.
        case startFailed(reason: String)
        case stopFailed(reason: String)
        case sessionStarted(Order.Delivery)
        case sessionUpdated(Order.Delivery)
        case sessionEnded(Order.Delivery)
        case billed(Order.Bill)
        /// Time has passed; `deadline` says when this is worth while.
        case tick
    }

    /// What a confirm says about the money.
    package struct PaymentClaim: Hashable, Sendable {
        package var isPaid: Bool
        package var type: String?
        package var collectedBy: String?
        package var amount: Decimal?
        package var currency: String?
        package var transactionID: String?
        package var itemID: String?

        package init(
            isPaid: Bool, type: String? = nil, collectedBy: String? = nil, amount: Decimal? = nil,
            currency: String? = nil, transactionID: String? = nil, itemID: String? = nil
        ) {
            self.isPaid = isPaid
            self.type = type
            self.collectedBy = collectedBy
            self.amount = amount
            self.currency = currency
            self.transactionID = transactionID
            self.itemID = itemID
        }
    }

    package enum Effect: Hashable, Sendable {
        /// The callback to a request, with its message id.
        case answer(BecknCallback, BecknContext, BecknError?)
        /// A callback nobody asked for, with a new message id.
        case announce(BecknCallback)
        case startCharging
        case stopCharging(session: String)
        case refund(Order.Refund)
    }

    package struct Rules: Hashable, Sendable {
        package var noShowSeconds: Int64
        package var startSeconds: Int64
        package var stopSeconds: Int64
        package var statusSeconds: Int64
        package var cancellationFeePercent: Int
        package var allowsPostPaid: Bool
        package var digits: Int

        package init(_ settings: BecknSettings, digits: Int) {
            noShowSeconds = settings.noShowSeconds
            startSeconds = settings.startSeconds
            stopSeconds = settings.stopSeconds
            statusSeconds = settings.statusSeconds
            cancellationFeePercent = settings.cancellationFeePercent
            allowsPostPaid = settings.allowsPostPaid
            self.digits = digits
        }
    }

    /// Requests that wait for one outcome; more are answered at once with the state as it is.
    static let waitingLimit = 8

    package internal(set) var order: Order
    let rules: Rules

    package init(_ order: Order, rules: Rules) {
        self.order = order
        self.rules = rules
    }

    package mutating func handle(_ input: Input, at now: Timestamp) -> [Effect] {
        let before = order
        let effects = decide(input, now)
        if order != before {
            order.transition += 1
            order.updatedAt = now
            if order.state != before.state { order.stateChangedAt = now }
        }
        return effects
    }

    private mutating func decide(_ input: Input, _ now: Timestamp) -> [Effect] {
        switch input {
        case .select(let offer, let quantity, let quote, let fulfilment, let context):
            select(offer, quantity, quote, fulfilment, context)
        case .initialise(let billing, let customer, let fulfilment, let context):
            initialise(billing, customer, fulfilment, context, now)
        case .confirm(let claim, let context): confirm(claim, context, now)
        case .start(let context): start(context, now)
        case .end(let context): end(.onUpdate, context, now)
        case .cancel(let id, let reason, let context): cancel(id, reason, context, now)
        case .status(let context): [.answer(.onStatus, context, nil)]
        case .startFailed(let reason): startFailed(reason, now)
        case .stopFailed(let reason): stopFailed(reason)
        case .sessionStarted(let delivery): sessionStarted(delivery, now)
        case .sessionUpdated(let delivery): sessionUpdated(delivery, now)
        case .sessionEnded(let delivery): sessionEnded(delivery)
        case .billed(let bill): billed(bill, now)
        case .tick: tick(now)
        }
    }

    // MARK: Before the charge

    private mutating func select(
        _ offer: Order.Offer, _ quantity: Quantity, _ quote: Quote, _ fulfilment: String,
        _ context: BecknContext
    ) -> [Effect] {
        // A cancelled draft may be taken up again; a contract may not be rewritten by a new select.
        let isDraft = order.state == .quoted || order.state == .initiated
        guard isDraft || order.state == .cancelled && !order.payment.isPaid else {
            return refuse(.onSelect, context, .updateNotPossible, "the order is confirmed already")
        }
        order.offer = offer
        order.quantity = quantity
        order.quote = quote
        order.fulfilmentID = fulfilment
        order.context = context
        order.cancellation = nil
        order.state = .quoted
        order.deadline = quote.expiresAt
        return [.answer(.onSelect, context, nil)]
    }

    private mutating func initialise(
        _ billing: JSONValue?, _ customer: JSONValue?, _ fulfilment: String?,
        _ context: BecknContext, _ now: Timestamp
    ) -> [Effect] {
        switch order.state {
        case .quoted, .initiated:
            guard now < order.quote.expiresAt else {
                return refuse(.onInit, context, .quoteGone, "the quote has expired, select again")
            }
            order.billing = billing ?? order.billing
            order.customer = customer ?? order.customer
            order.fulfilmentID = fulfilment ?? order.fulfilmentID
            order.context = context
            order.state = .initiated
            return [.answer(.onInit, context, nil)]
        case .cancelled:
            return refuse(.onInit, context, .quoteGone, "the quote is gone, select again")
        case .confirmed, .starting, .charging, .stopping, .settling, .completed:
            return refuse(.onInit, context, .updateNotPossible, "the order is confirmed already")
        }
    }

    private mutating func confirm(
        _ claim: PaymentClaim, _ context: BecknContext, _ now: Timestamp
    ) -> [Effect] {
        switch order.state {
        case .initiated: break
        case .quoted: return refuse(.onConfirm, context, .business, "init comes before confirm")
        case .cancelled:
            return refuse(.onConfirm, context, .quoteGone, "the quote is gone, select again")
        case .confirmed, .starting, .charging, .stopping, .settling, .completed:
            // Sent again with a new message id: the contract stands, nothing happens twice.
            return [.answer(.onConfirm, context, nil)]
        }
        guard now < order.quote.expiresAt else {
            return refuse(.onConfirm, context, .quoteGone, "the quote has expired, select again")
        }
        guard claim.itemID == nil || claim.itemID == order.offer.itemID else {
            return refuse(.onConfirm, context, .quoteGone, "another item was quoted")
        }
        if let flaw = flaw(of: claim) {
            return refuse(.onConfirm, context, .paymentNotSupported, flaw)
        }
        order.payment.isPaid = claim.isPaid
        order.payment.type = claim.isPaid ? "PRE-ORDER" : "POST-FULFILLMENT"
        order.payment.transactionID = claim.transactionID
        order.payment.amount = claim.isPaid ? order.quote.total : .zero
        order.payment.paidAt = claim.isPaid ? now : nil
        order.context = context
        order.state = .confirmed
        order.deadline = now.advanced(bySeconds: rules.noShowSeconds)
        return [.answer(.onConfirm, context, nil)]
    }

    /// Why the money is not as agreed in on_init; nil when it is.
    private func flaw(of claim: PaymentClaim) -> String? {
        guard claim.isPaid else {
            let isPostPaid = claim.type == "POST-FULFILLMENT" || claim.type == "ON-FULFILLMENT"
            return isPostPaid && rules.allowsPostPaid ? nil : "the order is not paid"
        }
        if let amount = claim.amount, amount != order.quote.total {
            return "paid \(amount), quoted \(order.quote.total)"
        }
        if let currency = claim.currency, currency.prefix(3).uppercased() != order.quote.currency {
            return "paid in \(currency), quoted in \(order.quote.currency)"
        }
        guard claim.amount != nil || order.quote.total == .zero else { return "no amount" }
        return nil
    }

    private mutating func start(_ context: BecknContext, _ now: Timestamp) -> [Effect] {
        switch order.state {
        case .confirmed:
            order.context = context
            order.waiting = [Order.Waiting(callback: .onUpdate, context: context)]
            order.state = .starting
            order.deadline = now.advanced(bySeconds: rules.startSeconds)
            return [.startCharging]
        case .starting: return wait(.onUpdate, context)
        case .charging: return [.answer(.onUpdate, context, nil)]
        case .quoted, .initiated:
            return refuse(.onUpdate, context, .updateNotPossible, "the order is not confirmed")
        case .stopping, .settling, .completed, .cancelled:
            return refuse(.onUpdate, context, .updateNotPossible, "the charge is over")
        }
    }

    // MARK: Ends

    private mutating func end(
        _ callback: BecknCallback, _ context: BecknContext, _ now: Timestamp
    ) -> [Effect] {
        switch order.state {
        case .charging:
            order.context = context
            return wait(callback, context) + stop(now)
        case .stopping, .settling: return wait(callback, context)
        case .completed: return [.answer(callback, context, nil)]
        case .quoted, .initiated, .confirmed, .starting, .cancelled:
            return refuse(callback, context, .updateNotPossible, "nothing is charging")
        }
    }

    private mutating func cancel(
        _ id: String, _ reason: String, _ context: BecknContext, _ now: Timestamp
    ) -> [Effect] {
        switch order.state {
        case .quoted, .initiated, .confirmed:
            order.context = context
            return close(.consumer, id, reason, fee: fee, now)
                + [.answer(.onCancel, context, nil)]
        case .starting:
            // If the session still comes up, it is stopped when it is seen.
            let failed = answerAll(BecknError(.agentUnavailable, "cancelled by the driver"))
            order.context = context
            return failed + close(.consumer, id, reason, fee: fee, now)
                + [.answer(.onCancel, context, nil)]
        case .charging, .stopping, .settling: return end(.onCancel, context, now)
        case .cancelled: return [.answer(.onCancel, context, nil)]
        case .completed:
            return refuse(.onCancel, context, .cancelNotPossible, "the charge is over and billed")
        }
    }

    mutating func stop(_ now: Timestamp) -> [Effect] {
        order.state = .stopping
        order.deadline = now.advanced(bySeconds: rules.stopSeconds)
        return order.delivery.map { [.stopCharging(session: $0.sessionID)] } ?? []
    }

    /// Cancels and gives back what was paid, less the fee.
    mutating func close(
        _ party: Order.Cancellation.Party, _ id: String, _ reason: String, fee: Decimal,
        _ now: Timestamp
    ) -> [Effect] {
        order.state = .cancelled
        order.deadline = nil
        order.cancellation = Order.Cancellation(
            by: party, reasonID: id, reason: reason, at: now, fee: fee)
        return refund(order.paid - fee, reason, now)
    }

    private var fee: Decimal {
        (order.paid * Decimal(significand: Int128(rules.cancellationFeePercent), scale: 2))
            .rounded(to: rules.digits)
    }

    mutating func refund(_ amount: Decimal, _ reason: String, _ now: Timestamp) -> [Effect] {
        guard amount > .zero, order.refund == nil else { return [] }
        let refund = Order.Refund(amount: amount, reason: reason, at: now)
        order.refund = refund
        return [.refund(refund)]
    }

    private mutating func tick(_ now: Timestamp) -> [Effect] {
        guard let deadline = order.deadline, now >= deadline else { return [] }
        switch order.state {
        case .quoted, .initiated:
            return close(.provider, "quote-expired", "the quote has expired", fee: .zero, now)
        case .confirmed:
            return close(
                .provider, "no-show", "the charge was not started in time", fee: fee, now)
                + [.announce(.onCancel)]
        case .starting: return startFailed("the station did not start in time", now)
        case .stopping: return stopFailed("the station did not stop in time")
        case .charging, .settling, .completed, .cancelled:
            order.deadline = nil
            return []
        }
    }

    // MARK: Answers

    private mutating func wait(_ callback: BecknCallback, _ context: BecknContext) -> [Effect] {
        guard order.waiting.count < Self.waitingLimit else {
            return [.answer(callback, context, nil)]
        }
        order.waiting.append(Order.Waiting(callback: callback, context: context))
        return []
    }

    mutating func answerAll(_ error: BecknError?) -> [Effect] {
        let waiting = order.waiting
        order.waiting = []
        return waiting.map { .answer($0.callback, $0.context, error) }
    }

    private func refuse(
        _ callback: BecknCallback, _ context: BecknContext, _ code: BecknError.Code,
        _ message: String
    ) -> [Effect] {
        [.answer(callback, context, BecknError(code, message))]
    }
}
