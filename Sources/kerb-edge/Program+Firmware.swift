import Service
import Station

extension Program {
    static let firmwareCommand = CommandTable.Command(
        "firmware apply",
        flags: [.init("--config", "FILE", "configuration (/etc/kerb/edge.yaml)")],
        "root's part of an update: check what the agent handed over, install it; run by systemd")

    /// Called by `kerb-edge-install.service` whenever the agent has handed something over.
    static func applyFirmware(_ invocation: CommandTable.Invocation) async throws -> ExitCode {
        let configuration = configurationPath(invocation)
        let settings = try settings(invocation)
        let upkeep = settings.upkeep
        guard let handover = settings.handover else {
            throw Failure(
                code: .usage,
                text: "\(configuration): firmware.helperFolder is not set; the agent itself runs "
                    + "the commands")
        }
        // Root acts on these: whoever may write one of them would be root.
        let trusted = [
            configuration, upkeep.rootFile, upkeep.installCommand.first,
            upkeep.rollbackCommand.first,
        ].compactMap { $0 }
        try FileSystem.makeFolder(handover.state, mode: 0o755)
        // A later word may be the script that the first one runs.
        let words = upkeep.installCommand.dropFirst() + upkeep.rollbackCommand.dropFirst()
        let doubt =
            (trusted + [handover.state]).lazy.compactMap(FirmwareHelper.doubt(of:)).first
            ?? words.lazy.filter { $0.hasPrefix("/") }
            .compactMap(FirmwareHelper.doubt(ofArgument:)).first
        let helper = FirmwareHelper(
            handover,
            FirmwareHelper.Rules(
                installCommand: upkeep.installCommand, rollbackCommand: upkeep.rollbackCommand,
                commandSeconds: upkeep.commandSeconds, rootFile: upkeep.rootFile,
                acceptsUnsigned: upkeep.acceptUnsigned,
                mostBytes: Int64(upkeep.maximumMegabytes) << 20),
            log: Log(level: invocation.logLevel, format: invocation.logFormat))
        return try await helper.serve(unless: doubt) ? .done : .someFailed
    }
}

extension EdgeSettings {
    /// nil: the agent runs the commands of an update itself.
    var handover: FirmwareHandover? {
        upkeep.helperFolder.map {
            FirmwareHandover(spool: dataDirectory + "/firmware", state: $0)
        }
    }
}
