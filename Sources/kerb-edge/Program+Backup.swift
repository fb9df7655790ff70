import Charging
import Glibc
import SQL
import Service
import Station

extension Program {
    /// The board in one file. The agent may run.
    static func backup(_ invocation: CommandTable.Invocation) async throws -> ExitCode {
        let configuration = configurationPath(invocation)
        let settings = try settings(invocation)
        guard FileSystem.exists(settings.journalPath) else {
            throw Failure(text: "\(settings.journalPath) is not there; has the agent ever run?")
        }
        let paths = [
            configuration, settings.csms.passwordFile, settings.csms.caFile,
            settings.csms.certificateFile, settings.csms.keyFile,
        ]
        let files = try paths.compactMap { $0 }.map {
            BoardBackup.Carried(path: absolute($0), bytes: try FileSystem.read($0))
        }
        let target = invocation.arguments[0]
        let backup = BoardBackup(
            stationID: settings.stationID, madeAt: SystemClock().now, files: files)
        try await backup.write(journal: settings.journalPath, to: target)
        print(
            "\(target): \(settings.stationID), its journal and \(files.count) files, with passwords and keys"
        )
        return .done
    }

    /// Takes over a board's journal, and with `--identity` who it is. The agent must be down.
    static func restore(_ invocation: CommandTable.Invocation) async throws -> ExitCode {
        let file = invocation.arguments[0]
        let configuration = configurationPath(invocation)
        let backup = try await BoardBackup.read(file)
        if invocation.has("--identity") {
            // Before anything is touched: a board that runs keeps its identity.
            let folder = dataDirectory(of: backup)
            if FileSystem.isFolder(folder) { try theOnlyOne(in: folder).release() }
            try takeIdentity(of: backup, configuration: configuration)
        } else if !FileSystem.exists(configuration) {
            throw Failure(
                code: .usage,
                text: "\(configuration) is not there; `--identity` takes over the one in \(file)")
        }
        let settings = try settings(invocation)
        guard settings.stationID == backup.stationID else {
            throw Failure(
                code: .refused,
                text: "\(file) is of \(backup.stationID), this board is \(settings.stationID); "
                    + "`--identity` makes it \(backup.stationID)")
        }
        try FileSystem.makeFolder(settings.dataDirectory)
        let lock = try theOnlyOne(in: settings.dataDirectory)
        defer { lock.release() }
        let aside = try await BoardBackup.restoreJournal(
            from: file, to: settings.journalPath, at: SystemClock().now)
        let journal = try await BoardJournal.open(
            path: settings.journalPath, bootID: try bootID(), limits: settings.journalLimits,
            clock: boardClock(), log: Log(level: .warning))
        let (depth, open) = (try await journal.depth(), try await journal.recovered().count)
        await journal.close()
        try giveToOwner(of: settings.dataDirectory, settings.journalPath)
        print(
            "\(settings.journalPath): restored from \(file), \(depth) messages to send, \(open) charges to close"
        )
        if let aside { print("the journal that was there is \(aside)") }
        return .done
    }

    private static func theOnlyOne(in folder: String) throws -> DirectoryLock {
        do throws(FileError) {
            return try DirectoryLock(folder)
        } catch {
            throw Failure(code: .refused, text: "the agent runs; stop it first (\(error))")
        }
    }

    /// Writes the configuration and its secrets where they were; what is there is kept aside.
    private static func takeIdentity(of backup: BoardBackup, configuration: String) throws {
        for (index, carried) in backup.files.enumerated() {
            // The configuration is the one that was asked for, wherever the old board had it.
            let isConfiguration =
                carried.path.hasSuffix(".yaml") && index == configurationIndex(backup)
            let path = isConfiguration ? configuration : carried.path
            if FileSystem.exists(path) {
                if try FileSystem.read(path) == carried.bytes { continue }
                let old = "\(path).before-restore"
                guard rename(path, old) == 0 else { throw FileError(path, errno: errno) }
                print("\(path): the old one is \(old)")
            }
            let folder = path.split(separator: "/").dropLast().joined(separator: "/")
            if path.hasPrefix("/") { try FileSystem.makeFolder("/\(folder)", mode: 0o755) }
            try FileSystem.writeAtomically(carried.bytes, to: path)
            if path.hasPrefix("/") { try giveToOwner(of: "/\(folder)", path) }
            print("\(path): written")
        }
    }

    /// As the configuration in the backup says, which cannot be read whole before its secrets lie there.
    private static func dataDirectory(of backup: BoardBackup) -> String {
        let key = "dataDirectory:"
        let text = configurationIndex(backup).map {
            String(decoding: backup.files[$0].bytes, as: UTF8.self)
        }
        let line = (text ?? "").split(separator: "\n").first { $0.hasPrefix(key) }
        let value = line?.dropFirst(key.count).split(separator: " ").first
        return value.map { String($0.filter { $0 != "\"" && $0 != "'" }) } ?? "/var/lib/kerb-edge"
    }

    private static func configurationIndex(_ backup: BoardBackup) -> Int? {
        backup.files.firstIndex { $0.path.hasSuffix(".yaml") }
    }

    /// Restored as root, read by the agent's own user.
    private static func giveToOwner(of folder: String, _ path: String) throws {
        guard geteuid() == 0 else { return }
        var info = stat()
        guard stat(folder, &info) == 0 else { throw FileError(folder, errno: errno) }
        for suffix in ["", "-wal", "-shm", ".head", ".reserve"]
        where FileSystem.exists(path + suffix) {
            guard chown(path + suffix, info.st_uid, info.st_gid) == 0 else {
                throw FileError(path + suffix, errno: errno)
            }
        }
    }

    private static func absolute(_ path: String) -> String {
        guard !path.hasPrefix("/"), let folder = realpath(".", nil) else { return path }
        defer { free(folder) }
        return String(cString: folder) + "/" + path
    }
}
