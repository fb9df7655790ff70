import Charging
import JSON
import Service
import Simulation

extension Program {
    static let emspCommand = CommandTable.Command(
        "emsp",
        flags: [
            .init("--invite", "FILE", "JSON with token and versionsURL, as the demo writes it"),
            .init("--versions-url", "URL", "the CPO's versions, instead of --invite"),
            .init("--token-file", "FILE", "TOKEN_A, instead of --invite"),
            .init("--party", "CC*PPP", "who we are (NL*SIM)"),
            .init("--name", "TEXT", "our business name (Simulated Mobility)"),
            .init("--port", "N", "where the CPO reaches us (8083)"),
        ], "an OCPI 2.2.1 eMSP: registers, takes pushes, checks every one, until SIGTERM")

    /// `emsp`: a line a push; fails when anything it got was wrong.
    static func emsp(_ invocation: CommandTable.Invocation) async throws -> ExitCode {
        guard let (url, token) = try invitation(invocation) else {
            complain("kerb-sim: emsp needs --invite, or --versions-url and --token-file")
            return .usage
        }
        let party = (invocation.value("--party") ?? "NL*SIM").split(separator: "*").map(String.init)
        guard party.count == 2, party[0].count == 2, party[1].count == 3,
            let port = Int(invocation.value("--port") ?? "8083")
        else {
            complain("kerb-sim: --party is like NL*SIM, --port a number")
            return .usage
        }
        let findings = Findings()
        let emsp = try EMSP(
            .init(
                party: PartyID(country: party[0], party: party[1]),
                name: invocation.value("--name") ?? "Simulated Mobility", port: port,
                versionsURL: url, tokenA: token), findings: findings)
        let signals = Signals.stream()
        emsp.start()
        let script = Script()
        try await emsp.register()
        script.did("registered", url)
        let telling = Task { await tell(emsp, findings, script) }
        for await signal in signals where signal != .reload { break }
        telling.cancel()
        await telling.value
        await emsp.stop()
        print("\(emsp.pushes.all.count) pushes checked, \(findings.count) findings")
        return findings.count == 0 ? .done : .failed
    }

    /// Prints what came since the last look, until it is cancelled.
    private static func tell(_ emsp: EMSP, _ findings: Findings, _ script: Script) async {
        var (told, complained) = (0, 0)
        repeat {
            for push in emsp.pushes.all.dropFirst(told) {
                told += 1
                let object = push.object
                let energy = (object["kwh"] ?? object["total_energy"])?.decimal.map { "\($0) kWh" }
                let cost = object["total_cost"]?["excl_vat"]?.decimal.map { "\($0)" }
                let status = object["status"]?.string
                script.did(
                    "\(push.method) \(push.path)",
                    [status, energy, cost].compactMap { $0 }.joined(separator: ", "))
            }
            for finding in findings.all.dropFirst(complained) {
                complained += 1
                script.say("finding: \(finding)")
            }
            // Cancelled at the end; what came until then has been told.
            try? await SystemClock().sleep(milliseconds: 200)
        } while !Task.isCancelled
    }

    private static func invitation(
        _ invocation: CommandTable.Invocation
    ) throws -> (url: String, token: String)? {
        if let file = invocation.value("--invite") {
            let invitation = try JSONValue(parsing: FileSystem.read(file))
            guard let url = invitation["versionsURL"]?.string,
                let token = invitation["token"]?.string
            else { return nil }
            return (url, token)
        }
        guard let url = invocation.value("--versions-url"),
            let file = invocation.value("--token-file")
        else { return nil }
        let text = String(decoding: try FileSystem.read(file), as: UTF8.self)
        return (url, text.filter { !$0.isWhitespace })
    }
}
