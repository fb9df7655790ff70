import Glibc

/// Runs another program by its argument vector and waits for its end: no shell reads the words.
package enum ChildCommand {
    package enum Outcome: Hashable, Sendable {
        /// By itself, with this status.
        case exited(Int32)
        /// By this signal.
        case killed(Int32)
        case notStarted(errno: Int32)
        /// It and its children were killed.
        case timedOut
    }

    /// Starts `arguments[0]`, an absolute path, in a process group of its own with a plain
    /// environment. What it prints replaces the content of `outputPath`.
    nonisolated(nonsending) package static func run(
        _ arguments: [String], outputPath: String, deadlineSeconds: Int
    ) async -> Outcome {
        await withCheckedContinuation { continuation in
            NativeThread.start("child", stackBytes: 262_144) {
                continuation.resume(returning: runHere(arguments, outputPath, deadlineSeconds))
            }
        }
    }

    private static let environment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"]
    private static let lookAgainMicroseconds: UInt32 = 50_000

    private static func runHere(
        _ arguments: [String], _ outputPath: String, _ deadlineSeconds: Int
    ) -> Outcome {
        let (pid, failure) = start(arguments, outputPath)
        guard failure == 0 else { return .notStarted(errno: failure) }
        let clock = SystemClock()
        let deadline = clock.monotonicMilliseconds + Int64(deadlineSeconds) * 1000
        var status: Int32 = 0
        while true {
            let ended = waitpid(pid, &status, WNOHANG)
            if ended == pid { break }
            if ended < 0, errno != EINTR { return .notStarted(errno: errno) }
            if clock.monotonicMilliseconds >= deadline {
                kill(-pid, SIGKILL)
                waitpid(pid, &status, 0)
                return .timedOut
            }
            usleep(lookAgainMicroseconds)
        }
        // The macros of <sys/wait.h>.
        let signal = status & 0x7F
        return signal == 0 ? .exited(status >> 8 & 0xFF) : .killed(signal)
    }

    private static func start(_ arguments: [String], _ outputPath: String) -> (pid_t, Int32) {
        guard let program = arguments.first else { return (0, ENOENT) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(
            &actions, 1, outputPath, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK))
        var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        var variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup($0) } + [nil]
        defer { for pointer in words + variables { free(pointer) } }
        var pid: pid_t = 0
        let failure = posix_spawn(&pid, program, &actions, &attributes, &words, &variables)
        return (pid, failure)
    }
}
