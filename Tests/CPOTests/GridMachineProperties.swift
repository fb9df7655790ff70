import CPO
import Charging
import TestSupport
import Testing

@Suite struct `Any site` {
    private static func tree(_ random: inout SeededGenerator) -> FuseTree {
        let nodes = (0..<Int.random(in: 1...4, using: &random)).map { index in
            FuseTree.Node(
                id: "n\(index)",
                parent: index == 0 ? nil : "n\(Int.random(in: 0..<index, using: &random))",
                limit: .init(
                    phases: PhaseCurrents(
                        Amperes(.random(in: 16...80, using: &random))),
                    watts: Bool.random(using: &random)
                        ? Watts(.random(in: 8_000...40_000, using: &random)) : nil),
                // The day is at noon when a run begins.
                windows: Bool.random(using: &random)
                    ? [
                        .init(
                            days: [5], from: .random(in: 715...730, using: &random),
                            until: .random(in: 710...735, using: &random),
                            limit: .init(
                                phases: PhaseCurrents(Amperes(.random(in: 8...30, using: &random)))
                            ))
                    ] : [])
        }
        let outlets = (0..<Int.random(in: 2...7, using: &random)).map { index in
            FuseTree.Outlet(
                id: OutletID("S\(index / 2)", index % 2 + 1),
                node: "n\(Int.random(in: 0..<nodes.count, using: &random))",
                wiring: PhaseWiring.allCases.randomElement(using: &random)!,
                most: Amperes([16, 32, 63].randomElement(using: &random)!),
                fallback: [nil, nil, Amperes(0), Amperes(6)].randomElement(using: &random)!,
                unit: [.amperes, .amperes, .watts].randomElement(using: &random)!)
        }
        var tree = FuseTree(id: "T", nodes: nodes, outlets: outlets)
        // Fallbacks that do not fit are refused when a tree is put.
        while tree.problem != nil,
            let index = tree.outlets.lastIndex(where: {
                $0.fallback ?? .zero > .zero
            })
        {
            tree.outlets[index].fallback = .zero
        }
        return tree
    }

    /// Something happens to a station or to a limit.
    private static func trouble(_ site: inout GridSite, _ random: inout SeededGenerator) {
        let id = site.tree.outlets.randomElement(using: &random)!.id
        let now = site.now.time
        switch Int.random(in: 0...11, using: &random) {
        case 0...2: site.stations[id]?.isActive.toggle()
        case 3:
            for other in site.stations.keys where other.station == id.station {
                site.stations[other]?.isOnline.toggle()
            }
        case 4: site.stations[id]?.refuses.toggle()
        case 5:
            let forgets = Bool.random(using: &random)
            for other in site.stations.keys where other.station == id.station {
                site.stations[other]?.bootedAt = now
                guard forgets else { continue }
                site.stations[other]?.base = nil
                site.stations[other]?.top = nil
            }
            // What was on its way to it does not arrive.
            site.messages.removeAll { $0.order.id.station == id.station }
        case 6: site.stations[id]?.isIdle.toggle()
        case 7:
            site.stations[id]?.cap = [nil, Amperes(0), Amperes(9)].randomElement(using: &random)!
        case 8:
            // More than it may, or less, or nobody knows.
            site.stations[id]?.measured =
                [nil, Amperes(0), Amperes(.random(in: 6...40, using: &random))]
                .randomElement(using: &random)!
        case 9:
            site.restart { _ in Bool.random(using: &random) }
        default:
            let node = site.tree.nodes.randomElement(using: &random)!.id
            site.limits.removeAll { $0.node == node }
            site.limits.append(
                GridLimit(
                    node: node,
                    limit: .init(
                        phases: PhaseCurrents(Amperes(.random(in: 0...40, using: &random)))),
                    source: "test", from: now,
                    until: now.advanced(bySeconds: .random(in: 5...120, using: &random))))
        }
    }

    /// A message to an offline station waits in vain; else it takes a while, and may be lost.
    private static func delay(
        _ random: inout SeededGenerator
    ) -> (arrives: Int64, answers: Int64?) {
        (
            .random(in: 1...3, using: &random),
            Int.random(in: 0...9, using: &random) == 0 ? nil : .random(in: 0...4, using: &random)
        )
    }

    @Test(arguments: 1...16 as ClosedRange<UInt64>)
    func `never gives more than its fuses carry, whoever is silent, refuses or forgets`(
        seed: UInt64
    ) {
        var random = SeededGenerator(seed: seed)
        var site = GridSite(Self.tree(&random))
        for _ in 0..<400 {
            if Int.random(in: 0...5, using: &random) == 0 { Self.trouble(&site, &random) }
            step(&site, &random)
        }
        // Peace: everybody hears and takes what is said, and nothing changes.
        for id in site.stations.keys {
            site.stations[id]?.isOnline = true
            site.stations[id]?.refuses = false
            site.stations[id]?.measured = nil
        }
        site.limits = []
        // What was refused is asked for again after ten minutes, and a limit of before may run out.
        var patience = 2400
        while patience > 0, !isWell(site) {
            patience -= 1
            step(&site, &random)
        }
        #expect(isWell(site), "nothing settles")
    }

    /// Nothing is over, by what is counted and by what stations allow.
    private func isWell(_ site: GridSite) -> Bool {
        let (machine, now) = (site.machine, site.now)
        return site.excess { machine.held($0.id, now) }.isEmpty
            && site.excess { site.allowed($0) }.isEmpty && site.isSafeAtWorst
    }

    /// What is ordered in each second of a troubled day.
    private static func orders(
        _ seed: UInt64, isLazy: Bool
    ) -> (orders: [[GridMachine.Order]], skipped: Int) {
        var random = SeededGenerator(seed: seed)
        var site = GridSite(tree(&random))
        site.isLazy = isLazy
        var orders: [[GridMachine.Order]] = []
        for second in 0..<2500 {
            // Long quiet times are where something could be missed.
            if second % 1250 < 150, Int.random(in: 0...9, using: &random) == 0 {
                trouble(&site, &random)
            }
            orders.append(site.tick { _ in delay(&random) })
        }
        return (orders, site.skipped)
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `is given the same, at the same time, when it is reckoned only when it is due`(
        seed: UInt64
    ) {
        let (eager, _) = Self.orders(seed, isLazy: false)
        let (lazy, skipped) = Self.orders(seed, isLazy: true)
        let first = zip(eager, lazy).enumerated().first { $1.0 != $1.1 }
        #expect(first == nil, "second \(first?.offset ?? 0)")
        #expect(skipped > 1000, "\(skipped) of 2500 were left out")
    }

    private func step(_ site: inout GridSite, _ random: inout SeededGenerator) {
        var probe = site.machine
        let facts = site.facts.mapValues { facts in
            var facts = facts
            facts.isOnline = false
            return facts
        }
        let answers = site
        let orders = site.tick { _ in Self.delay(&random) }
        // What every connector counted with when the orders were given, and none of them was out.
        probe = answers.afterAnswers(at: site.second)
        _ = probe.handle(.step(facts, site.limits), at: site.now)
        let (machine, now) = (site.machine, site.now)
        for order in orders where order.limit > probe.bound(order.id, now) {
            guard let outlet = site.tree.outlets.first(where: { $0.id == order.id }) else {
                continue
            }
            // With all that the others count with, and as much as it may draw now.
            let over = site.excess { $0.id == order.id ? order.limit : machine.held($0.id, now) }
            #expect(
                over.isDisjoint(with: site.path(outlet)),
                "\(order) raises what is over already, second \(site.second)")
        }
        for outlet in site.tree.outlets {
            #expect(
                site.allowed(outlet) <= machine.bound(outlet.id, now),
                "\(outlet.id) may draw more than it counts with, second \(site.second)")
        }
    }
}

extension GridSite {
    /// The machine once the answers that are due by `second` have come, before it decides.
    func afterAnswers(at second: Int64) -> GridMachine {
        var copy = self
        copy.second = second
        copy.deliver()
        return copy.machine
    }
}
