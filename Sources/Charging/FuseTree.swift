/// A site's fuses, contracts and other bounds, and the connectors behind them: what a centre may give
/// away, phase by phase.
package struct FuseTree: Hashable, Sendable {
    /// What may flow through a node; where both are given both hold.
    package struct Limit: Hashable, Sendable {
        /// Per phase.
        package var phases: PhaseCurrents?
        /// The sum of the phases.
        package var watts: Watts?

        package init(phases: PhaseCurrents? = nil, watts: Watts? = nil) {
            self.phases = phases
            self.watts = watts
        }

        /// The tighter of both, bound by bound.
        package func least(_ other: Limit) -> Limit {
            var phases = self.phases ?? other.phases
            if let mine = self.phases, let others = other.phases { phases = mine.least(others) }
            return Limit(phases: phases, watts: [watts, other.watts].compactMap(\.self).min())
        }
    }

    /// A bound that holds at a time of the day, on the wall's clock of the place.
    package struct Window: Hashable, Sendable {
        /// 1 is Monday; empty means every day. Of a window over midnight the day it begins on.
        package var days: Set<Int>
        /// Minutes since local midnight; it may be after `until`, then the window runs over midnight.
        package var from: Int
        /// Exclusive, 0…1440.
        package var until: Int
        package var limit: Limit

        package init(days: Set<Int> = [], from: Int, until: Int, limit: Limit) {
            self.days = days
            self.from = from
            self.until = until
            self.limit = limit
        }

        /// Between 02:00 and 03:00 of a day on which the clock is set back it holds twice, and not at
        /// all where the clock jumps over it: it is the wall's clock that counts.
        package func holds(at local: LocalTimeRules.LocalMoment) -> Bool {
            func isDay(_ day: Int) -> Bool { days.isEmpty || days.contains(day) }
            if from < until {
                return isDay(local.weekday) && (from..<until).contains(local.minutes)
            }
            if local.minutes >= from { return isDay(local.weekday) }
            return local.minutes < until && isDay(local.weekday == 1 ? 7 : local.weekday - 1)
        }

        /// The next moment at which one of these may begin or end; nil where there is none.
        package static func nextChange(
            of windows: [Window], after moment: Timestamp, in zone: LocalTimeRules
        ) -> Timestamp? {
            guard !windows.isEmpty else { return nil }
            let minutes = Set(windows.flatMap { [$0.from % 1440, $0.until % 1440] })
            return zone.nextBoundary(after: moment, minutes: Array(minutes))
        }
    }

    package struct Node: Hashable, Sendable {
        package var id: String
        package var name: String?
        /// nil for the root.
        package var parent: String?
        /// The fuse: nothing ever raises it.
        package var limit: Limit
        package var windows: [Window]

        package init(
            id: String, name: String? = nil, parent: String? = nil, limit: Limit,
            windows: [Window] = []
        ) {
            self.id = id
            self.name = name
            self.parent = parent
            self.limit = limit
            self.windows = windows
        }
    }

    package struct Outlet: Hashable, Sendable {
        package var id: OutletID
        package var node: String
        package var wiring: PhaseWiring
        /// Per phase, what it can draw by itself: its cable, its own fuse.
        package var most: Amperes
        /// Less than this is nothing.
        package var minimum: Amperes
        /// What it falls back to when its last limit has run out; nil: it keeps the last one. The
        /// fallback is reserved at all times, because a car may come when nobody hears of it.
        package var fallback: Amperes?
        package var priority: Int
        /// What the station wants its limits in. In watts it says nothing of phases, so a car on one
        /// of several may draw all of it there.
        package var unit: ChargingSchedule.Unit

        package init(
            id: OutletID, node: String, wiring: PhaseWiring = .rst, most: Amperes = Amperes(32),
            minimum: Amperes = Amperes(6), fallback: Amperes? = nil, priority: Int = 0,
            unit: ChargingSchedule.Unit = .amperes
        ) {
            self.id = id
            self.node = node
            self.wiring = wiring
            self.most = most
            self.minimum = minimum
            self.fallback = fallback
            self.priority = priority
            self.unit = unit
        }
    }

    package var id: String
    package var name: String?
    /// IANA name; windows are of its clock.
    package var timeZone: String
    /// Phase to neutral.
    package var nominal: Volts
    package var nodes: [Node]
    package var outlets: [Outlet]

    package init(
        id: String, name: String? = nil, timeZone: String = "UTC",
        nominal: Volts = Volts(millivolts: 230_000), nodes: [Node], outlets: [Outlet]
    ) {
        self.id = id
        self.name = name
        self.timeZone = timeZone
        self.nominal = nominal
        self.nodes = nodes
        self.outlets = outlets
    }
}

/// A connector of a station of the network.
package struct OutletID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var station: String
    package var connector: ConnectorNumber

    package init(_ station: String, _ connector: ConnectorNumber) {
        self.station = station
        self.connector = connector
    }

    package static func < (a: Self, b: Self) -> Bool {
        (a.station, a.connector) < (b.station, b.connector)
    }

    package var description: String { "\(station)/\(connector)" }
}

/// A bound from outside, of a grid operator or an energy manager: it ends by itself.
package struct GridLimit: Hashable, Sendable {
    package var node: String
    package var limit: FuseTree.Limit
    /// Who set it.
    package var source: String
    package var from: Timestamp
    /// Exclusive.
    package var until: Timestamp

    package init(
        node: String, limit: FuseTree.Limit, source: String, from: Timestamp, until: Timestamp
    ) {
        self.node = node
        self.limit = limit
        self.source = source
        self.from = from
        self.until = until
    }

    package func holds(at moment: Timestamp) -> Bool { from <= moment && moment < until }
}

// MARK: At one moment

extension FuseTree {
    /// Where no bound is given: more than any cable carries.
    static let unbounded = PhaseCurrents(Amperes(1_000_000))

    /// What holds at a node now: the fuse, and whatever is tighter.
    package func limit(
        of node: Node, at moment: Timestamp, in zone: LocalTimeRules, _ orders: [GridLimit] = []
    ) -> Limit {
        var limit = node.limit
        if !node.windows.isEmpty {
            let local = zone.local(at: moment)
            for window in node.windows where window.holds(at: local) {
                limit = limit.least(window.limit)
            }
        }
        for order in orders where order.node == node.id && order.holds(at: moment) {
            limit = limit.least(order.limit)
        }
        return limit
    }

    /// The next moment at which a window may begin or end; nil where there is none.
    package func nextChange(after moment: Timestamp, in zone: LocalTimeRules) -> Timestamp? {
        Window.nextChange(of: nodes.flatMap(\.windows), after: moment, in: zone)
    }

    /// The tree for `CurrentSharing`: two circuits for a node, one for each kind of bound. The inner
    /// one, where loads hang, is `circuit(of:)`.
    package func circuits(_ limit: (Node) -> Limit) -> [CurrentSharing.Circuit] {
        let places = places
        return nodes.enumerated().flatMap { index, node -> [CurrentSharing.Circuit] in
            let limit = limit(node)
            let outer = node.parent.flatMap { places[$0] }.map { $0 * 2 }
            let phases = limit.phases ?? Self.unbounded
            guard let watts = limit.watts else {
                return [.init(id: index * 2, parent: outer, capacity: phases)]
            }
            // Watts by millivolts give amperes over all phases: a million for milliamperes.
            let sum = watts.value * 1_000_000 / max(1, nominal.millivolts)
            return [
                .init(id: index * 2, parent: index * 2 + 1, capacity: phases),
                .init(
                    id: index * 2 + 1, parent: outer, capacity: PhaseCurrents(sum, 0, 0),
                    boundsSum: true),
            ]
        }
    }

    package func circuit(of node: String) -> CurrentSharing.CircuitID {
        // A node that is not there has no circuit and gives nothing.
        places[node].map { $0 * 2 } ?? -1
    }

    private var places: [String: Int] {
        Dictionary(
            nodes.enumerated().map { ($1.id, $0) }, uniquingKeysWith: { first, _ in first })
    }
}

// MARK: What a tree may not be

/// What is wrong with a tree, and where: `connectors[2].node`.
package struct FuseTreeProblem: Error, Hashable, Sendable {
    package var field: String
    package var detail: String

    package init(_ field: String, _ detail: String) {
        self.field = field
        self.detail = detail
    }
}

extension FuseTree {
    package enum Bounds {
        package static let nodes = 1...500
        package static let outlets = 0...500
        /// From a node to the root.
        package static let depth = 16
        package static let windows = 50
        package static let amperes: ClosedRange<Int64> = 1...10_000
        package static let milliamperes: ClosedRange<Int64> = 0...10_000_000
        /// With none a connector would never be admitted.
        package static let minimum = Amperes(1)
        package static let watts: ClosedRange<Int64> = 0...100_000_000
    }

    /// nil for a sound one.
    package var problem: FuseTreeProblem? { nodeProblem ?? outletProblem ?? fallbackProblem }

    private var nodeProblem: FuseTreeProblem? {
        guard Bounds.nodes.contains(nodes.count) else {
            return .init("nodes", "must be from 1 to \(Bounds.nodes.upperBound)")
        }
        let parents = Dictionary(
            nodes.map { ($0.id, $0.parent) }, uniquingKeysWith: { first, _ in first })
        var seen: Set<String> = []
        for (index, node) in nodes.enumerated() {
            let place = "nodes[\(index)]"
            guard seen.insert(node.id).inserted else {
                return .init("\(place).id", "\(node.id) stands twice; every node has its own id")
            }
            if let parent = node.parent, parents[parent] == nil {
                return .init("\(place).parent", "\(parent) is none of the nodes")
            }
            if node.parent == nil, node.limit == Limit() {
                return .init("\(place).amperes", "or `watts` must say what the root may carry")
            }
            if node.windows.count > Bounds.windows {
                return .init("\(place).windows", "must be at most \(Bounds.windows)")
            }
            var steps = 0
            var next = node.parent
            while let id = next {
                steps += 1
                guard steps < Bounds.depth else {
                    return .init(
                        "\(place).parent",
                        "leads in a ring, or through more than \(Bounds.depth) nodes")
                }
                next = parents[id] ?? nil
            }
        }
        let roots = nodes.count { $0.parent == nil }
        return roots == 1
            ? nil : .init("nodes", "exactly one must have no parent, and \(roots) have none")
    }

    private var outletProblem: FuseTreeProblem? {
        guard Bounds.outlets.contains(outlets.count) else {
            return .init("connectors", "must be at most \(Bounds.outlets.upperBound)")
        }
        let known = Set(nodes.map(\.id))
        var seen: Set<OutletID> = []
        for (index, outlet) in outlets.enumerated() {
            let place = "connectors[\(index)]"
            guard seen.insert(outlet.id).inserted else {
                return .init("\(place).connector", "\(outlet.id) stands twice")
            }
            guard known.contains(outlet.node) else {
                return .init("\(place).node", "\(outlet.node) is none of the nodes")
            }
            guard outlet.minimum >= Bounds.minimum else {
                return .init("\(place).minimumAmperes", "must be at least 1")
            }
            guard outlet.minimum <= outlet.most else {
                return .init("\(place).minimumAmperes", "is more than `amperes`")
            }
            if let fallback = outlet.fallback, fallback > .zero,
                fallback < outlet.minimum || fallback > outlet.most
            {
                return .init(
                    "\(place).offlineAmperes",
                    "must be 0, or from `minimumAmperes` to `amperes`")
            }
        }
        return nil
    }

    /// All fallbacks at once must fit: it is what stations may draw when nobody hears of them.
    private var fallbackProblem: FuseTreeProblem? {
        let sharing = CurrentSharing(circuits(\.limit))
        let left = sharing.left(
            after: outlets.map { $0.fallback ?? .zero }, of: outlets.map { load($0) })
        for (index, node) in nodes.enumerated() {
            let circuits = [left[index * 2], left[index * 2 + 1]].compactMap(\.self)
            guard circuits.allSatisfy({ $0.all.allSatisfy { $0 >= 0 } }) else {
                return .init(
                    "connectors", "the offlineAmperes behind \(node.id) are more than it carries")
            }
        }
        return nil
    }

    package func load(_ outlet: Outlet, wanted: Amperes? = nil) -> CurrentSharing.Load {
        CurrentSharing.Load(
            wiring: outlet.wiring, circuit: circuit(of: outlet.node), minimum: outlet.minimum,
            wanted: wanted ?? outlet.most, priority: outlet.priority,
            mostOnOnePhase: outlet.unit == .watts ? outlet.most : nil)
    }

    package func supply(of outlet: Outlet) -> ChargingSupply {
        ChargingSupply(phases: outlet.wiring.phases.count, nominal: nominal)
    }
}
