import Glibc
import JSON
import LinuxHAL
import OCPP
import OCPP16
import Service
import Station

/// What runs on a charger's controller board.
@main
struct Program {
    static let version = "0.1.0"

    static let table = CommandTable(
        program: "kerb-edge", version: version,
        about: "agent of a charging station: meters, contactors, OCPP",
        examples: [
            "kerb-edge enrol 'kerb:enrol?cpo=https://cpo.example.com:8443&id=CS-0001&code=…&ca=…'",
            "kerb-edge config check /etc/kerb/edge.yaml",
            "kerb-edge run --config /etc/kerb/edge.yaml",
            "kerb-edge status --watch",
        ],
        commands: [
            .init(
                "run",
                flags: [
                    config,
                    .init("--outputs-safe", "set the lines to their safe levels and end"),
                ], "run the agent until SIGTERM"),
            .init(
                "config check", arguments: ["[FILE]"], flags: [config],
                "read a configuration and say what is wrong"),
            .init(
                "config show", flags: [config, .init("--origin", "say who set each value")],
                "the configuration in force"),
            .init("config schema", "JSON Schema of the configuration, for editors"),
            .init(
                "config keys",
                "the OCPP configuration keys: access, range, whether a restart is needed, which are "
                    + "not offered"),
            .init(
                "read", flags: [config, watch],
                "every meter once: value, unit, age, quality; asks the agent if it runs"),
            .init(
                "probe", arguments: ["BUS"],
                flags: [
                    config,
                    .init("--units", "LIST", "units to ask: 1-8,33 (1-20 and factory units)"),
                    .init("--all-settings", "try every baud rate and parity of known meters"),
                ],
                "which known meters answer on a bus; the agent must be down"),
            .init(
                "status", flags: [config, watch],
                "connectors, what forbids energy and why, limits, journal, link"),
            .init(
                "token", arguments: ["UID"],
                flags: [config, .init("--connector", "N", "at this outlet")],
                "show a token to the running agent, as a reader would"),
            .init(
                "limit", arguments: ["AMPERES|off"],
                flags: [config, .init("--seconds", "N", "it ends by itself after this")],
                "limit all outlets together, per phase (0 to 1000, 12.5), over restarts until `off`, "
                    + "which also ends the doubt left by a charging profile that damage took"
            ),
            .init(
                "clear", arguments: ["CONNECTOR"], flags: [config],
                "clear latched faults after a person has looked; `journal`: its notices; "
                    + "`security-log`: what of it the operator has heard"),
            commissionCommand, decommissionCommand, enrolCommand, firmwareCommand,
            .init(
                "backup", arguments: ["FILE"], flags: [config],
                "the journal, the configuration, every secret and the fuse lock in one file, mode 0600"
            ),
            .init(
                "restore", arguments: ["FILE"],
                flags: [
                    config,
                    .init(
                        "--identity",
                        "also take over the configuration, passwords, keys and fuse lock"),
                    .init("--replace", "with --identity: though this board is another station"),
                ],
                "take over a board's journal alone, with --identity the whole board; all or nothing, "
                    + "the agent must be down"),
            .init(
                "blackbox",
                flags: [config, .init("--now", "what a running agent remembers, fault or not")],
                "the minutes around each fault, newest last"),
            .init(
                "doctor", flags: [config, .init("--bundle", "FILE", "write a report for support")],
                "look for what would keep the station from working"),
        ], manual: manual)

    private static let manual = Manual(
        description: [
            "kerb-edge runs on the controller board of a charging station. It reads meters and "
                + "inputs, decides by one rule whether a contactor may be closed, switches it, "
                + "journals every charge before it reports it, and speaks OCPP 1.6J with the "
                + "operator's central system. It charges by its local rules while that is away.",
            "The commands status, read, limit, token, clear, commission, doctor and blackbox --now "
                + "ask a running agent, on a socket in its data directory which only its own user and "
                + "root may open.",
            "Under systemd the log goes to journald with a field for each value, so that "
                + "journalctl CONNECTOR=1 shows one outlet; the names are the log's keys in upper "
                + "case with underscores (energyWh is ENERGY_WH). Elsewhere it is a line a fact on "
                + "standard error.",
        ],
        files: [
            ("/etc/kerb/edge.yaml", "the configuration"),
            ("/usr/share/kerb/profiles", "meters and boards, a file each"),
            ("/var/lib/kerb-edge", "the journal of charges and the status socket"),
        ],
        sections: [
            (
                "METRICS",
                StationMetrics.families.map { ("\($0.name) (\($0.kind.rawValue))", $0.help) }
            )
        ],
        seeAlso: ["edge.yaml(5)", "kerb-sim(1)", "journalctl(1)"],
        pages: [
            "edge.yaml": {
                Configuration.manual(
                    name: "edge.yaml", program: "kerb-edge",
                    about: "configuration of a charging station's agent", EdgeSettings.read)
            }
        ])

    private static let config = CommandTable.Flag(
        "--config", "FILE", "configuration (/etc/kerb/edge.yaml)")
    private static let watch = CommandTable.Flag("--watch", "again every second, until Ctrl-C")

    static func main() {
        // Before there is a second thread, which would get a heap of its own with its first piece.
        ProcessMemory.useOneHeap()
        ProcessMemory.boundDescriptors()
        switch table.parse(Array(CommandLine.arguments.dropFirst())) {
        case .help(let text):
            print(text)
            leave(.done)
        case .wrong(let text):
            complain(text)
            leave(.usage)
        case .run(let invocation):
            // Detached: a plain one would wait for this thread.
            Task.detached { leave(await run(invocation)) }
        }
        // The work is done by the pool's threads, which end the program.
        while true { pause() }
    }

    private static func run(_ invocation: CommandTable.Invocation) async -> ExitCode {
        do {
            switch invocation.command {
            case "run": return try await runAgent(invocation)
            case "config check":
                return try checkConfiguration(
                    invocation.arguments.first ?? configurationPath(invocation))
            case "config show": return try showConfiguration(invocation)
            case "config schema":
                print(Configuration.schema(title: "kerb-edge", EdgeSettings.read))
                return .done
            case "config keys":
                let keys = SettingsCatalogue.ocpp16
                print(invocation.isJSON ? keys.json.text : keys.text)
                return .done
            case "read": return try await readMeters(invocation)
            case "probe": return try await probe(invocation)
            case "status": return try await showStatus(invocation)
            case "token": return try ask(invocation, "token \(tokenWords(invocation))")
            case "limit": return try ask(invocation, limitWords(invocation))
            case "clear": return try ask(invocation, "clear \(invocation.arguments[0])")
            case "decommission": return try decommission(invocation)
            case "enrol": return try await enrol(invocation)
            case "commission": return try await commission(invocation)
            case "firmware apply": return try await applyFirmware(invocation)
            case "backup": return try await backup(invocation)
            case "restore": return try await restore(invocation)
            case "blackbox": return try showBlackBox(invocation)
            case "doctor": return try await doctor(invocation)
            default: preconditionFailure("every command of the table has its case")
            }
        } catch let problems as ConfigProblems {
            complain(problems.description)
            return .usage
        } catch let failure as Failure {
            complain("kerb-edge: \(failure.text)")
            return failure.code
        } catch {
            complain("kerb-edge: \(error)")
            return .failed
        }
    }

    /// Why a command ends without having done its work.
    struct Failure: Error {
        var code: ExitCode = .failed
        var text: String
    }

    static func complain(_ text: String) {
        let line = text + "\n"
        // Nobody is left to tell when standard error is closed.
        _ = line.utf8.withContiguousStorageIfAvailable { write(2, $0.baseAddress, $0.count) }
    }

    private static func leave(_ code: ExitCode) -> Never {
        fflush(nil)
        exit(code.rawValue)
    }

    static func configurationPath(_ invocation: CommandTable.Invocation) -> String {
        invocation.value("--config") ?? "/etc/kerb/edge.yaml"
    }

    static func settings(_ invocation: CommandTable.Invocation) throws -> EdgeSettings {
        try Configuration.load(file: configurationPath(invocation), EdgeSettings.read).value
    }
}
