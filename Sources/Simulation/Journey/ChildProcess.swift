import Glibc
import Service

/// A program of ours, started and ended by its id. Its output goes to a file.
package final class ChildProcess: Sendable {
    package struct NotStarted: Error, Sendable, CustomStringConvertible {
        package let description: String
    }

    package let name: String
    package let logPath: String
    private let id: Lock<pid_t?>

    /// - Parameter program: an absolute path.
    package init(
        _ name: String, program: String, arguments: [String], environment: [String: String] = [:],
        logPath: String
    ) throws(NotStarted) {
        self.name = name
        self.logPath = logPath
        id = Lock(nil)
        try start(program, arguments, environment)
    }

    private func start(
        _ program: String, _ arguments: [String], _ environment: [String: String]
    ) throws(NotStarted) {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, logPath, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        let everything = Environment.all.merging(environment) { $1 }.map { "\($0)=\($1)" }
        var argv: [UnsafeMutablePointer<CChar>?] =
            ([program] + arguments).map { strdup($0) } + [nil]
        var envp: [UnsafeMutablePointer<CChar>?] = everything.map { strdup($0) } + [nil]
        defer { for pointer in argv + envp { free(pointer) } }
        var pid: pid_t = 0
        let failure = posix_spawn(&pid, program, &actions, nil, &argv, &envp)
        guard failure == 0 else {
            throw NotStarted(description: "\(program): \(String(cString: strerror(failure)))")
        }
        let started = pid
        id.withLock { $0 = started }
    }

    /// True until it has been seen to end; an ended one is reaped.
    package var isRunning: Bool {
        id.withLock { id in
            guard let pid = id else { return false }
            var status: Int32 = 0
            guard waitpid(pid, &status, WNOHANG) == pid else { return true }
            id = nil
            return false
        }
    }

    /// SIGKILL, and waits for the kernel to have done it: what a power cut is to a process.
    package func kill() {
        id.withLock { id in
            guard let pid = id else { return }
            Glibc.kill(pid, SIGKILL)
            var status: Int32 = 0
            while waitpid(pid, &status, 0) == -1, errno == EINTR {}
            id = nil
        }
    }

    /// Waits for its end; the exit code, or nil when a signal ended it.
    package func waitForEnd() -> Int32? {
        id.withLock { id in
            guard let pid = id else { return nil }
            var status: Int32 = 0
            while waitpid(pid, &status, 0) == -1, errno == EINTR {}
            id = nil
            return status & 0x7F == 0 ? status >> 8 & 0xFF : nil
        }
    }

    /// SIGTERM, then SIGKILL for one that has not ended after `seconds`.
    package func end(withinSeconds seconds: Int) async {
        id.withLock { if let pid = $0 { _ = Glibc.kill(pid, SIGTERM) } }
        for _ in 0..<(seconds * 20) where isRunning {
            // A cancelled wait goes straight on to the kill.
            guard (try? await Task.sleep(for: .milliseconds(50))) != nil else { break }
        }
        kill()
    }
}
