import Charging
import JSON
import Service
import Simulation

/// Drivers of the demo who come when they are asked: a remote start that finds no car gets one, and a
/// car whose charge has ended drives away.
struct Visitors: Sendable {
    let stage: Stage
    /// How often the bays are looked at.
    private static let milliseconds: Int64 = 500

    func run() async {
        var wasCharging: Set<String> = []
        while !Task.isCancelled {
            for (index, bench) in stage.site.benches.enumerated() {
                let status = await status(of: index + 1)
                let hasCar = bench.now { $0.car != nil }
                if !hasCar, status == "Preparing" || status == "Reserved" {
                    bench.now { $0.plugIn(.init(phases: $0.phases)) }
                } else if hasCar, wasCharging.contains(bench.name), status == "Finishing" {
                    bench.now { $0.unplug() }
                    wasCharging.remove(bench.name)
                }
                if bench.now({ $0.contactor.isClosed }) { wasCharging.insert(bench.name) }
            }
            // Cancelled: the loop's condition ends it.
            try? await SystemClock().sleep(milliseconds: Self.milliseconds)
        }
    }

    private func status(of connector: Int) async -> String? {
        // A server that is restarting is asked again in a moment.
        let station = try? await stage.get("/stations/\(stage.plan.station)")
        for item in station?["connectors"]?.array ?? [] where item["number"]?.int == connector {
            return item["status"]?.string
        }
        return nil
    }
}
