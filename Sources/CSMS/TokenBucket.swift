/// How many messages a station may send: so many a second, with a store for a burst.
///
/// A message that is here already is always taken; what says stop is the wait until reading may go on.
/// Nothing is dropped: what is not read waits in the station's own queue.
struct TokenBucket: Hashable, Sendable {
    private let perSecond: Int64
    private let burst: Int64
    /// Thousandths of a message; below zero for what came beyond the burst.
    private var level: Int64
    private var at: Int64

    /// - Parameter perSecond: 0 for no bound.
    init(perSecond: Int, burst: Int, at now: Int64) {
        self.perSecond = Int64(perSecond)
        self.burst = Int64(burst) * 1000
        level = self.burst
        at = now
    }

    /// Takes one message.
    ///
    /// - Parameter now: milliseconds of a clock that never steps back.
    /// - Returns: milliseconds without reading, until a second's worth is there again; 0: read on.
    mutating func take(at now: Int64) -> Int64 {
        guard perSecond > 0 else { return 0 }
        level = min(burst, level + (now - at) * perSecond) - 1000
        at = now
        guard level <= 0 else { return 0 }
        return (min(burst, perSecond * 1000) - level + perSecond - 1) / perSecond
    }
}
