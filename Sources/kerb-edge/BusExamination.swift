import Glibc
import HAL
import LinuxHAL
import Service

/// What the buses' addresses lead to, without a word sent.
struct BusExamination {
    let settings: EdgeSettings

    func findings() -> [Finding] { settings.buses.map(finding) }

    private func finding(_ bus: EdgeSettings.Bus) -> Finding {
        let topic = "bus \(bus.name)"
        switch bus.address {
        case .serial(let path, let baud, _, _): return serial(topic, path, baud)
        case .tcp(let host, let port): return .fine(topic, "Modbus TCP at \(host):\(port)")
        }
    }

    private func serial(_ topic: String, _ path: String, _ baud: Int) -> Finding {
        guard FileSystem.exists(path) else {
            let known = Self.ports
            return .bad(
                topic, "\(path) is not there",
                mend: known.isEmpty
                    ? "plug the adapter in; no serial port is there at all"
                    : "plug the adapter in, or name one of \(known.joined(separator: ", "))")
        }
        guard access(path, R_OK | W_OK) == 0 else {
            return .bad(
                topic, "\(path) may not be opened",
                mend: "the agent's user must be in the group of the port: see udev/README.md")
        }
        for kind in ["/dev/ttyUSB", "/dev/ttyACM"] where path.hasPrefix(kind) {
            return .warning(
                topic, "\(path) is a name that changes with the order of plugging",
                mend: "use /dev/serial/by-path/… or /dev/kerb/rs485-…")
        }
        return .fine(topic, "\(path), \(baud) baud")
    }

    /// Serial ports by names that last.
    private static var ports: [String] {
        ["/dev/kerb", "/dev/serial/by-path"].flatMap { folder in
            // A folder that is not there holds no port.
            ((try? FileSystem.names(in: folder)) ?? []).map { "\(folder)/\($0)" }
        }
    }
}
