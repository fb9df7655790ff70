import Charging
import JSON

/// Writes an order as Beckn core 1.1 has it: strict, all values strings, lines that add up. Facts §7.
struct OrderWriter: Sendable {
    let settings: BecknSettings
    let digits: Int

    /// The `order` of on_select, on_init, on_confirm, on_update, on_cancel and on_status.
    func json(_ order: Order, now: Timestamp) -> JSONValue {
        let isContract = !isDraft(order)
        return .members([
            "billing": order.billing,
            "cancellation": order.cancellation.map(cancellation),
            "cancellation_terms": order.state == .quoted ? nil : cancellationTerms,
            "created_at": .time(order.createdAt),
            "fulfillments": [fulfilment(order)],
            "id": order.state == .quoted ? nil : .string(order.id),
            "items": [item(order)],
            "payments": order.state == .quoted ? nil : payments(order),
            "provider": Self.provider(settings),
            "quote": quote(order, now),
            "refund_terms": refundTerms(order),
            "status": isContract ? .string(status(order)) : nil,
            "tags": receipt(order).map { [$0] },
            "type": isContract ? "DEFAULT" : "DRAFT",
            "updated_at": .time(order.updatedAt),
        ])
    }

    static func provider(_ settings: BecknSettings) -> JSONValue {
        [
            "descriptor": ["name": .string(settings.providerName)],
            "id": .string(settings.providerID),
        ]
    }

    private func isDraft(_ order: Order) -> Bool {
        switch order.state {
        case .quoted, .initiated: true
        case .cancelled: !order.payment.isPaid && order.payment.type == "PRE-ORDER"
        case .confirmed, .starting, .charging, .stopping, .settling, .completed: false
        }
    }

    private func status(_ order: Order) -> String {
        switch order.state {
        case .completed: "COMPLETE"
        case .cancelled: "CANCELLED"
        case .quoted, .initiated, .confirmed, .starting, .charging, .stopping, .settling: "ACTIVE"
        }
    }

    // MARK: Parts

    private func item(_ order: Order) -> JSONValue {
        let offer = order.offer
        return .members([
            "descriptor": [
                "code": "energy", "name": .string(ConnectorAlias.emitted(offer.standard)),
            ],
            "fulfillment_ids": [.string(order.fulfilmentID)],
            "id": .string(offer.itemID),
            "location_ids": [.string(offer.locationID)],
            "price": offer.energyPrice.map { Quote.price($0, offer.currency) },
            "quantity": [
                "selected": ["measure": Self.kilowattHours(order.quote.energyWh)],
                "unitized": ["measure": ["unit": "kWh", "value": "1"]],
            ],
            "tags": [
                TagWriter.group(
                    "connector-specifications", "Connector Specifications",
                    [
                        ("connector-id", "Connector Id", offer.connectorID),
                        (
                            "charger-type", "Charger Type",
                            ConnectorAlias.chargerType(offer.powerType)
                        ),
                        (
                            "connector-type", "Connector Type",
                            ConnectorAlias.emitted(offer.standard)
                        ),
                        ("power-type", "Power Type", offer.powerType),
                        ("power-rating", "Power Rating", TagWriter.kilowatts(offer.powerWatts)),
                    ])
            ],
        ])
    }

    static func kilowattHours(_ wattHours: Int64) -> JSONValue {
        ["unit": "kWh", "value": .string(WattHours(wattHours).kilowattHours.reduced.description)]
    }

    private func fulfilment(_ order: Order) -> JSONValue {
        let offer = order.offer
        let place: JSONValue = [
            "address": .string(offer.address), "descriptor": ["name": .string(offer.locationName)],
            "gps": .string(offer.gps), "id": .string(offer.locationID),
        ]
        func stop(_ type: String, _ time: Timestamp?) -> JSONValue {
            .members([
                "location": place, "time": time.map { ["timestamp": .time($0)] },
                "type": .string(type),
            ])
        }
        let state = stateCode(order)
        return .members([
            "customer": order.customer, "id": .string(order.fulfilmentID),
            "state": [
                "descriptor": ["code": .string(state.code), "name": .string(state.name)],
                "updated_at": .time(order.stateChangedAt),
            ],
            "stops": [
                stop("start", order.delivery?.startedAt), stop("end", order.delivery?.endedAt),
            ],
            "tags": .array(
                [
                    TagWriter.group(
                        "charging-point-specifications", "Charging Point Specifications",
                        [("charger-id", "Charger Id", offer.evseID ?? offer.evseUID)]),
                    order.delivery.map { details($0) },
                ].compactMap { $0 }),
            "tracking": .bool(order.delivery != nil), "type": "CHARGING",
        ])
    }

    /// Kebab case out. Facts §9, state codes.
    private func stateCode(_ order: Order) -> (code: String, name: String) {
        switch order.state {
        case .quoted, .initiated: ("order-initiated", "Order initiated")
        case .confirmed:
            order.payment.isPaid
                ? ("payment-completed", "Payment completed") : ("order-initiated", "Confirmed")
        case .starting: ("start-charging", "Starting")
        case .charging: ("charging-started", "Charging")
        case .stopping: ("end-charging", "Stopping")
        case .settling, .completed: ("charging-ended", "Charging ended")
        case .cancelled: ("order-cancelled", "Order cancelled")
        }
    }

    /// The live figures of a charge. Facts §9, charging-details.
    func details(_ delivery: Order.Delivery) -> JSONValue {
        var entries: [(String, String, String)] = [
            (
                "energy-delivered", "Energy Delivered",
                WattHours(delivery.energyWh).kilowattHours.reduced.description + " kWh"
            ),
            ("start-time", "Start Time", delivery.startedAt.rfc3339),
            ("meter-start", "Meter Start", "\(delivery.meterStartWh) Wh"),
        ]
        if let end = delivery.endedAt {
            entries.append(("stop-time", "Stop Time", end.rfc3339))
            entries.append(("meter-stop", "Meter Stop", "\(delivery.meterLastWh) Wh"))
        } else {
            entries.append(("meter-last", "Meter Now", "\(delivery.meterLastWh) Wh"))
        }
        if let power = delivery.powerWatts {
            entries.append(("power", "Power", TagWriter.kilowatts(power)))
        }
        if let cost = delivery.cost {
            entries.append(("cost", "Cost so far", cost.rounded(to: digits).description))
        }
        return TagWriter.group("charging-details", "Charging Details", entries)
    }
}
