import Charging
import Glibc
import JSON
import LinuxHAL
import Service
import Station

extension Program {
    static let commissionCommand = CommandTable.Command(
        "commission",
        flags: [
            .init("--config", "FILE", "configuration (/etc/kerb/edge.yaml)"),
            .init(
                "--token", "UID", "a token the operator accepts, to start test charges",
                isRequired: true),
            .init(
                "--fuse", "AMPERES", "value read from the fuse; locked when all passed",
                isRequired: true),
            .init("--by", "NAME", "who commissions", isRequired: true),
            .init(
                "--rotation", "LIST",
                "wiring as read in the cabinet, as in 1=RST,2=STR; must be the configuration's"),
            .init(
                "--phase-by-phase",
                "the test vehicle can draw on one phase at a time: the wiring is measured"),
            .init("--connector", "N", "this outlet alone; nothing is locked then"),
            .init("--yes", "ask nobody: the record says that relay and RCD were assumed"),
        ],
        "take the cabinet into service outlet by outlet, lock fuse and wiring, print the record")

    static let decommissionCommand = CommandTable.Command(
        "decommission",
        flags: [
            .init("--config", "FILE", "configuration (/etc/kerb/edge.yaml)"),
            .init("--by", "NAME", "who takes it back", isRequired: true),
        ],
        "take back what commissioning locked, so that a changed cabinet starts and can be commissioned"
    )

    private static let seesEveryMilliseconds: Int64 = 500

    /// Watches the running agent; closes nothing itself.
    static func commission(_ invocation: CommandTable.Invocation) async throws -> ExitCode {
        let settings = try settings(invocation)
        guard let fuse = invocation.value("--fuse").flatMap({ Int64($0) }),
            Amperes(fuse) == settings.fuse
        else {
            throw Failure(
                code: .usage,
                text: "--fuse \(invocation.value("--fuse") ?? ""): site.fuseAmperes is "
                    + "\(settings.fuse.decimal.reduced); write the fuse's own value into the "
                    + "configuration, restart the agent, commission again")
        }
        if let told = invocation.value("--rotation") { try settings.checkRotation(told) }
        let every = settings.evses.map(\.connector).sorted()
        let chosen = invocation.value("--connector").map { [Int($0) ?? 0] } ?? every
        guard Set(chosen).isSubset(of: every) else {
            throw Failure(
                code: .usage,
                text:
                    "--connector \(invocation.value("--connector") ?? ""): is none of this board's; "
                    + "give one of \(every.map(String.init).joined(separator: ", "))")
        }
        let token = invocation.value("--token") ?? ""
        if let fault = LineTokenReader.fault(of: token) {
            throw Failure(
                code: .usage,
                text: "--token \(Log.quoted(token)): \(fault); give 1 to 20 printable characters "
                    + "without blanks, such as 04A2F3B1")
        }
        let machine = CommissioningMachine(
            connectors: chosen, wiring: settings.wiring,
            provesPhases: invocation.has("--phase-by-phase"))
        let results = try await results(
            of: machine, token, settings.socketPath, isSilent: invocation.has("--yes"))
        let record = CommissioningRecord(
            station: settings.stationID, board: settings.board, version: version,
            at: SystemClock().now, by: invocation.value("--by") ?? "", fuse: settings.fuse,
            phases: settings.phases, wiring: settings.wiring,
            maximum: settings.lock.maximum, results: results)
        try store(record, settings, isWhole: chosen == every)
        print(invocation.isJSON ? record.json.text : record.text)
        return record.isPassed ? .done : .someFailed
    }

    private static func results(
        of machine: CommissioningMachine, _ token: String, _ path: String, isSilent: Bool
    ) async throws -> [CommissioningMachine.Result] {
        var machine = machine
        let clock = SystemClock()
        while true {
            let status = try JSONValue(parsing: try asked("status", at: path))
            var effects = machine.see(status, at: clock.monotonicMilliseconds)
            while !effects.isEmpty {
                switch effects.removeFirst() {
                case .say(let text): complain(text)
                case .ask(let question):
                    effects += machine.answer(
                        isSilent ? true : yes(question), isAssumed: isSilent,
                        at: clock.monotonicMilliseconds)
                case .present(let number): _ = try asked("token \(token) \(number)", at: path)
                case .finished: return machine.results
                }
            }
            try await clock.sleep(milliseconds: seesEveryMilliseconds)
        }
    }

    /// nil where nobody is there to answer.
    private static func yes(_ question: String) -> Bool? {
        complain("\(question) [y/N]")
        return readLine().map { ["y", "yes"].contains($0.lowercased()) }
    }

    /// Every record is kept; the last one that passed for the whole cabinet is the lock.
    private static func store(
        _ record: CommissioningRecord, _ settings: EdgeSettings, isWhole: Bool
    ) throws {
        let bytes = record.json.encoded()
        let place = try RecordPlace(settings)
        try place.keep(bytes, as: "\(record.at.milliseconds).json")
        if record.isPassed, isWhole { try place.lock(bytes) }
    }

    /// The record stays among the others, with who took it back.
    static func decommission(_ invocation: CommandTable.Invocation) throws -> ExitCode {
        let settings = try settings(invocation)
        guard FileSystem.exists(settings.lockPath) else {
            throw Failure(
                text: "\(settings.lockPath) is not there; the cabinet is not commissioned")
        }
        let now = SystemClock().now
        let note: JSONValue = [
            "decommissioned": .time(now), "by": .string(invocation.value("--by") ?? ""),
        ]
        try RecordPlace(settings).keep(
            note.encoded(), as: "\(now.milliseconds)-decommissioned.json")
        try FileSystem.remove(settings.lockPath)
        print(
            "\(settings.stationID): nothing is locked; start the agent, then `kerb-edge commission`"
        )
        return .done
    }
}

/// Where commissioning leaves its records. Root writes here, in a folder of the agent's user, who could
/// point anywhere: nothing is reached through a link, and what is made is given to that user, who reads it.
private struct RecordPlace: ~Copyable {
    private let data: HeldFolder
    private let folder: HeldFolder
    private let owner: (user: uid_t, group: gid_t)?

    init(_ settings: EdgeSettings) throws(FileError) {
        let data = try HeldFolder(settings.dataDirectory)
        let folder = try data.makeFolder("commissioning")
        let owner = geteuid() == 0 ? BoardRestore.Owner(of: settings.dataDirectory) : nil
        if let owner { try folder.give(to: owner.user, owner.group) }
        self.data = data
        self.folder = folder
        self.owner = owner.map { ($0.user, $0.group) }
    }

    func keep(_ bytes: [UInt8], as name: String) throws(FileError) {
        try folder.writeAtomically(bytes, to: name, owner: owner)
    }

    func lock(_ bytes: [UInt8]) throws(FileError) {
        try data.writeAtomically(bytes, to: BoardBackup.lock, owner: owner)
    }
}

extension EdgeSettings {
    var lockPath: String { dataDirectory + "/commissioned.json" }

    /// What this configuration asks of the cabinet.
    var lock: CommissioningLock {
        CommissioningLock(
            board: board, fuse: fuse, phases: phases,
            maximum: Dictionary(evses.map { ($0.connector, $0.maximum) }, uniquingKeysWith: { $1 }),
            wiring: wiring.mapValues(\.rawValue))
    }

    var wiring: [ConnectorNumber: PhaseWiring] {
        Dictionary(evses.map { ($0.connector, $0.wiring) }, uniquingKeysWith: { $1 })
    }

    /// Holds what a person read in the cabinet against the configuration.
    ///
    /// - Throws: `Program.Failure` with every outlet that is missing or differs.
    func checkRotation(_ told: String) throws {
        var read: [ConnectorNumber: PhaseWiring] = [:]
        for part in told.split(separator: ",") {
            let sides = part.split(separator: "=", omittingEmptySubsequences: false)
            guard sides.count == 2, let number = Int(sides[0]),
                let phases = PhaseWiring(rawValue: sides[1].uppercased()), wiring[number] != nil,
                read.updateValue(phases, forKey: number) == nil
            else {
                let known = PhaseWiring.allCases.map(\.rawValue).joined(separator: ", ")
                throw Program.Failure(
                    code: .usage,
                    text:
                        "--rotation: `\(part)` is no outlet with its wiring; say 1=RST,2=STR with "
                        + "each outlet once and one of \(known)")
            }
        }
        let wrong = evses.filter { read[$0.connector] != $0.wiring }.map { evse in
            "--rotation: connector \(evse.connector) is "
                + "\(read[evse.connector]?.rawValue ?? "not told"), its `wiring` in the configuration "
                + "is \(evse.wiring.rawValue); look again, then write what is wired into the "
                + "configuration, restart the agent, commission again"
        }
        guard wrong.isEmpty else {
            throw Program.Failure(code: .usage, text: wrong.joined(separator: "\nkerb-edge: "))
        }
    }

    /// Holds the configuration against what commissioning locked.
    ///
    /// - Throws: `Program.Failure` with every key that goes beyond, and where the lock is not to be
    ///   read: a fuse that was locked is not forgotten because a file is broken.
    func checkAgainstCommissioning() throws {
        guard FileSystem.exists(lockPath) else { return }
        let record: JSONValue
        do {
            record = try JSONValue(
                parsing: try HeldFolder(dataDirectory).read(BoardBackup.lock))
        } catch {
            throw Program.Failure(
                code: .usage,
                text:
                    "\(lockPath): the lock of commissioning cannot be read (\(error)); commission "
                    + "again, or run this as root or kerb-edge")
        }
        guard var locked = CommissioningLock(record) else {
            throw Program.Failure(
                code: .usage, text: "\(lockPath): is no record of commissioning; commission again")
        }
        // A record of before names what was configured; on one phase any wiring is L1.
        if locked.phases == 1 {
            locked.wiring = locked.wiring.mapValues { was in
                let phases = PhaseWiring(rawValue: was)?.phases ?? []
                return phases.count > 1 ? PhaseWiring.l1.rawValue : was
            }
        }
        let breaches = locked.breaches(by: lock)
        guard breaches.isEmpty else {
            throw Program.Failure(code: .usage, text: breaches.joined(separator: "\nkerb-edge: "))
        }
    }
}
