import Charging
import JSON
import Service
import Simulation

extension Program {
    static let fleetCommand = CommandTable.Command(
        "fleet",
        flags: [
            .init("--stations", "N", "how many, 1 to 19000", isRequired: true),
            .init("--url", "URL", "ws://host:port/ocpp/ or wss://…", isRequired: true),
            .init("--rate", "R", "calls a second of all together (a sixtieth of the stations)"),
            .init("--tls", "insist on wss"),
            .init("--ca", "FILE", "authorities of the server's certificate, PEM"),
            .init("--password-file", "FILE", "the password of every station"),
            .init("--prefix", "TEXT", "stations are called TEXT-00001 and so on (SIM)"),
            .init("--token", "UID", "who charges (DEMO-CARD-1)"),
            .init("--seconds", "S", "end after so long (runs until SIGTERM)"),
        ], "many stations in one process: boot, charge, report")

    /// `fleet`: prints a line every five seconds; fails when anything stayed unanswered.
    static func fleet(_ invocation: CommandTable.Invocation) async throws -> ExitCode {
        guard let settings = try fleetSettings(invocation) else { return .usage }
        let seconds = invocation.value("--seconds").flatMap { Int64($0) }
        let log = log(invocation)
        let fleet = try Fleet(settings)
        let signals = Signals.stream()
        let running = Task { await fleet.run() }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for await signal in signals where signal != .reload { return } }
            if let seconds {
                // Cancelled when a signal came first.
                group.addTask { try? await SystemClock().sleep(milliseconds: seconds * 1000) }
            }
            group.addTask {
                while !Task.isCancelled {
                    // Cancelled at the end of the run.
                    try? await SystemClock().sleep(milliseconds: 5000)
                    tell(fleet.report, log)
                }
            }
            await group.next()
            group.cancelAll()
        }
        let report = fleet.report
        running.cancel()
        await running.value
        if invocation.isJSON { print(report.json.text) } else { tell(report, log) }
        let isClean = report.errors == 0 && report.unanswered == 0 && report.answers > 0
        return isClean ? .done : .someFailed
    }

    private static func tell(_ report: FleetReport, _ log: Log) {
        log.notice(
            "fleet",
            [
                "connected": report.connected, "calls": report.calls, "answers": report.answers,
                "errors": report.errors, "unanswered": report.unanswered,
                "sessions": report.sessions,
                "p50Microseconds": report.latency.quantile(percent: 50),
                "p99Microseconds": report.latency.quantile(percent: 99),
            ])
    }

    private static func fleetSettings(
        _ invocation: CommandTable.Invocation
    ) throws -> Fleet.Settings? {
        let url = invocation.value("--url") ?? ""
        guard let stations = Int(invocation.value("--stations") ?? ""),
            (1...19_000).contains(stations)
        else {
            complain("kerb-sim: --stations must be from 1 to 19000")
            return nil
        }
        guard !invocation.has("--tls") || url.hasPrefix("wss://") else {
            complain("kerb-sim: --tls wants a wss:// URL")
            return nil
        }
        let rate = Int(invocation.value("--rate") ?? "") ?? max(1, stations / 60)
        var settings = Fleet.Settings(stations: stations, url: url, callsPerSecond: max(1, rate))
        if let prefix = invocation.value("--prefix") { settings.prefix = prefix }
        if let token = invocation.value("--token") { settings.token = token }
        settings.caFile = invocation.value("--ca")
        if let file = invocation.value("--password-file") {
            settings.password = Array(
                try FileSystem.read(file).prefix { $0 != UInt8(ascii: "\n") })
        }
        return settings
    }
}
