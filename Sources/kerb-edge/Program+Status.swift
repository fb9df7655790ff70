import Glibc
import JSON
import Service
import Station

extension Program {
    static func showStatus(_ invocation: CommandTable.Invocation) async throws -> ExitCode {
        let path = try settings(invocation).socketPath
        return try await again(invocation) {
            let text = try asked("status", at: path)
            print(invocation.isJSON ? text : lines(try JSONValue(parsing: text)))
        }
    }

    /// Runs once, or every second with `--watch`.
    static func again(
        _ invocation: CommandTable.Invocation, _ body: () async throws -> Void
    ) async throws -> ExitCode {
        repeat {
            try await body()
            fflush(nil)
            if invocation.has("--watch") { try await SystemClock().sleep(milliseconds: 1000) }
        } while invocation.has("--watch")
        return .done
    }

    static func asked(_ line: String, at path: String) throws -> String {
        do throws(StatusSocket.SocketError) {
            return try StatusSocket.ask(line, at: path)
        } catch {
            throw Failure(code: .unreachable, text: "\(error)")
        }
    }

    static func ask(_ invocation: CommandTable.Invocation, _ line: String) throws -> ExitCode {
        let answer = try JSONValue(
            parsing: try asked(line, at: try settings(invocation).socketPath))
        if let error = answer["error"]?.string { throw Failure(code: .refused, text: error) }
        print(invocation.isJSON ? answer.text : answer["done"]?.string ?? "done")
        return .done
    }

    static func tokenWords(_ invocation: CommandTable.Invocation) -> String {
        ([invocation.arguments[0]] + [invocation.value("--connector")].compactMap { $0 })
            .joined(separator: " ")
    }

    /// The status for people.
    private static func lines(_ status: JSONValue) -> String {
        let depth = status["journalDepth"]?.int.map { "\($0) to send" } ?? "unreadable"
        let registration = status["registration"]?.string ?? "not registered"
        var lines = [
            "\(status["station"]?.string ?? "?")  link \(status["link"]?.string ?? "?"), "
                + "\(registration), journal \(depth)"
        ]
        for connector in status["connectors"]?.array ?? [] {
            lines += self.lines(ofConnector: connector)
        }
        return lines.joined(separator: "\n")
    }

    private static func lines(ofConnector connector: JSONValue) -> [String] {
        func text(_ key: String) -> String { connector[key]?.string ?? "?" }
        let number = connector["connector"]?.int ?? 0
        let reason = connector["reason"]?.string.map { " (\($0))" } ?? ""
        var lines = [
            "connector \(number)  \(text("status"))\(reason)",
            "  contactor \(text("contactor")), pilot \(text("pilot")), "
                + "signal \(text("signal")), limit \(connector["limitAmperes"]?.number?.text ?? "?") A",
        ]
        if connector["energyAllowed"]?.bool == true {
            lines.append("  energy allowed")
        } else {
            let why = (connector["hindrances"]?.array ?? []).compactMap(\.string)
            lines.append("  no energy: \(why.joined(separator: "; "))")
        }
        if let charge = connector["charge"] {
            lines.append(
                "  charge \(charge["charge"]?.int ?? 0): \(charge["energyWh"]?.int ?? 0) Wh since "
                    + "\(charge["startedAt"]?.string ?? "?")")
        }
        if let meter = connector["meter"] { lines.append("  meter \(meterText(meter))") }
        return lines
    }

    static func meterText(_ meter: JSONValue) -> String {
        guard let register = meter["registerWh"]?.int else {
            return meter["error"]?.string ?? "not read"
        }
        var parts = ["\(register) Wh"]
        if let power = meter["powerW"]?.int { parts.append("\(power) W") }
        for (key, unit) in [("currentsA", "A"), ("voltagesV", "V")] {
            let values = (meter[key]?.array ?? []).compactMap { $0.number?.text }
            if !values.isEmpty { parts.append("\(values.joined(separator: "/")) \(unit)") }
        }
        parts.append("age \(meter["ageMilliseconds"]?.int ?? 0) ms")
        parts.append(meter["quality"]?.string ?? "")
        if let error = meter["error"]?.string { parts.append(error) }
        return parts.joined(separator: ", ")
    }
}
