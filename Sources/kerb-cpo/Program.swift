import Glibc
import Service

/// What a charge point operator runs: stations, partners and people on one port.
@main
struct Program {
    static let version = "0.1.0"

    static let table = CommandTable(
        program: "kerb-cpo", version: version,
        about: "central system of a charge point operator: OCPP, OCPI, Beckn, console",
        examples: [
            "kerb-cpo serve --demo",
            "kerb-cpo config check /etc/kerb/cpo.yaml",
            "kerb-cpo user add anna --role admin --password-file -",
        ],
        commands: [
            .init(
                "serve",
                flags: [
                    config, .init("--demo", "a site on loopback with samples, nothing to set up"),
                    .init("--data", "DIR", "folder of the demo (kerb-demo)"),
                    .init("--port", "N", "plain port of the demo (8080); TLS on the next one"),
                ], "run the server until SIGTERM"),
            .init(
                "config check", arguments: ["FILE"], "read a configuration and say what is wrong"),
            .init(
                "config show", flags: [config, .init("--origin", "say who set each value")],
                "the configuration in force"),
            .init("config schema", "JSON Schema of the configuration, for editors"),
            .init(
                "user add", arguments: ["NAME"],
                flags: [
                    config, role,
                    .init(
                        "--password-file", "FILE", "read the password there; - is standard input"),
                    .init("--replace", "give one who is there a new password and role"),
                ], "add a person who may log in"),
            .init(
                "key add", arguments: ["NAME"], flags: [config, role],
                "make an API key and print it once"),
        ] + accountCommands + [stationEnrolCommand] + authorityCommands + [
            .init(
                "tariffs test", arguments: ["CASES.json"], "price every case of a file"),
            .init(
                "ocpi invite", arguments: ["NAME"],
                flags: [
                    config, .init("--versions-url", "URL", "the partner's versions, if we call"),
                ],
                "make a partner's first token (TOKEN_A) and print it once"),
            .init(
                "beckn keygen",
                flags: [.init("--out", "FILE", "write the private key there, mode 0600")],
                "make a signing key and print its registry entry"),
            .init("migrate", flags: [config], "bring the database's schema up to date"),
            .init(
                "backup", arguments: ["FILE"], flags: [config],
                "copy the database, of either engine, while it runs"),
            .init(
                "restore", arguments: ["FILE"], flags: [config],
                "put a backup in the database's place and keep what was there; the server must be down"
            ),
            exportCommand, eraseCommand,
            .init("doctor", flags: [config], "look for what would keep the server from working"),
        ], manual: manual)

    private static let manual = Manual(
        description: [
            "kerb-cpo is what a charge point operator runs: the central system for stations "
                + "(OCPP), a party for roaming partners (OCPI), a provider on Beckn networks, the "
                + "operator's console with its API, and metrics; one process, one port by default.",
            "Under systemd the log goes to journald with a field for each value, so that "
                + "journalctl STATION=CS-1 shows one station.",
            "restore checks a backup and brings a copy of it up to date before that takes the database's "
                + "place; what was there is kept beside it, each time. What happened since the backup "
                + "is unknown afterwards: shared connectors count in full until they have confirmed a "
                + "limit anew, and no number is given twice.",
        ],
        files: [
            ("/etc/kerb/cpo.yaml", "the configuration"),
            ("/var/lib/kerb-cpo", "the database, where it is SQLite's"),
            (
                "/var/lib/kerb-cpo/*.before-restore-*",
                "databases that a restore has replaced, to be deleted in time"
            ),
        ],
        seeAlso: ["cpo.yaml(5)", "kerb-edge(1)", "journalctl(1)"],
        pages: [
            "cpo.yaml": {
                Configuration.manual(
                    name: "cpo.yaml", program: "kerb-cpo",
                    about: "configuration of a charge point operator's server", Settings.read)
            }
        ])

    static let config = CommandTable.Flag(
        "--config", "FILE", "configuration (/etc/kerb/cpo.yaml)")
    private static let role = CommandTable.Flag(
        "--role", "ROLE", "admin, operator or viewer", isRequired: true)

    static func main() async {
        switch table.parse(Array(CommandLine.arguments.dropFirst())) {
        case .help(let text):
            print(text)
            leave(.done)
        case .wrong(let text):
            complain(text)
            leave(.usage)
        case .run(let invocation):
            leave(await run(invocation))
        }
    }

    private static func run(_ invocation: CommandTable.Invocation) async -> ExitCode {
        do {
            switch invocation.command {
            case "serve": return try await serve(invocation)
            case "config check": return try checkConfiguration(invocation.arguments[0])
            case "config show": return try showConfiguration(invocation)
            case "config schema":
                print(Configuration.schema(title: "kerb-cpo", Settings.read))
                return .done
            case "tariffs test":
                let words = ["test"] + invocation.arguments + (invocation.isJSON ? ["--json"] : [])
                return ExitCode(rawValue: TariffsCommand.run(words)) ?? .failed
            case "beckn keygen": return try makeBecknKey(invocation)
            case "user add": return try await addUser(invocation)
            case "key add": return try await addKey(invocation)
            case "user list", "user remove", "key list", "key revoke":
                return try await accounts(invocation)
            case "station enrol": return try await enrolStation(invocation)
            case let name where name.hasPrefix("authority "): return try authority(invocation)
            case "ocpi invite": return try await invite(invocation)
            case "migrate": return try await migrate(invocation)
            case "backup": return try await backup(invocation)
            case "export": return try await export(invocation)
            case "erase": return try await erase(invocation)
            case "restore": return try restore(invocation)
            case "doctor": return try await doctor(invocation)
            default: preconditionFailure("every command of the table has its case")
            }
        } catch let problems as ConfigProblems {
            complain(problems.description)
            return .usage
        } catch let failure as Failure {
            complain("kerb-cpo: \(failure.text)")
            return failure.code
        } catch {
            complain("kerb-cpo: \(error)")
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
        _ = line.withCString { write(2, $0, strlen($0)) }
    }

    static func leave(_ code: ExitCode) -> Never {
        fflush(nil)
        exit(code.rawValue)
    }

    static func log(_ invocation: CommandTable.Invocation) -> Log {
        Log(level: invocation.logLevel, format: invocation.logFormat)
    }

    static func settings(
        _ invocation: CommandTable.Invocation, looking look: Settings.Look = .away
    ) throws -> Settings {
        let file = invocation.value("--config") ?? "/etc/kerb/cpo.yaml"
        var settings = try Settings.load(file, looking: look).value
        // What only adds a user corrects nothing.
        if look != .away { try settings.readCorrections() }
        return settings
    }
}
