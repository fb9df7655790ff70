import Charging
import Glibc
import HAL
import JSON
import LinuxHAL
import Service

extension Program {
    /// How a serial line is spoken.
    private struct LineSetting: Hashable {
        var baud: Int
        var parity: MeterProfile.Parity
        var stopBits: Int
    }

    /// A device that answered, and how the line was set when it did.
    private struct Found {
        var device: ModbusProbe.Finding
        var address: BusAddress
    }

    /// Which known meters answer on a bus.
    static func probe(_ invocation: CommandTable.Invocation) async throws -> ExitCode {
        let settings = try settingsForBuses(invocation)
        let name = invocation.arguments[0]
        guard let bus = settings.buses.first(where: { $0.name == name }) else {
            let known = settings.buses.map(\.name).joined(separator: ", ")
            throw Failure(code: .usage, text: "no bus is called \(name); known are \(known)")
        }
        let library = settings.library
        let profiles = try library.names(.meters).map { try library.meter($0) }
        let units = try invocation.value("--units").map(units) ?? usualUnits(profiles)
        let addresses =
            invocation.has("--all-settings")
            ? try allSettings(of: bus, profiles) : [bus.address]
        var found: [Found] = []
        for (index, address) in addresses.enumerated() {
            if addresses.count > 1 {
                complain(
                    "setting \(index + 1) of \(addresses.count): asking \(units.count) units at "
                        + text(address))
            }
            do {
                found += try await self.found(at: address, bus: name, units: units, profiles)
            } catch let error as BusError {
                throw Failure(text: "bus \(name): \(sentence(error, address))")
            }
        }
        if invocation.isJSON {
            print(JSONValue.array(found.map { json($0, bus: name) }).text)
        } else {
            for device in found {
                print(lines(device, bus: name, profiles).joined(separator: "\n"))
            }
            if found.isEmpty { print(silenceText(name, bus.address, invocation)) }
        }
        return found.isEmpty ? .failed : .done
    }

    /// Whoever asks which meters there are cannot have named them yet: only `buses` must be right.
    private static func settingsForBuses(
        _ invocation: CommandTable.Invocation
    ) throws -> EdgeSettings {
        let path = configurationPath(invocation)
        var read: EdgeSettings?
        do throws(ConfigProblems) {
            return try Configuration.load(file: path) { file in
                let settings = EdgeSettings.read(file)
                read = settings
                return settings
            }.value
        } catch {
            let isBuses = error.all.contains { problem in
                problem.what.contains(text: "`buses")
                    || problem.what.contains(text: "`profileDirectory`")
            }
            guard let read, !read.buses.isEmpty, !isBuses else { throw error }
            return read
        }
    }

    private static func found(
        at address: BusAddress, bus name: String, units: [Int], _ profiles: [MeterProfile]
    ) async throws -> [Found] {
        let bus = ModbusBus(name: name, address: address)
        defer { bus.close() }
        let probe = ModbusProbe(bus: bus, profiles: profiles)
        var findings: [ModbusProbe.Finding] = []
        var progress = Progress()
        for (index, unit) in units.enumerated() {
            progress.show("unit \(unit), \(index + 1) of \(units.count), \(findings.count) found")
            findings += try await probe.findings(units: [unit])
        }
        progress.end()
        bus.close()
        // The port is one program's only, and the next setting wants it.
        for _ in 0..<200 where !bus.state.hasEnded {
            try await SystemClock().sleep(milliseconds: 10)
        }
        return findings.map { Found(device: $0, address: address) }
    }

    /// An absent unit costs its time-outs, twenty of them a minute's wait: who waits sees how far it is. On
    /// a terminal over itself, elsewhere (over ssh without one, in a file) a line every few seconds.
    private struct Progress {
        private static let everyMilliseconds: Int64 = 5_000

        private let isTerminal = isatty(2) == 1
        private var toldAt = SystemClock().monotonicMilliseconds

        mutating func show(_ text: String) {
            if isTerminal { return draw(text) }
            let now = SystemClock().monotonicMilliseconds
            guard now - toldAt >= Self.everyMilliseconds else { return }
            toldAt = now
            complain(text)
        }

        func end() { if isTerminal { draw("") } }

        private func draw(_ text: String) {
            let line = "\r\u{1B}[K" + text
            // Nobody is left to tell when standard error is closed.
            _ = line.utf8.withContiguousStorageIfAvailable { write(2, $0.baseAddress, $0.count) }
        }
    }

    private static func sentence(_ error: BusError, _ address: BusAddress) -> String {
        guard case .down(let why) = error else { return "\(error)" }
        switch address {
        case .serial(let path, _, _, _):
            return
                "\(path) cannot be opened: \(why); plug the adapter in, stop the agent, or run this "
                + "as a user of the port's group"
        case .tcp(let host, let port):
            return "\(host) port \(port) cannot be reached: \(why); check address and network"
        }
    }

    // MARK: Where to look

    /// Units that are asked unless others are named.
    private static let usual = 1...20
    /// An absent unit costs two time-outs; more than so many at once are a mistake.
    private static let mostUnits = 247

    private static func usualUnits(_ profiles: [MeterProfile]) -> [Int] {
        Set(usual).union(profiles.map(\.line.unit)).sorted()
    }

    /// The bus's own setting first, then what the known meters leave the factory with.
    private static func allSettings(
        of bus: EdgeSettings.Bus, _ profiles: [MeterProfile]
    ) throws -> [BusAddress] {
        guard case .serial(let path, let baud, let parity, let stopBits) = bus.address else {
            throw Failure(
                code: .usage, text: "--all-settings: \(bus.name) is no serial line and has none")
        }
        let own = LineSetting(baud: baud, parity: parity, stopBits: stopBits)
        let factory = Set(
            profiles.map {
                LineSetting(
                    baud: $0.line.baud, parity: $0.line.parity, stopBits: $0.line.stopBits)
            })
        let others = factory.subtracting([own]).sorted {
            ($0.baud, $0.parity.rawValue, $0.stopBits) < ($1.baud, $1.parity.rawValue, $1.stopBits)
        }
        return ([own] + others).map {
            .serial(path: path, baud: $0.baud, parity: $0.parity, stopBits: $0.stopBits)
        }
    }

    /// `1-8,33`
    private static func units(_ text: String) throws -> [Int] {
        var units: [Int] = []
        for part in text.split(separator: ",") {
            let ends = part.split(separator: "-").compactMap { Int($0) }
            guard let first = ends.first, let last = ends.last, ends.count <= 2, first <= last,
                (1...247).contains(first), (1...247).contains(last)
            else {
                throw Failure(code: .usage, text: "--units \(text): say 1-8,33 within 1 to 247")
            }
            units += Array(first...last)
        }
        guard !units.isEmpty, units.count <= mostUnits else {
            throw Failure(code: .usage, text: "--units \(text): name 1 to \(mostUnits) units")
        }
        return units
    }

    // MARK: What was found

    private static func text(_ address: BusAddress) -> String {
        switch address {
        case .serial(_, let baud, let parity, let stopBits):
            "\(baud) baud, parity \(parity.rawValue), \(stopBits) stop bit\(stopBits == 1 ? "" : "s")"
        case .tcp(let host, let port): "\(host) port \(port)"
        }
    }

    private static func silenceText(
        _ name: String, _ address: BusAddress, _ invocation: CommandTable.Invocation
    ) -> String {
        var text = "nothing answers on \(name) at \(self.text(address))"
        if case .serial = address {
            text +=
                invocation.has("--all-settings")
                ? ", nor at any other setting; are A and B exchanged?"
                : "; try --all-settings, and exchange A and B"
        }
        return text
    }

    /// What it is, and what to write into `edge.yaml`.
    private static func lines(
        _ found: Found, bus: String, _ profiles: [MeterProfile]
    ) -> [String] {
        let device = found.device
        guard let best = device.profiles.first else {
            return ["unit \(device.unit)  answers, but no profile fits it"]
        }
        let known = device.profiles.joined(separator: " or ")
        var facts = [known]
        if device.isCertain { facts.append("says so itself") }
        if let model = device.identity.model { facts.append("model \(model)") }
        if let serial = device.identity.serial { facts.append("serial \(serial)") }
        var lines = ["unit \(device.unit)  " + facts.joined(separator: ", ")]
        lines += edgeLines(found, bus: bus, profile: best)
        if device.profiles.count > 1 {
            lines.append("  # compare with the meter's plate which of them it is")
        }
        if profiles.first(where: { $0.name == best })?.sources == 1 {
            lines.append("  # its register map rests on one source: compare with its display")
        }
        return lines
    }

    /// For `edge.yaml`: the line as it was when the meter answered, and the meter.
    private static func edgeLines(_ found: Found, bus: String, profile: String) -> [String] {
        var lines: [String] = []
        if case .serial(let path, let baud, let parity, let stopBits) = found.address {
            lines.append(
                "  - {name: \(bus), kind: rtu, device: \(path), baud: \(baud), "
                    + "parity: \(parity.rawValue), stopBits: \(stopBits)}")
        }
        lines.append("    meter: {profile: \(profile), bus: \(bus), unit: \(found.device.unit)}")
        return lines
    }

    private static func json(_ found: Found, bus: String) -> JSONValue {
        let device = found.device
        var line: JSONValue?
        if case .serial(_, let baud, let parity, let stopBits) = found.address {
            line = .members([
                "baud": .number(baud), "parity": .string(parity.rawValue),
                "stopBits": .number(stopBits),
            ])
        }
        return .members([
            "unit": .number(device.unit),
            "profiles": .array(device.profiles.map(JSONValue.string)),
            "certain": .bool(device.isCertain),
            "model": device.identity.model.map(JSONValue.string),
            "serial": device.identity.serial.map(JSONValue.string),
            "line": line,
            "edge": .array(
                (device.profiles.first.map { edgeLines(found, bus: bus, profile: $0) } ?? [])
                    .map(JSONValue.string)),
        ])
    }
}
