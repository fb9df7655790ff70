import Charging
import TestSupport
import Testing

@Suite struct `Sharing current` {
    private func load(
        _ wiring: PhaseWiring, circuit: Int = 0, wanted: Int64 = 32, priority: Int = 0
    ) -> CurrentSharing.Load {
        .init(
            wiring: wiring, circuit: circuit, minimum: Amperes(6), wanted: Amperes(wanted),
            priority: priority)
    }

    private func shares(
        _ fuse: PhaseCurrents, _ loads: [CurrentSharing.Load],
        _ more: [CurrentSharing.Circuit] = []
    ) -> [Int64] {
        CurrentSharing([.init(id: 0, capacity: fuse)] + more).shares(of: loads)
            .map { $0.milliamperes / 1000 }
    }

    @Test func `gives each the same, and what one does not want to the others`() {
        let fuse = PhaseCurrents(Amperes(48))
        #expect(shares(fuse, [load(.rst), load(.rst), load(.rst)]) == [16, 16, 16])
        #expect(shares(fuse, [load(.rst, wanted: 10), load(.rst), load(.rst)]) == [10, 19, 19])
        #expect(shares(fuse, [load(.rst), load(.rst, wanted: 5)]) == [32, 0])
    }

    @Test func `counts each phase for itself`() {
        let fuse = PhaseCurrents(Amperes(32))
        #expect(shares(fuse, [load(.l1), load(.l2), load(.l3)]) == [32, 32, 32])
        #expect(shares(fuse, [load(.rst), load(.l1)]) == [16, 16])
        #expect(
            shares(PhaseCurrents(10_000, 32_000, 32_000), [load(.str), load(.l2)]) == [10, 22])
        #expect(shares(PhaseCurrents(5_000, 32_000, 32_000), [load(.trs), load(.l2)]) == [0, 32])
    }

    @Test func `admits in order, fills by priority`() {
        let fuse = PhaseCurrents(Amperes(16))
        #expect(shares(fuse, [load(.rst), load(.rst), load(.rst)]) == [8, 8, 0])
        #expect(shares(fuse, [load(.rst), load(.rst, priority: 1)]) == [6, 10])
    }

    @Test func `holds every fuse of the tree`() {
        let branch = CurrentSharing.Circuit(id: 1, parent: 0, capacity: .init(Amperes(12)))
        #expect(
            shares(
                .init(Amperes(63)),
                [load(.rst, circuit: 1), load(.rst, circuit: 1), load(.rst)], [branch])
                == [6, 6, 32])
    }

    @Test(arguments: 1...40 as ClosedRange<UInt64>)
    func `never exceeds a fuse, gives the minimum or nothing, and leaves no room unused`(
        seed: UInt64
    ) {
        var random = SeededGenerator(seed: seed)
        func current(_ most: Int64) -> Int64 { .random(in: 0...most, using: &random) }
        let circuits: [CurrentSharing.Circuit] = (0..<4).map { id in
            .init(
                id: id, parent: id == 0 ? nil : Int.random(in: 0..<id, using: &random),
                capacity: .init(current(90_000), current(90_000), current(90_000)))
        }
        let loads = (0..<Int.random(in: 1...12, using: &random)).map { _ in
            load(
                PhaseWiring.allCases.randomElement(using: &random)!,
                circuit: .random(in: 0..<4, using: &random),
                wanted: .random(in: 0...40, using: &random),
                priority: .random(in: 0...2, using: &random))
        }
        let sharing = CurrentSharing(circuits)
        let shares = sharing.shares(of: loads)
        let left = sharing.left(after: shares, of: loads)
        #expect(left.values.allSatisfy { $0.all.allSatisfy { $0 >= 0 } })
        for (load, share) in zip(loads, shares) {
            #expect(share == .zero || share >= load.minimum && share <= load.wanted)
            // Rounding to a tenth of an ampere may leave as much a load.
            let room = sharing.room(for: load, left)
            let slack = Int64(loads.count) * CurrentSharing.step * 4
            if share == .zero {
                #expect(load.wanted < load.minimum || room < load.minimum.milliamperes + slack)
            } else {
                #expect(share >= load.wanted || room <= slack)
            }
        }
    }
}
