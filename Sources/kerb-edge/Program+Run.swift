import Charging
import Glibc
import HAL
import LinuxHAL
import OCPP
import OCPP16
import Service
import Station
import Web

extension Program {
    /// The agent: outputs safe first, then the journal, then connectors, last the operator.
    static func runAgent(_ invocation: CommandTable.Invocation) async throws -> ExitCode {
        // Before the configuration, the network or anything else that may take its time or fail.
        let held = holdSafeLines(configurationPath(invocation))
        // The kernel leaves a line as it is when its holder ends.
        if invocation.has("--outputs-safe") { return held.problems.isEmpty ? .done : .someFailed }
        let lines = LogQueue(format: invocation.logFormat)
        // Blocks this one thread of the pool for the last lines, when nothing else is to be done.
        defer { lines.close() }
        let log = Log(
            level: invocation.logLevel, format: invocation.logFormat, sink: lines.sink)
        try refuseHalfRestored(configurationPath(invocation))
        let read = try Configuration.load(file: configurationPath(invocation), EdgeSettings.read)
        let settings = read.value
        let password = try password(settings.csms)
        try FileSystem.makeFolder(settings.dataDirectory)
        let lock = try theOnlyOne(in: settings.dataDirectory, mend: anotherRuns)
        defer { lock.release() }
        let clock = boardClock()
        let cabinet = try placed(read.settings) {
            try Cabinet(settings, clock: clock, lines: .drive(held, tell: { tell($0, log) }))
        }
        cabinet.makeSafe()
        try settings.checkAgainstCommissioning()
        if !FileSystem.exists(settings.lockPath) {
            log.notice("not commissioned; see `kerb-edge commission`")
        }
        let secrets = [
            settings.csms.passwordFile, settings.csms.keyFile, settings.supply.group?.keyFile,
        ]
        for secret in secrets.compactMap({ $0 }) where FileChecks.isOpen(secret) {
            log.warning("a secret can be read by everybody here; chmod 600", ["file": secret])
        }
        for warning in read.warnings {
            log.warning(
                "configuration", ["place": "\(warning.place)", "what": warning.what])
        }
        let signals = Signals.stream()
        log.info(
            "starting",
            [
                "version": version, "station": settings.stationID, "board": cabinet.board.name,
                "deadMan": cabinet.board.deadMan.kind.rawValue,
            ])
        try report(held, configurationPath(invocation), cabinet, settings, log)
        if cabinet.board.deadMan.kind == .none {
            log.warning(
                "nothing opens the contactors when this program dies",
                [
                    "untilThen":
                        "its next start does, and kerb-edge-recover where it fails for good; relays "
                        + "on a bus stay closed"
                ])
        }
        let journal = try await openJournal(settings, clock, log)
        let station = try await EdgeStation.make(
            settings, cabinet: cabinet, journal: journal, password: password,
            values: read.settings, clock: clock, log: log,
            recentLog: { lines.recent })
        let socket = try StatusSocket(path: settings.socketPath)
        let ending = await station.run(until: signals, socket: socket)
        log.notice("ending", ["reason": ending])
        socket.close()
        await journal.close()
        return .done
    }

    /// Between two boards this one is neither.
    private static func refuseHalfRestored(_ configuration: String) throws {
        let mark = BoardRestore.mark(of: configuration)
        guard FileSystem.exists(mark) else { return }
        throw Failure(
            code: .usage,
            text: "\(mark): a restore was cut off; run the same `kerb-edge restore` once more")
    }

    private static func password(_ csms: EdgeSettings.CSMS) throws -> [UInt8]? {
        // With profiles 0 and 3 too, if there is one: a raise over OCPP may need it.
        guard let file = csms.passwordFile else { return nil }
        var bytes = try FileSystem.read(file, limitBytes: 4096)
        while let last = bytes.last, last == 0x0A || last == 0x0D { bytes.removeLast() }
        guard !bytes.isEmpty else {
            throw Failure(
                code: .usage,
                text:
                    "csms.passwordFile: \(file) is empty; write the password that the operator gave "
                    + "into its first line, or run `kerb-edge enrol`")
        }
        return bytes
    }

    static func boardClock() -> BoardClock {
        let hasBattery = KernelClock.hasBattery()
        return BoardClock(kernel: {
            ClockSource(isSynchronised: KernelClock.isSynchronised, hasBattery: hasBattery)
        })
    }

    /// Opens the journal, rebuilt if it is damaged, and takes up what an earlier run of this boot
    /// knew of the time.
    private static func openJournal(
        _ settings: EdgeSettings, _ clock: BoardClock, _ log: Log
    ) async throws -> BoardJournal {
        do {
            let journal = try await BoardJournal.open(
                path: settings.journalPath, bootID: bootID(), limits: settings.journalLimits,
                clock: clock, probe: JournalFaults.probe, log: log)
            if let base = try await journal.trustedBase() { clock.resume(base: base) }
            log.info("clock", ["now": "\(clock.now)", "trust": clock.trust.rawValue])
            return journal
        } catch {
            throw Failure(
                text:
                    "\(settings.journalPath): \(error); nothing charges before the journal can be "
                    + "written: free some disk, or look at the disk")
        }
    }

    /// Linux names every boot.
    static func bootID() throws -> String {
        let bytes = try FileSystem.read("/proc/sys/kernel/random/boot_id", limitBytes: 128)
        return String(decoding: bytes.filter { $0 > 0x20 }, as: UTF8.self)
    }
}

extension Program {
    private static let anotherRuns =
        "an agent drives this board already, and a second one would switch against it: look with "
        + "`kerb-edge status`, or stop it first with `systemctl stop kerb-edge`"

    /// - Throws: `Failure` with the mend where another program has the board.
    static func theOnlyOne(in folder: String, mend: String) throws -> DirectoryLock {
        guard let lock = try DirectoryLock(folder) else {
            throw Failure(code: .refused, text: "\(folder): \(mend)")
        }
        return lock
    }
}

/// Keeps a second agent off the same board.
struct DirectoryLock: ~Copyable {
    private static let name = "lock"
    private let descriptor: Int32

    /// - `owner`: whose the file shall be where root makes it.
    /// - Returns: nil where another program holds it.
    /// - Throws: `.link` for a link: root takes the lock too, in a folder of the agent's user.
    init?(_ folder: String, owner: BoardRestore.Owner? = nil) throws(FileError) {
        let descriptor = try HeldFolder(folder).open(Self.name, O_RDWR | O_CREAT)
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            return nil
        }
        if geteuid() == 0, let owner, fchown(descriptor, owner.user, owner.group) != 0 {
            let code = errno
            close(descriptor)
            throw FileError("\(folder)/\(Self.name)", errno: code)
        }
        self.descriptor = descriptor
    }

    func release() { close(descriptor) }
}
