import Glibc
import JSON
import Service
import Station

extension Program {
    static func showStatus(_ invocation: CommandTable.Invocation) async throws -> ExitCode {
        let path = try settings(invocation).socketPath
        let canvas = Canvas(invocation)
        var screen = StatusScreen(terminal: canvas.terminal, isWatching: canvas.isWatching)
        return try await again(invocation) {
            let text = try asked("status", at: path)
            if invocation.isJSON {
                print(text)
            } else {
                canvas.draw(screen.text(try JSONValue(parsing: text)))
            }
        }
    }

    /// Runs once, or every second with `--watch`.
    static func again(
        _ invocation: CommandTable.Invocation, _ body: () async throws -> Void
    ) async throws -> ExitCode {
        repeat {
            try await body()
            fflush(nil)
            if invocation.has("--watch") { try await SystemClock().sleep(milliseconds: 1000) }
        } while invocation.has("--watch")
        return .done
    }

    /// Where `--watch` draws.
    struct Canvas {
        let terminal = Terminal.standardOutput
        let isWatching: Bool

        init(_ invocation: CommandTable.Invocation) {
            isWatching = invocation.has("--watch") && !invocation.isJSON
            if isWatching { print(terminal.cleared, terminator: "") }
        }

        func draw(_ text: String) {
            if isWatching {
                print(terminal.redrawn(text), terminator: "")
            } else {
                print(text)
            }
        }
    }

    static func asked(_ line: String, at path: String) throws -> String {
        do throws(StatusSocket.SocketError) {
            return try StatusSocket.ask(line, at: path)
        } catch {
            guard !isClosed(path) else {
                throw Failure(
                    code: .refused,
                    text: "\(path) is open to the agent's user and root alone; run this with sudo")
            }
            throw Failure(
                code: .unreachable, text: "\(error); does it run? See systemctl status kerb-edge")
        }
    }

    /// Whether this user may not even look whether the agent is there.
    static func isClosed(_ socket: String) -> Bool {
        access(socket, R_OK | W_OK) != 0 && errno == EACCES
    }

    static func ask(_ invocation: CommandTable.Invocation, _ line: String) throws -> ExitCode {
        let answer = try JSONValue(
            parsing: try asked(line, at: try settings(invocation).socketPath))
        if let error = answer["error"]?.string { throw Failure(code: .refused, text: error) }
        print(invocation.isJSON ? answer.text : answer["done"]?.string ?? "done")
        return .done
    }
}
