import Charging
import Glibc
import SQL
import Service
import Station

extension Program {
    /// The board in one file. The agent may run.
    static func backup(_ invocation: CommandTable.Invocation) async throws -> ExitCode {
        let configuration = configurationPath(invocation)
        let read = try Configuration.load(file: configuration, EdgeSettings.read)
        let settings = read.value
        guard !FileSystem.exists(invocation.arguments[0]) else {
            throw Failure(
                code: .usage,
                text: "\(invocation.arguments[0]) is there already, and no backup is written over; "
                    + "give another name, or remove it first")
        }
        guard FileSystem.exists(settings.journalPath) else {
            throw Failure(text: "\(settings.journalPath) is not there; has the agent ever run?")
        }
        try BoardBackup.checkJournal(in: settings.dataDirectory)
        let named = try CarriedFiles(settings, read.settings).files
        let files =
            [try CarriedFiles.carried(.configuration, "edge.yaml", from: configuration)] + named
            + (try BoardBackup.carried(from: settings.dataDirectory))
        let target = invocation.arguments[0]
        let backup = BoardBackup(
            stationID: settings.stationID, madeAt: SystemClock().now,
            dataDirectory: CarriedFiles.text(of: "dataDirectory", read.settings)
                ?? settings.dataDirectory, files: files)
        let open = try await backup.write(journal: settings.journalPath, to: target)
        print(
            "\(target): \(settings.stationID), its journal and \(files.count) files; it holds the "
                + "station's passwords and keys: mode 0600, keep it like them")
        if !open.isEmpty {
            let list = open.map { String($0) }.joined(separator: ", ")
            complain(
                "warning: a charge is open at connector \(list). What it takes from now on is not in "
                    + "\(target), and the board that takes over closes it at what is. For a swap: "
                    + "stop the agent, which ends its charges, and make the backup again")
        }
        return .done
    }

    /// Takes over a board's journal, and with `--identity` everything that makes it this board. The
    /// agent must be down. All of it is put in place, or nothing.
    static func restore(_ invocation: CommandTable.Invocation) async throws -> ExitCode {
        let file = invocation.arguments[0]
        let configuration = absolute(configurationPath(invocation))
        let backup = try await BoardBackup.read(file)
        let isWhole = invocation.has("--identity")
        if isWhole { try refuseAnotherBoard(configuration, backup, invocation) }
        if !isWhole, FileSystem.exists(BoardRestore.mark(of: configuration)) {
            throw Failure(
                code: .refused,
                text: "\(configuration): a restore with --identity was cut off and left half a "
                    + "board; repeat it with --identity")
        }
        let data =
            try isWhole
            ? resolved(backup.dataDirectory, beside: configuration)
            : ownDataDirectory(configuration, backup, file)
        try FileSystem.makeFolder(data)
        let owner = BoardRestore.Owner(of: data)
        guard let lock = try DirectoryLock(data, owner: owner) else {
            throw Failure(code: .refused, text: "\(data): the agent runs; stop it first")
        }
        defer { lock.release() }

        let journal = "\(data)/journal.db"
        let scratch = try RestoreScratch()
        defer { scratch.remove() }
        var restore = BoardRestore(configuration: configuration, at: SystemClock().now)
        let found: (depth: Int, open: Int)
        let asides: [String]
        do {
            try await BoardBackup.extractJournal(from: file, to: scratch.journal)
            found = try await examined(scratch.journal)
            try restore.stage(journal: scratch.journal, beside: journal, owner: owner)
            if isWhole { try stage(backup, configuration, data, owner, &restore) }
            asides = try restore.commit()
        } catch {
            restore.discard()
            throw Failure(text: "nothing was changed: \(error)")
        }
        do {
            let settings = try Configuration.load(file: configuration, EdgeSettings.read).value
            guard settings.dataDirectory == data, settings.stationID == backup.stationID else {
                throw Failure(text: "a KERB_… variable of the environment says otherwise")
            }
        } catch {
            try restore.undo()
            let text = (error as? Failure)?.text ?? "\(error)"
            throw Failure(
                code: .refused, text: "nothing was changed, \(file) does not fit: \(text)")
        }
        try restore.finish()
        report(backup, file, isWhole: isWhole, data, found, asides)
        if isWhole { leaveSafeLines(configuration) }
        return .done
    }

    /// A board that is somebody already is not made another by a slip of the hand.
    private static func refuseAnotherBoard(
        _ configuration: String, _ backup: BoardBackup, _ invocation: CommandTable.Invocation
    ) throws {
        guard !invocation.has("--replace"), FileSystem.exists(configuration),
            let present = try EnrolmentPlace(configuration: configuration).identity,
            present != backup.stationID
        else { return }
        throw Failure(
            code: .refused,
            text: "\(configuration): this board is \(present), \(invocation.arguments[0]) is of "
                + "\(backup.stationID); --replace makes it that one")
    }

    /// Opens the copied journal once, so that one that cannot be opened is never put in place.
    private static func examined(_ path: String) async throws -> (depth: Int, open: Int) {
        let journal = try await BoardJournal(path: path, bootID: try bootID(), clock: boardClock())
        let found = (try await journal.depth(), try await journal.recovered().count)
        await journal.close()
        for end in ["-wal", "-shm", ".reserve"] { try FileSystem.remove(path + end) }
        return found
    }

    /// Where this board, which stays who it is, has its journal.
    private static func ownDataDirectory(
        _ configuration: String, _ backup: BoardBackup, _ file: String
    ) throws -> String {
        guard FileSystem.exists(configuration) else {
            throw Failure(
                code: .usage,
                text: "\(configuration) is not there; `--identity` takes over the one in \(file)")
        }
        let settings = try Configuration.load(file: configuration, EdgeSettings.read).value
        guard settings.stationID == backup.stationID else {
            throw Failure(
                code: .refused,
                text: "\(file) is of \(backup.stationID), this board is \(settings.stationID); "
                    + "`--identity` makes it \(backup.stationID)")
        }
        return settings.dataDirectory
    }

    private static func stage(
        _ backup: BoardBackup, _ configuration: String, _ data: String,
        _ owner: BoardRestore.Owner?, _ restore: inout BoardRestore
    ) throws {
        for carried in backup.files where carried.place != .data {
            let path =
                carried.place == .configuration
                ? configuration : resolved(carried.path, beside: configuration)
            // What everybody may read stays root's; a secret is the agent's alone.
            let isSecret = carried.mode & 0o044 == 0
            try restore.stage(
                carried.bytes, at: path, mode: mode_t(carried.mode),
                owner: isSecret ? owner : nil)
        }
        let own = backup.files.filter { $0.place == .data }
        for folder in BoardBackup.folders {
            let start = "\(folder)/"
            try restore.stage(
                own.filter { $0.path.hasPrefix(start) }.map {
                    (String($0.path.dropFirst(start.count)), mode_t($0.mode), $0.bytes)
                }, folder: "\(data)/\(folder)", owner: owner)
        }
        let lock = "\(data)/\(BoardBackup.lock)"
        guard let carried = own.first(where: { $0.path == BoardBackup.lock }) else {
            return restore.stageAbsence(of: lock)
        }
        try restore.stage(carried.bytes, at: lock, mode: mode_t(carried.mode), owner: owner)
    }

    private static func report(
        _ backup: BoardBackup, _ file: String, isWhole: Bool, _ data: String,
        _ found: (depth: Int, open: Int), _ asides: [String]
    ) {
        print(
            "\(data)/journal.db: restored from \(file), \(found.depth) messages to send, "
                + "\(found.open) charges to close")
        for aside in asides where !aside.hasSuffix("-wal") && !aside.hasSuffix("-shm") {
            print("what was there is \(aside)")
        }
        if isWhole {
            let secrets = backup.files.filter { $0.place != .configuration && $0.mode & 0o044 == 0 }
            for secret in secrets {
                let place = secret.place == .data ? "\(data)/\(secret.path)" : secret.path
                print("secret written: \(place)")
            }
            print("this board is \(backup.stationID) now; the old one must not run again")
        } else {
            print(
                "the journal alone was taken: this board stays \(backup.stationID) with its own "
                    + "configuration, passwords, certificates and fuse lock. A board that takes "
                    + "another's place needs `restore --identity`, which takes those as well")
        }
    }

    /// The first start on this board is to be safe as early as the next.
    private static func leaveSafeLines(_ configuration: String) {
        do {
            _ = try checkConfiguration(configuration)
        } catch {
            let text = (error as? Failure)?.text ?? "\(error)"
            complain("warning: this board is not yet as its configuration says: \(text)")
        }
    }

    // MARK: Paths

    private static func resolved(_ path: String, beside configuration: String) -> String {
        guard !path.hasPrefix("/"), let slash = configuration.lastIndex(of: "/") else {
            return path
        }
        return configuration[...slash] + path
    }

    private static func absolute(_ path: String) -> String {
        guard !path.hasPrefix("/"), let folder = realpath(".", nil) else { return path }
        defer { free(folder) }
        return String(cString: folder) + "/" + path
    }
}

/// Where a journal is looked at before it goes to its place: a folder that nobody but us can write,
/// as the data directory is another user's.
private struct RestoreScratch {
    private let folder: String
    var journal: String { "\(folder)/journal.db" }

    init() throws(FileError) {
        var template = Array("/var/tmp/kerb-restore-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw FileError("/var/tmp", errno: errno) }
        folder = String(cString: made)
    }

    func remove() {
        do throws(FileError) {
            let slash = folder.lastIndex(of: "/") ?? folder.startIndex
            try HeldFolder("/var/tmp").removeFolder(String(folder[folder.index(after: slash)...]))
        } catch {}  // What stays is swept with everything else that is old there.
    }
}

/// The files that a configuration names and a swap needs.
private struct CarriedFiles {
    let files: [BoardBackup.Carried]

    init(_ settings: EdgeSettings, _ values: [ConfigSetting]) throws {
        let named: [(key: String, path: String?, isSecret: Bool)] = [
            ("csms.passwordFile", settings.csms.passwordFile, true),
            ("csms.caFile", settings.csms.caFile, false),
            ("csms.certificateFile", settings.csms.certificateFile, false),
            ("csms.keyFile", settings.csms.keyFile, true),
            ("site.group.keyFile", settings.supply.group?.keyFile, true),
            ("transfers.caFile", settings.upkeep.transferCAFile, false),
            ("firmware.rootFile", settings.upkeep.rootFile, false),
        ]
        var files: [BoardBackup.Carried] = []
        // Profiles of this operator's own; those beside the program come with its package.
        if let folder = settings.profileDirectory {
            let text = Self.text(of: "profileDirectory", values) ?? folder
            for name in settings.profileFiles {
                files.append(try Self.carried(.named, "\(text)/\(name)", from: "\(folder)/\(name)"))
            }
        }
        for (key, path, isSecret) in named {
            guard let path else { continue }
            var file = try Self.carried(.named, Self.text(of: key, values) ?? path, from: path)
            // However carelessly it lay on the old board.
            if isSecret { file.mode = 0o600 }
            files.append(file)
        }
        self.files = files
    }

    static func text(of key: String, _ values: [ConfigSetting]) -> String? {
        values.first { $0.path == key }?.text
    }

    /// - Throws: where it cannot be read: a board without one of its files would not come up.
    static func carried(
        _ place: BoardBackup.Carried.Place, _ path: String, from file: String
    ) throws -> BoardBackup.Carried {
        BoardBackup.Carried(
            place, path: path, mode: try FileSystem.mode(of: file) & 0o777,
            bytes: try FileSystem.read(file, limitBytes: 4 << 20))
    }
}

extension EdgeSettings {
    /// The profiles in use, below the folder of profiles.
    fileprivate var profileFiles: [String] {
        let meters = Set(evses.map(\.meterProfile) + [supply.meter?.profile].compactMap { $0 })
        return ["boards/\(board).yaml"] + meters.sorted().map { "meters/\($0).yaml" }
    }
}
