import Service
import Testing

@testable import Station

@Suite struct `A connector in any sequence of events` {
    @Test func `keeps every rule and reaches what the rules are about`() {
        var seen: [String: Int] = [:]
        // `KERB_SEEDS=10000 swift test --filter StationTests` for a long night.
        let few: UInt64 = Environment.all["KERB_LONG"] == nil ? 48 : 600
        let seeds = Environment.all["KERB_SEEDS"].flatMap { UInt64($0) } ?? few
        for seed in 1...seeds {
            var chaos = ConnectorChaos(seed: seed)
            do throws(ConnectorChaos.Broken) {
                for _ in 0..<800 { try chaos.step() }
            } catch {
                Issue.record("seed \(seed): \(error.rule)\n\(chaos.words)")
                return
            }
            for (what, count) in chaos.counts { seen[what, default: 0] += count }
        }
        // A world in which nothing of it happens would keep every rule.
        for what in [
            "closings", "completed", "tests", "reservations", "reserved starts", "limited",
            "resumed", "reboots", "absences", "over-currents", "derated",
            "lost sites", "offers", "free starts",
        ] {
            #expect(seen[what, default: 0] > 0, "\(what): \(seen)")
        }
    }
}
