import Glibc
import Service
import Simulation

/// What developers, trainers and the demo run: the world around Kerb, simulated.
@main
struct Program {
    static let version = "0.1.0"

    static let table = CommandTable(
        program: "kerb-sim", version: version,
        about: "cars, hardware and partners for Kerb, simulated",
        examples: [
            "kerb-sim journey", "kerb-sim demo --port 8080",
            "kerb-sim site --config Config/sim.yaml",
        ],
        commands: [
            .init(
                "site",
                flags: [.init("--config", "FILE", "what the site is made of", isRequired: true)],
                "cars and EVSE hardware behind Modbus RTU and TCP, until SIGTERM"),
            fleetCommand, appCommand, emspCommand,
            .init("config check", arguments: ["FILE"], "read a site's file and say what is wrong"),
            .init("config schema", "JSON Schema of a site's file, for editors"),
            .init(
                "journey", flags: [data, port],
                "play one booking and one roaming charge on a site of its own, check every sum, end"
            ),
            .init(
                "demo", flags: [data, port],
                "the same, then stay up until Ctrl-C and print the console's address"),
        ], manual: manual)

    private static let manual = Manual(
        description: [
            "kerb-sim is the world around Kerb for a demo, a training or a test: cars and EVSE "
                + "hardware behind real Modbus, many stations in one process, a Beckn app and a "
                + "roaming partner that check what they receive. It listens on loopback only."
        ],
        seeAlso: ["kerb-edge(1)", "kerb-cpo(1)"])

    private static let data = CommandTable.Flag(
        "--data", "DIR", "folder of everything it makes (demo-data)")
    private static let port = CommandTable.Flag(
        "--port", "N", "kerb-cpo's port; the next three are taken too (8080)")

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
            case "site": return try await site(invocation)
            case "fleet": return try await fleet(invocation)
            case "bap": return try await app(invocation)
            case "emsp": return try await emsp(invocation)
            case "config check":
                _ = try SiteSettings.load(invocation.arguments[0])
                print("\(invocation.arguments[0]): good")
                return .done
            case "config schema":
                print(Configuration.schema(title: "kerb-sim site", SiteSettings.read))
                return .done
            case "journey": return await JourneyCommand.run(invocation, stays: false)
            case "demo": return await JourneyCommand.run(invocation, stays: true)
            default: preconditionFailure("every command of the table has its case")
            }
        } catch let problems as ConfigProblems {
            complain(problems.description)
            return .usage
        } catch let failure as Failure {
            complain("kerb-sim: \(failure.text)")
            return .failed
        } catch {
            complain("kerb-sim: \(error)")
            return .failed
        }
    }

    /// Why a command ends without having done its work.
    struct Failure: Error {
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
}
