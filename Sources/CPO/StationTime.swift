import Charging

/// The station's time is the session's time, as long as it can be true.
enum StationTime {
    /// 2015-01-01: older means the clock was never set.
    static let oldestPlausible = Timestamp(seconds: 1_420_070_400)
    /// Five minutes ahead of us cannot be.
    static let mostAheadSeconds: Int64 = 300

    /// True for a time no clock that was ever set would give.
    static func isUnset(_ time: Timestamp?) -> Bool { time.map { $0 < oldestPlausible } ?? true }

    /// The station's time where plausible, else the moment we received it; the flag says repaired.
    static func repaired(_ time: Timestamp?, receivedAt: Timestamp) -> (at: Timestamp, was: Bool) {
        guard let time, !isUnset(time), time <= receivedAt.advanced(bySeconds: mostAheadSeconds)
        else { return (receivedAt, true) }
        return (time, false)
    }
}
