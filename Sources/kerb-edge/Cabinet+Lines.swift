import Charging
import HAL
import LinuxHAL
import Service
import Station

/// A line of the board that is not as the configuration says.
struct LineFailure: Error, CustomStringConvertible {
    var board: String
    var error: GPIOError

    var description: String { "board \(board): \(error)" }

    /// At the key that names the line, else at the board's.
    ///
    /// - `settings`: what was read, each with its place.
    func problem(in settings: [ConfigSetting]) -> ConfigProblem {
        let named = settings.first {
            $0.path.contains(text: ".lines.") && $0.text == error.line
        }
        let place = (named ?? settings.first { $0.path == "board" })?.place ?? .byDefault
        let key = named.map { "`\($0.path)`: " } ?? ""
        return ConfigProblem(place: place, what: "\(key)\(self)")
    }
}

extension GPIOError {
    /// The line's name, where it is one line's.
    fileprivate var line: String? {
        switch self {
        case .noLine(let name, _, _), .ambiguous(let name, _), .wantedTwice(let name, _),
            .held(let name, _):
            name
        case .noChip, .tooMany, .failed: nil
        }
    }
}

extension Cabinet {
    /// Every line that the board's drivers want, with the names of `edge.yaml` before the board's.
    static func wishes(_ board: BoardProfile, _ settings: EdgeSettings) throws -> [GPIOWish] {
        guard let gpio = board.gpio else {
            if let evse = settings.evses.first(where: { !$0.lines.isEmpty }) {
                throw Program.Failure(
                    code: .usage,
                    text: "evses: connector \(evse.connector) names lines, but board \(board.name) "
                        + "has none; remove `lines:` or choose another board")
            }
            return []
        }
        let wishes = try settings.evses.flatMap { evse in
            for role in evse.lines.keys.sorted() where gpio.lines[role] == nil {
                throw Program.Failure(
                    code: .usage,
                    text:
                        "evses: connector \(evse.connector)'s `lines.\(role.rawValue)` is nothing "
                        + "that board \(board.name) has; it has "
                        + gpio.lines.keys.sorted().map(\.rawValue).joined(separator: ", "))
            }
            return gpio.lines.sorted { $0.key < $1.key }.compactMap { role, profile in
                evse.line(role, profile).map {
                    GPIOWish(
                        connector: evse.connector, role: role, name: $0,
                        chip: settings.gpioChip ?? gpio.chip, profile: profile)
                }
            }
        }
        try checkSensors(wishes)
        return wishes
    }

    /// Two outlets on one residual current sensor share both of its lines: else the test of one would be a
    /// trip at the other.
    private static func checkSensors(_ wishes: [GPIOWish]) throws {
        func name(_ role: LineRole, _ connector: ConnectorNumber) -> String? {
            wishes.first { $0.role == role && $0.connector == connector }?.name
        }
        let connectors = Set(wishes.map(\.connector)).sorted()
        for one in connectors {
            for other in connectors where other > one {
                guard let direct = name(.directCurrentTrip, one) else { continue }
                let sharesTrip =
                    name(.residualCurrentTrip, one) == name(.residualCurrentTrip, other)
                guard sharesTrip != (direct == name(.directCurrentTrip, other)) else { continue }
                throw Program.Failure(
                    code: .usage,
                    text:
                        "evses: connectors \(one) and \(other) share one of `residualCurrentTrip` "
                        + "and `directCurrentTrip`; give the second both names in `lines:`, or neither"
                )
            }
        }
    }

    /// Takes or looks up the lines; says whether their names could be looked up.
    static func lines(
        _ board: BoardProfile, _ settings: EdgeSettings, _ use: LineUse, _ clock: any ServiceClock
    ) throws -> (GPIOBoard?, Bool) {
        let wishes = try wishes(board, settings)
        guard !wishes.isEmpty else { return (nil, true) }
        do throws(GPIOError) {
            switch use {
            case .drive(let held, let tell):
                let lines = try GPIOBoard(
                    kernel: LinuxGPIO(), wishes: wishes, held: held, clock: clock, tell: tell)
                return (lines, true)
            case .look:
                let kernel = UndrivenGPIO(LinuxGPIO(), wishes)
                return (
                    try GPIOBoard(kernel: kernel, wishes: wishes, clock: clock), kernel.isReal
                )
            }
        } catch {
            throw LineFailure(board: board.name, error: error)
        }
    }

    func lineContactor(
        _ connector: ConnectorNumber, _ driver: GPIOContactorProfile, _ lines: GPIOBoard
    ) -> GPIOContactor {
        GPIOContactor(
            name: "contactor \(connector)", deadMan: board.deadMan, profile: driver, board: lines,
            coil: lines.output(.contactor, connector: connector),
            kick: lines.output(.kick, connector: connector),
            mirror: lines.input(.mirror, connector: connector),
            feedback: board.capabilities.feedback,
            guards: LineRole.allCases.filter(\.opensAtEdge).compactMap {
                lines.input($0, connector: connector)
            })
    }

    func splitPilot(
        _ name: String, _ connector: ConnectorNumber, _ profile: SplitPilotProfile
    ) throws -> SplitPilot {
        guard let lines, let connected = lines.input(.pilotConnected, connector: connector),
            let ready = lines.input(.pilotReady, connector: connector)
        else { preconditionFailure("a split board has its state lines") }
        return SplitPilot(
            name: name, board: lines, profile: profile, connected: connected, ready: ready,
            fault: lines.input(.pilotFault, connector: connector),
            offers: LineRole.offers.compactMap { lines.output($0, connector: connector) })
    }

    func addLineDevices(
        _ connector: ConnectorNumber, _ lines: GPIOBoard, to devices: inout ConnectorDevices
    ) {
        if let trip = lines.input(.residualCurrentTrip, connector: connector) {
            devices.residualCurrent = GPIOResidualCurrentDevice(sensor(trip, connector, lines))
        }
        devices.emergencyStop = lines.input(.emergencyStop, connector: connector)
            .map(GPIOEmergencyStop.init)
        devices.door = lines.input(.door, connector: connector).map(GPIODoor.init)
        devices.protectiveEarth = lines.input(.protectiveEarth, connector: connector)
            .map(GPIOProtectiveEarth.init)
        if let lock = lines.output(.lock, connector: connector),
            let locked = lines.input(.locked, connector: connector)
        {
            devices.lock = GPIOLock(
                board: lines, lock: lock, unlock: lines.output(.unlock, connector: connector),
                locked: locked,
                pulseMilliseconds: board.gpio?.lockPulseMilliseconds ?? 600)
        }
        devices.indicator = GPIOIndicator(board: lines, connector: connector)
    }

    /// Outlets on one trip line have one sensor: a test of it is a test for all.
    private func sensor(
        _ trip: GPIOInput, _ connector: ConnectorNumber, _ lines: GPIOBoard
    ) -> GPIOResidualCurrentDevice.Sensor {
        let direct = lines.input(.directCurrentTrip, connector: connector)
        for outlet in outlets {
            if let other = outlet.devices.residualCurrent as? GPIOResidualCurrentDevice,
                other.sensor.isOn(trip, direct)
            {
                return other.sensor
            }
        }
        return GPIOResidualCurrentDevice.Sensor(
            trip: trip, direct: direct,
            test: lines.output(.residualCurrentTest, connector: connector),
            times: board.gpio?.residualCurrentTest ?? .init())
    }
}
