import Charging
import Crypto
import Glibc
import HAL
import JSON
import LinuxHAL
import Service
import Station

extension Program {
    private struct Finding {
        var isFine: Bool
        var what: String
    }

    /// Looks at everything a technician would look at; ends with `.someFailed` if any is bad.
    static func doctor(_ invocation: CommandTable.Invocation) async throws -> ExitCode {
        let path = configurationPath(invocation)
        let read = try Configuration.load(file: path, EdgeSettings.read)
        let settings = read.value
        var findings = [Finding(isFine: true, what: "configuration \(path)")]
        findings.append(board(settings))
        findings.append(clock())
        findings += disk(settings)
        findings += certificates(settings)
        var status: JSONValue?
        do throws(StatusSocket.SocketError) {
            let text = try StatusSocket.ask("status", at: settings.socketPath)
            // What is no JSON is no status; the agent's state is then reported as unknown.
            status = try? JSONValue(parsing: text)
            findings += running(status)
        } catch {
            findings.append(Finding(isFine: false, what: "agent: \(error)"))
            findings += await buses(settings)
        }
        for finding in findings { print("\(finding.isFine ? "ok " : "BAD") \(finding.what)") }
        if let bundle = invocation.value("--bundle") {
            try write(bundle, findings, read.settings, status)
        }
        return findings.allSatisfy(\.isFine) ? .done : .someFailed
    }

    private static func board(_ settings: EdgeSettings) -> Finding {
        do {
            let cabinet = try Cabinet(settings)
            let deadMan = cabinet.board.deadMan
            return Finding(
                isFine: deadMan.kind != .none,
                what:
                    "board \(cabinet.board.name), dead-man \(deadMan.kind.rawValue), opens within "
                    + "\(deadMan.opensWithinMilliseconds) ms")
        } catch let failure as Failure {
            return Finding(isFine: false, what: failure.text)
        } catch {
            return Finding(isFine: false, what: "board: \(error)")
        }
    }

    private static func clock() -> Finding {
        let now = SystemClock().now
        // Before the program was written: the board woke up without a battery clock.
        let isSane = now.milliseconds > 1_767_225_600_000
        return Finding(
            isFine: isSane, what: "clock \(now)\(isSane ? "" : ", never set since power-on")")
    }

    private static func disk(_ settings: EdgeSettings) -> [Finding] {
        let folder = settings.dataDirectory
        guard FileSystem.isFolder(folder), access(folder, W_OK) == 0 else {
            return [Finding(isFine: false, what: "dataDirectory \(folder): not there or not ours")]
        }
        do throws(FileError) {
            let free = try FileSystem.freeBytes(at: folder)
            return [
                Finding(isFine: free > 32 << 20, what: "disk \(free >> 20) MiB free in \(folder)")
            ]
        } catch {
            return [Finding(isFine: false, what: "disk: \(error)")]
        }
    }

    private static func certificates(_ settings: EdgeSettings) -> [Finding] {
        let files = [settings.csms.caFile, settings.csms.certificateFile].compactMap { $0 }
        return files.map { file in
            do {
                let pem = String(decoding: try FileSystem.read(file), as: UTF8.self)
                let ends = try Certificate(pem: pem).notAfter
                let days = (ends - SystemClock().now.milliseconds / 1000) / 86_400
                return Finding(isFine: days > 14, what: "\(file): valid for \(days) days")
            } catch {
                return Finding(isFine: false, what: "\(file): \(error)")
            }
        }
    }

    private static func running(_ status: JSONValue?) -> [Finding] {
        guard let status else { return [Finding(isFine: false, what: "agent answers nonsense")] }
        let isUp = status["link"]?.string == "up"
        var findings = [
            Finding(isFine: true, what: "agent runs"),
            Finding(isFine: isUp, what: "link \(status["link"]?.string ?? "?")"),
            Finding(
                isFine: status["registration"]?.string == "Accepted",
                what: "registration \(status["registration"]?.string ?? "none")"),
        ]
        for connector in status["connectors"]?.array ?? [] {
            let state = connector["status"]?.string ?? "?"
            let reason = connector["reason"]?.string.map { ": \($0)" } ?? ""
            findings.append(
                Finding(
                    isFine: state != "Faulted",
                    what: "connector \(connector["connector"]?.int ?? 0) \(state)\(reason)"))
        }
        return findings
    }

    /// Without an agent the buses are free to be tried.
    private static func buses(_ settings: EdgeSettings) async -> [Finding] {
        do {
            let cabinet = try Cabinet(settings)
            var findings: [Finding] = []
            for outlet in cabinet.outlets {
                let name = "meter of connector \(outlet.connector)"
                do {
                    let register = try await outlet.devices.meter.readings().energy
                    findings.append(Finding(isFine: true, what: "\(name): \(register)"))
                } catch {
                    findings.append(Finding(isFine: false, what: "\(name): \(error)"))
                }
            }
            return findings
        } catch {
            return []  // Said by `board` already.
        }
    }

    /// A text for support. The configuration holds paths of secrets, never secrets.
    private static func write(
        _ path: String, _ findings: [Finding], _ settings: [ConfigSetting], _ status: JSONValue?
    ) throws {
        var text = "kerb-edge \(version)\n\n"
        for finding in findings { text += "\(finding.isFine ? "ok " : "BAD") \(finding.what)\n" }
        text += "\n"
        for setting in settings { text += "\(setting.path): \(setting.text)  # \(setting.place)\n" }
        if let status { text += "\n\(status.text)\n" }
        try FileSystem.writeAtomically(Array(text.utf8), to: path)
        print("written to \(path)")
    }
}
