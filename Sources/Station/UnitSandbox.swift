/// What a systemd unit lets its program write below /sys, read from `systemctl show`.
package struct UnitSandbox: Hashable, Sendable {
    private var isClosed = false
    private var open: [String] = []

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
            default: break
            }
        }
    }

    /// Whether a path below /sys, links resolved, is not read-only to the program.
    package func mayWrite(_ path: String) -> Bool {
        guard isClosed else { return true }
        return open.contains { path == $0 || path.hasPrefix($0.hasSuffix("/") ? $0 : "\($0)/") }
    }
}
