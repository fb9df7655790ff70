import JSON
import Service
import Station

extension Program {
    /// The files around each fault, newest last, or what the running agent remembers now.
    static func showBlackBox(_ invocation: CommandTable.Invocation) throws -> ExitCode {
        let settings = try settings(invocation)
        if invocation.has("--now") {
            let text = try asked("blackbox", at: settings.socketPath)
            print(
                invocation.isJSON
                    ? text
                    : (try JSONValue(parsing: text).array ?? []).map(line).joined(separator: "\n"))
            return .done
        }
        let folder = settings.blackBoxFolder
        let files = try BlackBox.files(in: folder).map { name in
            (name, String(decoding: try FileSystem.read("\(folder)/\(name)"), as: UTF8.self))
        }
        if invocation.isJSON {
            let all = files.map { name, text in
                JSONValue.members(["file": .string(name), "lines": .array(values(of: text))])
            }
            print(JSONValue.array(all).text)
            return .done
        }
        if files.isEmpty { print("no fault yet") }
        for (name, text) in files {
            print(name)
            // The views a second are for programs; a person reads what changed and the log.
            for value in values(of: text) where value["status"] == nil { print("  " + line(value)) }
        }
        return .done
    }

    /// Each line as JSON; a line of the log is a string.
    private static func values(of text: String) -> [JSONValue] {
        text.split(separator: "\n").map { line in
            // What is no object is text.
            (try? JSONValue(parsing: String(line))) ?? .string(String(line))
        }
    }

    private static func line(_ entry: JSONValue) -> String {
        guard let what = entry["what"]?.string else { return entry.string ?? entry.text }
        return "\(entry["at"]?.string ?? "?")  connector \(entry["connector"]?.int ?? 0)  \(what)  "
            + (entry["value"]?.string ?? "")
    }
}
