import Glibc
import HAL
import LinuxHAL
import Service
import Station

/// What the buses' addresses and the token readers' devices lead to, without a word sent.
struct BusExamination {
    let settings: EdgeSettings

    func findings() -> [Finding] {
        let sandbox = UnitExamination.sandbox()
        return settings.buses.flatMap { finding($0, sandbox) } + readers.map(reader)
    }

    /// Devices that are named and not there, in the order of the file: `file:line:column: what; mend`.
    ///
    /// - `read`: what was read, each with its place.
    func missing(in read: [ConfigSetting]) -> [ConfigProblem] {
        var named: [(key: String, path: String, mend: String)] = []
        for (index, bus) in settings.buses.enumerated() {
            guard case .serial(let path, _, _, _) = bus.address else { continue }
            named.append(("buses[\(index)].device", path, Self.portMend))
        }
        named += readers.map { ($0.key, $0.path, Self.readerMend) }
        return named.filter { !FileSystem.exists($0.path) }.map { key, path, mend in
            ConfigProblem(
                place: read.first { $0.path == key }?.place ?? .byDefault,
                what: "`\(key)`: \(path) is not there; \(mend)")
        }
    }

    // MARK: Buses

    private func finding(_ bus: EdgeSettings.Bus, _ sandbox: UnitSandbox?) -> [Finding] {
        let topic = "bus \(bus.name)"
        switch bus.address {
        case .serial(let path, let baud, _, _):
            return [serial(topic, path, baud), UnitExamination.finding(topic, port: path, sandbox)]
                .compactMap { $0 }
        case .tcp(let host, let port): return [.fine(topic, "Modbus TCP at \(host):\(port)")]
        }
    }

    private func serial(_ topic: String, _ path: String, _ baud: Int) -> Finding {
        guard FileSystem.exists(path) else {
            return .bad(topic, "\(path) is not there", mend: Self.portMend)
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

    // MARK: Readers

    /// The station's first, then the outlets'.
    private var readers: [(key: String, path: String)] {
        let shared = settings.tokenReader.map { [("tokenReader", $0)] } ?? []
        return shared
            + settings.evses.enumerated().compactMap { index, evse in
                evse.tokenReader.map { ("evses[\(index)].tokenReader", $0) }
            }
    }

    private func reader(_ key: String, _ path: String) -> Finding {
        guard FileSystem.exists(path) else {
            return .bad(key, "\(path) is not there", mend: Self.readerMend)
        }
        guard access(path, R_OK) == 0 else {
            return .bad(
                key, "\(path) may not be read",
                mend: "the agent's user must be in the group of the device: see udev/README.md")
        }
        return .fine(key, path)
    }

    // MARK: What there is

    private static var portMend: String {
        let known = names(in: ["/dev/kerb", "/dev/serial/by-path"])
        return known.isEmpty
            ? "plug the adapter in; no serial port is there at all"
            : "plug the adapter in, or name one of \(known.joined(separator: ", "))"
    }

    private static var readerMend: String {
        let known = names(in: ["/dev/kerb", "/dev/serial/by-path", "/dev/input/by-path"])
        return known.isEmpty
            ? "plug the reader in; no device with a name that lasts is there at all"
            : "plug the reader in, or name one of \(known.joined(separator: ", "))"
    }

    /// Devices by names that last, a few of them.
    private static func names(in folders: [String]) -> [String] {
        let all = folders.flatMap { folder in
            // A folder that is not there holds no device.
            ((try? FileSystem.names(in: folder)) ?? []).sorted().map { "\(folder)/\($0)" }
        }
        return Array(all.prefix(mostNamed))
    }

    private static let mostNamed = 20
}
