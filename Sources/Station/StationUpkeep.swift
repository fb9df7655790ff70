import Charging
import OCPP
import Service

/// Looks after the board for the operator: firmware, logs, security events, certificates and
/// credentials. OCPP 1.6 firmware management and the security white paper.
///
/// A charge never waits for any of it.
package actor StationUpkeep {
    package struct Configuration: Sendable {
        package var stationID: String
        /// The common name of our certificates: the cabinet's serial number. White paper A00.FR.405.
        package var commonName: String
        package var version: String
        /// Where files of an update and of uploads lie.
        package var folder: String
        package var carriage: any FileCarriage
        /// Programs with their arguments; `{file}` stands for the firmware's path. Empty: none.
        package var installCommand: [String] = []
        package var rollbackCommand: [String] = []
        package var commandSeconds = 900
        /// Root's helper, which runs the commands in our place; nil: we run them.
        package var handover: FirmwareHandover?
        package var acceptsUnsigned = false
        package var firmwareBytes: Int64 = 512 << 20
        package var firmware = FirmwareMachine.Rules()
        /// Between two tries of a step that the disk did not take.
        package var stepRetries = Backoff(firstMilliseconds: 5_000, longestMilliseconds: 300_000)
        /// Where it is kept that the operator has accepted a boot of this identity, and which it is:
        /// `enrol` takes away the one before only then. nil: nowhere.
        package var accepted: (path: String, identity: String)?
        /// Makes the archive of `GetDiagnostics`; nil: the state of the connectors alone is sent.
        package var bundle: Bundling?

        package init(
            stationID: String, commonName: String, version: String, folder: String,
            carriage: any FileCarriage
        ) {
            self.stationID = stationID
            self.commonName = commonName
            self.version = version
            self.folder = folder
            self.carriage = carriage
        }
    }

    /// A `tar` of what support needs to see, without secrets; nil where no agent runs.
    package typealias Bundling = @Sendable (StationView?) async throws -> [UInt8]

    let configuration: Configuration
    let journal: BoardJournal
    let settings: StationSettings
    package nonisolated let credentials: LinkCredentials
    package nonisolated let roots: RootStore
    let clock: any ServiceClock
    let log: Log

    weak var agent: StationAgent?
    var machine: FirmwareMachine
    var isStepping = false
    var stepsWaiting: [CheckedContinuation<Void, Never>] = []
    var postponed: PostponedStep?
    /// The disk knows an older job than the machine.
    var isJobUnsaved = false
    var savesAgainAt: Int64 = .min
    /// Grows with every download, so that a late end of an old one is told from the new one's.
    var downloadNumber = 0
    // Cancelled by what replaces it and at the end of `run`; nothing else waits for it.
    var downloading: Task<Void, Never>?
    /// By which a broken download can go on.
    var resumeTag = Lock<String?>(nil)
    var uploading: Task<Void, Never>?
    var uploadNumber = 0
    var uploadRequest: (status: UploadStatus, requestID: Int?)?
    var isRegistered = false
    /// What the link last failed of; one event per series of failures.
    var linkProblem: SecurityEvent.Kind?
    private var diskWasFull = false
    private var tellingWaitsUntil: Int64 = 0
    private let tellings: AsyncStream<Void>
    private let toTell: AsyncStream<Void>.Continuation

    /// Below this the journal itself is in danger.
    static let reservedBytes: Int64 = 64 << 20
    private static let ticksBetweenLooks = 60
    private static let looksBetweenCertificateChecks = 720
    /// A report refused this often is given up; a security event stays in the log.
    private static let mostRefusals = 3
    private static let retryMilliseconds: Int64 = 30_000

    package init(
        _ configuration: Configuration, journal: BoardJournal, settings: StationSettings,
        credentials: LinkCredentials, roots: RootStore,
        clock: any ServiceClock = .system, log: Log
    ) async throws {
        self.configuration = configuration
        self.journal = journal
        self.settings = settings
        self.credentials = credentials
        self.roots = roots
        self.clock = clock
        self.log = log
        (tellings, toTell) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        machine = FirmwareMachine(
            rules: configuration.firmware, version: configuration.version,
            job: try await journal.firmwareJob())
        try FileSystem.makeFolder(configuration.folder)
        await note(.startupOfTheDevice, configuration.version)
    }

    var now: Instant { Instant(milliseconds: clock.monotonicMilliseconds, wall: clock.now) }

    /// Runs until it is cancelled, for the agent that carries its words.
    func run(for agent: StationAgent) async {
        self.agent = agent
        if let handover = configuration.handover {
            if handover.isBroughtBack { await handle(.broughtBack) }
            if machine.job == nil { settleHelper() }
        }
        await handle(.started(version: configuration.version))
        await withDiscardingTaskGroup { group in
            group.addTask { await self.tellForEver() }
            await self.watch()
            group.cancelAll()
        }
        downloading?.cancel()
        uploading?.cancel()
    }

    private func watch() async {
        var ticks = 0
        while !Task.isCancelled {
            do { try await clock.sleep(milliseconds: 1000) } catch { return }
            toTell.yield()
            if machine.job != nil || isJobUnsaved {
                let isCharging = await agent?.isCharging ?? false
                await handle(.tick(isCharging: isCharging))
            }
            if ticks % Self.ticksBetweenLooks == 0 { await lookAtDisk() }
            if ticks % (Self.ticksBetweenLooks * Self.looksBetweenCertificateChecks) == 0 {
                await lookAtCertificate()
            }
            ticks += 1
        }
    }

    private func lookAtDisk() async {
        // A folder that cannot be asked is a fault of its own, which the journal reports.
        guard let free = try? FileSystem.freeBytes(at: configuration.folder) else { return }
        await look(atFreeBytes: free)
    }

    /// A full disk is told once, and again only after there was room.
    func look(atFreeBytes free: Int64) async {
        let isFull = free < Self.reservedBytes / 4
        if isFull, !diskWasFull { await note(.memoryExhaustion, "disk: \(free >> 20) MiB free") }
        diskWasFull = isFull
    }

    // MARK: What is told

    /// Writes a security event down and queues it for the operator.
    package func note(_ kind: SecurityEvent.Kind, _ info: String? = nil) async {
        log.notice("security event", ["type": kind.rawValue, "info": info ?? ""])
        await queue(.security(SecurityEvent(kind, at: clock.now, info: info)))
    }

    func queue(_ report: MaintenanceReport) async {
        do {
            try await journal.note(report, at: clock.now)
        } catch {
            log.error("report not stored", ["error": String(describing: error)])
        }
        toTell.yield()
    }

    private func tellForEver() async {
        for await _ in tellings {
            if isRegistered, clock.monotonicMilliseconds >= tellingWaitsUntil { await tell() }
        }
    }

    /// Tells what is owed in order, until it is told or must wait.
    private func tell() async {
        while let agent, !Task.isCancelled {
            do {
                guard let report = try await journal.nextReport() else { return }
                switch await agent.call(.maintenance(report.report)) {
                case .answered: try await journal.confirm(report: report)
                case .unsayable: try await journal.confirm(report: report)
                case .refused(let error):
                    // An operator without the security extension has no ear for it.
                    let isDeaf = error.code == .notImplemented || error.code == .notSupported
                    if isDeaf || report.refusals + 1 >= Self.mostRefusals {
                        try await journal.confirm(report: report)
                    } else {
                        try await journal.refused(report: report)
                        return waitBeforeTelling()
                    }
                case .silent, .crowded: return waitBeforeTelling(isOnline: await agent.isLinked)
                }
            } catch {
                log.error("reports not read", ["error": String(describing: error)])
                return waitBeforeTelling()
            }
        }
    }

    private func waitBeforeTelling(isOnline: Bool = true) {
        tellingWaitsUntil =
            clock.monotonicMilliseconds + (isOnline ? Self.retryMilliseconds : 0)
    }

    /// Gives what is queued a moment to be heard before the program ends.
    func tellBeforeEnd(withinMilliseconds patience: Int64) async {
        let deadline = clock.monotonicMilliseconds + patience
        tellingWaitsUntil = 0
        while clock.monotonicMilliseconds < deadline, await agent?.isLinked ?? false {
            toTell.yield()
            do {
                if try await journal.nextReport() == nil { return }
                try await clock.sleep(milliseconds: 50)
            } catch { return }
        }
    }

    // MARK: What the agent tells

    /// The operator has accepted our boot.
    func registered() async {
        isRegistered = true
        keepAcceptance()
        tellingWaitsUntil = 0
        toTell.yield()
        await handle(.healthy)
    }

    private func keepAcceptance() {
        guard let (path, identity) = configuration.accepted else { return }
        let bytes = Array("\(identity)\n".utf8)
        do throws(FileError) {
            // Once in a board's life, not at every boot. Not there yet: it is written.
            if (try? FileSystem.read(path)) != bytes {
                try FileSystem.writeAtomically(bytes, to: path)
            }
        } catch {
            // Nothing is lost: the identity before stays where it is for longer.
            log.warning("acceptance not kept", ["error": error.description])
        }
    }

    /// What a firmware or log trigger is answered with, in the words of the message asked for.
    func state(_ message: String, isExtended: Bool) -> MaintenanceReport? {
        switch message {
        case "FirmwareStatusNotification" where isExtended:
            .signedFirmware(machine.status, requestID: machine.job?.order.signed?.requestID)
        case "FirmwareStatusNotification": .firmware(machine.status.plain)
        case "DiagnosticsStatusNotification":
            .diagnostics(uploadRequest?.status ?? .idle)
        case "LogStatusNotification":
            .log(uploadRequest?.status ?? .idle, requestID: uploadRequest?.requestID)
        default: nil
        }
    }
}

extension FirmwareStatus {
    /// 1.6's own word for it.
    var plain: FirmwareStatus {
        switch self {
        case .downloaded, .downloadFailed, .downloading, .idle, .installationFailed, .installing,
            .installed:
            self
        case .downloadScheduled, .downloadPaused: .idle
        case .installRebooting: .installing
        case .installScheduled, .signatureVerified: .downloaded
        case .installVerificationFailed, .invalidSignature: .installationFailed
        }
    }
}
