import Charging
import HAL
import LinuxHAL
import Service
import Station

extension EdgeSettings {
    /// Reads the profiles that the file names, and asks whether what they need is said.
    static func checkProfiles(_ settings: EdgeSettings, _ places: Places) {
        let library = settings.library
        func read<Profile>(
            _ name: String, _ key: String, _ section: ConfigSection,
            _ body: (String) throws(ConfigProblems) -> Profile
        ) -> Profile? {
            do throws(ConfigProblems) {
                return try body(name)
            } catch {
                tell(error, of: name, key, section, settings)
                return nil
            }
        }
        var meters: [String: MeterProfile] = [:]
        for (evse, place) in zip(settings.evses, places.evses) where !evse.meterProfile.isEmpty {
            meters[evse.meterProfile] = read(
                evse.meterProfile, "profile", place.meter, library.meter)
        }
        if let meter = settings.supply.meter {
            _ = read(meter.profile, "profile", places.site.section("meter"), library.meter)
        }
        guard !settings.board.isEmpty,
            let board = read(settings.board, "board", places.file, library.board)
        else { return }
        if board.deadMan.kind == .none, !settings.acceptNoDeadman {
            places.file.problem(
                "board",
                "\(settings.board) has no dead-man, so a crash would leave contactors closed; choose "
                    + "another board or say `acceptNoDeadman: true`")
        }
        if board.contactor == .simulated || board.pilot == .simulated {
            places.file.problem(
                "board", "\(board.name) has no hardware; choose one that drives something")
            return
        }
        for (evse, place) in zip(settings.evses, places.evses) {
            checkOutlet(evse, place, board)
            if let meter = meters[evse.meterProfile] {
                checkPhases(evse, place, meter, min(board.capabilities.phases, settings.phases))
            }
        }
        checkLines(settings, places, board)
    }

    /// The phases that a meter does not see would charge without being counted.
    private static func checkPhases(
        _ evse: EVSE, _ place: Places.EVSE, _ meter: MeterProfile, _ phases: Int
    ) {
        guard meter.isSinglePhase, min(evse.wiring.phases.count, phases) > 1 else { return }
        let said =
            "the meter \(meter.name) sees one phase, and the outlet has \(evse.wiring.rawValue)"
        let mend =
            "what flows on the others would not be counted; say `wiring: L1` (or L2, L3) where one "
            + "phase is wired, else take a three-phase meter"
        // What worked before the wiring was asked after goes on. A meter that tells no current, or that
        // of all phases, may count more of them than it tells voltages of.
        let countsOne =
            meter.values[.currentL1] != nil && meter.values[.currentL2] == nil
            && meter.values[.currentL3] == nil
        switch (place.own.isSet("wiring"), countsOne) {
        case (true, true): place.own.problem("wiring", "\(said): \(mend)")
        case (true, false): place.own.warn("wiring", "\(said): \(mend)")
        case (false, _): place.meter.warn("profile", "\(said) (the default): \(mend)")
        }
    }

    /// The board's names of lines are one outlet's, unless they carry its number: every further outlet has
    /// its own, and is told of all it lacks at once.
    private static func checkLines(
        _ settings: EdgeSettings, _ places: Places, _ board: BoardProfile
    ) {
        guard let gpio = board.gpio else { return }
        var owners: [String: (connector: ConnectorNumber, role: LineRole)] = [:]
        for (evse, place) in zip(settings.evses, places.evses) {
            var missing: [String] = []
            for (role, profile) in gpio.lines.sorted(by: { $0.key < $1.key }) {
                guard let name = evse.line(role, profile) else { continue }
                guard let owner = owners[name] else {
                    owners[name] = (evse.connector, role)
                    continue
                }
                if owner.role == role, role.isShareable { continue }
                guard evse.lines[role] != nil else {
                    missing.append("\(role.rawValue): \(role.isForShow ? "none" : "…")")
                    continue
                }
                place.lines.problem(
                    role.rawValue,
                    "line \(name) is connector \(owner.connector)'s \(owner.role.rawValue) already; "
                        + "each outlet has its own")
            }
            guard !missing.isEmpty else { continue }
            place.own.problem(
                "lines",
                "the names of board \(board.name) are the first outlet's; connector "
                    + "\(evse.connector) needs its own: `lines: {\(missing.joined(separator: ", "))}`"
            )
        }
    }

    private static func checkOutlet(_ evse: EVSE, _ place: Places.EVSE, _ board: BoardProfile) {
        switch board.contactor {
        case .modbusRelay:
            let mend = "board \(board.name) has its contactors on a relay card: give its"
            if evse.contactorBus == nil { place.contactor.problem("bus", "\(mend) bus") }
            if evse.contactorCoil == nil { place.contactor.problem("coil", "\(mend) coil") }
        case .gpio:
            let mend = "board \(board.name) has its contactors on lines; remove it"
            for key in ["bus", "coil"] where place.contactor.isSet(key) {
                place.contactor.problem(key, mend)
            }
            // Alone it names no device, so it was only left over.
            if place.contactor.isSet("unit") { place.contactor.warn("unit", mend) }
        case .simulated: break
        }
        checkPilot(evse, place, board)
        if place.limits.isSet("maximumAmperes"), evse.maximum > board.capabilities.maximum {
            let most = "\(board.capabilities.maximum.decimal.reduced)"
            place.limits.warn(
                "maximumAmperes",
                "\(evse.maximum.decimal.reduced) A is more than the \(most) A that board \(board.name) "
                    + "carries, and \(most) A is what counts; write \(most) or less")
        }
        for role in evse.lines.keys.sorted() where board.gpio?.lines[role] == nil {
            let has = board.gpio?.lines.keys.sorted().map(\.rawValue).joined(separator: ", ")
            place.lines.problem(
                role.rawValue,
                "board \(board.name) has no such line; "
                    + (has.map { "it has \($0)" } ?? "it has none: remove `lines`"))
        }
    }

    private static func checkPilot(_ evse: EVSE, _ place: Places.EVSE, _ board: BoardProfile) {
        let owner: String
        switch board.pilot {
        case .simulated: return
        case .modbusEVSE:
            if evse.pilotBus == nil {
                place.pilot.problem(
                    "bus",
                    "board \(board.name) has its pilots on controllers: give its bus and unit")
            }
            return
        case .pwm: owner = "makes the pilot itself"
        case .split: owner = "leaves the pilot to its safety controller"
        }
        for key in ["bus", "unit", "port"] where place.pilot.isSet(key) {
            place.pilot.warn(key, "board \(board.name) \(owner), no bus does; remove `pilot`")
        }
    }

    /// A profile that is not there is a mistake of the key that names it; a wrong one has its own file.
    private static func tell(
        _ problems: ConfigProblems, of name: String, _ key: String, _ section: ConfigSection,
        _ settings: EdgeSettings
    ) {
        for problem in problems.all {
            guard case .file(let path, _, _) = problem.place, FileSystem.exists(path) else {
                let looked =
                    settings.profileDirectory == nil
                    ? " (looked in \(settings.library.folder))" : ""
                section.problem(key, "\(problem.what)\(looked)")
                continue
            }
            section.problem(key, "the profile \(name) is wrong: \(problem)")
        }
    }
}
