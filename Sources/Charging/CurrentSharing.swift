/// How much each of several loads may draw now, behind a tree of fuses, phase by phase.
///
/// Pure arithmetic of one moment: who is admitted comes from the loads' order, what is left is shared
/// fairly. Nothing here knows of time; `Station.LoadBalancer` adds it, and a centre may use it as it
/// is for stations instead of outlets.
package struct CurrentSharing: Hashable, Sendable {
    package typealias CircuitID = Int

    /// A fuse, or any other bound, with what lies behind it.
    package struct Circuit: Hashable, Sendable {
        package var id: CircuitID
        /// The circuit this one hangs on; nil for the root.
        package var parent: CircuitID?
        /// Per phase L1, L2, L3; never negative. Of a `boundsSum` only L1 counts.
        package var capacity: PhaseCurrents
        /// It bounds the sum of the phases, as a limit in watts does, and not each of them.
        package var boundsSum: Bool

        package init(
            id: CircuitID, parent: CircuitID? = nil, capacity: PhaseCurrents,
            boundsSum: Bool = false
        ) {
            self.id = id
            self.parent = parent
            self.capacity = capacity
            self.boundsSum = boundsSum
        }
    }

    package struct Load: Hashable, Sendable {
        /// An outlet's phases L1, L2 and L3 where they lie on the supply's, as bits.
        package var wiring: PhaseWiring
        package var circuit: CircuitID
        /// Less than this is nothing.
        package var minimum: Amperes
        /// What it could use at most.
        package var wanted: Amperes
        /// Above the minimum, a higher one is filled before a lower one.
        package var priority: Int
        /// Its limit bounds the power alone, so a car on one phase may draw all of it there, up to this
        /// much; nil: the limit holds on each phase. A current is then the power over all its phases.
        package var mostOnOnePhase: Amperes?

        package init(
            wiring: PhaseWiring, circuit: CircuitID, minimum: Amperes, wanted: Amperes,
            priority: Int = 0, mostOnOnePhase: Amperes? = nil
        ) {
            self.wiring = wiring
            self.circuit = circuit
            self.minimum = minimum
            self.wanted = wanted
            self.priority = priority
            self.mostOnOnePhase = wiring.phases.count > 1 ? mostOnOnePhase : nil
        }

        /// What may flow on each of its phases at a limit, in milliamperes.
        package func onPhase(_ limit: Int64) -> Int64 {
            guard let most = mostOnOnePhase else { return limit }
            return max(limit, min(most.milliamperes, limit * Int64(wiring.phases.count)))
        }

        /// How much that grows with each milliampere from a limit on.
        fileprivate func weight(from limit: Int64) -> Int64 {
            guard let most = mostOnOnePhase else { return 1 }
            let count = Int64(wiring.phases.count)
            if limit * count < most.milliamperes { return count }
            return limit < most.milliamperes ? 0 : 1
        }

        /// The highest limit at which no more than this may flow on a phase.
        fileprivate func limit(onPhase current: Int64) -> Int64 {
            guard let most = mostOnOnePhase, current < most.milliamperes else { return current }
            return current / Int64(wiring.phases.count)
        }

        /// The next limit at which it grows otherwise.
        fileprivate func bend(after limit: Int64) -> Int64? {
            guard let most = mostOnOnePhase?.milliamperes else { return nil }
            let count = Int64(wiring.phases.count)
            let first = (most + count - 1) / count
            return limit < first ? first : limit < most ? most : nil
        }
    }

    private let circuits: [CircuitID: Circuit]

    package init(_ circuits: [Circuit]) {
        self.circuits = Dictionary(
            circuits.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// Limits step by this, so that the noise of a meter moves no offer: 100 mA.
    package static let step: Int64 = 100

    /// What each load gets, in the loads' order; earlier ones are admitted first.
    package func shares(of loads: [Load]) -> [Amperes] {
        var left = circuits.mapValues(\.capacity)
        var shares = loads.map { _ in Amperes.zero }
        var open: [Int] = []
        for (index, load) in loads.enumerated() {
            guard load.wanted >= load.minimum, load.minimum > .zero,
                room(for: load, left) >= load.minimum.milliamperes
            else { continue }
            shares[index] = load.minimum
            take(load.minimum.milliamperes, for: load, from: &left)
            open.append(index)
        }
        for priority in Set(open.map { loads[$0].priority }).sorted(by: >) {
            fill(open.filter { loads[$0].priority == priority }, loads, &shares, &left)
        }
        return shares.map { Amperes(milliamperes: $0.milliamperes / Self.step * Self.step) }
    }

    /// Raises all at once until each is satisfied or bounded by a circuit of its own.
    private func fill(
        _ members: [Int], _ loads: [Load], _ shares: inout [Amperes],
        _ left: inout [CircuitID: PhaseCurrents]
    ) {
        var rising = members
        while !rising.isEmpty {
            let step = step(of: rising, loads, shares, left)
            if step > 0 {
                for index in rising {
                    take(step, for: loads[index], above: shares[index], from: &left)
                    shares[index].milliamperes += step
                }
            }
            let sharers = sharers(of: rising, loads, shares)
            let before = rising.count
            rising.removeAll { index in
                shares[index] >= loads[index].wanted
                    || path(of: loads[index].circuit).contains { id in
                        places(of: loads[index], at: shares[index], in: id).contains { phase, _ in
                            (left[id]?[phase] ?? 0) < (sharers[id]?[phase] ?? 1)
                        }
                    }
            }
            // Each round satisfies or bounds at least one, or brings one to where it counts otherwise.
            if rising.count == before, step <= 0 { return }
        }
    }

    /// A phase of a circuit is shared by those who rise on it.
    private func sharers(
        of rising: [Int], _ loads: [Load], _ shares: [Amperes]
    ) -> [CircuitID: [Int64]] {
        var sharers: [CircuitID: [Int64]] = [:]
        for index in rising {
            for id in path(of: loads[index].circuit) {
                for (phase, weight) in places(of: loads[index], at: shares[index], in: id) {
                    sharers[id, default: [0, 0, 0]][phase] += weight
                }
            }
        }
        return sharers
    }

    /// How far all may rise until one is satisfied, bounded, or counts otherwise.
    private func step(
        of rising: [Int], _ loads: [Load], _ shares: [Amperes], _ left: [CircuitID: PhaseCurrents]
    ) -> Int64 {
        let sharers = sharers(of: rising, loads, shares)
        var step = Int64.max
        for index in rising {
            let (load, share) = (loads[index], shares[index])
            step = min(step, load.wanted.milliamperes - share.milliamperes)
            if let bend = load.bend(after: share.milliamperes) {
                step = min(step, bend - share.milliamperes)
            }
            for id in path(of: load.circuit) {
                for (phase, _) in places(of: load, at: share, in: id) {
                    let count = sharers[id]?[phase] ?? 1
                    step = min(step, (left[id]?[phase] ?? 0) / max(1, count))
                }
            }
        }
        return step
    }

    /// How much more a load may have that has `share`: the least that is left on any phase of any
    /// circuit above it.
    package func room(
        for load: Load, at share: Amperes = .zero, _ left: [CircuitID: PhaseCurrents]
    ) -> Int64 {
        let count = Int64(load.wiring.phases.count)
        return path(of: load.circuit).flatMap { id in
            if circuits[id]?.boundsSum == true { return [(left[id]?[0] ?? 0) / count] }
            return load.wiring.phases.map { phase in
                load.limit(onPhase: load.onPhase(share.milliamperes) + (left[id]?[phase] ?? 0))
                    - share.milliamperes
            }
        }.min() ?? 0
    }

    /// What is left of every circuit once each load draws `currents`, in the loads' order.
    package func left(after currents: [Amperes], of loads: [Load]) -> [CircuitID: PhaseCurrents] {
        var left = circuits.mapValues(\.capacity)
        for (load, current) in zip(loads, currents) {
            take(current.milliamperes, for: load, from: &left)
        }
        return left
    }

    /// Takes from what is left what a load draws that is given so much above its `share`.
    package func take(
        _ milliamperes: Int64, for load: Load, above share: Amperes = .zero,
        from left: inout [CircuitID: PhaseCurrents]
    ) {
        let now = share.milliamperes
        let more = load.onPhase(now + milliamperes) - load.onPhase(now)
        for id in path(of: load.circuit) {
            if circuits[id]?.boundsSum == true {
                left[id]?[0] -= milliamperes * Int64(load.wiring.phases.count)
            } else {
                for phase in load.wiring.phases { left[id]?[phase] -= more }
            }
        }
    }

    /// Where in a circuit's capacity a load counts that rises from `share`, and how often its current.
    private func places(
        of load: Load, at share: Amperes, in circuit: CircuitID
    ) -> [(phase: Int, weight: Int64)] {
        if circuits[circuit]?.boundsSum == true { return [(0, Int64(load.wiring.phases.count))] }
        let weight = load.weight(from: share.milliamperes)
        return weight == 0 ? [] : load.wiring.phases.map { ($0, weight) }
    }

    /// From a circuit to its root; a ring or an unknown parent ends it.
    private func path(of circuit: CircuitID) -> [CircuitID] {
        var path: [CircuitID] = []
        var next: CircuitID? = circuit
        while let id = next, !path.contains(id) {
            path.append(id)
            next = circuits[id]?.parent
        }
        return path
    }
}

/// Currents on L1, L2 and L3 of a supply, in milliamperes.
package struct PhaseCurrents: Hashable, Sendable {
    package var l1: Int64
    package var l2: Int64
    package var l3: Int64

    package static let zero = PhaseCurrents(0, 0, 0)

    package init(_ l1: Int64, _ l2: Int64, _ l3: Int64) {
        self.l1 = l1
        self.l2 = l2
        self.l3 = l3
    }

    /// The same on every phase.
    package init(_ all: Amperes) {
        self.init(all.milliamperes, all.milliamperes, all.milliamperes)
    }

    /// - `phase` is 0 to 2.
    package subscript(phase: Int) -> Int64 {
        get { phase == 0 ? l1 : phase == 1 ? l2 : l3 }
        set {
            switch phase {
            case 0: l1 = newValue
            case 1: l2 = newValue
            default: l3 = newValue
            }
        }
    }

    package static func - (a: Self, b: Self) -> Self {
        Self(a.l1 - b.l1, a.l2 - b.l2, a.l3 - b.l3)
    }

    package static func + (a: Self, b: Self) -> Self {
        Self(a.l1 + b.l1, a.l2 + b.l2, a.l3 + b.l3)
    }

    package func least(_ other: Self) -> Self {
        Self(min(l1, other.l1), min(l2, other.l2), min(l3, other.l3))
    }

    package var atLeastZero: Self { Self(max(0, l1), max(0, l2), max(0, l3)) }

    package var all: [Int64] { [l1, l2, l3] }
}

/// Which phase of the supply each phase of an outlet hangs on. Raw values are the field's own: R, S, T
/// for L1, L2, L3 in the outlet's order, as OCPP 1.6's ConnectorPhaseRotation has them.
package enum PhaseWiring: String, Hashable, Sendable, CaseIterable {
    case rst = "RST"
    case str = "STR"
    case trs = "TRS"
    case rts = "RTS"
    case srt = "SRT"
    case tsr = "TSR"
    case l1 = "L1"
    case l2 = "L2"
    case l3 = "L3"

    /// The supply's phase, 0 to 2, of each phase of the outlet.
    package var phases: [Int] {
        switch self {
        case .rst: [0, 1, 2]
        case .str: [1, 2, 0]
        case .trs: [2, 0, 1]
        case .rts: [0, 2, 1]
        case .srt: [1, 0, 2]
        case .tsr: [2, 1, 0]
        case .l1: [0]
        case .l2: [1]
        case .l3: [2]
        }
    }

    /// What an outlet measures on its own phases, on those of the supply. More phases than are wired
    /// are left out.
    package func onSupply(_ currents: [Amperes]) -> PhaseCurrents {
        var sum = PhaseCurrents.zero
        for (phase, current) in zip(phases, currents) { sum[phase] += current.milliamperes }
        return sum
    }
}
