import Service

/// Every breach a counterpart noticed, in words. A journey with a finding has failed.
package final class Findings: Sendable {
    /// More than this many are counted, not kept.
    package static let limit = 200

    private let state = Lock<(kept: [String], count: Int)>(([], 0))

    package init() {}

    package func note(_ finding: String) {
        state.withLock {
            $0.count += 1
            if $0.kept.count < Self.limit { $0.kept.append(finding) }
        }
    }

    /// Notes `finding` unless the condition holds.
    package func expect(_ condition: Bool, _ finding: @autoclosure () -> String) {
        if !condition { note(finding()) }
    }

    package var all: [String] { state.withLock { $0.kept } }
    package var count: Int { state.withLock { $0.count } }
}
