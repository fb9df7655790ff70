import Service
import Station
import Web

/// The sections `transfers` and `firmware` of `edge.yaml`.
struct UpkeepSettings: Sendable {
    var hosts: [String]
    var transferCAFile: String?
    var transferSeconds: Int
    var installCommand: [String]
    var rollbackCommand: [String]
    var commandSeconds: Int
    var helperFolder: String?
    var rootFile: String?
    var acceptUnsigned: Bool
    var maximumMegabytes: Int
    var healthMinutes: Int

    /// SupportedFileTransferProtocols: without TLS only the hosts that are named are reached.
    var protocols: String { hosts.isEmpty ? "FTPS,HTTPS" : "FTP,FTPS,HTTP,HTTPS" }

    static func read(_ file: ConfigSection) -> UpkeepSettings {
        let transfers = file.section(
            "transfers", about: "where firmware may come from and logs may go to")
        let firmware = file.section("firmware", about: "updates of this program by the operator")
        let settings = UpkeepSettings(
            hosts: transfers.texts(
                "hosts", default: [],
                about: "only these hosts, without TLS and inside a private network too; "
                    + "none: any public host over TLS"),
            transferCAFile: transfers.pathOrNil(
                "caFile", about: "authorities of these hosts; else the system's"),
            transferSeconds: transfers.int(
                "deadlineSeconds", default: 1800, in: 10...86_400, about: "for one try"),
            installCommand: firmware.texts(
                "installCommand", default: [],
                about: "program and arguments that install `{file}`; none: updates are refused"),
            rollbackCommand: firmware.texts(
                "rollbackCommand", default: [],
                about: "program and arguments that bring the old program back"),
            commandSeconds: firmware.int(
                "commandSeconds", default: 900, in: 1...7200,
                about: "after which one of the two is killed and counts as failed"),
            helperFolder: firmware.pathOrNil(
                "helperFolder",
                about: "root's helper runs the two and keeps its files here; left out: the agent "
                    + "runs them as its own user"),
            rootFile: firmware.pathOrNil(
                "rootFile", about: "the manufacturer's root certificates, PEM"),
            acceptUnsigned: firmware.bool(
                "acceptUnsigned", default: false, about: "install what nobody signed"),
            maximumMegabytes: firmware.int(
                "maximumMegabytes", default: 512, in: 1...8192, about: "of one update"),
            healthMinutes: firmware.int(
                "healthMinutes", default: 5, in: 1...1440,
                about: "after which a new program counts as healthy without the operator"))
        guard !file.isSchema else { return settings }
        check(settings.installCommand, "installCommand", needsFile: true, firmware)
        check(settings.rollbackCommand, "rollbackCommand", needsFile: false, firmware)
        FileChecks(transfers).certificates("caFile", settings.transferCAFile)
        FileChecks(firmware).certificates("rootFile", settings.rootFile)
        if settings.helperFolder != nil, settings.rootFile == nil, !settings.acceptUnsigned {
            firmware.problem(
                "rootFile", "root's helper trusts no root that came over OCPP; name a file of roots"
            )
        }
        for host in settings.hosts
        where host.isEmpty || host.contains(where: { "/:@ ".contains($0) }) {
            transfers.problem("hosts", "\(host): a host's name or address, without port and path")
        }
        return settings
    }

    private static func check(
        _ command: [String], _ key: String, needsFile: Bool, _ section: ConfigSection
    ) {
        guard let program = command.first else { return }
        if !program.hasPrefix("/") || !FileSystem.exists(program) {
            section.problem(key, "\(program): begin with the whole path of a program that is there")
        }
        if needsFile, !command.contains("{file}") {
            section.problem(key, "no argument is `{file}`, where the firmware's path goes")
        }
    }
}
