import Charging

extension GridMachine {
    /// A site as it stands, for people and programs.
    package struct View: Sendable {
        package struct Node: Sendable {
            package var id: String
            /// What holds now: fuse, time of the day and limits from outside.
            package var limit: FuseTree.Limit
            /// Limits on connectors behind it, added up phase by phase; of a connector limited in watts
            /// what may flow on one phase stands on each.
            package var allotted: PhaseCurrents
            /// What they count with: at least `allotted`, more where somebody is silent or refuses.
            package var counted: PhaseCurrents
            package var measured: PhaseCurrents
            /// More is counted than it carries; nobody is raised behind it.
            package var isOver: Bool
        }

        package enum Standing: String, Sendable {
            /// It confirmed its limit.
            case governed
            /// Its limit is on its way, or it was never told one.
            case waiting
            case refused
            case offline
        }

        package struct Outlet: Sendable {
            package var id: OutletID
            package var standing: Standing
            package var target: Amperes
            /// nil: nobody knows what limit it has.
            package var present: Amperes?
            package var fallback: Amperes?
            package var counted: Amperes
            /// On each of its phases.
            package var measured: [Amperes]?
            package var isActive: Bool
        }

        package var nodes: [Node]
        package var outlets: [Outlet]
    }

    package func view(at now: Moment) -> View {
        let circuits = tree.circuits { limit(of: $0, at: now.time) }
        let sharing = CurrentSharing(circuits)
        let known = tree.outlets.compactMap { outlet in loads[outlet.id].map { (outlet, $0) } }
        let left = sharing.left(after: known.map { held($0.0.id, now) }, of: known.map(\.1))
        var nodes = tree.nodes.enumerated().map { index, node in
            let bounds = [left[index * 2], left[index * 2 + 1]].compactMap(\.self)
            return View.Node(
                id: node.id, limit: limit(of: node, at: now.time), allotted: .zero, counted: .zero,
                measured: .zero, isOver: bounds.contains { $0.all.contains { $0 < 0 } })
        }
        for (outlet, load) in known {
            func phases(_ current: Amperes) -> PhaseCurrents {
                let each = Amperes(milliamperes: load.onPhase(current.milliamperes))
                return outlet.wiring.onSupply(
                    Array(repeating: each, count: outlet.wiring.phases.count))
            }
            let measured = states[outlet.id]?.facts.measured.map { outlet.wiring.onSupply($0) }
            for index in above(outlet.node) {
                nodes[index].allotted =
                    nodes[index].allotted + phases(present(outlet.id, now))
                nodes[index].counted = nodes[index].counted + phases(held(outlet.id, now))
                nodes[index].measured = nodes[index].measured + (measured ?? .zero)
            }
        }
        return View(nodes: nodes, outlets: known.map { self.view(of: $0.0, now) })
    }

    private func view(of outlet: FuseTree.Outlet, _ now: Moment) -> View.Outlet {
        let state = states[outlet.id] ?? State()
        let told = state.told
        let isKnown =
            outlet.fallback == nil
            ? told.present.confirmed != nil : told.fallback.confirmed != nil
        let standing: View.Standing =
            if !state.facts.isOnline {
                .offline
            } else if told.refused != nil {
                .refused
            } else if !isKnown || told.present.pending != nil || told.fallback.pending != nil {
                .waiting
            } else {
                .governed
            }
        return View.Outlet(
            id: outlet.id, standing: standing, target: state.target,
            present: isKnown ? present(outlet.id, now) : nil, fallback: told.fallback.confirmed,
            counted: held(outlet.id, now), measured: state.facts.measured,
            isActive: state.facts.isActive)
    }

    /// A node and those above it, by their places.
    private func above(_ node: String) -> [Int] {
        var path: [Int] = []
        var next = tree.nodes.firstIndex { $0.id == node }
        while let index = next, !path.contains(index) {
            path.append(index)
            next = tree.nodes[index].parent.flatMap { id in
                tree.nodes.firstIndex { $0.id == id }
            }
        }
        return path
    }
}
