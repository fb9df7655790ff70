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

        package init(
            wiring: PhaseWiring, circuit: CircuitID, minimum: Amperes, wanted: Amperes,
            priority: Int = 0
        ) {
            self.wiring = wiring
            self.circuit = circuit
            self.minimum = minimum
            self.wanted = wanted
            self.priority = priority
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
            // A phase of a circuit is shared by those who rise on it.
            var sharers: [CircuitID: [Int64]] = [:]
            for index in rising {
                for id in path(of: loads[index].circuit) {
                    for (phase, weight) in places(of: loads[index], in: id) {
                        sharers[id, default: [0, 0, 0]][phase] += weight
                    }
                }
            }
            var step = Int64.max
            for index in rising {
                step = min(step, loads[index].wanted.milliamperes - shares[index].milliamperes)
                for id in path(of: loads[index].circuit) {
                    for (phase, _) in places(of: loads[index], in: id) {
                        let count = sharers[id]?[phase] ?? 1
                        step = min(step, (left[id]?[phase] ?? 0) / max(1, count))
                    }
                }
            }
            if step > 0 {
                for index in rising {
                    shares[index].milliamperes += step
                    take(step, for: loads[index], from: &left)
                }
            }
            let before = rising.count
            rising.removeAll { index in
                shares[index] >= loads[index].wanted
                    || path(of: loads[index].circuit).contains { id in
                        places(of: loads[index], in: id).contains { phase, _ in
                            (left[id]?[phase] ?? 0) < (sharers[id]?[phase] ?? 1)
                        }
                    }
            }
            // Each round satisfies or bounds at least one.
            if rising.count == before { return }
        }
    }

    /// The least that is left on any phase of any circuit above a load.
    package func room(for load: Load, _ left: [CircuitID: PhaseCurrents]) -> Int64 {
        path(of: load.circuit).flatMap { id in
            places(of: load, in: id).map { (left[id]?[$0.phase] ?? 0) / $0.weight }
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

    package func take(
        _ milliamperes: Int64, for load: Load, from left: inout [CircuitID: PhaseCurrents]
    ) {
        for id in path(of: load.circuit) {
            for (phase, weight) in places(of: load, in: id) {
                left[id]?[phase] -= milliamperes * weight
            }
        }
    }

    /// Where in a circuit's capacity a load counts, and how often its current.
    private func places(
        of load: Load, in circuit: CircuitID
    ) -> [(phase: Int, weight: Int64)] {
        if circuits[circuit]?.boundsSum == true { return [(0, Int64(load.wiring.phases.count))] }
        return load.wiring.phases.map { ($0, 1) }
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
