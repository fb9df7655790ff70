import Glibc
import Service

/// A folder of its own for one test; it and what is in it go when the last reference goes.
package final class TemporaryFolder: Sendable {
    package let path: String

    /// - `parent`: another place than /tmp, which everybody may write.
    package init(below parent: String = "/tmp") {
        var template = Array("\(parent)/test-of-kerb-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else {
            preconditionFailure("a temporary folder can be made")
        }
        path = String(cString: made)
    }

    deinit { Self.remove(path) }

    package func file(_ name: String) -> String { "\(path)/\(name)" }

    private static func remove(_ path: String) {
        // A leftover in /tmp is not worth failing a test for.
        for name in (try? FileSystem.names(in: path)) ?? [] {
            let inner = "\(path)/\(name)"
            if FileSystem.isFolder(inner) { remove(inner) } else { unlink(inner) }
        }
        rmdir(path)
    }
}
