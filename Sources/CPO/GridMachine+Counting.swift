import Charging

// What each connector counts with, and what it shall have.

extension GridMachine {
    /// How far above its limit a connector may measure before the measured counts: a car regulates
    /// to about an ampere, a meter to a percent.
    private static func tolerance(_ limit: Amperes, _ load: CurrentSharing.Load) -> Int64 {
        guard load.mostOnOnePhase != nil else { return 1_000 + limit.milliamperes / 20 }
        // On the one phase that may carry all of it.
        return 1_000 / Int64(load.wiring.phases.count) + limit.milliamperes / 20
    }

    private func outlet(_ id: OutletID) -> Amperes { loads[id]?.wanted ?? .zero }

    /// The most a connector may draw by what its station may hold.
    package func bound(_ id: OutletID, _ now: Moment) -> Amperes {
        guard let state = states[id], let load = loads[id] else { return .zero }
        let told = state.told
        let full = load.wanted
        guard told.refused == nil else { return full }
        guard fallbacks(id) else {
            // Left over from when it had a fallback: what it falls to then nobody knows.
            if let expires = told.present.expires, hasRunOut(expires, state.facts, now) {
                return full
            }
            return min(full, told.present.most ?? full)
        }
        guard let fallback = told.fallback.most else { return full }
        return min(full, max(fallback, running(told.present, state.facts, now) ?? .zero))
    }

    private func fallbacks(_ id: OutletID) -> Bool { fallbackIDs.contains(id) }

    /// What counts of a limit that may run out; nil once it surely has.
    func running(_ slot: Slot, _ facts: Facts, _ now: Moment) -> Amperes? {
        guard let most = slot.most ?? slot.pending else { return nil }
        guard let expires = slot.expires, facts.clockIsTrusted else { return most }
        return now.time < expires.advanced(bySeconds: timings.clockSeconds) ? most : nil
    }

    /// It may have run out, by a clock that is ahead of ours.
    private func hasRunOut(_ expires: Timestamp, _ facts: Facts, _ now: Moment) -> Bool {
        !facts.clockIsTrusted || now.time >= expires.advanced(bySeconds: -timings.clockSeconds)
    }

    /// The same with cars that still follow a higher limit, and with what is measured above it.
    package func held(_ id: OutletID, _ now: Moment) -> Amperes {
        guard let state = states[id], let load = loads[id] else { return .zero }
        var held = state.past.reduce(bound(id, now)) {
            $1.until > now.monotonic ? max($0, $1.limit) : $0
        }
        if let measured = state.facts.drawn(load),
            measured.milliamperes > held.milliamperes + Self.tolerance(held, load)
        {
            held = measured
        }
        return held
    }

    /// The limit that holds at a connector now, as far as is known; everything where nothing is.
    package func present(_ id: OutletID, _ now: Moment) -> Amperes {
        guard let told = states[id]?.told else { return .zero }
        let full = outlet(id)
        guard fallbacks(id) else { return told.present.confirmed ?? full }
        let isRunning = told.present.expires.map { now.time < $0 } ?? true
        if isRunning, let confirmed = told.present.confirmed { return confirmed }
        return told.fallback.confirmed ?? full
    }

    func limit(of node: FuseTree.Node, at time: Timestamp) -> FuseTree.Limit {
        tree.limit(of: node, at: time, in: zone, orders)
    }

    // MARK: What is fair

    /// Sets every connector's targets.
    mutating func aim(at now: Moment) {
        let circuits = tree.circuits { limit(of: $0, at: now.time) }
        let sharing = CurrentSharing(circuits)
        aimFallbacks(sharing)
        let outlets = tree.outlets.compactMap { outlet in loads[outlet.id].map { (outlet, $0) } }
        // Where the fuses carry all at once each may have all, and a car that comes need not wait.
        let all = sharing.left(after: outlets.map(\.0.most), of: outlets.map(\.1))
        if all.values.allSatisfy({ $0.all.allSatisfy { $0 >= 0 } }) {
            for (outlet, _) in outlets {
                let cap = states[outlet.id]?.facts.cap ?? outlet.most
                states[outlet.id]?.target = min(cap, outlet.most)
            }
            queue.keep([:])
            return
        }
        var fixed: [(CurrentSharing.Load, Amperes)] = []
        var demands: [OutletID: CurrentSharing.Load] = [:]
        for (outlet, load) in outlets {
            if let demand = demand(outlet, load, now) {
                demands[outlet.id] = demand
            } else {
                fixed.append((load, unshared(outlet, now)))
            }
        }
        queue.keep(demands.mapValues(\.priority))
        let left = sharing.left(after: fixed.map(\.1), of: fixed.map(\.0))
        share(
            demands,
            circuits.map { circuit in
                var circuit = circuit
                circuit.capacity = (left[circuit.id] ?? circuit.capacity).atLeastZero
                return circuit
            }, now)
    }

    /// All fallbacks at once, as far as they fit at present.
    private mutating func aimFallbacks(_ sharing: CurrentSharing) {
        let holders = tree.outlets.filter { $0.fallback != nil }
        let shares = sharing.shares(
            of: holders.map { outlet in tree.load(outlet, wanted: outlet.fallback) })
        for (outlet, share) in zip(holders, shares) {
            states[outlet.id]?.fallbackTarget = share
        }
    }

    /// What a connector takes part in the sharing with; nil for one that does not.
    private func demand(
        _ outlet: FuseTree.Outlet, _ load: CurrentSharing.Load, _ now: Moment
    ) -> CurrentSharing.Load? {
        guard let state = states[outlet.id], state.facts.isActive, state.facts.isOnline,
            state.told.refused == nil
        else { return nil }
        var demand = load
        if state.facts.isIdle { demand.wanted = outlet.minimum }
        demand.wanted = min(demand.wanted, state.facts.cap ?? demand.wanted)
        if let confirmed = state.told.present.confirmed,
            now.monotonic - state.roseAt >= 2 * timings.demandWindow,
            let enough = state.peak.enough(below: confirmed), enough < demand.wanted
        {
            demand.wanted = max(enough, outlet.minimum, state.fallbackTarget)
        }
        // What it falls back to is its own whatever happens.
        demand.minimum = max(outlet.minimum, state.fallbackTarget)
        return demand.wanted >= demand.minimum ? demand : nil
    }

    /// What one that takes no part is counted with, and its target.
    private mutating func unshared(_ outlet: FuseTree.Outlet, _ now: Moment) -> Amperes {
        guard let state = states[outlet.id] else { return .zero }
        let isHeard = state.facts.isOnline && state.told.refused == nil
        let own = state.fallbackTarget
        // A profile that leaves less than the fallback is kept; the fallback stays reserved.
        let isCapped = state.facts.isActive && (state.facts.cap.map { $0 < own } ?? false)
        let capped = state.facts.cap.map { $0 >= outlet.minimum ? $0 : .zero } ?? .zero
        states[outlet.id]?.target = isCapped ? min(capped, own) : own
        states[outlet.id]?.servedSince = nil
        return isHeard ? own : held(outlet.id, now)
    }

    private mutating func share(
        _ demands: [OutletID: CurrentSharing.Load], _ circuits: [CurrentSharing.Circuit],
        _ now: Moment
    ) {
        let sharing = CurrentSharing(circuits)
        func shares(_ order: [OutletID]) -> [OutletID: Amperes] {
            // Whoever has a fallback is always admitted, so it is asked first.
            let ordered =
                order.filter { states[$0]?.fallbackTarget ?? .zero > .zero }
                + order.filter { states[$0]?.fallbackTarget ?? .zero == .zero }
            let found = sharing.shares(of: ordered.compactMap { demands[$0] })
            return Dictionary(zip(ordered, found), uniquingKeysWith: { first, _ in first })
        }
        var found = shares(queue.ids)
        let isTurned = queue.turn(
            demands, found,
            served: { [states] id in states[id]?.servedSince.map { now.monotonic - $0 } ?? 0 },
            rest: timings.rises, turn: timings.turn, at: now.monotonic)
        if isTurned { found = shares(queue.ids) }
        for (id, share) in found {
            let target = max(share, states[id]?.fallbackTarget ?? .zero)
            states[id]?.target = target
            if target == .zero {
                states[id]?.servedSince = nil
            } else if states[id]?.servedSince == nil {
                states[id]?.servedSince = now.monotonic
            }
        }
    }
}

extension GridMachine.Facts {
    /// What is drawn, as its limit counts it: the most on any phase, or the power over all of them.
    func drawn(_ load: CurrentSharing.Load) -> Amperes? {
        guard let measured, let highest = measured.max() else { return nil }
        guard let most = load.mostOnOnePhase else { return highest }
        let sum = measured.reduce(Int64(0)) { $0 + $1.milliamperes }
        let even = Amperes(milliamperes: sum / Int64(load.wiring.phases.count))
        // Beyond what its connector carries on a phase the power does not say it.
        return highest > most ? max(highest, even) : even
    }
}
