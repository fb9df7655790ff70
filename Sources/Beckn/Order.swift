import Charging
import JSON

/// A booking: the contract between a driver's app and us. One per BAP and transaction.
package struct Order: Hashable, Sendable, Codable {
    /// Facts §14, thin: reservations, suspensions and holds are seen in the session, not here.
    package enum State: String, Hashable, Sendable, Codable, CaseIterable {
        case quoted, initiated, confirmed, starting, charging, stopping, settling, completed,
            cancelled

        package var isOver: Bool { self == .completed || self == .cancelled }
    }

    /// What was sold, as it was when it was quoted.
    package struct Offer: Hashable, Sendable, Codable {
        package var itemID: String
        package var evseUID: String
        package var evseID: String?
        package var connectorID: String
        package var standard: String
        package var format: String
        package var powerType: String
        package var powerWatts: Int64
        package var locationID: String
        package var locationName: String
        package var address: String
        package var gps: String
        package var tariffID: String
        package var energyPrice: Decimal?
        package var currency: String
    }

    package struct Payment: Hashable, Sendable, Codable {
        package var isPaid = false
        /// `PRE-ORDER`, or `POST-FULFILLMENT` where the operator allows it.
        package var type = "PRE-ORDER"
        package var collectedBy = "BAP"
        package var transactionID: String?
        package var amount = Decimal.zero
        package var paidAt: Timestamp?
    }

    package struct Refund: Hashable, Sendable, Codable {
        package var amount: Decimal
        package var reason: String
        package var at: Timestamp
    }

    /// What flowed, live and final.
    package struct Delivery: Hashable, Sendable, Codable {
        package var sessionID: String
        package var startedAt: Timestamp
        package var endedAt: Timestamp?
        package var meterStartWh: Int64
        package var meterLastWh: Int64
        /// Running cost; the bill's once there is one.
        package var cost: Decimal?
        package var powerWatts: Int64?

        package var energyWh: Int64 { meterLastWh - meterStartWh }
    }

    /// The sealed bill, from the CDR.
    package struct Bill: Hashable, Sendable, Codable {
        package struct Tax: Hashable, Sendable, Codable {
            package var rate: Decimal
            package var taxable: Decimal
            package var amount: Decimal
        }

        package var cdrID: String
        package var currency: String
        package var total: Decimal
        package var lines: [Quote.Line]
        package var energyWh: Int64
        package var startedAt: Timestamp
        package var endedAt: Timestamp
        package var meterStartWh: Int64
        package var meterStopWh: Int64
        package var totalBeforeTax: Decimal
        package var tax: Decimal?
        /// Percent, where all priced components share one rate.
        package var taxRate: Decimal?
        package var issuedAt: Timestamp
    }

    package struct Cancellation: Hashable, Sendable, Codable {
        package enum Party: String, Hashable, Sendable, Codable {
            case consumer = "CONSUMER"
            case provider = "PROVIDER"
        }
        package var by: Party
        package var reasonID: String
        package var reason: String
        package var at: Timestamp
        /// Kept of the payment.
        package var fee: Decimal
    }

    package var id: String
    package var state: State
    /// Of the request that changed the order last: where unsolicited messages go.
    package var context: BecknContext
    package var offer: Offer
    package var quantity: Quantity
    package var quote: Quote
    package var fulfilmentID: String
    package var billing: JSONValue?
    package var customer: JSONValue?
    package var payment: Payment
    package var refund: Refund?
    package var delivery: Delivery?
    package var bill: Bill?
    package var cancellation: Cancellation?
    /// Requests whose answer waits for what the station does.
    package var waiting: [Waiting]
    /// When `tick` has something to decide.
    package var deadline: Timestamp?
    package var lastStatusAt: Timestamp?
    package var createdAt: Timestamp
    package var updatedAt: Timestamp
    package var stateChangedAt: Timestamp
    /// Grows with every input that changed something; effects are idempotent by id and this.
    package var transition: Int

    package struct Waiting: Hashable, Sendable, Codable {
        package var callback: BecknCallback
        package var context: BecknContext
    }

    package init(
        id: String, context: BecknContext, offer: Offer, quantity: Quantity, quote: Quote,
        fulfilmentID: String, now: Timestamp
    ) {
        self.id = id
        state = .quoted
        self.context = context
        self.offer = offer
        self.quantity = quantity
        self.quote = quote
        self.fulfilmentID = fulfilmentID
        payment = Payment()
        waiting = []
        deadline = quote.expiresAt
        createdAt = now
        updatedAt = now
        stateChangedAt = now
        transition = 0
    }

    package var paid: Decimal { payment.isPaid ? payment.amount : .zero }

    /// What the driver owes in the end: the bill, or the fee of a cancelled order.
    package var charged: Decimal? {
        switch state {
        case .completed: bill?.total
        case .cancelled: cancellation?.fee ?? .zero
        case .quoted, .initiated, .confirmed, .starting, .charging, .stopping, .settling: nil
        }
    }

    /// Not covered by what was paid and not given back: an excess over the quote, all of a post-paid
    /// charge, what a corrected bill is higher by.
    package var outstanding: Decimal {
        let kept = paid - (refund?.amount ?? .zero)
        guard let charged, charged > kept else { return .zero }
        return charged - kept
    }
}
