import Glibc

/// The shared cases: payloads and vectors that lie outside the tree, because not all of them may be
/// passed on. `KERB_CASES` names their folder, else it is `../shared/cases` beside the package.
package enum Cases {
    package static var folder: String {
        if let given = getenv("KERB_CASES") { return String(cString: given) }
        return packageRoot + "/../shared/cases"
    }

    /// The folder of Package.swift.
    package static let packageRoot: String = {
        let parts = #filePath.split(separator: "/").dropLast(3)
        return "/" + parts.joined(separator: "/")
    }()

    /// The bytes of a case; nil, and one line that says so, when the cases are not there.
    package static func read(_ path: String) -> [UInt8]? {
        guard let bytes = Files.read(folder + "/" + path) else {
            print("no cases at \(folder): \(path) is skipped")
            return nil
        }
        return bytes
    }

    /// The files below a folder of the cases whose names end in `suffix`, sorted; empty when absent.
    package static func list(_ path: String, suffix: String = ".json") -> [String] {
        Files.list(folder + "/" + path).filter { $0.hasSuffix(suffix) }.map { "\(path)/\($0)" }
    }
}

/// The few file operations tests need.
package enum Files {
    package static func read(_ path: String) -> [UInt8]? {
        guard let file = fopen(path, "rb") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            guard count > 0 else { return bytes }
            bytes.append(contentsOf: chunk[..<count])
        }
    }

    /// Names in a folder, sorted, without `.` and `..`.
    package static func list(_ path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }
}
