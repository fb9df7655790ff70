import Glibc

extension FirmwareHelper {
    private static let mostLinks = 40

    /// Why root must not act on a file that others may put another one in place of; nil where only
    /// root may.
    ///
    /// Whoever may write a folder on the way may rename what lies in it, whatever the file's own rights
    /// are; a sticky folder, as /tmp, keeps him from that but lets him be there first. So every folder
    /// and every link on the way is looked at, and none may be written by anybody but root.
    package static func doubt(of path: String) -> String? {
        var folder = "/"
        if !path.hasPrefix("/") {
            guard let found = realpath(".", nil) else { return "\(path): \(reason())" }
            defer { free(found) }
            return doubt(of: String(cString: found) + "/" + path)
        }
        var rest = path.split(separator: "/").map(String.init)[...]
        var links = 0
        if let why = doubt(ofOne: folder) { return why }
        while let name = rest.popFirst() {
            if name == "." { continue }
            if name == ".." {
                folder = above(folder)
                continue
            }
            let place = folder == "/" ? "/\(name)" : "\(folder)/\(name)"
            if let target = link(at: place) {
                links += 1
                guard links <= mostLinks else { return "\(path): too many links" }
                rest = target.split(separator: "/").map(String.init)[...] + rest
                if target.hasPrefix("/") { folder = "/" }
                continue
            }
            if let why = doubt(ofOne: place) { return why }
            folder = place
        }
        return nil
    }

    /// The same for what a command's later word names: the folders above it first, so that nobody can take
    /// it away while it is looked at; then itself, where it is a file or a folder. What is not there yet
    /// and devices, whose group may write them, are as good as their folder.
    package static func doubt(ofArgument path: String) -> String? {
        if let why = doubt(of: above(path)) { return why }
        var info = stat()
        guard stat(path, &info) == 0 else { return nil }
        let kind = info.st_mode & S_IFMT
        return kind == S_IFREG || kind == S_IFDIR ? doubt(of: path) : nil
    }

    private static func doubt(ofOne place: String) -> String? {
        var info = stat()
        guard lstat(place, &info) == 0 else { return "\(place): \(reason())" }
        guard info.st_uid == 0 || info.st_uid == geteuid(), info.st_mode & 0o022 == 0 else {
            return "\(place): others than root may write it; chown root, chmod go-w"
        }
        return nil
    }

    /// Where a link leads; nil for what is none.
    private static func link(at place: String) -> String? {
        var target = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink(place, &target, target.count)
        guard count >= 0 else { return nil }
        return String(decoding: target[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func above(_ folder: String) -> String {
        guard let slash = folder.lastIndex(of: "/"), slash != folder.startIndex else { return "/" }
        return String(folder[..<slash])
    }

    private static func reason() -> String { String(cString: strerror(errno)) }
}
