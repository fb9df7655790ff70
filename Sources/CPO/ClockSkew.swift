import Charging

/// How far a station's clock is from ours, from the times its messages carry.
///
/// A message can only arrive after it was stamped, and one out of a backlog long after: so the newest
/// looking stamp of the last hour or two is the best word on the clock. Two windows, because the first
/// messages after a long silence may all be old. Positive: the station's clock is ahead.
struct ClockSkew: Hashable, Sendable {
    /// A clock that was put right is believed after twice so long.
    static let windowSeconds: Int64 = 3600
    /// Smaller changes are the network's and write no row.
    static let toldMilliseconds: Int64 = 2000

    private var present: Int64
    private var former: Int64?
    private var since: Timestamp
    private(set) var measuredAt: Timestamp
    private var toldAs: Int64?

    var milliseconds: Int64 { max(present, former ?? present) }

    /// nil for a stamp of a clock that was never set.
    init?(stamp: Timestamp, receivedAt: Timestamp) {
        guard !StationTime.isUnset(stamp) else { return nil }
        present = stamp.milliseconds - receivedAt.milliseconds
        measuredAt = receivedAt
        since = receivedAt
    }

    /// As it was last written down.
    init(milliseconds: Int64, measuredAt: Timestamp) {
        present = milliseconds
        since = measuredAt
        self.measuredAt = measuredAt
        toldAs = milliseconds
    }

    mutating func take(stamp: Timestamp, receivedAt: Timestamp) {
        guard let next = ClockSkew(stamp: stamp, receivedAt: receivedAt) else { return }
        if receivedAt.seconds(since: since) >= Self.windowSeconds {
            former = present
            present = next.present
            since = receivedAt
        } else {
            present = max(present, next.present)
        }
        measuredAt = receivedAt
    }

    /// True once for every change that is worth a row.
    mutating func isToBeTold() -> Bool {
        if let toldAs, abs(toldAs - milliseconds) < Self.toldMilliseconds { return false }
        toldAs = milliseconds
        return true
    }
}
