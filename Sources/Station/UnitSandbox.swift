/// What a systemd unit lets its program write below /sys and which devices it lets it open, read from
/// `systemctl show`.
package struct UnitSandbox: Hashable, Sendable {
    /// The properties it reads.
    package static let properties = [
        "ProtectKernelTunables", "ReadWritePaths", "DevicePolicy", "DeviceAllow",
    ]

    private var isClosed = false
    private var open: [String] = []
    private var devicePolicy = "auto"
    /// `char-ttyUSB rw`, or a path and what is allowed of it.
    private var devices: [String] = []

    /// - `text`: lines of `systemctl show`, `Key=value`; other keys are passed over.
    package init(show text: String) {
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else { continue }
            switch parts[0] {
            case "ProtectKernelTunables": isClosed = parts[1] == "yes"
            case "ReadWritePaths":
                // `-`: it may be missing, `+`: below the root directory of the unit.
                open += parts[1].split(separator: " ").map { String($0.drop { "-+".contains($0) }) }
            case "DevicePolicy": devicePolicy = String(parts[1])
            case "DeviceAllow": if !parts[1].isEmpty { devices.append(String(parts[1])) }
            default: break
            }
        }
    }

    /// Whether a path below /sys, links resolved, is not read-only to the program.
    package func mayWrite(_ path: String) -> Bool {
        guard isClosed else { return true }
        return open.contains { path == $0 || path.hasPrefix($0.hasSuffix("/") ? $0 : "\($0)/") }
    }

    /// Whether the program may open a character device to read and write.
    ///
    /// - `path`: links resolved. `classes`: what /proc/devices calls its major number, `ttyS`.
    /// - Source: systemd.resource-control(5), `DevicePolicy=` and `DeviceAllow=`.
    package func mayOpen(_ path: String, classes: [String]) -> Bool {
        if devicePolicy == "auto", devices.isEmpty { return true }
        // Terminals of programs are open by any policy but `strict`.
        if devicePolicy != "strict", classes.contains("pts") { return true }
        return devices.contains { line in
            let (name, access) = Self.device(line)
            guard access.contains("r"), access.contains("w") else { return false }
            return name == path || classes.contains { Self.matches("char-\($0)", name) }
        }
    }

    /// `*` at the end stands for anything.
    private static func matches(_ text: String, _ pattern: String) -> Bool {
        pattern.hasSuffix("*") ? text.hasPrefix(pattern.dropLast()) : text == pattern
    }

    private static func device(_ line: String) -> (name: String, access: String) {
        let words = line.split(separator: " ")
        // Nothing said of the access is all of it.
        return (words.first.map { String($0) } ?? "", words.count > 1 ? String(words[1]) : "rwm")
    }
}
