import Glibc
import Service
import Station

/// Ends the process like a power cut at one moment of the journal's steps, for crash tests:
/// `JOURNAL_KILL_AT=stop.written.2` is the second time that a stop is written and not yet committed.
///
/// Exists in debug builds alone: what is installed on a board cannot be told to do this.
enum JournalFaults {
    #if DEBUG
        static var probe: JournalProbe? {
            guard let text = getenv("JOURNAL_KILL_AT") else { return nil }
            let parts = String(cString: text).split(separator: ".").map(String.init)
            guard parts.count == 3, let last = Int(parts[2]) else { return nil }
            let passed = Lock(0)
            return { step, moment in
                guard step.rawValue == parts[0], moment.rawValue == parts[1] else { return }
                let count = passed.withLock { count in
                    count += 1
                    return count
                }
                guard count == last else { return }
                Program.complain("killed at \(step.rawValue) \(moment.rawValue)")
                kill(getpid(), SIGKILL)
            }
        }
    #else
        static let probe: JournalProbe? = nil
    #endif
}
