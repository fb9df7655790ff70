/// A program's configuration: what was read, and who set each value.
///
/// The program describes its keys by reading them; that one description serves the reading, the
/// refusal of unknown keys, `config show --origin` and `config schema`:
/// ```swift
/// let read = try Configuration.load(file: path) { section in
///     EdgeSettings(
///         stationID: section.text("stationID", about: "the identity the operator gave"),
///         heartbeatSeconds: section.int("heartbeatSeconds", default: 300, in: 1...86_400))
/// }
/// ```
package struct Configuration<Value: Sendable>: Sendable {
    package let value: Value
    /// Every value in force, in the order of its reading.
    package let settings: [ConfigSetting]
    /// What works and is not as it should be, in the order of the file.
    package let warnings: [ConfigProblem]

    /// Reads a file, then lets `KERB_…` variables override it.
    ///
    /// - Throws: all problems found, not only the first.
    package static func load(
        file: String, environment: [String: String] = Environment.all,
        _ read: (ConfigSection) -> Value
    ) throws(ConfigProblems) -> Configuration {
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try FileSystem.read(file, limitBytes: YAMLReader.longestFileBytes)
        } catch {
            let place = ConfigPlace.file(file, line: 1, column: 1)
            throw ConfigProblems(
                all: [ConfigProblem(place: place, what: "cannot be read: \(error)")],
                isUnreadable: true)
        }
        return try parse(bytes, file: file, environment: environment, read)
    }

    /// The same from bytes; `file` is the name that problems carry.
    package static func parse(
        _ bytes: [UInt8], file: String, environment: [String: String] = [:],
        _ read: (ConfigSection) -> Value
    ) throws(ConfigProblems) -> Configuration {
        let document: (node: YAMLNode?, problems: [ConfigProblem])
        do throws(ConfigProblem) {
            document = try YAMLReader.read(bytes, file: file)
        } catch {
            throw ConfigProblems(all: [error], isUnreadable: true)
        }
        let context = ConfigContext(file: file, environment: environment, isSchema: false)
        context.problems = document.problems
        let top = ConfigSection(
            context, path: "", document.node, at: .file(file, line: 1, column: 1))
        let value = read(top)
        top.refuseUnknownKeys()
        context.refuseUnknownVariables()
        guard context.problems.isEmpty else {
            throw ConfigProblems(all: ConfigContext.sorted(context.problems))
        }
        return Configuration(
            value: value, settings: context.settings,
            warnings: ConfigContext.sorted(context.warnings))
    }

    /// The keys as a JSON Schema (2020-12) for editors.
    package static func schema(title: String, _ read: (ConfigSection) -> Value) -> String {
        let context = ConfigContext(file: "schema", environment: [:], isSchema: true)
        let top = ConfigSection(context, path: "", nil, at: .byDefault)
        _ = read(top)
        return top.schema.text(title: title)
    }
}

/// One value in force.
package struct ConfigSetting: Hashable, Sendable {
    /// `csms.url`, `evses[0].meter`.
    package let path: String
    /// As written; the password inside a URL is hidden.
    package let text: String
    package let place: ConfigPlace
}

/// What all sections of one reading share. Lives only while the configuration is read.
final class ConfigContext {
    let file: String
    let isSchema: Bool
    let environment: [String: String]
    var problems: [ConfigProblem] = []
    var warnings: [ConfigProblem] = []
    var settings: [ConfigSetting] = []
    /// Names of variables that some key would obey.
    var knownVariables: Set<String> = []

    init(file: String, environment: [String: String], isSchema: Bool) {
        self.file = file
        self.environment = environment.filter {
            $0.key.hasPrefix("KERB_") && !Self.testVariables.contains($0.key)
        }
        self.isSchema = isSchema
    }

    /// What the test suites are told by; programs they start inherit it.
    private static let testVariables: Set = [
        "KERB_BIN", "KERB_CASES", "KERB_FIRST_SEED", "KERB_LONG", "KERB_SEEDS",
        "KERB_TEST_DATABASE",
    ]

    /// `csms.passwordFile` is `KERB_CSMS__PASSWORD_FILE`, `evses[0].meter` `KERB_EVSES__0__METER`.
    static func variable(_ path: String) -> String {
        var name = "KERB_"
        let scalars = Array(path.unicodeScalars)
        for (index, scalar) in scalars.enumerated() {
            switch scalar {
            case ".", "[": name += "__"
            case "]": break
            case "A"..."Z":
                let before = index > 0 ? scalars[index - 1] : "."
                let after = index + 1 < scalars.count ? scalars[index + 1] : "."
                // `bapURIs` ends in the plural of an acronym, not in the word `Is`.
                let behind = index + 2 < scalars.count ? scalars[index + 2] : "."
                let isPlural = after == "s" && !("a"..."z").contains(behind)
                let startsWord =
                    ("a"..."z").contains(before) || ("0"..."9").contains(before)
                    || (("A"..."Z").contains(before) && ("a"..."z").contains(after) && !isPlural)
                name += (startsWord ? "_" : "") + String(scalar)
            default: name += String(scalar).uppercased()
            }
        }
        return name
    }

    func add(_ place: ConfigPlace, _ what: String) {
        guard !isSchema else { return }
        problems.append(ConfigProblem(place: place, what: what))
    }

    /// A misspelt override would otherwise be passed over in silence.
    func refuseUnknownVariables() {
        for name in environment.keys.sorted() where !knownVariables.contains(name) {
            let hint = Spelling.nearest(to: name, among: knownVariables.sorted())
                .map { "; did you mean \($0)?" }
            add(.environment(name), "no key answers to this variable" + (hint ?? "; unset it"))
        }
    }

    static func sorted(_ problems: [ConfigProblem]) -> [ConfigProblem] {
        problems.enumerated().sorted { a, b in
            let (x, y) = (rank(a.element.place), rank(b.element.place))
            return x == y ? a.offset < b.offset : x < y
        }.map(\.element)
    }

    private static func rank(_ place: ConfigPlace) -> (Int, Int) {
        switch place {
        case .file(_, let line, let column): (line, column)
        case .environment, .byDefault: (.max, 0)
        }
    }
}
