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
        for (evse, place) in zip(settings.evses, places.evses) where !evse.meterProfile.isEmpty {
            _ = read(evse.meterProfile, "profile", place.meter, library.meter)
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
        }
    }

    private static func checkOutlet(_ evse: EVSE, _ place: Places.EVSE, _ board: BoardProfile) {
        switch board.contactor {
        case .modbusRelay:
            let mend = "board \(board.name) has its contactors on a relay card: give its"
            if evse.contactorBus == nil { place.contactor.problem("bus", "\(mend) bus") }
            if evse.contactorCoil == nil { place.contactor.problem("coil", "\(mend) coil") }
        case .gpio:
            for (key, isThere) in [
                ("bus", evse.contactorBus != nil), ("coil", evse.contactorCoil != nil),
            ] where isThere {
                place.contactor.problem(
                    key, "board \(board.name) has its contactors on lines; remove it")
            }
        case .simulated: break
        }
        if case .modbusEVSE = board.pilot, evse.pilotBus == nil {
            place.pilot.problem(
                "bus", "board \(board.name) has its pilots on controllers: give its bus and unit")
        }
        for role in evse.lines.keys.sorted() where board.gpio?.lines[role] == nil {
            let has = board.gpio?.lines.keys.sorted().map(\.rawValue).joined(separator: ", ")
            place.lines.problem(
                role.rawValue,
                "board \(board.name) has no such line; "
                    + (has.map { "it has \($0)" } ?? "it has none: remove `lines`"))
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
