import Charging
import JSON

// The money of an order: quote, payments, terms, refund and receipt.
extension OrderWriter {
    /// The quote as sold; the bill once there is one; for a cancelled order what was paid, less the refund.
    func quote(_ order: Order, _ now: Timestamp) -> JSONValue {
        finalQuote(order).json(item: order.offer.itemID, now: now, digits: digits)
    }

    private func money(_ amount: Decimal) -> String { amount.rounded(to: digits).description }

    func finalQuote(_ order: Order) -> Quote {
        var quote = order.quote
        if let bill = order.bill {
            quote.currency = bill.currency
            quote.lines = bill.lines
            quote.total = bill.total
        } else if let cancellation = order.cancellation, order.payment.isPaid {
            let back = order.paid - cancellation.fee
            quote.lines.append(Quote.Line(title: "refund", amount: -back))
            quote.total = quote.total - back
        }
        return quote
    }

    func payments(_ order: Order) -> JSONValue {
        let payment = order.payment
        let owed = order.bill.map(\.total) ?? order.quote.total
        var all: [JSONValue] = [
            .members([
                "collected_by": .string(payment.collectedBy), "id": "1",
                "params": .members([
                    "amount": .string(money(payment.isPaid ? payment.amount : owed)),
                    "currency": .string(order.quote.currency),
                    "transaction_id": payment.transactionID.map { .string($0) },
                ]),
                "status": payment.isPaid ? "PAID" : "NOT-PAID",
                "time": payment.paidAt.map { ["timestamp": .time($0)] },
                "type": .string(payment.type),
            ])
        ]
        if payment.isPaid, order.outstanding > .zero {
            all.append([
                "collected_by": .string(payment.collectedBy), "id": "2",
                "params": [
                    "amount": .string(money(order.outstanding)),
                    "currency": .string(order.quote.currency),
                ],
                "status": "NOT-PAID", "type": "POST-FULFILLMENT",
            ])
        }
        return .array(all)
    }

    /// Free until the charge starts, or at the fee the operator set.
    var cancellationTerms: JSONValue {
        [
            [
                "cancellation_fee": ["percentage": .string("\(settings.cancellationFeePercent)")],
                "fulfillment_state": ["descriptor": ["code": "charging-start"]],
                "reason_required": true,
            ]
        ]
    }

    func refundTerms(_ order: Order) -> JSONValue? {
        guard let refund = order.refund else { return nil }
        return [
            [
                "fulfillment_state": [
                    "descriptor": [
                        "code": order.state == .completed ? "charging-ended" : "order-cancelled"
                    ]
                ],
                "refund_amount": Quote.money(
                    refund.amount, order.quote.currency, digits),
                "refund_eligible": true, "refund_within": ["duration": "P7D"],
            ]
        ]
    }

    func cancellation(_ cancellation: Order.Cancellation) -> JSONValue {
        [
            "cancelled_by": .string(cancellation.by.rawValue),
            "reason": [
                "descriptor": ["name": .string(cancellation.reason)],
                "id": .string(cancellation.reasonID),
            ], "time": .time(cancellation.at),
        ]
    }

    /// The receipt with its VAT, once the order is billed.
    func receipt(_ order: Order) -> JSONValue? {
        guard let bill = order.bill else { return nil }
        var entries: [(String, String, String)] = [
            ("receipt-number", "Receipt", bill.cdrID),
            ("issued-at", "Issued", bill.issuedAt.rfc3339),
            ("seller", "Seller", settings.providerName),
            (
                "energy", "Energy",
                WattHours(bill.energyWh).kilowattHours.reduced.description + " kWh"
            ),
            ("taxable-amount", "Without tax", money(bill.totalBeforeTax)),
        ]
        if let rate = bill.taxRate {
            entries.append(("tax-rate", "Tax rate", rate.reduced.description))
        }
        if let tax = bill.tax { entries.append(("tax-amount", "Tax", money(tax))) }
        entries += [
            ("total", "Total", money(bill.total)), ("currency", "Currency", bill.currency),
            ("paid", "Paid", money(order.paid)),
            ("refund", "Refund", money(order.refund?.amount ?? .zero)),
        ]
        if order.outstanding > .zero {
            entries.append(("outstanding", "Still to pay", money(order.outstanding)))
        }
        return TagWriter.group("receipt", "Receipt", entries)
    }
}

/// Tag groups as v1.1 wants them: grouped, with codes.
enum TagWriter {
    static func group(
        _ code: String, _ name: String, _ entries: [(code: String, name: String, value: String)]
    ) -> JSONValue {
        [
            "descriptor": ["code": .string(code), "name": .string(name)], "display": true,
            "list": .array(
                entries.map { entry in
                    [
                        "descriptor": ["code": .string(entry.code), "name": .string(entry.name)],
                        "value": .string(entry.value),
                    ]
                }),
        ]
    }

    static func kilowatts(_ watts: Int64) -> String {
        Decimal(significand: Int128(watts), scale: 3).reduced.description + " kW"
    }
}
