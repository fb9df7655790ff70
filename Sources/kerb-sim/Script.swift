import Glibc
import Service

/// What the journey says while it plays: a line a step, with the seconds since the curtain rose.
struct Script: Sendable {
    private let began = SystemClock().monotonicMilliseconds

    var seconds: String {
        let tenths = (SystemClock().monotonicMilliseconds - began) / 100
        return "\(tenths / 10).\(tenths % 10) s"
    }

    func did(_ what: String, _ detail: String) {
        let pad = String(repeating: " ", count: max(0, 8 - seconds.count))
        say("\(pad)\(seconds)  \(what)\(detail.isEmpty ? "" : " · \(detail)")")
    }

    func say(_ line: String) {
        print(line)
        fflush(nil)
    }
}
