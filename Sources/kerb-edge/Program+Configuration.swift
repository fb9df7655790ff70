import JSON
import Service

extension Program {
    /// Reads the file and every profile it names.
    static func checkConfiguration(_ path: String) throws -> ExitCode {
        let settings = try Configuration.load(file: path, EdgeSettings.read).value
        let cabinet = try Cabinet(settings)
        _ = try cabinet.siteMeter(settings)
        try settings.checkAgainstCommissioning()
        print("\(path): fine; \(settings.evses.count) outlets on \(settings.buses.count) buses")
        if !cabinet.areLinesChecked {
            print("no GPIO chip on this machine: the names of lines were not looked up")
        }
        if let note = writeSafeLines(path, try Cabinet.wishes(cabinet.board, settings)) {
            print(note)
        }
        return .done
    }

    static func showConfiguration(_ invocation: CommandTable.Invocation) throws -> ExitCode {
        let read = try Configuration.load(
            file: configurationPath(invocation), EdgeSettings.read)
        if invocation.isJSON {
            let lines = read.settings.map { setting in
                JSONValue.members([
                    "key": .string(setting.path), "value": .string(setting.text),
                    "origin": .string("\(setting.place)"),
                ])
            }
            print(JSONValue.array(lines).text)
            return .done
        }
        for setting in read.settings {
            let origin = invocation.has("--origin") ? "  # \(setting.place)" : ""
            print("\(setting.path): \(setting.text)\(origin)")
        }
        return .done
    }
}
