import Charging

// Which limits are told now: the lower ones at once, the higher ones into room that is sure.

extension GridMachine {
    mutating func decide(at now: Moment) -> [Order] {
        let sharing = CurrentSharing(tree.circuits { limit(of: $0, at: now.time) })
        var orders: [Order] = []
        for outlet in tree.outlets {
            guard let order = lowering(outlet, now) else { continue }
            orders.append(issue(order, now))
        }
        let rest = restsUntil ?? now.monotonic + timings.settles
        restsUntil = rest
        guard now.monotonic >= rest else { return orders }
        // Nobody is raised with what another has not given up yet.
        let all = tree.outlets.compactMap { outlet in loads[outlet.id].map { (outlet, $0) } }
        var left = sharing.left(after: all.map { held($0.0.id, now) }, of: all.map(\.1))
        let places = Dictionary(
            queue.ids.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        let waiting = all.sorted { a, b in
            (places[a.0.id] ?? .max, a.0.id) < (places[b.0.id] ?? .max, b.0.id)
        }
        for (outlet, load) in waiting {
            guard var order = rise(outlet, now) else { continue }
            let held = held(outlet.id, now)
            // Less than it holds where a node is over: it must not rise into what others overdraw.
            let most = held.milliamperes + sharing.room(for: load, at: held, left)
            if order.limit.milliamperes > most {
                let step = CurrentSharing.step
                order.limit = Amperes(milliamperes: most / step * step)
                guard order.part == .present, order.limit >= outlet.minimum,
                    order.limit > present(outlet.id, now)
                else { continue }
            }
            sharing.take(
                max(0, order.limit.milliamperes - held.milliamperes), for: load, above: held,
                from: &left)
            states[outlet.id]?.roseAt = now.monotonic
            orders.append(issue(order, now))
        }
        return orders
    }

    private mutating func issue(_ order: Order, _ now: Moment) -> Order {
        var order = order
        lastNumber += 1
        order.number = lastNumber
        guard var state = states[order.id] else { return order }
        var slot = state.told[order.part]
        state.before = slot
        // What ran out does not come back with a new end.
        if slot.expires != nil, running(slot, state.facts, now) == nil { slot = Slot() }
        // One that may lie there without an end has none until another is confirmed.
        let isEndless = slot.expires == nil && (slot.confirmed ?? slot.pending) != nil
        if let expires = order.expires, !isEndless {
            slot.expires = max(slot.expires ?? expires, expires)
        }
        slot.pending = max(slot.pending ?? order.limit, order.limit)
        state.told[order.part] = slot
        state.open = order
        states[order.id] = state
        return order
    }

    private func mayAsk(_ id: OutletID, _ now: Moment) -> Bool {
        guard let state = states[id], state.facts.isOnline, state.open == nil,
            now.monotonic >= state.retryAt
        else { return false }
        guard let bootedAt = state.facts.bootedAt else { return true }
        // A boot that lies ahead is our own clock set back.
        let since = now.time.seconds(since: bootedAt)
        return since < 0 || since >= timings.afterBootSeconds
    }

    /// What must be told however little room there is: a lower limit, a first one, one whose answer
    /// never came, and one that is about to run out.
    private func lowering(_ outlet: FuseTree.Outlet, _ now: Moment) -> Order? {
        guard mayAsk(outlet.id, now), let state = states[outlet.id] else { return nil }
        // What is counted already may be told without asking for room.
        let counted = bound(outlet.id, now)
        if outlet.fallback != nil {
            let (slot, wanted) = (state.told.fallback, state.fallbackTarget)
            guard let most = slot.most else { return order(outlet, .fallback, wanted, state, now) }
            if wanted < most || state.told.refused == .fallback {
                return order(outlet, .fallback, wanted, state, now)
            }
            // It may hold either of two, and both are no more than it may: the same settles it.
            if slot.pending != nil { return order(outlet, .fallback, most, state, now) }
            guard state.told.refused == .present || isPresentDue(outlet, state.target, now) else {
                return nil
            }
            return order(outlet, .present, min(state.target, counted), state, now)
        }
        let (slot, wanted) = (state.told.present, state.target)
        // One that runs out where there is no fallback any more must be told without an end.
        let isOpen = slot.pending != nil || slot.expires != nil || state.told.refused != nil
        guard isOpen || (slot.most.map { wanted < $0 } ?? true) else { return nil }
        // Of one that may have lost its limit no more than that: what it counts with beyond is a fear.
        let known = slot.confirmed == nil ? slot.pending ?? counted : counted
        return order(outlet, .present, min(wanted, counted, known), state, now)
    }

    /// Where there is a fallback, its limit of the moment must be told only while it differs.
    private func isPresentDue(
        _ outlet: FuseTree.Outlet, _ wanted: Amperes, _ now: Moment
    ) -> Bool {
        guard let state = states[outlet.id] else { return false }
        let slot = state.told.present
        let holds = present(outlet.id, now)
        if wanted < holds || slot.pending != nil { return true }
        guard let expires = slot.expires else { return slot.confirmed != nil }
        let isEnding = expires.seconds(since: now.time) < timings.lastsSeconds / 2
        return isEnding && holds != state.fallbackTarget
    }

    private func rise(_ outlet: FuseTree.Outlet, _ now: Moment) -> Order? {
        guard mayAsk(outlet.id, now), let state = states[outlet.id], state.told.refused == nil
        else { return nil }
        if outlet.fallback != nil {
            guard let confirmed = state.told.fallback.confirmed else { return nil }
            if state.fallbackTarget > confirmed {
                return order(outlet, .fallback, state.fallbackTarget, state, now)
            }
        }
        guard state.target > present(outlet.id, now), now.monotonic - state.roseAt >= timings.rises
        else { return nil }
        return order(outlet, .present, state.target, state, now)
    }

    private func order(
        _ outlet: FuseTree.Outlet, _ part: Part, _ limit: Amperes, _ state: State, _ now: Moment
    ) -> Order {
        var expires: Timestamp?
        if part == .present, outlet.fallback != nil {
            expires = Timestamp(
                seconds: now.time.milliseconds / 1000 + timings.lastsSeconds)
        }
        return Order(
            id: outlet.id, number: 0, part: part, limit: limit, expires: expires,
            takesOver: !state.told.isTakenOver)
    }
}
