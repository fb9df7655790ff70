/// One thing wrong with a configuration: where, what, and the mend.
package struct ConfigProblem: Error, Hashable, Sendable, CustomStringConvertible {
    package let place: ConfigPlace
    package let what: String

    package init(place: ConfigPlace, what: String) {
        self.place = place
        self.what = what
    }

    package var description: String { "\(place): \(what)" }
}

/// Everything found wrong with a configuration, in the order of the file.
package struct ConfigProblems: Error, Hashable, Sendable, CustomStringConvertible {
    package let all: [ConfigProblem]
    /// The file is no YAML at all, or cannot be read: what its keys say is not known.
    package let isUnreadable: Bool

    package init(all: [ConfigProblem], isUnreadable: Bool = false) {
        self.all = all
        self.isUnreadable = isUnreadable
    }

    /// One line per problem.
    package var description: String { all.map(\.description).joined(separator: "\n") }
}

/// Where a value of the configuration stands. Lines and columns count from 1.
package enum ConfigPlace: Hashable, Sendable, CustomStringConvertible {
    case file(String, line: Int, column: Int)
    case environment(String)
    /// Nobody set it.
    case byDefault

    package var description: String {
        switch self {
        case .file(let name, let line, let column): "\(name):\(line):\(column)"
        case .environment(let name): name
        case .byDefault: "default"
        }
    }
}
