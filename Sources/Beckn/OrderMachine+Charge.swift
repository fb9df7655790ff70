import Charging

// What the station and the bill do to an order.
extension OrderMachine {
    mutating func startFailed(_ reason: String, _ now: Timestamp) -> [Effect] {
        guard order.state == .starting else { return [] }
        let failed = answerAll(
            BecknError(.agentUnavailable, reason, symbol: "EVSE_UNAVAILABLE"))
        // Our failure: no fee, whatever the terms say.
        return failed + close(.provider, "start-failed", reason, fee: .zero, now)
            + [.announce(.onCancel)]
    }

    mutating func stopFailed(_ reason: String) -> [Effect] {
        guard order.state == .stopping else { return [] }
        order.state = .charging
        order.deadline = nil
        return answerAll(BecknError(.updateNotPossible, reason))
    }

    mutating func sessionStarted(
        _ delivery: Order.Delivery, _ now: Timestamp
    ) -> [Effect] {
        guard order.state == .starting else {
            // Too late, or never ordered any more: energy must not flow on a dead order.
            return order.state == .cancelled && order.delivery == nil
                ? lateSession(delivery) : []
        }
        order.delivery = delivery
        order.state = .charging
        order.deadline = nil
        order.lastStatusAt = now
        let answers = answerAll(nil)
        return answers.isEmpty ? [.announce(.onStatus)] : answers
    }

    private mutating func lateSession(_ delivery: Order.Delivery) -> [Effect] {
        order.delivery = delivery
        return [.stopCharging(session: delivery.sessionID)]
    }

    mutating func sessionUpdated(
        _ delivery: Order.Delivery, _ now: Timestamp
    ) -> [Effect] {
        guard order.state == .charging || order.state == .stopping else {
            return order.state == .starting ? sessionStarted(delivery, now) : []
        }
        guard order.delivery?.sessionID == delivery.sessionID else { return [] }
        order.delivery = delivery
        guard order.state == .charging else { return [] }
        if delivery.energyWh >= order.quote.energyWh { return stop(now) }
        let last = order.lastStatusAt ?? order.stateChangedAt
        guard now.seconds(since: last) >= rules.statusSeconds else { return [] }
        order.lastStatusAt = now
        return [.announce(.onStatus)]
    }

    mutating func sessionEnded(_ delivery: Order.Delivery) -> [Effect] {
        switch order.state {
        case .starting, .charging, .stopping:
            order.delivery = delivery
            order.state = .settling
            order.deadline = nil
            return []
        case .quoted, .initiated, .confirmed, .settling, .completed, .cancelled: return []
        }
    }

    mutating func billed(_ bill: Order.Bill, _ now: Timestamp) -> [Effect] {
        switch order.state {
        case .starting, .charging, .stopping, .settling: break
        case .completed where order.bill?.cdrID != bill.cdrID: return corrected(bill, now)
        case .quoted, .initiated, .confirmed, .completed, .cancelled: return []
        }
        take(bill)
        order.state = .completed
        order.deadline = nil
        let back = refund(order.paid - bill.total, "less was delivered than paid for", now)
        let answers = answerAll(nil)
        return back + (answers.isEmpty ? [.announce(.onUpdate)] : answers)
    }

    /// A later bill of the same charge, after a person corrected it: what is less goes back as well;
    /// what is more stays outstanding, because a payment cannot be taken twice.
    private mutating func corrected(_ bill: Order.Bill, _ now: Timestamp) -> [Effect] {
        take(bill)
        let due = order.paid - bill.total
        guard due > (order.refund?.amount ?? .zero) else { return [.announce(.onUpdate)] }
        let refund = Order.Refund(amount: due, reason: "the bill was corrected", at: now)
        order.refund = refund
        return [.refund(refund), .announce(.onUpdate)]
    }

    private mutating func take(_ bill: Order.Bill) {
        order.bill = bill
        order.delivery = Order.Delivery(
            sessionID: order.delivery?.sessionID ?? "", startedAt: bill.startedAt,
            endedAt: bill.endedAt, meterStartWh: bill.meterStartWh, meterLastWh: bill.meterStopWh,
            cost: bill.total)
    }
}
