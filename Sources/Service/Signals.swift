import Glibc
import Synchronization

/// What a signal asks of the program.
package enum Signal: Hashable, Sendable {
    /// SIGTERM: drain and end.
    case terminate
    /// SIGINT, Ctrl-C: drain and end.
    case interrupt
    /// SIGHUP: read the configuration again.
    case reload
}

/// Turns the process's signals into an asynchronous stream.
package enum Signals {
    /// Starts to listen; call it once, at the start of the program. SIGPIPE is ignored from now on.
    ///
    /// The handler writes one byte into a pipe and a thread reads it: a blocked signal mask would
    /// do as well, but every child process would inherit it.
    package static func stream() -> AsyncStream<Signal> {
        var ends: [Int32] = [-1, -1]
        let failure = pipe(&ends)
        precondition(failure == 0, "a pipe can be made")
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        writeEnd.store(ends[1], ordering: .releasing)
        signal(SIGPIPE, SIG_IGN)
        for number in [SIGTERM, SIGINT, SIGHUP] { install(number) }
        let readEnd = ends[0]
        let (stream, continuation) = AsyncStream.makeStream(
            of: Signal.self, bufferingPolicy: .bufferingNewest(8))
        _ = NativeThread.start("signals", stackBytes: 65_536) {
            var byte: UInt8 = 0
            while true {
                let count = read(readEnd, &byte, 1)
                if count < 0, errno == EINTR { continue }
                guard count == 1 else { return }
                switch Int32(byte) {
                case SIGTERM: continuation.yield(.terminate)
                case SIGINT: continuation.yield(.interrupt)
                default: continuation.yield(.reload)
                }
            }
        }
        return stream
    }

    private static let writeEnd = Atomic<Int32>(-1)

    private static func install(_ number: Int32) {
        var action = sigaction()
        action.sa_flags = Int32(SA_RESTART)
        action.__sigaction_handler.sa_handler = { number in
            // Only what POSIX allows in a handler: write, with errno kept.
            let saved = errno
            var byte = UInt8(truncatingIfNeeded: number)
            _ = write(Signals.writeEnd.load(ordering: .acquiring), &byte, 1)
            errno = saved
        }
        sigaction(number, &action, nil)
    }
}
