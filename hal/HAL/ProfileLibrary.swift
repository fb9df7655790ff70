import Glibc
import Service

/// The folder with the profiles: `meters/NAME.yaml` and `boards/NAME.yaml`.
package struct ProfileLibrary: Sendable {
    package let folder: String

    package init(folder: String) { self.folder = folder }

    /// The folder beside the program: `profiles`, `hal/profiles` or `share/kerb/profiles` in the
    /// program's own folder or one above it, else the installed one.
    package static var standard: ProfileLibrary {
        var folder = executable
        while let slash = folder.lastIndex(of: "/") {
            folder = String(folder[..<slash])
            for place in ["profiles", "hal/profiles", "share/kerb/profiles"]
            where FileSystem.isFolder("\(folder)/\(place)/meters") {
                return ProfileLibrary(folder: "\(folder)/\(place)")
            }
        }
        return ProfileLibrary(folder: "/usr/share/kerb/profiles")
    }

    private static var executable: String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        let bytes = buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The names that can be asked for, sorted.
    package func names(_ kind: Kind) throws(FileError) -> [String] {
        try FileSystem.names(in: "\(folder)/\(kind.rawValue)")
            .filter { $0.hasSuffix(".yaml") }.map { String($0.dropLast(5)) }
    }

    package enum Kind: String, Sendable { case meters, boards }

    /// - Throws: every mistake of the file with line, column, key and mend.
    package func meter(_ name: String) throws(ConfigProblems) -> MeterProfile {
        try read(.meters, name) { MeterProfile(name: name, $0) }
    }

    /// - Throws: every mistake of the file with line, column, key and mend.
    package func board(_ name: String) throws(ConfigProblems) -> BoardProfile {
        try read(.boards, name) { BoardProfile(name: name, $0) }
    }

    private func read<Profile: Sendable>(
        _ kind: Kind, _ name: String, _ make: (ConfigSection) -> Profile
    ) throws(ConfigProblems) -> Profile {
        let file = "\(folder)/\(kind.rawValue)/\(name).yaml"
        // A name is no path: it must not lead out of the folder.
        guard !name.isEmpty, !name.contains("/"), FileSystem.exists(file) else {
            // An unreadable folder has no names to offer; the message says where was looked.
            let known = (try? names(kind)) ?? []
            let mend =
                known.isEmpty
                ? "there are none in \(folder)/\(kind.rawValue)"
                : "known are \(known.joined(separator: ", "))"
            throw ConfigProblems(all: [
                ConfigProblem(
                    place: .file(file, line: 1, column: 1),
                    what: "there is no profile \(name); \(mend)")
            ])
        }
        // No environment: a profile is a fact, not a setting.
        return try Configuration.load(file: file, environment: [:], make).value
    }
}
