import Glibc
import LinuxHAL
import Service
import Station

/// What the packaged unit lets the agent do. Who runs the doctor may be root and outside that unit: it
/// asks systemd.
struct UnitExamination {
    private static let systemctl = "/usr/bin/systemctl"

    /// nil where no unit of ours is known to a systemd.
    static func sandbox() -> UnitSandbox? {
        guard access(systemctl, X_OK) == 0 else { return nil }
        let shown = Pipe.output(
            of: [systemctl, "show", "kerb-edge.service"]
                + UnitSandbox.properties.map { "--property=\($0)" }, limitBytes: 65_536)
        return shown.isEmpty ? nil : UnitSandbox(show: shown)
    }

    /// Whether the unit lets the agent open a serial port; nil where it does, or nobody can tell.
    static func finding(_ topic: String, port: String, _ sandbox: UnitSandbox?) -> Finding? {
        guard let sandbox, let found = realpath(port, nil) else { return nil }
        defer { free(found) }
        let path = String(cString: found)
        let classes = classes(of: path)
        guard let name = classes.last, !sandbox.mayOpen(path, classes: classes) else { return nil }
        return .bad(
            "\(topic) and unit", "the unit keeps \(path) closed",
            mend: "`systemctl edit kerb-edge`, write `[Service]` and `DeviceAllow=char-\(name) rw` "
                + "below it, restart")
    }

    /// What the kernel calls the major number of a character device; none for everything else.
    private static func classes(of path: String) -> [String] {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFCHR,
            // A kernel without /proc is none of ours.
            let text = try? FileSystem.read("/proc/devices", limitBytes: 65_536)
        else { return [] }
        // makedev(3): the lower twelve bits behind the first eight of the minor.
        let major = String(status.st_rdev >> 8 & 0xFFF | status.st_rdev >> 32 & ~0xFFF)
        var names: [String] = []
        for line in String(decoding: text, as: UTF8.self).split(separator: "\n") {
            if line.hasPrefix("Block devices") { break }
            let words = line.split(separator: " ")
            if words.count == 2, words[0] == major { names.append(String(words[1])) }
        }
        return names
    }
}
