import JSON
import Service

extension Program {
    static func checkConfiguration(_ file: String) throws -> ExitCode {
        var settings = try Settings.load(file, looking: .atModes).value
        try settings.readCorrections()
        print("\(file): no problems")
        return .done
    }

    static func showConfiguration(_ invocation: CommandTable.Invocation) throws -> ExitCode {
        let file = invocation.value("--config") ?? "/etc/kerb/cpo.yaml"
        let read = try Settings.load(file)
        if invocation.isJSON {
            let settings = read.settings.map { setting -> JSONValue in
                [
                    "key": .string(setting.path), "value": .string(setting.text),
                    "origin": .string(setting.place.description),
                ]
            }
            print(JSONValue.array(settings).text)
            return .done
        }
        let width = read.settings.map(\.path.count).max() ?? 0
        for setting in read.settings {
            let name = setting.path + String(repeating: " ", count: width - setting.path.count)
            let origin = invocation.has("--origin") ? "   # \(setting.place)" : ""
            print("\(name)  \(setting.text)\(origin)")
        }
        return .done
    }
}
