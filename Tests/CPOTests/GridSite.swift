import CPO
import Charging
import TestSupport

/// A site of stations that hold profiles as real ones do, for `GridMachine`: some are silent, some
/// refuse, some forget everything in a boot, and answers get lost.
struct GridSite {
    struct Station {
        /// Level 0 and level 1 of its TxDefaultProfiles.
        var base: Amperes?
        var top: (limit: Amperes, until: Timestamp?)?
        var isOnline = true
        var refuses = false
        var bootedAt: Timestamp
        var isActive = false
        var isIdle = false
        var cap: Amperes?
        var measured: Amperes?
        /// The same phase by phase, where a test tells them apart.
        var phases: [Amperes]?
    }

    /// An order on its way.
    struct Message {
        var order: GridMachine.Order
        var arrives: Int64
        /// The answer comes then; nil: it gets lost.
        var answers: Int64?
        var isApplied = false
        /// What the station made of it when it came.
        var isTaken = false
    }

    static let start = Timestamp(seconds: 1_800_014_400)

    private(set) var tree: FuseTree
    var machine: GridMachine
    var stations: [OutletID: Station] = [:]
    var limits: [GridLimit] = []
    var messages: [Message] = []
    /// Seconds since `start`.
    var second: Int64 = 0
    var told: [OutletID: GridMachine.Told] = [:]
    /// The machine is stepped only when something is new, or when it wants to be.
    var isLazy = false
    /// Steps that were left out.
    private(set) var skipped = 0
    private var due = Int64.min
    private var seen: (facts: [OutletID: GridMachine.Facts], limits: [GridLimit])?

    var now: GridMachine.Moment {
        .init(time: Self.start.advanced(bySeconds: second), monotonic: second * 1000)
    }

    init(_ tree: FuseTree) {
        self.tree = tree
        machine = GridMachine(tree, zone: .utc)
        for outlet in tree.outlets {
            stations[outlet.id] = Station(bootedAt: Self.start.advanced(bySeconds: -3600))
        }
    }

    mutating func configure(_ change: (inout FuseTree) -> Void) {
        change(&tree)
        due = .min
        for case .remember(let id, let told) in machine.handle(.configured(tree, .utc), at: now) {
            self.told[id] = told
        }
    }

    /// What a station lets its car draw now.
    func allowed(_ outlet: FuseTree.Outlet) -> Amperes {
        guard let station = stations[outlet.id] else { return .zero }
        if let top = station.top, top.until.map({ now.time < $0 }) ?? true { return top.limit }
        return min(station.base ?? outlet.most, outlet.most)
    }

    var facts: [OutletID: GridMachine.Facts] {
        stations.mapValues {
            .init(
                isOnline: $0.isOnline, bootedAt: $0.bootedAt, isActive: $0.isActive,
                isIdle: $0.isIdle, cap: $0.cap, measured: $0.phases ?? $0.measured.map { [$0] })
        }
    }

    /// A second passes: orders arrive, answers come, the machine decides.
    ///
    /// - Returns: the orders it gave.
    mutating func tick(
        delay: (inout Self) -> (arrives: Int64, answers: Int64?) = { _ in (0, 0) }
    ) -> [GridMachine.Order] {
        second += 1
        deliver()
        let effects = step()
        var orders: [GridMachine.Order] = []
        for effect in effects {
            switch effect {
            case .remember(let id, let told): self.told[id] = told
            case .send(let order):
                orders.append(order)
                let (arrives, answers) = delay(&self)
                messages.append(
                    Message(
                        order: order, arrives: second + arrives,
                        answers: answers.map { second + arrives + $0 }))
            }
        }
        deliver()
        return orders
    }

    private mutating func step() -> [GridMachine.Effect] {
        let facts = facts
        if isLazy, let seen, seen.facts == facts, seen.limits == limits, now.monotonic < due {
            skipped += 1
            return []
        }
        let effects = machine.handle(.step(facts, limits), at: now)
        seen = (facts, limits)
        due = machine.isSettled ? machine.nextDue(after: now) ?? .max : now.monotonic
        return effects
    }

    /// The server is killed and starts with what it had written down. What was on its way arrives where
    /// `arrives` says so, and no answer is heard.
    mutating func restart(_ arrives: (Message) -> Bool) {
        machine = GridMachine(tree, zone: .utc, told: told)
        due = .min
        cut(arrives)
    }

    mutating func deliver() {
        for index in messages.indices where messages[index].arrives <= second {
            guard !messages[index].isApplied else { continue }
            messages[index].isApplied = true
            messages[index].isTaken = apply(messages[index].order)
        }
        let answered = messages.filter { $0.isApplied && ($0.answers ?? $0.arrives + 30) <= second }
        messages.removeAll { $0.isApplied && ($0.answers ?? $0.arrives + 30) <= second }
        for message in answered {
            let order = message.order
            due = .min
            let answer: GridMachine.Answer =
                message.answers == nil ? .unknown : message.isTaken ? .accepted : .refused
            for effect in machine.handle(
                .answered(order.id, number: order.number, answer), at: now)
            {
                if case .remember(let id, let told) = effect { self.told[id] = told }
            }
        }
    }

    /// The connection is gone with every message on it, `arrives` or not.
    mutating func cut(_ arrives: (Message) -> Bool) {
        for message in messages where !message.isApplied && arrives(message) {
            _ = apply(message.order)
        }
        messages = []
    }

    private mutating func apply(_ order: GridMachine.Order) -> Bool {
        guard stations[order.id]?.refuses == false else { return false }
        if order.takesOver {
            stations[order.id]?.base = nil
            stations[order.id]?.top = nil
        }
        let hasFallback = tree.outlets.contains { $0.id == order.id && $0.fallback != nil }
        switch order.part {
        case .fallback: stations[order.id]?.base = order.limit
        case .present:
            if hasFallback {
                stations[order.id]?.top = (order.limit, order.expires)
            } else {
                stations[order.id]?.base = order.limit
                stations[order.id]?.top = nil
            }
        }
        return true
    }

    // MARK: What nodes carry

    /// A phase of a circuit; of one that bounds the sum there is but one.
    struct Wire: Hashable {
        var circuit: CurrentSharing.CircuitID
        var phase: Int
    }

    /// What is over when every connector draws `currents`; empty where all holds.
    func excess(_ currents: (FuseTree.Outlet) -> Amperes) -> Set<Wire> {
        let circuits = tree.circuits { node in
            tree.limit(of: node, at: now.time, in: .utc, limits)
        }
        let left = CurrentSharing(circuits).left(
            after: tree.outlets.map(currents), of: tree.outlets.map { tree.load($0) })
        return Set(
            left.flatMap { id, currents in
                currents.all.indices.filter { currents.all[$0] < 0 }
                    .map { Wire(circuit: id, phase: $0) }
            })
    }

    /// Whether the fuses hold even where every car draws in the worst way: behind a station that is
    /// limited in watts all of it on any one phase, as far as its connector carries it.
    var isSafeAtWorst: Bool {
        tree.nodes.allSatisfy { node in
            guard
                let fuse = tree.limit(of: node, at: now.time, in: .utc, limits).phases?.all
            else { return true }
            var flow: [Int64] = [0, 0, 0]
            for outlet in tree.outlets where isBehind(outlet.node, node.id) {
                let current = allowed(outlet).milliamperes
                let count = Int64(outlet.wiring.phases.count)
                for phase in outlet.wiring.phases {
                    flow[phase] +=
                        outlet.unit == .watts
                        ? max(current, min(outlet.most.milliamperes, current * count)) : current
                }
            }
            return zip(flow, fuse).allSatisfy { $0 <= $1 }
        }
    }

    private func isBehind(_ node: String, _ other: String) -> Bool {
        var next: String? = node
        while let id = next {
            if id == other { return true }
            next = tree.nodes.first { $0.id == id }?.parent
        }
        return false
    }

    /// What a connector's current flows through.
    func path(_ outlet: FuseTree.Outlet) -> Set<Wire> {
        var path: Set<Wire> = []
        var next = tree.nodes.firstIndex { $0.id == outlet.node }
        while let index = next {
            for phase in outlet.wiring.phases {
                path.insert(Wire(circuit: index * 2, phase: phase))
            }
            path.insert(Wire(circuit: index * 2 + 1, phase: 0))
            next = tree.nodes[index].parent.flatMap { id in
                tree.nodes.firstIndex { $0.id == id }
            }
        }
        return path
    }
}
