import JSON
import Service
import Web

extension Program {
    /// Reads the file and every profile it names. What only the board itself can have, GPIO chips,
    /// serial ports and readers, is noted where it is missing, and the exit code stays 0.
    static func checkConfiguration(_ path: String) throws -> ExitCode {
        let read = try Configuration.load(file: path) { file in
            let settings = EdgeSettings.read(file)
            for (section, key, secret) in settings.secrets(file) {
                FileChecks(section).privacy(key, secret)
            }
            return settings
        }
        let settings = read.value
        let cabinet = try placed(read.settings) { try Cabinet(settings) }
        _ = try cabinet.siteMeter(settings)
        try settings.checkAgainstCommissioning()
        for warning in read.warnings { complain("warning: \(warning)") }
        print("\(path): fine; \(settings.evses.count) outlets on \(settings.buses.count) buses")
        if !cabinet.areLinesChecked {
            print("no GPIO chip on this machine: the names of lines were not looked up")
        }
        // A configuration may be made on a desk: it is right although nothing is plugged in there.
        for missing in BusExamination(settings: settings).missing(in: read.settings) {
            print("\(missing) (on another machine than the board itself that is fine)")
        }
        if let note = writeSafeLines(path, try Cabinet.wishes(cabinet.board, settings)) {
            print(note)
        }
        return .done
    }

    /// Tells a line that is not there at the key that names it.
    static func placed(
        _ settings: [ConfigSetting], _ body: () throws -> Cabinet
    ) throws -> Cabinet {
        do { return try body() } catch let failure as LineFailure {
            throw ConfigProblems(all: [failure.problem(in: settings)])
        }
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

extension EdgeSettings {
    /// The files that are of the agent's user alone, with the keys that name them.
    func secrets(_ file: ConfigSection) -> [(section: ConfigSection, key: String, path: String)] {
        let section = file.section("csms")
        var secrets = [("passwordFile", csms.passwordFile), ("keyFile", csms.keyFile)].compactMap {
            key, path in path.map { (section, key, $0) }
        }
        if let path = supply.group?.keyFile {
            secrets.append((file.section("site").section("group"), "keyFile", path))
        }
        return secrets
    }
}
