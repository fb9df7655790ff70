import Glibc
import JSON
import Service
import Station

extension Program {
    /// Looks at everything a technician would look at; ends with `.someFailed` if any is bad, with
    /// `.usage` if the configuration cannot even be read.
    static func doctor(_ invocation: CommandTable.Invocation) async throws -> ExitCode {
        let path = configurationPath(invocation)
        let read: Configuration<EdgeSettings>
        do throws(ConfigProblems) {
            read = try Configuration.load(file: path, EdgeSettings.read)
        } catch {
            let findings = error.all.map {
                Finding.bad("configuration", "\($0)", mend: "kerb-edge config check \(path)")
            }
            show(findings + [Doctor.clock()], invocation)
            return .usage
        }
        let settings = read.value
        let status = answer("status", settings)
        var findings = [Finding.fine("configuration", path)]
        findings += read.warnings.map {
            .warning("configuration", "\($0)", mend: "as it says; then restart the agent")
        }
        findings += await Doctor(settings: settings, status: status, file: path).findings()
        show(findings, invocation)
        if let bundle = invocation.value("--bundle") {
            let log = answer("log", settings)?["lines"]?.array?.compactMap(\.string)
            let archive = try SupportBundle(
                settings: settings, values: read.settings, findings: findings, status: status,
                keys: answer("settings", settings), log: log ?? SupportBundle.pastLog()
            ).archive()
            try FileSystem.writeAtomically(archive, to: bundle)
            complain("written to \(bundle)")
        }
        return findings.contains { $0.verdict == .bad } ? .someFailed : .done
    }

    /// nil while no agent runs; one that answers no JSON counts as none.
    private static func answer(_ question: String, _ settings: EdgeSettings) -> JSONValue? {
        // See above: whatever the reason, there is nothing to show.
        guard let text = try? StatusSocket.ask(question, at: settings.socketPath) else {
            return nil
        }
        // See above.
        return try? JSONValue(parsing: text)
    }

    private static func show(_ findings: [Finding], _ invocation: CommandTable.Invocation) {
        if invocation.isJSON {
            print(JSONValue.array(findings.map(\.json)).text)
        } else {
            let terminal = Terminal.standardOutput
            for finding in findings { print(finding.text(on: terminal)) }
        }
    }
}
