import Glibc
import JSON
import Service
import Simulation

/// `kerb-sim journey` and `kerb-sim demo`.
enum JourneyCommand {
    /// A file that says that a folder is ours to empty.
    private static let marker = "made-by-kerb-sim"

    static func run(_ invocation: CommandTable.Invocation, stays: Bool) async -> ExitCode {
        guard let port = Int(invocation.value("--port") ?? "8080"), (1...65_532).contains(port)
        else {
            Program.complain("kerb-sim: --port must be from 1 to 65532")
            return .usage
        }
        let signals = Signals.stream()
        do {
            let folder = try freshFolder(invocation.value("--data") ?? "demo-data")
            let plan = Stage.Plan(folder: folder, programs: try ownFolder(), port: port)
            return await play(try Stage(plan), stays: stays, signals)
        } catch {
            Program.complain("kerb-sim: \(error)")
            return .failed
        }
    }

    private static func play(
        _ stage: Stage, stays: Bool, _ signals: AsyncStream<Signal>
    ) async -> ExitCode {
        let journey = Journey(stage: stage)
        let work = Task { try await journey.play() }
        let interruption = Task {
            for await signal in signals where signal == .terminate || signal == .interrupt { break }
            work.cancel()
        }
        var code = ExitCode.done
        do {
            try await work.value
            if stays {
                await stay(stage, until: interruption)
            } else {
                journey.script.say(
                    "journey complete: two charges, every account agrees, \(journey.script.seconds)"
                )
            }
        } catch {
            Program.complain("journey failed: \(error)\nlogs: \(stage.plan.folder)")
            code = .failed
        }
        await stage.lower()
        return code
    }

    private static func stay(_ stage: Stage, until interruption: Task<Void, Never>) async {
        let login = stage.plan.cpoFolder + "/demo-console-login"
        // Written by kerb-cpo on its first start; absent only if somebody took it away.
        let account = (try? FileSystem.read(login)).flatMap { try? JSONValue(parsing: $0) }
        let words = ["user", "password"].compactMap { account?[$0]?.string }
        print(
            """

            The site stays up until Ctrl-C.
              console   \(stage.plan.url)/console/
              log-in    \(words.isEmpty ? "see \(login)" : words.joined(separator: " / "))
              API key   \(stage.plan.cpoFolder)/demo-api-key
              logs      \(stage.plan.folder)/kerb-cpo.log, \(stage.plan.folder)/kerb-edge.log

            Both bays are free. Start a charge in the console and a car comes to take it.
            """)
        fflush(nil)
        let visitors = Task { await Visitors(stage: stage).run() }
        await interruption.value
        visitors.cancel()
    }

    /// The folder, emptied if an earlier run made it; one that somebody else made is refused.
    private static func freshFolder(_ name: String) throws -> String {
        let path = name.hasPrefix("/") ? name : "\(currentFolder())/\(name)"
        if FileSystem.exists(path) {
            guard FileSystem.exists("\(path)/\(marker)") else {
                throw Journey.Broken(
                    description:
                        "\(path) exists and was not made by kerb-sim; name another with --data")
            }
            try removeAll(path)
        }
        try FileSystem.makeFolder(path)
        try FileSystem.writeAtomically([], to: "\(path)/\(marker)")
        return path
    }

    private static func removeAll(_ path: String) throws {
        for name in try FileSystem.names(in: path) {
            let inner = "\(path)/\(name)"
            if FileSystem.isFolder(inner), readLink(inner) == nil {
                try removeAll(inner)
                rmdir(inner)
            } else {
                unlink(inner)
            }
        }
    }

    private static func currentFolder() -> String {
        guard let path = getcwd(nil, 0) else { return "." }
        defer { free(path) }
        return String(cString: path)
    }

    /// Where this program lies, and the other two beside it.
    private static func ownFolder() throws -> String {
        guard let path = readLink("/proc/self/exe"), let slash = path.lastIndex(of: "/") else {
            throw Journey.Broken(description: "/proc/self/exe cannot be read")
        }
        return String(path[..<slash])
    }

    private static func readLink(_ path: String) -> String? {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink(path, &buffer, buffer.count)
        guard count > 0 else { return nil }
        return String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
