import JSON

/// What a fleet has done so far.
package struct FleetReport: Hashable, Sendable {
    package var connected = 0
    package var connects = 0
    package var refusedConnects = 0
    package var lostConnections = 0
    package var calls = 0
    package var answers = 0
    /// CALLERRORs that came back.
    package var errors = 0
    /// Calls whose answer did not come in time or whose line broke.
    package var unanswered = 0
    /// Calls from the operator that were answered.
    package var commands = 0
    package var sessions = 0
    package var latency = LatencyHistogram()

    package init() {}

    package var json: JSONValue {
        [
            "connected": .number(connected), "connects": .number(connects),
            "refusedConnects": .number(refusedConnects),
            "lostConnections": .number(lostConnections), "calls": .number(calls),
            "answers": .number(answers), "errors": .number(errors),
            "unanswered": .number(unanswered), "commands": .number(commands),
            "sessions": .number(sessions),
            "p50Microseconds": .number(latency.quantile(percent: 50)),
            "p99Microseconds": .number(latency.quantile(percent: 99)),
        ]
    }
}

/// Counts of durations in steps of a fifth, from 1 µs to about a minute: constant size, whatever
/// comes in.
package struct LatencyHistogram: Hashable, Sendable {
    private static let bounds: [Int64] = {
        var bounds: [Int64] = [1]
        while let last = bounds.last, last < 60_000_000 { bounds.append(last + max(1, last / 5)) }
        return bounds
    }()

    private var counts = [Int](repeating: 0, count: bounds.count)
    package private(set) var total = 0

    package init() {}

    package mutating func add(microseconds: Int64) {
        let place = Self.bounds.firstIndex { $0 >= microseconds } ?? Self.bounds.count - 1
        counts[place] += 1
        total += 1
    }

    /// The upper end of the step in which the quantile lies; 0 while nothing was counted.
    package func quantile(percent: Int) -> Int64 {
        guard total > 0 else { return 0 }
        let wanted = (total * percent + 99) / 100
        var seen = 0
        for (bound, count) in zip(Self.bounds, counts) {
            seen += count
            if seen >= wanted { return bound }
        }
        return Self.bounds.last ?? 0
    }
}
