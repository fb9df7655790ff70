import Charging
import JSON
import Testing

@testable import Station

@Suite struct `The proof of a wiring` {
    private typealias Proof = PhaseProof

    /// What a load on one phase after the other comes to.
    private func outcome(
        _ wiring: PhaseWiring, loads: [[Int64]], others: [[Int64]] = [], phases: Int = 3
    ) -> [PhaseProof.Finding] {
        var proof = PhaseProof(others: others.first)
        var now: Int64 = 0
        var found: [PhaseProof.Finding] = []
        for (index, load) in loads.enumerated() {
            let rest = others.isEmpty ? nil : others[min(index, others.count - 1)]
            for _ in 0..<14 {
                now += 500
                let finding = proof.see(load, others: rest, wiring, at: now)
                if finding != .wait { found.append(finding) }
                if case .proven = finding { return found }
                if case .wrong = finding { return found }
            }
        }
        return found
    }

    @Test func `passes a load that each meter counts where it is`() {
        let found = outcome(
            .str,
            loads: [[10_000, 10_000, 10_000], [10_000, 0, 0], [0, 10_000, 0], [0, 0, 10_000]],
            others: [
                [3000, 3000, 3000], [3200, 2900, 3000], [3000, 3500, 3000], [3000, 3000, 3000],
            ])
        #expect(found.prefix(3) == [.load(0), .load(1), .load(2)])
        #expect(found.last == .proven("STR, phase by phase at its own and the site's meter"))
    }

    @Test func `says so when nothing sees the supply`() {
        let found = outcome(.rst, loads: [[0, 0, 0], [900, 0, 0], [0, 900, 0], [0, 0, 900]])
        #expect(
            found.last
                == .proven("phase by phase at its own meter; RST as configured, no site meter"))
    }

    @Test func `waits while nothing has been moved yet`() {
        #expect(outcome(.rst, loads: [[0, 900, 0], [0, 900, 0], [900, 900, 0]]) == [.load(0)])
    }

    @Test func `finds current transformers that are exchanged`() {
        let found = outcome(.rst, loads: [[900, 900, 900], [0, 900, 0]])
        guard case .wrong(let what)? = found.last else {
            Issue.record("\(found)")
            return
        }
        #expect(what.hasPrefix("its meter counts on L2 while L1 is loaded"))
    }

    @Test func `finds a current transformer that is the other way round`() {
        let found = outcome(.rst, loads: [[900, -900, 900], [900, 0, 0], [0, -900, 0]])
        guard case .wrong(let what)? = found.last else {
            Issue.record("\(found)")
            return
        }
        #expect(what.hasPrefix("its meter counts L2 backwards"))
    }

    /// The agent takes the outlet's current out of the phase it was told; the load is left where it is.
    @Test func `finds an outlet that hangs on other phases of the supply`() {
        let found = outcome(
            .rst, loads: [[16_000, 16_000, 16_000], [16_000, 0, 0]],
            others: [[2000, 2000, 2000], [0, 18_000, 2000]])
        guard case .wrong(let what)? = found.last else {
            Issue.record("\(found)")
            return
        }
        #expect(
            what.hasPrefix("L1 hangs on L2 of the supply, as the site's meter sees it, not on L1"))
    }

    @Test func `needs one phase alone of an outlet that has one`() {
        let found = outcome(
            .l2, loads: [[0], [16_000]], others: [[2000, 2000, 2000], [2000, 2000, 2000]])
        #expect(found.last == .proven("L2, phase by phase at its own and the site's meter"))
    }
}

@Suite struct `The lock of commissioning` {
    private let locked = CommissioningLock(
        board: "cabinet", fuse: Amperes(63), phases: 3, maximum: [1: Amperes(32)])

    @Test func `lets a configuration ask for less, never for more`() {
        var other = locked
        other.fuse = Amperes(40)
        other.maximum = [1: Amperes(16)]
        #expect(locked.breaches(by: other) == [])
        other.fuse = Amperes(80)
        other.maximum = [1: Amperes(40), 2: Amperes(10)]
        other.board = "another"
        let breaches = locked.breaches(by: other)
        #expect(breaches.count == 4)
        #expect(breaches[0].hasPrefix("site.fuseAmperes is 80 A, commissioning locked 63 A"))
    }

    @Test func `holds the wiring, where its record has one`() {
        var locked = locked
        var other = locked
        other.wiring = [1: "STR"]
        #expect(locked.breaches(by: other) == [])
        locked.wiring = [1: "RST"]
        #expect(locked.breaches(by: locked) == [])
        #expect(
            locked.breaches(by: other).first?
                .hasPrefix("wiring of connector 1 is STR, commissioning locked RST") == true)
    }

    @Test func `comes only from a record in which all passed`() throws {
        var record = CommissioningRecord(
            station: "CS", board: "cabinet", version: "1", at: Timestamp(seconds: 0), by: "A",
            fuse: Amperes(63), phases: 3, wiring: [1: .rst], maximum: [1: Amperes(32)],
            results: [.init(connector: 1, step: "relay", isPassed: true, found: "x")])
        var wired = locked
        wired.wiring = [1: "RST"]
        #expect(CommissioningLock(record.json) == wired)
        #expect(record.text.contains("ok     connector 1, relay: x"))
        record.results[0].isPassed = false
        #expect(CommissioningLock(record.json) == nil)
        record.results = []
        #expect(CommissioningLock(record.json) == nil)
    }
}
